"""Recipe, bundle and self-test, played on the loop: tried, taken, active; at any failure the old one stays."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigurationError
from edge.inspector.link import BundleTaken, Inspect, RecipeTaken, SelfTest, SelfTested, TakeBundle, TakeRecipe
from edge.inspector.report import Task, TrialReport
from edge.recipe import RecipeFile
from edge.records import Alarm, Outcome, Reason
from edge.requests import AnyAnswer, Done, Refusal, Refused, Reload, Selftest, UseRecipe
from edge.station.control import Asked
from edge.station.supervisor import Proven
from tests.support.station import Bench

STRICT = 'name = "strict"\nauthor = "Q. Engineer"\n[classes.pits]\ngate = 0.2\n'
NEW = "n" * 64


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return started(tmp_path)


def started(tmp_path: Path, **settings: object) -> Bench:
    """Return a ready station with a state directory and a recipe "strict"."""
    recipes, state = tmp_path / "recipes", tmp_path / "state"
    for folder in (recipes, state):
        folder.mkdir(exist_ok=True)
    (recipes / "strict.toml").write_text(STRICT)
    bench = Bench(recipes=str(recipes), folder=state, **settings)  # type: ignore[arg-type]
    bench.get_ready()
    return bench


@pytest.fixture
def patient(tmp_path: Path) -> Bench:
    """Return a bench whose inspector may be silent for longer than a change may take."""
    return started(tmp_path, hang_s=3600)


def use(name: str = "strict", id_: str = "r") -> UseRecipe:
    return UseRecipe(version=1, id=id_, name=name)


def report(*, accepted: bool = True, text: str = "2 frames agree") -> TrialReport:
    return TrialReport(bundle_hash="b", recipe_hash=NEW, class_names=("pits",), accepted=accepted, text=text, frames=())


def tried(bench: Bench, outcome: TrialReport | str) -> list[AnyAnswer]:
    """Let the trial end; return what is answered then."""
    before = len(bench.control.answers)
    bench.trials.report = outcome
    bench.loop.cycle()
    return bench.control.answers[before:]


def changes(bench: Bench) -> list[TakeRecipe | TakeBundle]:
    """Return what the inspectors were told to take, the newest last."""
    return [order for order in bench.supervisor.orders if isinstance(order, (TakeRecipe, TakeBundle))]


def recipe_taken(bench: Bench, recipe_hash: str = NEW, text: str = "") -> RecipeTaken:
    """Return the answer to the newest change."""
    change = changes(bench)[-1].change if changes(bench) else 0
    return RecipeTaken(inspector=bench.supervisor.number, change=change, recipe_hash=recipe_hash, text=text)


def taken(bench: Bench, recipe_hash: str = NEW, text: str = "") -> list[AnyAnswer]:
    before = len(bench.control.answers)
    bench.hear(recipe_taken(bench, recipe_hash, text))
    return bench.control.answers[before:]


def refusal(answers: list[AnyAnswer]) -> tuple[Refusal, str]:
    [answer] = answers
    assert isinstance(answer, Refused)
    return answer.code, answer.text


def switched(bench: Bench) -> None:
    """Make "strict" active."""
    assert bench.ask(use()) == []
    assert tried(bench, report()) == []
    [answer] = taken(bench)
    assert isinstance(answer, Done)


def active(bench: Bench) -> tuple[str, str]:
    mark = bench.publisher.statuses[-1].recipe
    assert mark is not None
    return mark.name, mark.hash


def audits(bench: Bench) -> list[str]:
    return [a.event.value for a in bench.publisher.audits]


# ---- recipes --------------------------------------------------------------------------------------------------------


def test_a_recipe_is_tried_then_taken_then_active(bench: Bench) -> None:
    """The answer comes when it is active, not before; the log says whose it is."""
    assert bench.ask(use()) == []
    [task] = bench.trials.tasks
    assert json.loads(task.recipe)["name"] == "strict"
    assert json.loads(task.station)["station"] == "line1"
    assert not [o for o in bench.supervisor.orders if isinstance(o, TakeRecipe)]
    assert tried(bench, report()) == []
    order = bench.supervisor.orders[-1]
    assert isinstance(order, TakeRecipe)
    assert order.recipe == task.recipe
    assert active(bench) == ("station", "r" * 64)
    [answer] = taken(bench)
    assert isinstance(answer, Done)
    assert answer.text == f"recipe 'strict' by Q. Engineer is active, hash {NEW[:12]}"
    assert bench.publisher.audits[-1].detail == answer.text
    assert active(bench) == ("strict", NEW)
    assert audits(bench) == ["recipe_active"]


def test_parts_triggered_before_a_switch_keep_the_old_recipe(bench: Bench) -> None:
    """In the order to inspect and in the verdict; those after it get the new one."""
    bench.hear(bench.captured(1))
    switched(bench)
    bench.hear(bench.captured(2))
    orders = [o for o in bench.supervisor.orders if isinstance(o, Inspect)]
    assert [o.recipe_hash for o in orders] == ["r" * 64, NEW]
    bench.hear(bench.result(1), bench.result(2))
    marks = [verdict.recipe for verdict in bench.publisher.verdicts]
    assert [None if mark is None else (mark.name, mark.author) for mark in marks] == [
        ("station", "settings of station line1"),
        ("strict", "Q. Engineer"),
    ]


@pytest.mark.parametrize(
    "outcome", [report(accepted=False, text="frame '03' would pass"), "the trial was killed", "frame '03' would pass"]
)
def test_a_refused_trial_keeps_the_old_recipe(bench: Bench, outcome: TrialReport | str) -> None:
    """The inspector is never told of it; the answer and the log say why; nothing is kept for the next start."""
    bench.ask(use())
    code, text = refusal(tried(bench, outcome))
    assert code is Refusal.RECIPE
    assert text == (outcome if isinstance(outcome, str) else outcome.text)
    assert active(bench) == ("station", "r" * 64)
    assert audits(bench) == ["recipe_refused"]
    assert not [o for o in bench.supervisor.orders if isinstance(o, TakeRecipe)]
    assert bench.changes.recipe.name == "station"
    assert bench.publisher.statuses[-1].ready


def test_a_recipe_that_was_tried_with_other_engines_is_refused(bench: Bench) -> None:
    """Somebody has built engines anew, or exchanged the folder: what was proven is not what would judge."""
    bench.ask(use())
    other = msgspec.structs.replace(report(), engines_hash="e" * 64)
    code, text = refusal(tried(bench, other))
    assert code is Refusal.RECIPE
    assert "other engines than those in use" in text
    assert not [o for o in bench.supervisor.orders if isinstance(o, TakeRecipe)]
    assert active(bench) == ("station", "r" * 64)


def test_an_inspector_that_refuses_keeps_the_old_recipe(bench: Bench) -> None:
    """As though the trial had refused it; the next one may be tried."""
    bench.ask(use())
    tried(bench, report())
    assert refusal(taken(bench, "", "no room")) == (Refusal.RECIPE, "no room")
    assert active(bench) == ("station", "r" * 64)
    switched(bench)


def test_a_recipe_that_is_not_there_is_refused_at_once(bench: Bench) -> None:
    """Without a trial, with the path; the line goes on."""
    code, text = refusal(bench.ask(use("steel-z")))
    assert code is Refusal.RECIPE
    assert "steel-z.toml" in text
    assert bench.trials.tasks == []
    assert audits(bench) == ["recipe_refused"]


def test_one_change_at_a_time(bench: Bench) -> None:
    """A second one is told to come again; the first is not disturbed."""
    bench.ask(use())
    for request in (use(id_="s"), Reload(version=1, id="t", bundle=None), Selftest(version=1, id="u")):
        assert refusal(bench.ask(request))[0] is Refusal.BUSY
    tried(bench, report())
    [answer] = taken(bench)
    assert isinstance(answer, Done)
    assert len(bench.trials.tasks) == 1


def test_an_inspector_that_ends_between_trial_and_taking_keeps_the_old_recipe(bench: Bench) -> None:
    """The asker is told to ask again; the next inspector starts with what is active."""
    bench.ask(use())
    tried(bench, report())
    before = len(bench.control.answers)
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert refusal(bench.control.answers[before:])[0] is Refusal.NOT_READY
    bench.get_ready()
    assert json.loads(bench.supervisor.started_with[0])["name"] == "station"
    assert active(bench) == ("station", "r" * 64)


def test_a_trial_outlives_an_inspector(bench: Bench) -> None:
    """It runs beside the line; who takes the recipe is the inspector of then."""
    bench.ask(use())
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    assert tried(bench, report()) == []
    [answer] = taken(bench)
    assert isinstance(answer, Done)


def test_a_trial_that_ends_without_an_inspector_changes_nothing(bench: Bench) -> None:
    """Nobody can take it."""
    bench.ask(use())
    bench.supervisor.die(-9)
    bench.supervisor.inbox.clear()
    bench.loop.cycle()
    bench.supervisor.running = False
    bench.supervisor.start_at_us = None
    assert refusal(tried(bench, report()))[0] is Refusal.NOT_READY
    assert bench.changes.recipe.name == "station"


def test_what_an_inspector_took_before_it_died_is_active(bench: Bench) -> None:
    """Its word was on the way: the next one starts with the new recipe."""
    bench.ask(use())
    tried(bench, report())
    bench.supervisor.inbox.append(recipe_taken(bench))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    while not bench.supervisor.running:
        bench.loop.cycle()
    assert json.loads(bench.supervisor.started_with[0])["name"] == "strict"
    assert isinstance(bench.control.answers[-1], Done)


def test_a_word_nobody_asked_for_changes_nothing(bench: Bench) -> None:
    """Neither a recipe nor a bundle becomes active without having been asked for."""
    assert taken(bench) == []
    assert active(bench) == ("station", "r" * 64)


def test_a_trial_that_cannot_be_started_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory for another process: the old recipe stays, the next request is not refused as busy."""

    def start(task: Task) -> None:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patched:
        patched.setattr(bench.trials, "start", start)
        code, text = refusal(bench.ask(use()))
    assert (code, text) == (Refusal.RECIPE, "the trial cannot be started: Cannot allocate memory")
    switched(bench)


def test_the_stop_answers_a_change_in_hand(bench: Bench) -> None:
    """And kills its trial."""
    bench.ask(use())
    bench.loop.stop_requested = True
    bench.loop.cycle()
    assert refusal(bench.ask(use(id_="s")))[0] is Refusal.STOPPING
    bench.supervisor.die(0)
    bench.loop.run()
    assert not bench.trials.running
    assert [a.code for a in bench.control.answers if isinstance(a, Refused)] == [Refusal.STOPPING] * 2


# ---- over a restart -------------------------------------------------------------------------------------------------


def test_the_active_recipe_outlives_a_restart(bench: Bench, tmp_path: Path) -> None:
    """Whole, as it was tried: the file may be edited or gone meanwhile."""
    switched(bench)
    (tmp_path / "recipes" / "strict.toml").unlink()
    again = Bench(recipes=str(tmp_path / "recipes"), folder=tmp_path / "state")
    again.get_ready()
    assert RecipeFile.model_validate_json(again.supervisor.started_with[0]).classes["pits"].gate == 0.2
    assert active(again)[0] == "strict"


def test_the_stations_own_recipe_is_read_anew_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    """Who has gone back to it means the settings, with what is edited there."""
    switched(bench)
    bench.ask(use("station", "back"))
    tried(bench, report())
    taken(bench)
    edited = Bench(recipe={"pits": {"gate": 0.7}}, folder=tmp_path / "state")
    assert edited.changes.recipe.classes["pits"].gate == 0.7


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"recipe": 3, "bundle": ""}', b'{"recipe": "{}", "bundle": ""}', b'{"recipe": "x"}']
)
def test_a_damaged_state_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """The wrong recipe would pass what must not pass: the start ends with the file's name and what to do."""
    (tmp_path / "active.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"active\.json.*remove"):
        Bench(folder=tmp_path)


def test_a_change_that_cannot_be_kept_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Otherwise another recipe would be active after the next restart."""
    bench.ask(use())
    (tmp_path / "state").rmdir()
    code, text = refusal(tried(bench, report()))
    assert code is Refusal.RECIPE
    assert "would not outlive a restart" in text
    assert active(bench) == ("station", "r" * 64)


def test_a_change_that_may_be_kept_is_taken_back(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is in place when its folder cannot be synced: what was refused is not what the next start takes."""
    bench.ask(use())

    def refuse(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("edge.station.kept._sync_folder", refuse)
        assert refusal(tried(bench, report()))[0] is Refusal.RECIPE
    assert started(tmp_path).changes.recipe.name == "station"
    assert bench.ask(use(id_="again")) == []
    tried(bench, report())
    taken(bench)
    assert started(tmp_path).changes.recipe.name == "strict"


def test_a_change_that_was_not_taken_is_not_kept(bench: Bench, tmp_path: Path) -> None:
    """It is kept before the inspector has it, so that it cannot be lost; refused there, the old one is kept again."""
    bench.ask(use())
    tried(bench, report())
    assert started(tmp_path).changes.recipe.name == "strict"
    bench.hear(recipe_taken(bench, "", "out of bounds"))
    assert started(tmp_path).changes.recipe.name == "station"


def test_an_inspector_that_does_not_answer_keeps_nobody_waiting(bench: Bench) -> None:
    """After three minutes the change is refused, and the next may be tried."""
    bench.ask(use())
    tried(bench, report())
    bench.after(180_000)
    assert isinstance(bench.control.answers[-1], Refused)
    assert not bench.changes.busy


# ---- bundles --------------------------------------------------------------------------------------------------------


def bundle_taken(
    bench: Bench, bundle_hash: str = "c" * 64, text: str = "", change: int | None = None
) -> list[AnyAnswer]:
    before = len(bench.control.answers)
    bench.hear(
        BundleTaken(
            inspector=bench.supervisor.number,
            change=changes(bench)[-1].change if change is None else change,
            bundle_hash=bundle_hash,
            recipe_hash=NEW if bundle_hash else "",
            class_names=("dents",),
            text=text,
        )
    )
    return bench.control.answers[before:]


def test_another_bundle_becomes_active_between_two_parts(bench: Bench, tmp_path: Path) -> None:
    """The recipe stays, under its hash with the new bundle; verdicts, masks and the next start name the new one."""
    path = str(tmp_path / "bundle-2")
    bench.hear(bench.captured(1))
    bench.ask(Reload(version=1, id="b", bundle=path))
    assert bench.trials.tasks[0].bundle == path
    tried(bench, report())
    order = bench.supervisor.orders[-1]
    assert isinstance(order, TakeBundle)
    assert order.path == path
    bench.hear(bench.result(1))
    [answer] = bundle_taken(bench)
    assert isinstance(answer, Done)
    assert answer.text == f"bundle {path} (cccccccccccc) is active, recipe hash {NEW[:12]}"
    bench.hear(bench.captured(2))
    bench.hear(bench.result(2, bundle_hash="c" * 64))
    assert [v.bundle_hash for v in bench.publisher.verdicts] == ["b" * 64, "c" * 64]
    assert [header.class_names for header, _ in bench.publisher.masks] == [("pits", "scratch"), ("dents",)]
    assert active(bench) == ("station", NEW)
    assert audits(bench) == ["bundle_active"]
    again = started(tmp_path)
    assert again.supervisor.started_with[1] == path


def test_a_part_in_hand_is_not_judged_by_another_bundle(bench: Bench) -> None:
    """What the new engines found in a frame that was triggered under the old ones is no PASS of the old bundle."""
    bench.hear(bench.captured(1))
    bench.ask(Reload(version=1, id="b", bundle="x"))
    tried(bench, report())
    bundle_taken(bench)
    bench.hear(bench.result(1, bundle_hash="c" * 64))
    [verdict] = bench.publisher.verdicts
    assert (verdict.outcome, verdict.reason, verdict.bundle_hash) == (Outcome.UNKNOWN, Reason.RECIPE, "b" * 64)


def test_a_refused_bundle_leaves_the_old_one(bench: Bench) -> None:
    """By the trial or by the inspector."""
    bench.ask(Reload(version=1, id="b", bundle="x"))
    assert refusal(tried(bench, report(accepted=False, text="parity"))) == (Refusal.BUNDLE, "parity")
    bench.ask(Reload(version=1, id="c", bundle="x"))
    tried(bench, report())
    assert refusal(bundle_taken(bench, "", "no memory")) == (Refusal.BUNDLE, "no memory")
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    assert bench.publisher.verdicts[0].bundle_hash == "b" * 64
    assert audits(bench) == ["bundle_refused", "bundle_refused"]
    assert bench.changes.bundle == str(bench.station.bundle.path)


def test_a_bundle_that_is_taken_after_it_was_given_up_is_not_used(patient: Bench) -> None:
    """The inspector that has it is replaced by one with the active pair, which starts as before."""
    patient.ask(Reload(version=1, id="b", bundle="x"))
    tried(patient, report())
    patient.after(180_000)
    assert refusal(patient.control.answers)[0] is Refusal.NOT_READY
    patient.hear(patient.captured(1))
    assert bundle_taken(patient) == []
    assert patient.supervisor.killed
    patient.loop.cycle()
    patient.get_ready()
    assert patient.supervisor.number == 2
    assert patient.supervisor.started_with[1] == str(patient.station.bundle.path)
    assert patient.supervisor.proven == Proven("b" * 64, "r" * 64)
    assert [(v.outcome, v.bundle_hash) for v in patient.publisher.verdicts] == [(Outcome.UNKNOWN, "b" * 64)]
    assert active(patient) == ("station", "r" * 64)


def test_a_late_answer_is_not_taken_for_the_next_changes(patient: Bench) -> None:
    """Another bundle is in hand when the first one's answer comes: it is neither made active nor refused by it."""
    patient.ask(Reload(version=1, id="b", bundle="x"))
    tried(patient, report())
    patient.after(180_000)
    patient.ask(Reload(version=1, id="c", bundle="y"))
    tried(patient, report())
    first, second = (order.change for order in changes(patient))
    assert bundle_taken(patient, "", "no memory", change=first) == []
    assert not patient.supervisor.killed
    [answer] = bundle_taken(patient, change=second)
    assert isinstance(answer, Done)
    assert patient.changes.bundle == "y"


def test_an_untried_bundle_is_never_active(patient: Bench) -> None:
    """What the first order named is taken while the trial of the second goes on."""
    patient.ask(Reload(version=1, id="b", bundle="x"))
    tried(patient, report())
    patient.after(180_000)
    patient.ask(Reload(version=1, id="c", bundle="y"))
    assert bundle_taken(patient) == []
    assert patient.supervisor.killed
    assert patient.changes.bundle == str(patient.station.bundle.path)


def test_a_recipe_that_is_taken_after_it_was_given_up_is_not_used(patient: Bench) -> None:
    """As with a bundle."""
    patient.ask(use())
    tried(patient, report())
    patient.after(180_000)
    assert taken(patient) == []
    assert patient.supervisor.killed
    patient.loop.cycle()
    patient.get_ready()
    assert json.loads(patient.supervisor.started_with[0])["name"] == "station"
    assert patient.supervisor.proven == Proven("b" * 64, "r" * 64)


# ---- self-test ------------------------------------------------------------------------------------------------------


def selftested(bench: Bench, *, passed: bool, text: str = "as told") -> None:
    bench.hear(SelfTested(inspector=bench.supervisor.number, passed=passed, text=text))


def test_a_self_test_that_fails_closes_the_station_until_one_passes(bench: Bench) -> None:
    """Parts are UNKNOWN(selftest), those in hand too; a new inspector must pass it before any part."""
    bench.hear(bench.captured(1))
    assert bench.ask(Selftest(version=1, id="t")) == []
    assert isinstance(bench.supervisor.orders[-1], SelfTest)
    selftested(bench, passed=False, text="frame '03': PASS, expected REJECT")
    assert refusal(bench.control.answers)[0] is Refusal.SELFTEST
    bench.hear(bench.result(1))
    bench.hear(bench.captured(2))
    assert [(v.part, v.outcome, v.reason) for v in bench.publisher.verdicts] == [
        (1, Outcome.UNKNOWN, Reason.SELFTEST),
        (2, Outcome.UNKNOWN, Reason.SELFTEST),
    ]
    status = bench.publisher.statuses[-1]
    assert (status.state, status.ready, status.alarms) == (
        "degraded",
        False,
        (Alarm.JOURNAL_OFF, Alarm.SELFTEST_FAILED),
    )
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    assert len([o for o in bench.supervisor.orders if isinstance(o, SelfTest)]) == 2
    assert not bench.publisher.statuses[-1].ready
    selftested(bench, passed=True)
    status = bench.publisher.statuses[-1]
    assert (status.ready, status.alarms) == (True, (Alarm.JOURNAL_OFF,))
    bench.hear(bench.captured(3))
    bench.hear(bench.result(3))
    assert bench.publisher.verdicts[-1].outcome is Outcome.PASS


def test_a_self_test_that_passes_is_answered(bench: Bench) -> None:
    """Parts in hand go on."""
    bench.hear(bench.captured(1))
    bench.ask(Selftest(version=1, id="t"))
    selftested(bench, passed=True)
    assert isinstance(bench.control.answers[-1], Done)
    bench.hear(bench.result(1))
    assert bench.publisher.verdicts[0].outcome is Outcome.PASS
    assert audits(bench) == ["selftest_passed"]


def test_a_self_test_without_an_inspector_is_refused(bench: Bench) -> None:
    """Nothing is tested, and nothing waits for it."""
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.supervisor.running = False
    bench.supervisor.start_at_us = None
    assert refusal(bench.ask(Selftest(version=1, id="t")))[0] is Refusal.NOT_READY
    assert not bench.changes.busy


def test_a_self_test_comes_by_itself_while_no_part_is_open() -> None:
    """Every so often; one that is due waits for the part, and for a change that is tried."""
    bench = Bench(selftest_every_s=10, hang_s=3600)
    bench.get_ready()

    def tests() -> int:
        return len([o for o in bench.supervisor.orders if isinstance(o, SelfTest)])

    bench.after(9_999)
    assert tests() == 0
    bench.hear(bench.captured(1))
    bench.after(1)
    assert tests() == 0
    bench.hear(bench.result(1))
    assert tests() == 1
    selftested(bench, passed=False)
    assert audits(bench) == ["selftest_failed"]
    bench.after(10_000)
    assert tests() == 2
    selftested(bench, passed=True)
    assert bench.publisher.statuses[-1].ready


def test_a_self_test_of_the_last_inspector_is_not_the_next_ones(bench: Bench) -> None:
    """Its word is dropped with it."""
    bench.ask(Selftest(version=1, id="t"))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert refusal(bench.control.answers)[0] is Refusal.NOT_READY
    bench.get_ready()
    bench.control.waiting.append(Asked((b"peer",), Selftest(version=1, id="u")))
    bench.hear(SelfTested(inspector=1, passed=True, text="stale"))
    assert len(bench.control.answers) == 1
