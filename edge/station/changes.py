"""
Recipe, bundle and self-test: what is changed or tried while the line runs, one at a time.

A change is tried by a short-lived child first; then the inspector takes it between two parts; only then is it active.
At any failure the old one stays. What is active outlives a restart.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from pydantic import ValidationError

from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.inspector.link import (
    BundleTaken,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    TakeBundle,
    TakeRecipe,
    ToInspector,
)
from edge.inspector.report import Task, TrialReport
from edge.recipe import STATION_RECIPE, RecipeFile, read_recipe, station_recipe
from edge.records import AuditEvent, RecipeMark
from edge.requests import Refusal
from edge.settings import Station
from edge.station.kept import KeptFile
from edge.station.lastgood import Good, LastGood
from edge.station.reporter import Reporter
from edge.station.supervisor import BundleToStart

log = logging.getLogger("edge.station")

_FILE = "active.json"
# Engines are compiled and proven beside the line; a self-test waits for gaps between parts.
_TAKE_LIMIT_US = 180_000_000


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What is in use, as it is kept in the state directory: the recipe whole, so that no edited file changes it."""

    recipe: str
    """A RecipeFile as JSON; empty = the one of the station's settings."""
    bundle: str
    """Folder; empty = the one of the settings."""


class Tried(Protocol):
    """What a change asks of the trials."""

    @property
    def running(self) -> bool: ...

    def start(self, task: Task) -> None: ...

    def ended(self) -> TrialReport | str | None: ...

    def stop(self) -> None: ...


Answer = Callable[[Refusal | None, str], None]
"""Called once: with None and what was done, or with why not."""


class Changes:
    """
    Args:
        folder: the state directory; None = nothing outlives a restart.
        order: tells the inspector; False when there is none to tell.

    Attributes:
        recipe: the active one.
        bundle: folder of the active one.
        last_good: what was active before, and what is used while that one is refused.
        mark: the active recipe's, as it stands in verdicts; None before an inspector was ready.
        selftest_failed: the text of the last self-test if it failed; parts are not inspected then.
    """

    def __init__(
        self,
        station: Station,
        folder: Path | None,
        trials: Tried,
        reporter: Reporter,
        clock: Clock,
        order: Callable[[ToInspector], bool],
    ) -> None:
        self._station = station
        self._file = KeptFile(folder, _FILE, Active)
        self._trials = trials
        self._reporter = reporter
        self._clock = clock
        self._order = order
        self._kind: Literal["recipe", "bundle", "selftest"] | None = None
        self._number = 0
        self._next: tuple[RecipeFile, str] | None = None
        self._answer: Answer | None = None
        self._give_up_us: int | None = None
        self._retest = False
        self._engines_hash = ""
        self.mark: RecipeMark | None = None
        self.selftest_failed = ""
        active = self._file.read() or Active(recipe="", bundle="")
        try:
            self.recipe = RecipeFile.model_validate_json(active.recipe) if active.recipe else station_recipe(station)
        except ValidationError as error:
            raise ConfigurationError(f"{_FILE} in the state directory: no recipe of this release; remove it") from error
        self.bundle = active.bundle or str(station.bundle.path)
        self.last_good = LastGood(folder, reporter, order)
        self._kept: tuple[RecipeFile, str] | None = (self.recipe, self.bundle)
        """What the next start begins with; None = not known."""

    @property
    def busy(self) -> bool:
        return self._kind is not None

    def bundle_to_start(self) -> BundleToStart:
        """Return what the next inspector starts with: what is active, or a copy while that is refused."""
        copy, releases = self.last_good.instead, self.last_good.known.releases
        if copy is None:
            return BundleToStart(self.bundle, releases=releases)
        return BundleToStart(self.last_good.path, copy.hash, releases)

    # ---- asked for -------------------------------------------------------------------------------------------

    def use_recipe(self, name: str, answer: Answer) -> None:
        """Try a recipe, then make it active."""
        try:
            recipe = read_recipe(self._station, name)
        except ConfigurationError as error:
            self._reporter.audit(AuditEvent.RECIPE_REFUSED, None, str(error), None)
            answer(Refusal.RECIPE, str(error))
            return
        self._try("recipe", recipe, self.bundle, answer)

    def use_bundle(self, path: str | None, answer: Answer) -> None:
        """Try a bundle with the active recipe, then make it active; None = the one of the settings."""
        self._try("bundle", self.recipe, path or str(self._station.bundle.path), answer)

    def selftest(self, answer: Answer) -> None:
        """Have the reference frames judged by the engines in use."""
        self._begin("selftest", (self.recipe, self.bundle), answer)
        self._give_up_us = self._clock.now_us() + _TAKE_LIMIT_US
        if not self._order(SelfTest()):
            self._refuse(Refusal.NOT_READY, "there is no inspector at present; ask again when the station is ready")

    def _try(self, kind: Literal["recipe", "bundle"], recipe: RecipeFile, bundle: str, answer: Answer) -> None:
        self._begin(kind, (recipe, bundle), answer)
        task = Task(
            station=self._station.model_dump_json(),
            bundle=bundle if kind == "bundle" else self.bundle_to_start().path,
            recipe=recipe.model_dump_json().encode(),
            releases=self.last_good.known.releases,
            parent=os.getpid(),
        )
        try:
            self._trials.start(task)
        except OSError as error:
            self._refuse(self._refusal(), f"the trial cannot be started: {error.strerror}")

    def _begin(
        self, kind: Literal["recipe", "bundle", "selftest"], following: tuple[RecipeFile, str], answer: Answer
    ) -> None:
        self._kind, self._next, self._answer = kind, following, answer
        self._number += 1

    # ---- went on ---------------------------------------------------------------------------------------------

    def look_after_trial(self) -> None:
        """Go on when the trial has ended."""
        if self._give_up_us is not None and self._clock.now_us() >= self._give_up_us:
            self._refuse(Refusal.NOT_READY, f"the inspector has not answered for {_TAKE_LIMIT_US // 1_000_000} s")
        report = self._trials.ended() if self._trials.running else None
        if report is None or self._next is None:
            return
        if isinstance(report, str) or not report.accepted:
            self._refuse(self._refusal(), report if isinstance(report, str) else report.text)
            return
        if self._kind == "recipe" and report.engines_hash != self._engines_hash:
            text = "it was tried with other engines than those in use: bundle or engines on disk were exchanged; reload"
            self._refuse(Refusal.RECIPE, text)
            return
        recipe, bundle = self._next
        # Before it is used: what cannot be kept would be another recipe after the next restart.
        fault = self._keep(recipe, bundle)
        if fault:
            self._refuse(self._refusal(), fault)
            return
        self._give_up_us = self._clock.now_us() + _TAKE_LIMIT_US
        told = recipe.model_dump_json().encode()
        take_bundle = TakeBundle(
            change=self._number,
            path=bundle,
            recipe=told,
            bundle_hash=report.bundle_hash,
            releases=self.last_good.known.releases,
        )
        take_recipe = TakeRecipe(change=self._number, recipe=told)
        if not self._order(take_recipe if self._kind == "recipe" else take_bundle):
            self._refuse(Refusal.NOT_READY, "the inspector ended during the trial; ask again when the station is ready")

    def is_wanted(self, message: RecipeTaken | BundleTaken) -> bool:
        """Tell whether this answers the change in hand; False = one that was given up."""
        kind = "recipe" if isinstance(message, RecipeTaken) else "bundle"
        return (self._kind, self._number) == (kind, message.change)

    def recipe_taken(self, message: RecipeTaken) -> None:
        """Make the recipe active, or refuse it; the answer is wanted."""
        if not message.recipe_hash:
            self._refuse(Refusal.RECIPE, message.text)
            return
        self._activate(message.recipe_hash)
        text = f"recipe '{self.recipe.name}' by {self.recipe.author} is active, hash {message.recipe_hash[:12]}"
        self._done(AuditEvent.RECIPE_ACTIVE, text)

    def bundle_taken(self, message: BundleTaken) -> None:
        """Make the bundle active, or refuse it; the answer is wanted."""
        if not message.bundle_hash:
            self._refuse(Refusal.BUNDLE, message.text)
            return
        self._activate(message.recipe_hash)
        self._engines_hash = message.engines_hash
        self.last_good.meant()
        self.last_good.active(_good(message))
        text = f"bundle {self.bundle} ({message.bundle_hash[:12]}) is active, recipe hash {message.recipe_hash[:12]}"
        self._done(AuditEvent.BUNDLE_ACTIVE, text)

    def selftested(self, message: SelfTested) -> None:
        """Take the result of a self-test, asked for or not."""
        self.selftest_failed = "" if message.passed else message.text
        event = AuditEvent.SELFTEST_PASSED if message.passed else AuditEvent.SELFTEST_FAILED
        if self._kind != "selftest":
            self._reporter.audit(event, None, message.text, None)
        elif message.passed:
            self._done(event, message.text)
        else:
            self._refuse(Refusal.SELFTEST, message.text)

    def inspector_ready(self, message: Ready) -> None:
        """A new inspector works with what is active."""
        if self.mark is None or self.mark.hash != message.recipe_hash:
            self.mark = self._mark(message.recipe_hash)
        self._retest = bool(self.selftest_failed)
        self._engines_hash = message.engines_hash
        self.last_good.active(_good(message))

    def retest(self) -> None:
        """Have a new inspector show that it judges as it must, if the last one did not."""
        if self._retest and self._order(SelfTest()):
            self._retest = False

    def inspector_lost(self) -> None:
        """What it was about to take is refused; what is active goes on with the next one."""
        if self._kind is not None and not self._trials.running:
            self._refuse(Refusal.NOT_READY, "the inspector ended meanwhile; ask again when the station is ready")

    def stop(self) -> None:
        self._trials.stop()
        if self._kind is not None:
            self._refuse(Refusal.STOPPING, "the station is being stopped")

    # ---- ends ------------------------------------------------------------------------------------------------

    def _activate(self, recipe_hash: str) -> None:
        assert self._next is not None
        self.recipe, self.bundle = self._next
        self.mark = self._mark(recipe_hash)

    def _mark(self, recipe_hash: str) -> RecipeMark:
        return RecipeMark(
            name=self.recipe.name, hash=recipe_hash, author=self.recipe.author, since_utc_us=self._clock.utc_us()
        )

    def _done(self, event: AuditEvent, text: str) -> None:
        self._reporter.audit(event, None, text, None)
        self._end(None, text)

    def _refusal(self) -> Refusal:
        return Refusal.BUNDLE if self._kind == "bundle" else Refusal.RECIPE

    def _refuse(self, refusal: Refusal, text: str) -> None:
        events = {
            "recipe": AuditEvent.RECIPE_REFUSED,
            "bundle": AuditEvent.BUNDLE_REFUSED,
            "selftest": AuditEvent.SELFTEST_FAILED,
        }
        assert self._kind is not None
        self._reporter.audit(events[self._kind], None, text, None)
        if self._kept != (self.recipe, self.bundle):
            # What was tried was kept for the next start already; the old one stays.
            fault = self._keep(self.recipe, self.bundle)
            if fault:
                log.error("%s; the next start may begin with what was refused now", fault)
        self._end(refusal, text)

    def _end(self, refusal: Refusal | None, text: str) -> None:
        answer, self._kind, self._next, self._answer = self._answer, None, None, None
        self._give_up_us = None
        if answer is not None:
            answer(refusal, text)

    # ---- over a restart --------------------------------------------------------------------------------------

    def _keep(self, recipe: RecipeFile, bundle: str) -> str:
        """Have this recipe and bundle outlive a restart; return why they cannot, empty when they do."""
        own_recipe, own_bundle = recipe.name == STATION_RECIPE, bundle == str(self._station.bundle.path)
        active = Active(
            recipe="" if own_recipe else recipe.model_dump_json(),
            bundle="" if own_bundle else str(Path(bundle).absolute()),
        )
        fault = self._file.write(None if own_recipe and own_bundle else active)
        # The file may be there and its folder not on the disk: then the old pair has to be written again.
        self._kept = None if fault else (recipe, bundle)
        return fault


def _good(message: Ready | BundleTaken) -> Good:
    return Good(hash=message.bundle_hash, name=message.bundle_name, release=message.release)
