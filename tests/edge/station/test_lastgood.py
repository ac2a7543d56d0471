"""How far back a station may go, and what it starts with when its bundle is refused: played on the loop."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.errors import BundleError, CameraError, ConfigurationError, EdgeError
from edge.inspector.link import BundleTaken, Failed, KeepBundle, Ready, TakeBundle
from edge.inspector.report import TrialReport
from edge.records import Alarm
from edge.requests import Done, Reload, UseRecipe
from edge.station.lastgood import FILE, FOLDER, read_known
from tests.support.station import Bench

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def bench(state: Path, **settings: object) -> Bench:
    return Bench(folder=state, **settings)


def ready(bench: Bench, hash_: str, release: int, name: str = "steel") -> None:
    """Go round until an inspector runs, and have it ready with that bundle."""
    while not bench.supervisor.running:
        bench.loop.cycle()
    told = msgspec.structs.replace(bench.ready(), bundle_hash=hash_, bundle_name=name, release=release)
    assert isinstance(told, Ready)
    bench.hear(told, *(bench.camera(c.name, "open") for c in bench.station.cameras))


def was_active(state: Path, *goods: tuple[str, int]) -> None:
    """Let stations have run with these, one after the other, and the copies have been written."""
    for hash_, release in goods:
        ready(bench(state), hash_, release)
        (state / FOLDER / hash_).mkdir(parents=True, exist_ok=True)


def fails(bench: Bench, code: int = 3, text: str = "/bundle: was altered") -> None:
    """Let the inspector that is being started fail, and end."""
    while not bench.supervisor.running:
        bench.loop.cycle()
    bench.hear(Failed(inspector=bench.supervisor.number, exit_code=code, text=text, blames_bundle=code == 3))
    bench.supervisor.die(code)
    bench.loop.cycle()


def started_with(bench: Bench) -> tuple[str, str]:
    """Go round until the next inspector runs; return its bundle's folder and hash."""
    while not bench.supervisor.running:
        bench.loop.cycle()
    bundle = bench.supervisor.bundles[-1]
    return bundle.path, bundle.hash


def audits(bench: Bench, event: str) -> list[str]:
    return [a.detail for a in bench.publisher.audits if a.event.value == event]


def kept(bench: Bench) -> list[KeepBundle]:
    return [order for order in bench.supervisor.orders if isinstance(order, KeepBundle)]


def report() -> TrialReport:
    return TrialReport(bundle_hash=C, recipe_hash="n" * 64, class_names=(), accepted=True, text="", frames=())


# ---- roll-back ------------------------------------------------------------------------------------------------------


def test_the_highest_release_outlives_a_restart(tmp_path: Path) -> None:
    """By name, whatever was active since; start, trial and inspector are told."""
    was_active(tmp_path, (A, 7), (B, 8), (C, 6))
    ready(bench(tmp_path), "d" * 64, 3, name="other")
    releases = {"steel": 8, "other": 3}
    assert read_known(tmp_path).releases == releases
    again = bench(tmp_path)
    ready(again, B, 8)
    assert again.supervisor.bundles[-1].releases == releases
    again.ask(Reload(version=1, id="b", bundle="/new"))
    assert again.trials.tasks[-1].releases == releases
    again.trials.report = report()
    again.loop.cycle()
    order = again.supervisor.orders[-1]
    assert isinstance(order, TakeBundle)
    assert order.releases == releases


def test_a_reload_raises_the_release(tmp_path: Path) -> None:
    """When it is active, not when it was asked for."""
    one = bench(tmp_path)
    ready(one, A, 1)
    one.ask(Reload(version=1, id="b", bundle="/new"))
    one.trials.report = report()
    one.loop.cycle()
    assert read_known(tmp_path).releases == {"steel": 1}
    take = one.supervisor.orders[-1]
    assert isinstance(take, TakeBundle)
    one.hear(taken(one, take))
    assert read_known(tmp_path).releases == {"steel": 9}


def taken(bench: Bench, order: TakeBundle) -> BundleTaken:
    return BundleTaken(
        inspector=bench.supervisor.number,
        change=order.change,
        bundle_hash=C,
        bundle_name="steel",
        release=9,
        recipe_hash="n" * 64,
        class_names=(),
        text="",
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """How far back the station may go is not known: a guess could accept what must not be."""
    (tmp_path / FILE).write_bytes(b"{")
    with pytest.raises(ConfigurationError, match=r"bundles\.json: cannot be read"):
        bench(tmp_path)


def test_without_a_journal_nothing_is_known(tmp_path: Path) -> None:
    """There is no state directory that is this station's alone."""
    one = Bench()
    ready(one, A, 7)
    assert kept(one) == []
    with pytest.raises(BundleError):
        fails(Bench())


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The station inspects; in this run the number counts all the same."""
    one = bench(tmp_path / "gone")
    ready(one, A, 7)
    assert "an older release than 'steel' release 7" in caplog.text
    assert one.changes.bundle_to_start().releases == {"steel": 7}
    assert one.publisher.statuses[-1].ready


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_a_copy_is_asked_for_once_a_bundle_is_active(tmp_path: Path) -> None:
    """Of the one in use, beside the one before it; a third one goes."""
    was_active(tmp_path, (A, 1), (B, 2))
    one = bench(tmp_path)
    ready(one, C, 3)
    one.after(10)
    [order] = kept(one)
    assert order == KeepBundle(folder=str(tmp_path / FOLDER), bundle_hash=C, others=(B,))
    assert [good.hash for good in read_known(tmp_path).goods] == [C, B]


def test_a_copy_waits_for_an_inspector_that_hears(tmp_path: Path) -> None:
    """It is asked for until somebody takes the order."""
    one = bench(tmp_path)
    one.supervisor.deaf = True
    ready(one, A, 1)
    assert kept(one) == []
    one.supervisor.deaf = False
    one.after(1)
    one.after(1)
    assert len(kept(one)) == 1


# ---- last good ------------------------------------------------------------------------------------------------------


def test_a_refused_bundle_is_replaced_by_the_last_good_one(tmp_path: Path) -> None:
    """Known by its hash; the station is ready, and says so in alarm, audit and status, with the reason."""
    was_active(tmp_path, (A, 7))
    one = bench(tmp_path)
    fails(one)
    assert started_with(one) == (str(tmp_path / FOLDER / A), A)
    ready(one, A, 7)
    status = one.publisher.statuses[-1]
    assert status.ready
    assert Alarm.LAST_GOOD_BUNDLE in status.alarms
    assert status.detail == f"inspecting with the last good bundle 'steel' release 7 ({A[:12]}): /bundle: was altered"
    [told] = audits(one, "last_good_bundle")
    assert told == f"/bundle: was altered; the last good one is taken instead: 'steel' release 7 ({A[:12]})"


def test_the_one_before_is_tried_too(tmp_path: Path) -> None:
    """The last one first; then there is none, and the station ends with both reasons."""
    was_active(tmp_path, (A, 7), (B, 7))
    one = bench(tmp_path)
    fails(one)
    assert started_with(one)[1] == B
    fails(one, text="copy: altered")
    assert started_with(one)[1] == A
    with pytest.raises(BundleError, match="/bundle: was altered; nor can the last good one be used: older copy"):
        fails(one, text="older copy")


def test_a_waiting_station_begins_again_with_what_is_meant(tmp_path: Path) -> None:
    """Round after round: it may have been mended meanwhile; then there is no alarm."""
    was_active(tmp_path, (A, 7))
    one = bench(tmp_path, start="wait")
    for _ in range(2):
        meant, _ = started_with(one)
        assert meant == str(one.station.bundle.path)
        fails(one)
        assert started_with(one)[1] == A
        fails(one, text="copy: parity")
        assert Alarm.LAST_GOOD_BUNDLE not in one.publisher.statuses[-1].alarms
        assert "nor can the last good one" in one.publisher.statuses[-1].detail
    ready(one, B, 8)
    assert one.publisher.statuses[-1].detail == "inspecting"
    assert Alarm.LAST_GOOD_BUNDLE not in one.publisher.statuses[-1].alarms


def test_a_copy_that_is_not_there_is_no_copy(tmp_path: Path) -> None:
    """It was to be written when the power failed."""
    was_active(tmp_path, (A, 7))
    (tmp_path / FOLDER / A).rmdir()
    with pytest.raises(BundleError, match=r"^/bundle: was altered$"):
        fails(bench(tmp_path))


@pytest.mark.parametrize(("code", "error"), [(1, EdgeError), (2, ConfigurationError), (4, CameraError), (7, EdgeError)])
def test_another_failure_is_no_refusal(tmp_path: Path, code: int, error: type[EdgeError]) -> None:
    """A camera, the settings or a lost device would fail with the last good bundle, too."""
    was_active(tmp_path, (A, 7))
    with pytest.raises(error, match="as told"):
        fails(bench(tmp_path), code, "as told")


def test_a_camera_that_fails_keeps_the_bundle(tmp_path: Path) -> None:
    """Its inspector was ready with it: what it says of a camera, or how it ends, is no word against the bundle."""
    was_active(tmp_path, (A, 7))
    one = bench(tmp_path, start="wait")
    ready(one, B, 8)
    one.hear(one.camera("cam1", "failed", "unplugged"))
    fails(one, 3, "3 parts in a row failed")
    assert started_with(one)[0] == str(one.station.bundle.path)
    assert audits(one, "last_good_bundle") == []


def test_a_running_station_takes_only_a_copy_of_its_own_bundle(tmp_path: Path) -> None:
    """Somebody alters the folder, then an inspector dies: the next one goes on with the same bundle, no older one."""
    was_active(tmp_path, (A, 7), (B, 8))
    one = bench(tmp_path)
    ready(one, B, 8)
    one.supervisor.die(-9)
    one.loop.cycle()
    fails(one)
    assert started_with(one) == (str(tmp_path / FOLDER / B), B)
    fails(one, text="copy: altered too")
    assert started_with(one)[0] == str(one.station.bundle.path)
    assert one.publisher.statuses[-1].state == "degraded"


def test_the_next_inspector_goes_on_with_the_copy(tmp_path: Path) -> None:
    """What parts are judged by does not change because a process ended."""
    was_active(tmp_path, (A, 7))
    one = bench(tmp_path)
    fails(one)
    ready(one, A, 7)
    one.supervisor.die(-9)
    one.loop.cycle()
    assert started_with(one) == (str(tmp_path / FOLDER / A), A)
    ready(one, A, 7)
    assert Alarm.LAST_GOOD_BUNDLE in one.publisher.statuses[-1].alarms


def test_a_recipe_is_tried_with_the_bundle_in_use(tmp_path: Path) -> None:
    """Not with the one that was refused; and the next start begins with what is meant."""
    was_active(tmp_path, (A, 7))
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "strict.toml").write_text('name = "strict"\nauthor = "Q"\n')
    one = bench(tmp_path, recipes=str(recipes))
    fails(one)
    ready(one, A, 7)
    one.ask(UseRecipe(version=1, id="r", name="strict"))
    assert one.trials.tasks[-1].bundle == str(tmp_path / FOLDER / A)
    one.trials.report = report()
    one.loop.cycle()
    again = bench(tmp_path, recipes=str(recipes))
    assert started_with(again)[0] == str(again.station.bundle.path)


def test_a_reload_ends_it(tmp_path: Path) -> None:
    """The mended bundle is tried and taken as any other; the alarm goes."""
    was_active(tmp_path, (A, 7))
    one = bench(tmp_path)
    fails(one)
    ready(one, A, 7)
    one.ask(Reload(version=1, id="b", bundle=None))
    assert one.trials.tasks[-1].bundle == str(one.station.bundle.path)
    one.trials.report = report()
    one.loop.cycle()
    take = one.supervisor.orders[-1]
    assert isinstance(take, TakeBundle)
    one.hear(taken(one, take))
    assert isinstance(one.control.answers[-1], Done)
    assert Alarm.LAST_GOOD_BUNDLE not in one.publisher.statuses[-1].alarms
    assert one.publisher.statuses[-1].detail == "inspecting"
    assert [good.hash for good in read_known(tmp_path).goods] == [C, A]
