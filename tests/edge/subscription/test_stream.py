"""The iterator over real sockets, against a station that loses messages, crashes and prunes when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.errors import ConfigurationError, NameTaken, RequestRefused, WireError
from edge.requests import Ack, Attach, Refusal, Replay
from edge.subscription import Delivered, Missed, Subscription
from tests.support.records import verdict
from tests.support.standin import PATIENCE_S, START_UTC_US, StandIn, attach_as_another
from tests.support.station import FakeClock


@pytest.fixture
def station(tmp_path: Path) -> Iterator[StandIn]:
    """Return a station that runs; epoch 999 is its first, 998 the next."""
    station = StandIn(tmp_path)
    yield station
    station.close()


@pytest.fixture
def subscribe(station: StandIn) -> Iterator[Callable[..., Subscription]]:
    """Return what opens a subscription named mes; each is closed at the end."""
    opened = []

    def open_one(**options: Any) -> Subscription:
        subscription = Subscription(station.results, station.control, options.pop("consumer", "mes"), **options)
        opened.append(subscription)
        return subscription

    yield open_one
    for subscription in opened:
        subscription.abandon()


def given(subscription: Subscription, n: int) -> list[Delivered]:
    found = []
    for _ in range(n):
        item = subscription.next(PATIENCE_S)
        assert isinstance(item, Delivered), item
        found.append(item)
    return found


def positions(found: list[Delivered]) -> list[tuple[int, int]]:
    return [(one.verdict.epoch, one.verdict.seq) for one in found]


def go_live(subscription: Subscription) -> None:
    """Go on until what is published now is heard as it is."""
    while subscription.state != "live":
        assert subscription.next(0.01) is None


def wait_in_vain(subscription: Subscription, clock: FakeClock) -> None:
    """Let a minute pass in which nothing comes."""
    for _ in range(600):
        clock.us += 100_000
        assert subscription.next(0.01) is None


def test_a_new_name_begins_with_the_next_verdict(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """What was before is history; what comes is live and may move a machine."""
    station.publish(3)
    subscription = subscribe()
    go_live(subscription)
    assert subscription.new
    station.publish(2)
    found = given(subscription, 2)
    assert positions(found) == [(999, 4), (999, 5)]
    assert all(one.live and one.actuate for one in found)
    assert subscription.next(0) is None


def test_a_new_name_may_begin_with_the_oldest(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Replayed page by page, none of which may move a machine, then live."""
    station.page = 2
    station.publish(5)
    subscription = subscribe(origin="oldest")
    found = given(subscription, 5)
    assert positions(found) == station.positions
    assert not any(one.live or one.actuate for one in found)
    assert all(one.verdict.replayed for one in found)
    go_live(subscription)
    station.publish(1)
    assert given(subscription, 1)[0].actuate


def test_the_iterator_waits_for_what_comes(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """``for`` gives each verdict once, in order."""
    station.publish(3)
    for found in (subscription := subscribe(origin="oldest")):
        assert isinstance(found, Delivered)
        if found.number == 3:
            break
    assert found.verdict.seq == 3
    assert subscription.next(0.1) is None


def test_lost_messages_are_fetched_in_their_place(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """The verdict that showed the hole was heard live and still may move a machine; those in the hole may not."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(1)
    station.publish(2, lost=True)
    station.publish(1)
    found = given(subscription, 4)
    assert positions(found) == station.positions
    assert [one.live for one in found] == [True, False, False, True]
    assert found[-1].actuate


def test_a_lost_last_verdict_is_found_by_the_heartbeat(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Nothing need follow it."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(1, lost=True)
    assert positions(given(subscription, 1)) == [(999, 1)]


def test_what_is_lost_and_not_journaled_yet_is_waited_for(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """In order: the later ones are held until the journal has those before them."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(1, journaled=False, lost=True)
    station.publish(2, journaled=False)
    assert subscription.next(0.3) is None
    station.write(1)
    found = given(subscription, 3)
    assert positions(found) == [(999, 1), (999, 2), (999, 3)]
    assert [one.live for one in found] == [False, True, True]


def test_a_consumer_that_looks_away_loses_nothing(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Thousands of verdicts that nobody fetched are given in order."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(5000)
    assert positions(given(subscription, 5000)) == station.positions


def test_a_verdict_that_comes_again_is_not_given(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Duplicates and stragglers of the present epoch are dropped."""
    subscription = subscribe()
    go_live(subscription)
    sent = station.publish(3)
    station.send(sent[0], sent[2], sent[1])
    station.publish(1)
    found = given(subscription, 4)
    assert positions(found) == station.positions
    assert found[-1].live
    assert subscription.next(0.2) is None


def test_not_journaled_verdicts_come_at_once_and_again_under_their_new_name(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """(999, 2) moved a machine, then its station died: the part's entry in the journal, (998, 2), is given too."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(1)
    station.publish(2, journaled=False)
    found = given(subscription, 3)
    assert [one.actuate for one in found] == [True, True, True]
    subscription.acknowledge(found[-1])
    station.crash()
    station.start()
    station.publish(3)
    found += given(subscription, 3)
    assert positions(found)[3:] == [(998, 2), (998, 3), (998, 4)]
    assert subscription.flush(PATIENCE_S)
    assert station.journal.cursors["mes"].seq == 1
    subscription.acknowledge(found[-1])
    assert subscription.flush(PATIENCE_S)
    assert (station.journal.cursors["mes"].epoch, station.journal.cursors["mes"].seq) == (998, 4)


def test_what_was_journaled_late_is_given_once(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Seen live, journaled, then replayed because another was lost."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(2, journaled=False)
    found = given(subscription, 2)
    station.write()
    station.publish(1, lost=True)
    station.publish(1)
    found += given(subscription, 2)
    assert positions(found) == station.positions


def test_a_not_journaled_verdict_is_acknowledged_when_it_is(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Until then the cursor stays behind what was proven before."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(2, journaled=False)
    subscription.acknowledge(given(subscription, 2)[-1])
    assert subscription.next(0.2) is None
    assert station.asked[Ack] == 0
    station.write()
    while station.journal.cursors["mes"].seq < 2:
        assert subscription.next(0.05) is None


@pytest.mark.parametrize("pause", [False, True])
def test_a_station_that_starts_anew_leaves_no_gap(
    station: StandIn, subscribe: Callable[..., Subscription], pause: bool
) -> None:
    """Whether its first verdicts are heard or not, and whether we looked meanwhile or not."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(2)
    station.crash()
    assert not pause or len(given(subscription, 2)) == 2
    station.start()
    station.publish(3)
    assert positions(given(subscription, 3 if pause else 5)) == station.positions[2 if pause else 0 :]


def test_an_epoch_that_continues_is_no_break(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """After a clean end the numbers go on in the same epoch."""
    subscription = subscribe()
    go_live(subscription)
    station.publish(2)
    found = given(subscription, 2)
    station.crash()
    station.start(continued=True)
    station.publish(2)
    assert positions(found + given(subscription, 2)) == [(999, 1), (999, 2), (999, 3), (999, 4)]


def test_stragglers_of_a_dead_epoch_are_dropped(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Whatever number they have: the next one would be 3."""
    subscription = subscribe()
    go_live(subscription)
    old = station.publish(2)
    station.crash()
    station.start()
    station.publish(1)
    found = given(subscription, 3)
    station.send(*[msgspec.structs.replace(one, seq=4) for one in old])
    station.publish(2)
    found += given(subscription, 2)
    assert positions(found) == station.positions
    assert found[-1].live
    assert subscription.next(0.2) is None


def test_the_next_process_gets_exactly_what_was_not_acknowledged(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Whatever the first one had been given."""
    station.publish(6)
    first = subscribe(origin="oldest")
    found = given(first, 5)
    first.acknowledge(found[2])
    first.close()
    station.publish(1)
    second = subscribe()
    assert not second.new
    assert positions(given(second, 4)) == station.positions[3:]


def test_a_name_that_was_not_given_back_is_free_when_its_lease_ends(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """A consumer that was killed can be started again at once: it waits."""
    first = subscribe()
    go_live(first)
    first.abandon()
    station.publish(2)
    second = subscribe()
    while not station.asked[Attach] > 1:
        assert second.next(0.05) is None
    station.lease_clock.us += 6_000_000
    assert positions(given(second, 2)) == station.positions


def test_a_name_that_is_taken_is_refused(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """By an error with the station's words, after as long as a dead predecessor may have it."""
    go_live(subscribe())
    station.refuse[Attach] = Refusal.NAME_TAKEN
    clock = FakeClock()
    second = subscribe(clock=clock)
    while second.state == "seeking":
        assert second.next(0.01) is None
    with pytest.raises(NameTaken, match="name_taken"):
        wait_in_vain(second, clock)


def test_a_name_may_be_taken_over(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """The successor gets what was not acknowledged; who had the name is told, and gets nothing more."""
    clock = FakeClock()
    first, second = subscribe(clock=clock), subscribe(take_over=True)
    go_live(first)
    station.publish(2)
    first.acknowledge(given(first, 2)[0])
    assert first.flush(PATIENCE_S)
    assert positions(given(second, 1)) == [(999, 2)]
    with pytest.raises(NameTaken):
        wait_in_vain(first, clock)


def test_a_consumer_that_was_away_goes_on_where_it_was(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Its lease is over, nobody took the name; what was published meanwhile is told as not live."""
    clock = FakeClock()
    subscription = subscribe(clock=clock)
    go_live(subscription)
    station.publish(1)
    found = given(subscription, 1)
    station.publish(2)
    clock.us += 10_000_000
    found += given(subscription, 2)
    assert positions(found) == station.positions
    assert [one.live for one in found] == [True, False, False]


def test_a_consumer_that_was_away_and_replaced_is_told(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Another has the name now."""
    clock = FakeClock()
    subscription = subscribe(clock=clock)
    go_live(subscription)
    clock.us += 10_000_000
    assert b"attached" in attach_as_another(station, "mes", take_over=True)
    with pytest.raises(NameTaken):
        given(subscription, 1)


def test_a_consumer_whose_cursor_was_moved_meanwhile_is_told(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """The other one has gone again, but what it acknowledged may not be given twice."""
    clock = FakeClock()
    subscription = subscribe(clock=clock)
    go_live(subscription)
    clock.us += 10_000_000
    second = subscribe(take_over=True)
    go_live(second)
    station.publish(1)
    second.acknowledge(given(second, 1)[0])
    second.close()
    with pytest.raises(NameTaken, match="somebody else"):
        given(subscription, 1)


def test_leases_are_renewed_while_nothing_comes(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """By each call of next, also of a station that publishes nothing."""
    clock = FakeClock()
    subscription = subscribe(clock=clock)
    go_live(subscription)
    attached = station.asked[Attach]
    while station.asked[Attach] < attached + 3:
        clock.us += 500_000
        assert subscription.next(0.1) is None
    assert subscription.state == "live"


def test_silence_begins_again(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """No heartbeat for 3 s: new sockets, a new proof; nothing is lost."""
    clock = FakeClock()
    subscription = subscribe(clock=clock)
    go_live(subscription)
    station.silent = True
    while subscription.state != "seeking":
        clock.us += 200_000
        assert subscription.next(0.01) is None
    station.publish(2)
    station.silent = False
    assert positions(given(subscription, 2)) == station.positions


def test_a_station_that_comes_later_is_waited_for(tmp_path: Path, subscribe: Callable[..., Subscription]) -> None:
    """None until then."""
    folder = tmp_path / "later"
    folder.mkdir()
    with Subscription(f"ipc://{folder}/results", f"ipc://{folder}/control", "mes", origin="oldest") as subscription:
        assert subscription.next(0.1) is None
        station = StandIn(folder)
        station.publish(1)
        assert positions(given(subscription, 1)) == [(999, 1)]
    station.close()


def test_what_is_gone_for_good_is_told_once_in_its_place(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Retention went over the cursor."""
    subscription = subscribe()
    go_live(subscription)
    subscription.acknowledge(_last(station, subscription, 2))
    assert subscription.flush(PATIENCE_S)
    subscription.close()
    station.publish(5)
    station.forget(5)
    again = subscribe()
    assert again.next(PATIENCE_S) == Missed(999, 3, 5, "retention")
    assert positions(given(again, 2)) == [(999, 6), (999, 7)]
    assert again.next(0.2) is None


def _last(station: StandIn, subscription: Subscription, n: int) -> Delivered:
    station.publish(n)
    return given(subscription, n)[-1]


def test_a_lost_journal_is_told_and_the_new_one_given_from_its_beginning(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """Its numbers begin at 1: nothing of it is skipped, whatever we had before; then acknowledgements hold again."""
    subscription = subscribe()
    go_live(subscription)
    subscription.acknowledge(_last(station, subscription, 3))
    assert subscription.flush(PATIENCE_S)
    station.crash(journal_lost=True)
    station.start()
    station.publish(2)
    assert subscription.next(PATIENCE_S) == Missed(999, 4, None, "unknown_epoch")
    found = given(subscription, 2)
    assert positions(found) == [(998, 1), (998, 2)]
    subscription.acknowledge(found[-1])
    assert subscription.flush(PATIENCE_S)
    assert station.journal.cursors["mes"].seq == 2


@pytest.mark.parametrize("kind", [Attach, Replay, Ack])
def test_answers_that_are_lost_are_asked_for_again(
    station: StandIn, subscribe: Callable[..., Subscription], kind: type[Any]
) -> None:
    """Under the same id, after a second."""
    station.swallow[kind] = 1
    clock = FakeClock()
    station.publish(2)
    subscription = subscribe(origin="oldest", clock=clock)
    found: list[Delivered] = []
    while len(found) < 2 or not station.journal.cursors["mes"].seq:
        clock.us += 50_000
        item = subscription.next(0.01)
        if isinstance(item, Delivered):
            found.append(item)
            subscription.acknowledge(item)
    assert positions(found) == station.positions
    assert station.swallow[kind] == 0


def test_a_journal_that_fails_is_waited_for(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Refused for now is no error."""
    station.publish(1)
    station.refuse[Replay] = Refusal.NOT_JOURNALED
    subscription = subscribe(origin="oldest")
    assert subscription.next(0.3) is None
    assert subscription.refused is not None
    assert subscription.refused.text == "as told"
    station.refuse.clear()
    assert positions(given(subscription, 1)) == station.positions
    assert subscription.refused is None


def test_what_is_refused_for_good_is_an_error(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """A position ahead of the journal: the state directory was put back to an older one."""
    station.refuse[Replay] = Refusal.AHEAD
    with pytest.raises(RequestRefused, match="ahead"):
        subscribe().next(PATIENCE_S)


@pytest.mark.parametrize("hole", [0, 2])
def test_a_replay_with_a_hole_is_refused(
    station: StandIn, subscribe: Callable[..., Subscription], monkeypatch: pytest.MonkeyPatch, hole: int
) -> None:
    """A station that leaves out a verdict without a word is not believed."""
    subscription = subscribe()
    go_live(subscription)
    honest = station.journal.page
    monkeypatch.setattr(station.journal, "page", lambda *asked: msgspec.structs.replace(honest(*asked), gap=None))
    station.publish(4, lost=True)
    del station.journal.records[hole]
    with pytest.raises(WireError, match="hole"):
        subscription.next(PATIENCE_S)


def test_acknowledgements_go_in_batches(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """One for hundreds of verdicts, and the last one by itself a little later."""
    station.publish(500)
    subscription = subscribe(origin="oldest")
    for found in given(subscription, 500):
        subscription.acknowledge(found)
    assert subscription.flush(PATIENCE_S)
    assert station.journal.cursors["mes"].seq == 500
    assert station.asked[Ack] < 50


def test_only_what_was_delivered_can_be_acknowledged(subscribe: Callable[..., Subscription]) -> None:
    """By this subscription."""
    with pytest.raises(ValueError, match="verdict 4"):
        subscribe().acknowledge(Delivered(verdict(4), 1, True, None))


def test_the_age_is_told_by_the_stations_clock(station: StandIn, subscribe: Callable[..., Subscription]) -> None:
    """Its machine was started an hour later than ours."""
    station.clock_ahead_us = -3_600_000_000
    subscription = subscribe()
    go_live(subscription)
    station.publish(1)
    (one,) = given(subscription, 1)
    assert one.age_us is not None
    assert 5_000 <= one.age_us < PATIENCE_S * 1e6
    assert one.actuate


def test_the_age_of_what_is_replayed_is_told_within_one_start_of_the_machine(
    station: StandIn, subscribe: Callable[..., Subscription]
) -> None:
    """A verdict of before the machine's last start has no age, though its epoch went on; no machine acts by either."""
    station.clock_ahead_us = -3_600_000_000
    station.publish(1, utc_us=START_UTC_US - 86_400_000_000)
    station.publish(1)
    before, since = given(subscribe(origin="oldest"), 2)
    assert before.age_us is None
    assert since.age_us is not None
    assert 5_000 <= since.age_us < PATIENCE_S * 1e6
    assert not any(one.live or one.actuate for one in (before, since))


@pytest.mark.parametrize("endpoints", [("nonsense", "ipc://x"), ("ipc://x", "nonsense")])
def test_an_endpoint_that_is_none_is_refused(endpoints: tuple[str, str]) -> None:
    """One line with the address."""
    with pytest.raises(ConfigurationError, match=r"nonsense.*expected"):
        Subscription(*endpoints, "mes")
