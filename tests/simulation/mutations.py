"""Faults put into the station on purpose: a simulation that does not notice one of them proves nothing."""

from __future__ import annotations
import __future__ as future

import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edge.inspector import cascade
from edge.station import backlog, condition, firing, inspection, intake, loop, outbox, parts, registrar, triggers, views


@dataclass(frozen=True)
class Mutation:
    """
    One fault.

    Attributes:
        name: what goes wrong, in words.
        module, place: where its users find the function it is put into.
        before, after: lines of its source, the second in place of the first, which must be there once.
        caught_by: invariants that it breaks, whichever is asked first.
    """

    name: str
    module: Any
    place: str
    before: str
    after: str
    caught_by: tuple[str, ...]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """
        Put the fault in, and take it out at the end.

        Raises:
            ValueError: the source has changed; write the mutation anew.
        """
        *path, name = self.place.split(".")
        owner = self.module
        for part in path:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, name)
        setattr(owner, name, self._mutated(original))
        try:
            yield
        finally:
            setattr(owner, name, original)

    def _mutated(self, original: Callable[..., Any]) -> object:
        source = textwrap.dedent(inspect.getsource(original))
        if source.count(self.before) != 1:
            raise ValueError(f"{self.place}: expected once {self.before!r}, found {source.count(self.before)} times")
        mutated = source.replace(self.before, self.after)
        flags = future.annotations.compiler_flag  # As in its module: they are not to be evaluated.
        scope: dict[str, object] = {}
        exec(compile(mutated, inspect.getfile(original), "exec", flags), original.__globals__, scope)
        return scope[original.__name__]


MUTATIONS = (
    Mutation(
        "a claim is dropped",
        registrar,
        "Registrar.answer",
        "    if claim is None:",
        "    if claim is None or claim.seq % 50 == 0:",
        ("the_stream_has_no_gap", "the_heartbeat_adds_up", "every_part_is_answered_in_time"),
    ),
    Mutation(
        "a verdict is published twice",
        outbox,
        "Outbox._publish",
        "    self._sink.verdict(verdict)",
        "    self._sink.verdict(verdict)\n    if verdict.seq % 50 == 0:\n        self._sink.verdict(verdict)",
        ("the_stream_has_no_gap",),
    ),
    Mutation(
        "a claim is not recorded",
        registrar,
        "Registrar.answer",
        "ticket=self._journal.verdict(_verdict_entry(claim, verdict))",
        "ticket=0 if claim.seq % 50 == 0 else self._journal.verdict(_verdict_entry(claim, verdict))",
        ("what_is_said_was_claimed", "the_heartbeat_adds_up"),
    ),
    Mutation(
        "a trigger is not recorded",
        registrar,
        "Registrar.open",
        "    ticket = self._journal.trigger(",
        "    ticket = 0 if request is None and part.number % 50 == 0 else self._journal.trigger(",
        ("work_follows_its_trigger", "a_part_is_claimed_once"),
    ),
    Mutation(
        "an engine's error is taken for a PASS",
        views,
        "decision_from_views",
        "        if view.outcome is not Outcome.PASS:",
        "        if view.outcome is not Outcome.PASS and view.result is None:",
        ("a_pass_is_proven",),
    ),
    Mutation(
        "scores that are no numbers are believed",
        cascade,
        "Cascade._classify",
        "    if not np.isfinite(scores).all():",
        "    if False:",
        ("nothing_follows_from_what_is_no_number", "a_pass_is_proven"),
    ),
    Mutation(
        "labels without health are believed",
        cascade,
        "Cascade._refuse_unbelievable",
        "    if not np.isfinite(answers[HEALTH]).all():",
        "    if False:",
        ("nothing_follows_from_what_is_no_number", "a_pass_is_proven"),
    ),
    Mutation(
        "a missing view is taken for a PASS",
        views,
        "decision_from_views",
        "    if any(view.outcome is None for view in views):",
        "    views = [view for view in views if view.outcome is not None] or views\n"
        "    if any(view.outcome is None for view in views):",
        ("a_pass_is_proven",),
    ),
    Mutation(
        "a result after the deadline counts",
        views,
        "Views.result",
        "self._parts.is_late(part, self._clock.now_us())",
        "False",
        ("a_pass_is_proven", "a_reject_was_found"),
    ),
    Mutation(
        "the deadline is forgotten",
        views,
        "Views.answer_due",
        "        if self._parts.is_late(part, now_us):",
        "        if self._parts.is_late(part, now_us) and part.number % 50:",
        ("every_part_is_answered_in_time",),
    ),
    Mutation(
        "late is claimed too early",
        parts,
        "Parts._end_us",
        "part.deadline_us - self.reserve_us",
        "part.deadline_us - 30_000",
        ("unknown_has_a_true_reason",),
    ),
    Mutation(
        "messages of an older inspector are believed",
        inspection,
        "Inspection.hear",
        "        if message.inspector == self._supervisor.number:",
        "        if True:",
        ("frames_are_named_truly", "slots_are_freed_once", "ready_is_proven", "one_part_for_each_number"),
    ),
    Mutation(
        "the window does not close",
        views,
        "Views._close_window",
        "        if view.frame is None and view.outcome is None:",
        "        if False:",
        ("late_is_not_what_never_came",),
    ),
    Mutation(
        "a closed window makes a PASS of what is there",
        views,
        "Views._close_window",
        "    self.settle(part)",
        "    views = part.views\n"
        "    part.views = {n: v for n, v in views.items() if v.frame is not None}\n"
        "    self.settle(part)\n"
        "    part.views = views",
        ("a_pass_is_proven",),
    ),
    Mutation(
        "parts in hand are not answered when the inspector dies",
        inspection,
        "Inspection._ended",
        "    self._registrar.answer_all(Reason.STOPPED if stopping else Reason.ENGINE, text)",
        "    pass",
        ("nothing_is_left_in_dead_hands",),
    ),
    Mutation(
        "ready is not withdrawn when the inspector dies",
        inspection,
        "Inspection._ended",
        "    self._condition.ready = None",
        "    pass",
        ("ready_is_proven",),
    ),
    Mutation(
        "what waits is said to be journaled",
        outbox,
        "Outbox._publish",
        "        journaled=self._journal.kept(waiting.ticket),",
        "        journaled=True,",
        ("journaled_is_durable",),
    ),
    Mutation(
        "the writer is not woken",
        backlog,
        "Backlog.release",
        "        self._released = not self._is_empty()",
        "        self._released = False",
        ("what_a_well_disk_can_keep_is_kept",),
    ),
    Mutation(
        "a trigger is acknowledged before it is on the disk",
        outbox,
        "Outbox._answer_one",
        "    then(ticket == 0 or self._journal.kept(ticket))",
        "    then(True)",
        ("an_acknowledged_trigger_is_journaled",),
    ),
    Mutation(
        "a number is skipped",
        parts,
        "Parts.claim",
        "    self.seq += 1",
        "    self.seq += 1 + (number % 50 == 0)",
        ("the_stream_has_no_gap",),
    ),
    Mutation(
        "UNKNOWN goes before REJECT",
        views,
        "decision_from_views",
        "    if any(view.outcome is Outcome.REJECT for view in views):",
        "    if any(view.outcome is Outcome.REJECT for view in views) and all(\n"
        "        view.outcome is not Outcome.UNKNOWN for view in views\n"
        "    ):",
        ("a_reject_is_never_lost",),
    ),
    Mutation(
        "a pause is ignored",
        condition,
        "Condition.closed",
        "    if self._maintenance.mark is not None:",
        "    if False:",
        ("a_pass_is_proven",),
    ),
    Mutation(
        "a failed self-test is ignored",
        condition,
        "Condition.closed",
        "    if self._changes.selftest_failed:",
        "    if False:",
        ("ready_is_proven", "a_pass_is_proven"),
    ),
    Mutation(
        "parts of before a restart are not answered",
        loop,
        "Loop.begin",
        "        self._registrar.adopt(entry)",
        "        pass",
        ("the_heartbeat_adds_up", "restarted_parts_come_first"),
    ),
    Mutation(
        "a new recipe is used for parts in hand",
        inspection,
        "Inspection._on_taken",
        "    self.advance()",
        "    self.advance()\n"
        "    for part in self._registrar.parts.all_open():\n"
        "        part.recipe = self._registrar.recipe",
        ("work_follows_its_trigger", "a_pass_is_proven"),
    ),
    Mutation(
        "a new recipe is not used for new parts",
        inspection,
        "Inspection.advance",
        "    self._registrar.recipe = self._changes.mark",
        "    self._registrar.recipe = self._registrar.recipe or self._changes.mark",
        ("work_follows_its_trigger",),
    ),
    Mutation(
        "a slot is not freed",
        views,
        "Views.see",
        "        self.discard(message)",
        "        pass",
        ("no_slot_leaks",),
    ),
    Mutation(
        "the next of the same tag joins the part of before",
        intake,
        "Intake._of_key",
        "    if part is None or message.t_us > part.deadline_us + self._window_us:",
        "    if part is None:",
        ("no_frame_is_dropped",),
    ),
    Mutation(
        "a frame that is missed is a part of its own beside the one it belongs to",
        triggers,
        "Triggers._miss",
        "    part = shown or self._open(missing, None)",
        "    part = self._open(missing, None)",
        ("one_part_for_each_number",),
    ),
    Mutation(
        "frames that are missed long after their part are parts of their own",
        triggers,
        "Triggers._miss",
        "msgspec.structs.replace(missing, t_us=since_us)",
        "missing",
        ("one_part_for_each_number",),
    ),
    Mutation(
        "a name is used twice",
        firing,
        "Firing.fault_of_name",
        "    if number is None:",
        "    if True:",
        ("what_was_acknowledged_is_kept",),
    ),
)
