"""
A page that stands alone: one HTML file, pictures and charts inside, nothing fetched.

People look before they read, so a page is a list of sections, and a section shows its pictures and charts before its
tables and notes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from edge.errors import ConfigurationError
from training.figures.intervals import Estimate, Rate
from training.figures.tables import bound_text, estimate_text, percent


@dataclass(frozen=True)
class Figure:
    """One number that one would say aloud; *detail* is what it stands on: interval, denominators."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG or JPEG and the line under it; *tone* colours the frame: ``good``, ``bad``, ``unsure`` or none."""

    encoded: bytes
    caption: str
    tone: str = ""

    @property
    def uri(self) -> str:
        kind = "png" if self.encoded.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(self.encoded).decode()}"


@dataclass(frozen=True)
class Chart:
    """An SVG drawing, as training.report.charts makes them, and the line under it."""

    svg: str
    caption: str

    @property
    def markup(self) -> Markup:
        # Drawn by matplotlib from our own numbers; labels that come from data are escaped there.
        return Markup(self.svg)


@dataclass(frozen=True)
class Table:
    """Rows; the first column is left-aligned, the others right, or left if they are *prose*, which is wrapped."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    prose: bool = False


@dataclass(frozen=True)
class Section:
    """What belongs together, in the order in which it is shown."""

    title: str
    pictures: tuple[Picture, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    listing: str = ""
    """Shown as it is, in a fixed-width font: a command line, versions."""


@dataclass(frozen=True)
class Page:
    """
    A whole report.

    Attributes:
        headline: the figures one would say aloud.
        warnings: shown in red at the top; what makes the figures worth less than they look.
    """

    title: str
    subtitle: str
    headline: Sequence[Figure]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()


def rate_figure(name: str, rate: Rate, of: str) -> Figure:
    """Return a rate with its denominators and its bound."""
    if rate.value is None:
        return Figure(name, "-", f"no {of}")
    return Figure(name, percent(rate.value), f"{rate.hits} of {rate.images} {of}; {bound_text(rate)}")


def estimate_figure(name: str, estimate: Estimate) -> Figure:
    """Return an estimate with its interval."""
    if estimate.value is None:
        return Figure(name, "-", "there are no pictures for it")
    return Figure(name, f"{estimate.value:.3f}", estimate_text(estimate).partition(" (")[2].removesuffix(")"))


def write_page(path: Path, page: Page) -> None:
    """
    Write the page; an older one of that name is replaced once the new one is whole.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(html_from_page(page), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        if beside.exists():
            beside.unlink()
        raise ConfigurationError(f"report {path}: {error.strerror}; choose a folder that can be written") from error


def html_from_page(page: Page) -> str:
    """Return the page as one HTML document."""
    return _template().render(page=page)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("training.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")
