"""
What ``--loss`` says: a sum of terms, each with a weight and parameters of its own.

    ce                            cross-entropy
    dice                          one minus the soft Dice of the classes
    focal-tversky(alpha=0.3, beta=0.7, gamma=0.75)
                                  (1 - Tversky index) ** gamma; alpha weighs false marks, beta misses

    "ce + dice"       "0.5*ce + focal-tversky(beta=0.8, alpha=0.2)"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from edge.errors import ConfigurationError

TermName = Literal["ce", "dice", "focal-tversky"]
DEFAULT = "ce + dice"

_TERM = re.compile(r"(?:(?P<weight>[^*()]+)\*)?(?P<name>[a-z][a-z-]*)(?:\((?P<parameters>[^()]*)\))?")
_BETWEEN_TERMS = re.compile(r"\+(?![^()]*\))")


@dataclass(frozen=True)
class Tversky:
    """
    Parameters of the focal Tversky loss.

    Source: alpha and beta as in Salehi, Erdogmus, Gholipour, "Tversky loss function", MLMI 2017, equation 2 (best:
    0.3 and 0.7). gamma is the exponent itself; Abraham and Khan, "A novel focal Tversky loss", ISBI 2019, equation 4,
    call it 1 / gamma and take 1 / (4/3) = 0.75.
    """

    alpha: float = 0.3
    beta: float = 0.7
    gamma: float = 0.75


@dataclass(frozen=True)
class Term:
    """One summand; *tversky* is used by focal-tversky alone."""

    name: TermName
    weight: float = 1.0
    tversky: Tversky = field(default_factory=Tversky)


def terms_from_text(text: str) -> tuple[Term, ...]:
    """
    Read a sum of losses.

    Args:
        text: as in the module's examples; blanks do not matter.

    Raises:
        ConfigurationError: names the term that cannot be read, and what is expected.
    """
    terms = tuple(_term(part, text) for part in _BETWEEN_TERMS.split("".join(text.split())))
    names = [term.name for term in terms]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise _error(text, twice[0], "each loss once, with a weight: 2*" + twice[0])
    return terms


def _term(part: str, text: str) -> Term:
    found = _TERM.fullmatch(part)
    if found is None:
        raise _error(text, part, "WEIGHT*NAME(PARAMETER=VALUE, ...), weight and parameters may be left out")
    for name in get_args(TermName):
        if found["name"] == name:
            return Term(name, _positive(found["weight"] or "1", part, text), _tversky(found, part, text))
    raise _error(text, part, f"one of {', '.join(get_args(TermName))}")


def _tversky(found: re.Match[str], part: str, text: str) -> Tversky:
    if found["parameters"] is None:
        return Tversky()
    known = tuple(Tversky.__dataclass_fields__) if found["name"] == "focal-tversky" else ()
    given: dict[str, float] = {}
    for assignment in found["parameters"].split(","):
        key, _, value = assignment.partition("=")
        if key not in known or key in given:
            raise _error(text, part, f"each of {', '.join(known)} at most once" if known else "no parameters")
        given[key] = _positive(value, part, text)
    return Tversky(**given)


def _positive(value: str, part: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.0 < number <= 1000.0:
        raise _error(text, part, f"a number over 0 and up to 1000 where '{value}' stands")
    return number


def _error(text: str, part: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"--loss '{text}': '{part}': expected {expected}")
