"""What --loss says."""

from __future__ import annotations

import pytest

from edge.errors import ConfigurationError
from training.fit.objective import DEFAULT, Term, Tversky, terms_from_text


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (DEFAULT, (Term("ce"), Term("dice"))),
        ("dice", (Term("dice"),)),
        ("0.5*ce+2 * focal-tversky", (Term("ce", 0.5), Term("focal-tversky", 2.0))),
        (
            "ce + 0.5*focal-tversky(alpha=0.2, beta=0.8, gamma=1)",
            (Term("ce"), Term("focal-tversky", 0.5, Tversky(0.2, 0.8, 1.0))),
        ),
        ("focal-tversky(beta=9e+1)", (Term("focal-tversky", 1.0, Tversky(beta=90.0)),)),
    ],
)
def test_a_sum_is_read(text: str, terms: tuple[Term, ...]) -> None:
    """Weights come before, parameters behind; what is left out has its default."""
    assert terms_from_text(text) == terms


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'': expected WEIGHT"),
        ("ce +", "'': expected WEIGHT"),
        ("iou", "'iou': expected one of ce, dice, focal-tversky"),
        ("ce - dice", "'ce-dice': expected one of"),
        ("ce + ce", "expected each loss once"),
        ("0*ce", "a number over 0 and up to 1000 where '0'"),
        ("half*ce", "where 'half' stands"),
        ("nan*ce", "where 'nan' stands"),
        ("dice(alpha=1)", "'dice\\(alpha=1\\)': expected no parameters"),
        ("focal-tversky(delta=1)", "expected each of alpha, beta, gamma at most once"),
        ("focal-tversky(alpha=1, alpha=2)", "at most once"),
        ("focal-tversky(alpha=-1)", "where '-1' stands"),
        ("focal-tversky(alpha", "expected WEIGHT"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    """One line with the whole text, the part, and what is expected."""
    with pytest.raises(ConfigurationError, match=said):
        terms_from_text(text)
