"""A station in a simulated world: the loop and the journal are the daemon's, all around them is drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from edge.requests import AnyAnswer, AnyRequest
from edge.settings import CameraSettings, Station
from edge.station.changes import Changes
from edge.station.control import Control
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.journal import Journal, open_journal
from edge.station.loop import Loop
from edge.station.maintenance import Maintenance
from edge.station.reporter import Reporter
from edge.station.store import FILE
from edge.station.verdicts import Identity
from tests.simulation.disk import Disk, Writer
from tests.simulation.inspector import Process
from tests.simulation.invariants import InvariantBroken
from tests.simulation.line import SENDER, Line
from tests.simulation.outside import Context, Notifier, Publisher, Router, Trials
from tests.simulation.people import CONSUMER, Consumer, People
from tests.simulation.supervisor import Supervisor
from tests.simulation.timeline import Timeline
from tests.simulation.truth import Run, Truth
from tests.simulation.weather import FINE, STORM, Weather, site_from_seed
from tests.simulation.witness import Witness

# So many cycles without time passing: the loop turns on the spot.
_CYCLES_A_MOMENT = 2000
_STALLS_US = (3_000, 40_000, 150_000, 700_000)
_HOUR_US = 3_600_000_000


class Killed(BaseException):
    """The station's process gets no further. Nothing in the station may catch it."""


@dataclass(frozen=True)
class Summary:
    """What one world has been through."""

    triggers: int
    runs: int
    outcomes: dict[str, int]
    troubles: dict[str, int]


class World:
    """
    Args:
        folder: empty; the journal's file lies in it.
        seed: everything follows from it.
        weather: None = drawn too.
    """

    def __init__(self, folder: Path, seed: int, weather: Weather | None = None) -> None:
        self.rng = Random(seed)
        self._folder = folder
        site = site_from_seed(self.rng, folder)
        self.station: Station = site.station
        self.weather = weather or self.rng.choice((Weather(), STORM))
        self._backlog = site.backlog
        self.timeline = Timeline()
        reserve_us = 1000 * min(site.station.journal.commit_reserve_ms, site.station.budget_ms // 4)
        self.truth = Truth(site.station, reserve_us)
        self.witness = Witness(self.truth, self.timeline)
        self.disk = Disk()
        self.loop: Loop | None = None
        self.line = Line(self, site.interval_us)
        self.consumer = Consumer(self)
        self._steps_left: int | None = None
        self._dead = True
        self._moment = (0, 0)
        self._epochs = 0
        self._goal = 0
        People(self)
        self._sometime(self.weather.inspector_dies_s, self._strike_inspector)
        self._sometime(self.weather.camera_fails_s, self._strike_camera)
        self._sometime(self.weather.camera_blinks_s, self._blink_camera)
        self._sometime(self.weather.disk_fails_s, self._strike_disk)

    # ---- what the others ask ---------------------------------------------------------------------------------

    @property
    def process(self) -> Process | None:
        return None if self._dead else self.supervisor.process

    @property
    def run(self) -> Run:
        return self.witness.run

    def numbered(self, camera: CameraSettings) -> bool:
        return camera.source.kind == "synthetic"

    def step(self) -> None:
        """
        Called wherever the station touches the outside: here its process may end.

        Raises:
            Killed: it has.
        """
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left < 0:
                self._dead = True
        if self._dead:
            raise Killed

    def ask(self, peer: bytes, request: AnyRequest) -> None:
        """Send a request; what comes while no station runs is lost."""
        if self._dead or self.rng.random() < self.weather.request_lost:
            return
        asked = self.truth.asked.get(request.id)
        if asked is not None:
            asked.sent += 1
        self._router.put(peer, request)

    def answered(self, peer: bytes, answer: AnyAnswer, payload: Sequence[bytes]) -> None:
        if peer == SENDER:
            self.line.answered(answer)
        elif peer == CONSUMER:
            self.consumer.answered(answer, payload)

    # ---- troubles --------------------------------------------------------------------------------------------

    def _sometime(self, mean_s: float, action: Callable[[], None]) -> None:
        """Let *action* happen again and again, at random."""

        def strike() -> None:
            self._sometime(mean_s, action)
            if not self._dead and not self.line.stopped:
                action()

        self.timeline.after(1e6 * self.rng.expovariate(1 / mean_s), strike)

    def _strike_inspector(self) -> None:
        process = self.process
        if process is not None:
            if self.rng.random() < 0.3:
                process.hang("hangs")
            else:
                process.end(self.rng.choice((7, -11, -9, 1)), "dies")

    def _strike_camera(self) -> None:
        process = self.process
        if process is not None:
            process.lose_camera(self.rng.choice(list(process.lenses.values())))

    def _blink_camera(self) -> None:
        process = self.process
        if process is not None:
            process.blink(self.rng.choice(list(process.lenses.values())))

    def _strike_disk(self) -> None:
        self.truth.seen["disk_full"] += 1
        self.disk.good_for = self.rng.randint(0, 12)
        self.timeline.after(self.rng.choice((200_000, 2_000_000, 8_000_000)), self._mend_disk)

    def _mend_disk(self) -> None:
        self.disk.good_for = None

    # ---- lives of the station --------------------------------------------------------------------------------

    def play(self, triggers: int) -> Summary:
        """
        Let the station live and die until it has had so many triggers, then end it well and look at the disk.

        Raises:
            InvariantBroken: it did what it may not.
        """
        self._goal = triggers
        while self.truth.triggers < triggers:
            self._live()
            self._pause_between_lives()
        self._finish()
        return Summary(self.truth.triggers, self.truth.runs, dict(self.truth.outcomes), dict(self.truth.seen))

    def _live(self) -> None:
        journal = self._open()
        us = 1e6 * self.rng.expovariate(1 / self.weather.station_ends_s)
        self.timeline.after(us, self._ender(self.loop))
        self._run(journal)

    def _ender(self, loop: Loop | None) -> Callable[[], None]:
        """Return what ends this life: a signal, or a kill a few steps on, wherever that is."""

        def end() -> None:
            if self.loop is not loop:
                return
            if self.rng.random() < 0.3:
                self._stop()
            else:
                self._steps_left = self.rng.randint(0, 60)

        return end

    def _stop(self) -> None:
        assert self.loop is not None
        self.truth.seen["station_stopped"] += 1
        self.loop.stop_requested = True

    def _run(self, journal: Journal) -> None:
        assert self.loop is not None
        try:
            self.loop.run()
            self._dead = True
            self._writer.end()
            journal.close(clean=True)
        except (Killed, InvariantBroken) as error:
            # Even then the loop ends its life in order: what was raised there is of no interest.
            first = _first(error)
            if not isinstance(first, Killed):
                raise first from None
            self.truth.seen["station_killed"] += 1
            self._writer.end()
            journal.abandon()
        self.witness.ended()

    def _pause_between_lives(self) -> None:
        self._mend_disk()
        if self.rng.random() < 0.2:
            self.timeline.step_wall(self.rng.choice((-_HOUR_US, _HOUR_US)))
        self.timeline.stall(self.rng.choice((20_000, 300_000, 3_000_000)))
        if self.rng.random() < 0.2:
            self.truth.seen["reboot"] += 1
            self.timeline.reboot(self.rng.choice((10_000_000, 10_000_000_000)))

    def _finish(self) -> None:
        """One more life in which nothing goes wrong any more: what is open is answered, everything is read again."""
        self.weather = FINE
        self.line.stopped = True
        journal = self._open()
        self._mend_disk()
        self.timeline.after(5_000_000, self.consumer.begin)
        self.timeline.after(10_000_000, self._stop)
        self._run(journal)
        if not self.consumer.done:
            raise InvariantBroken("a_consumer_gets_everything", "the last page never came")
        self.witness.closed(self._folder / FILE)

    def _open(self) -> Journal:
        self._epochs += 1
        self._steps_left = None
        journal = open_journal(
            self._folder,
            self.station.journal,
            self.timeline,
            connect=self.disk,
            epoch=self._epochs,
            most_entries=self._backlog,
        )
        run = self.witness.began(journal, self._folder / FILE)
        self._watch(journal)
        self._dead = False
        self.supervisor = Supervisor(self)
        self._router = Router(self)
        self._trials = Trials(self)
        self._writer = Writer(self, journal, self.rng, self.weather)
        self._journal = journal
        self.loop = self._loop(journal, run)
        self.timeline.after(self.rng.randint(1_000, 3_000_000), self.consumer.begin)
        return journal

    def _loop(self, journal: Journal, run: Run) -> Loop:
        identity = Identity(self.station.station, run.epoch)
        publisher = Publisher(self)
        reporter = Reporter(identity, publisher, Notifier(), self.timeline, watchdog_s=2.0)  # type: ignore[arg-type]
        changes = Changes(self.station, self._folder, self._trials, reporter, self.timeline, self.supervisor.order)
        maintenance = Maintenance(self._folder, self.timeline, reporter)
        # A pause goes on over a restart; that it does is tested by itself, here it only has to be known.
        run.paused_until_us = run.paused_ever_us = maintenance.due_us() or 0
        return Loop(
            self.station,
            identity,
            self.supervisor,  # type: ignore[arg-type]
            publisher,  # type: ignore[arg-type]
            Control(Context(self._router), self.station.endpoints.control, self.timeline),  # type: ignore[arg-type]
            reporter,
            journal,
            changes,
            maintenance,
            self.timeline,
            self._wait,
            self._wait_for_journal,
        )

    def _watch(self, journal: Journal) -> None:
        """Let the witness hear what the journal is told."""
        trigger, verdict = journal.trigger, journal.verdict

        def triggered(entry: TriggerEntry) -> int:
            self.step()
            self.witness.triggered(entry)
            return trigger(entry)

        def claimed(entry: VerdictEntry) -> int:
            self.step()
            self.witness.claimed(entry)
            return verdict(entry)

        journal.trigger, journal.verdict = triggered, claimed  # type: ignore[method-assign]

    # ---- the loop's sleep ------------------------------------------------------------------------------------

    def _wait(self, due_us: int) -> None:
        self.step()
        self.run.ending = self.run.stopping
        self.witness.cycled()
        self._refuse_to_turn_on_the_spot()
        self._look_at_journal()
        if self.rng.random() < self.weather.cycle_stalled:
            self.truth.seen["cycle_stalled"] += 1
            self.timeline.stall(self.rng.choice(_STALLS_US))
            self.run.stall_end_us = self.timeline.now_us()
        elif self._something_waits():
            self.timeline.sleep(0)
        else:
            self.timeline.sleep(due_us)
        assert self.loop is not None
        if self.truth.triggers >= self._goal and not self.line.stopped:
            self.loop.stop_requested = True
        self.run.stopping = self.run.stopping or self.loop.stop_requested
        self._writer.waits = False
        self._journal.acknowledge_wakeup()
        self.step()

    def _wait_for_journal(self, due_us: int) -> None:
        self.step()
        self._refuse_to_turn_on_the_spot()
        self._look_at_journal()
        self.timeline.sleep(0 if self._writer.waits else due_us)
        self._writer.waits = False
        self._journal.acknowledge_wakeup()
        self.step()

    def _look_at_journal(self) -> None:
        """Do what the loop's sleep does first, and what the journal's threads do then."""
        self._journal.let_write()
        self._writer.look()

    def _something_waits(self) -> bool:
        return self.supervisor.waits or self._router.waits or self._trials.waits or self._writer.waits

    def _refuse_to_turn_on_the_spot(self) -> None:
        now_us = self.timeline.now_us()
        at_us, cycles = self._moment
        self._moment = (now_us, cycles + 1 if at_us == now_us else 0)
        if self._moment[1] > _CYCLES_A_MOMENT:
            raise InvariantBroken("the_loop_lets_time_pass", f"{_CYCLES_A_MOMENT} cycles at {now_us}")


def _first(error: BaseException) -> BaseException:
    """Return what ended the life: raised before all else that was not handled."""
    chain = [error]
    while (context := chain[-1].__context__) is not None:
        chain.append(context)
    ends = [error for error in chain if isinstance(error, (Killed, InvariantBroken))]
    return ends[-1] if ends else chain[0]


def play(folder: Path, seed: int, triggers: int) -> Summary:
    """
    Play one world.

    Raises:
        InvariantBroken: names the invariant; the same seed breaks it again.
    """
    return World(folder, seed).play(triggers)
