"""A report is one file that stands alone, and shows what it is given as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from training.report import charts
from training.report.page import Chart, Figure, Page, Picture, Section, Table, html_from_page, write_page

PNG = b"\x89PNG\r\n\x1a\nrest"


def page(title: str = "Segmenter") -> Page:
    drawn = charts.epochs({"loss": [1.0, 0.5]}, ["frozen", "finetune"], "loss")
    section = Section(
        "Look first",
        pictures=(Picture(PNG, "a<b>.png", "bad"), Picture(b"\xff\xd8jpeg", "b.jpg")),
        charts=(Chart(drawn, "the loss"),),
        tables=(Table(("class", "Dice"), (("pits & more", "0.5"),)),),
        notes=("what it means",),
        listing="edge-train segmenter",
    )
    return Page(title, "today", [Figure("AUROC", "0.91", "of 20 groups")], [section], warnings=("few groups",))


def test_nothing_is_fetched_from_elsewhere() -> None:
    """Every source is a data address, and no script, style sheet or font is linked."""
    html = html_from_page(page())
    assert re.findall(r'src="(?!data:)', html) == []
    assert "<script" not in html
    assert "<link" not in html
    assert html.count("data:image/png;base64,") == 1
    assert html.count("data:image/jpeg;base64,") == 1


def test_names_from_data_are_text() -> None:
    """A file or class name with markup in it cannot become markup."""
    html = html_from_page(page("<b>x</b>"))
    assert "a&lt;b&gt;.png" in html
    assert "pits &amp; more" in html
    assert "<b>x</b>" not in html


def test_labels_of_charts_are_text_too() -> None:
    """A series' name is escaped inside the drawing."""
    drawn = charts.epochs({"<b>": [1.0, 0.5]}, ["scratch"] * 2, "y")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn


def test_every_part_of_a_section_is_shown() -> None:
    """Headline, warning, note, chart, table and listing all stand in the page."""
    html = html_from_page(page())
    for text in (
        "AUROC",
        "0.91",
        "of 20 groups",
        "few groups",
        "what it means",
        "<svg",
        "the loss",
        "0.5",
        "edge-train segmenter",
    ):
        assert text in html


def test_equal_pages_are_equal_bytes() -> None:
    """No date and no random name is hidden in the drawings."""
    assert html_from_page(page()) == html_from_page(page())


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder that is a file is one clear error; a good write leaves nothing beside it."""
    write_page(tmp_path / "runs" / "report.html", page())
    assert [file.name for file in (tmp_path / "runs").iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"report .*file.*choose a folder"):
        write_page(tmp_path / "file" / "report.html", page())
