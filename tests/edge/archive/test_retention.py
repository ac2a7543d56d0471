"""Which part goes next."""

from __future__ import annotations

from pathlib import Path

from edge.archive import KeepReason, Stock, StockedPart
from tests.support.archived import HOUR_US, NOON_US

DAY_US = 24 * HOUR_US


def stocked(name: str, reason: KeepReason, hour_us: int = NOON_US) -> StockedPart:
    return StockedPart(Path(name), reason, hour_us, 1000)


def gone(stock: Stock, utc_us: int) -> list[str]:
    """Return the names of all parts that must go, in order."""
    names = []
    while (part := stock.surplus(utc_us)) is not None:
        stock.drop(part)
        names.append(part.folder.name)
    return names


def test_by_size_samples_go_first_and_rejects_last() -> None:
    """Of eight parts, two fit: the two rejects; of one reason the oldest goes first."""
    stock = Stock(keep_bytes=2000, keep_days=30)
    for number, reason in enumerate(("reject", "unknown", "near_miss", "sample") * 2):
        stock.add(stocked(f"{number}", reason))  # type: ignore[arg-type]
    assert gone(stock, NOON_US) == ["3", "7", "2", "6", "1", "5"]
    assert stock.bytes == 2000


def test_what_fits_stays() -> None:
    """Exactly as much as may be kept is not too much."""
    stock = Stock(keep_bytes=1000, keep_days=30)
    stock.add(stocked("a", "sample"))
    assert stock.surplus(NOON_US) is None


def test_by_age_every_reason_goes() -> None:
    """A part goes when its whole hour is older than keep_days, also a reject, also when there is room."""
    stock = Stock(keep_bytes=10**9, keep_days=2)
    stock.add(stocked("old reject", "reject"))
    stock.add(stocked("old sample", "sample"))
    stock.add(stocked("new reject", "reject", NOON_US + HOUR_US))
    assert gone(stock, NOON_US + 2 * DAY_US + HOUR_US) == []
    assert sorted(gone(stock, NOON_US + 2 * DAY_US + HOUR_US + 1)) == ["old reject", "old sample"]
