"""docs/settings.md is what the settings tree says."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from edge.settings import (
    ArchiveSettings,
    CameraSettings,
    Daemon,
    DriftLimits,
    Endpoints,
    JournalSettings,
    PartsSettings,
)
from edge.settings_doc import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_document_is_up_to_date() -> None:
    """The page in docs/ is what `make settings-doc` would write now."""
    assert DOCUMENT.read_text(encoding="utf-8") == page(), "settings changed: run make settings-doc"


def test_every_key_is_described() -> None:
    """No key is left without a meaning: the cell would be empty."""
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > len(Daemon.model_fields) + len(CameraSettings.model_fields)
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_table_has_its_section() -> None:
    """What a row sends the reader below for is there, each key of it."""
    tables: dict[str, type[BaseModel]] = {
        "Parts": PartsSettings,
        "Journal": JournalSettings,
        "Archive": ArchiveSettings,
        "Endpoints": Endpoints,
        "Drift of a camera": DriftLimits,
    }
    sections = {section.split("\n", 1)[0]: section for section in page().split("\n## ")}
    for title, model in tables.items():
        assert [name for name in model.model_fields if f"| `{name}` |" not in sections[title]] == []


def test_bounds_units_and_needed_keys_are_told() -> None:
    """A row carries type, unit, default and both bounds as the tree has them."""
    assert "| `budget_ms` | integer | ms | `100` | >= 1, <= 60000 |" in page()
    assert "| `rate_hz` | number | 1/s | none | > 0, <= 1000 |" in page()
    assert "| `path` | path |  | **needed** |" in page()
    assert '| `shifts` | list of text |  | `["06:00", "14:00", "22:00"]` |' in page()
    assert "| `keep_days` | number | days | `30.0` | > 0 |" in page()
