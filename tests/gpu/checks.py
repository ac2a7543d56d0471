"""What was checked on a GPU, and what was measured there: told as it happens, and once more as what can be pasted."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from edge.errors import EdgeError

log = logging.getLogger("tests.gpu")

STANDIN_NOTE = "STAND-IN, NO GPU: plumbing only. No GPU has computed, and no figure below is one of a GPU."


class NotAsExpected(Exception):
    """A check came out otherwise than it must."""


class NotRun(Exception):
    """A check could not be made here; says why."""


@dataclass
class Checks:
    """
    Attributes:
        standin: no GPU is here, only the tests' stand-ins: every line says so.
        failed: names of the checks that failed.
        passed: of those that passed.
    """

    standin: bool
    failed: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    _rows: list[tuple[str, str]] = field(default_factory=list)
    _tables: list[str] = field(default_factory=list)

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """Make one check; what is appended to the list is told with its outcome."""
        said: list[str] = []
        try:
            yield said
        except NotRun as error:
            self._tell(name, f"not run: {error}")
        except (EdgeError, NotAsExpected) as error:
            self._fail(name, str(error))
        except Exception as error:
            # Whatever goes wrong on hardware that nobody has tried: a machine with a GPU is rare, the others are to be
            # made all the same.
            log.exception("%s", name)
            self._fail(name, f"{type(error).__name__}: {error}")
        else:
            self.passed.append(name)
            self._tell(name, "; ".join(["passed", *said]))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Keep a table of figures, as docs/results.md has them."""
        self._tables.append(markdown(f"{self._mark}{title}", columns, rows))

    def text(self, heading: str, facts: Sequence[tuple[str, str]]) -> str:
        """Return all of it as Markdown."""
        title = f"{STANDIN_NOTE}\n\n{heading}" if self.standin else heading
        rows = [*facts, *((name, f"{self._mark}{said}") for name, said in self._rows)]
        return "\n".join([markdown(title, ("what", "found"), rows), *self._tables])

    @property
    def _mark(self) -> str:
        return "stand-in: " if self.standin else ""

    def _fail(self, name: str, why: str) -> None:
        self.failed.append(name)
        self._tell(name, f"**FAILED**: {why}")

    def _tell(self, name: str, said: str) -> None:
        self._rows.append((name, said))
        sys.stderr.write(f"{self._mark}{name}: {said}\n")


def require(condition: bool, otherwise: str) -> None:
    """Fail the check unless *condition* holds; *otherwise* says what was found instead."""
    if not condition:
        raise NotAsExpected(otherwise)


def markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; figures have two decimals, four digits at least."""
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return f"{title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "/").split())
