"""``edge-engine verify`` and ``inspect``: a bundle on this machine, in tables. No torch."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle, read_bundle
from edge.inspector.backend import open_engine
from edge.inspector.cache import EngineCache
from edge.inspector.engines import engines_for
from edge.inspector.guard import NO_BAND
from edge.inspector.parity import ParityReport, measure_parity, problems_of
from edge.settings import default_engine_cache
from engines.contract import CLASSIFIER_NAME, SEGMENTER_NAME, TILES, Limit, Manifest
from engines.figures import HEADINGS, allowed_figures, figures_of, iou_text
from engines.options import Inspect, Verify

PARITY_BATCHES = (1, 4)
NOT_IDENTICAL = 3
"""The exit code of ParityFailed: the table has said why."""


def verify_bundle(command: Verify, console: Console) -> int:
    """
    Print this machine's parity with PyTorch, frame by frame.

    Returns:
        0, or 3 when a figure is out of tolerance.

    Raises:
        BundleError: the bundle is altered, an engine was not built, or it refuses the bundle or answers NaN.
    """
    bundle = read_bundle(command.bundle)
    settings = command.settings
    made = engines_for(bundle, settings, EngineCache(command.cache or default_engine_cache()))
    batches = [size for size in PARITY_BATCHES if size <= bundle.manifest.max_tiles]
    with (
        open_engine(settings, made.classifier, TILES, batches) as classifier,
        open_engine(settings, made.segmenter, TILES, batches) as segmenter,
    ):
        band = NO_BAND if made.proof is None else made.proof.parity.band
        report = measure_parity(bundle, classifier, segmenter, band)
    problems = [*_lint_findings(bundle), *problems_of(report)]
    console.print(_parity_table(report))
    moved = report.thresholds
    flips = f"{report.verdict_flips} verdicts flip, {report.fails_open} REJECT -> PASS"
    banded = f"{report.guarded_flips} and {report.guarded_fails_open} with the guard band"
    console.print(f"{flips}; {banded}", highlight=False, soft_wrap=True)
    console.print(f"labels follow other thresholds: {moved.followed:.1%} of {moved.pixels_changed} px", highlight=False)
    for problem in problems:
        console.print(f"[red]failed[/red] {problem}", highlight=False)
    if not problems:
        console.print(f"[green]passed[/green] {report.backend} {report.precision} gives PyTorch's answers")
    return NOT_IDENTICAL if problems else 0


def inspect_bundle(command: Inspect, console: Console) -> int:
    """
    Print what a bundle holds.

    Raises:
        BundleError: the bundle is missing or altered.
    """
    bundle = read_bundle(command.bundle)
    console.print(_summary_table(bundle))
    console.print(_class_table(bundle.manifest))
    console.print(_file_table(bundle))
    return 0


def _parity_table(report: ParityReport) -> Table:
    table = Table(title=f"{report.backend} {report.precision} against PyTorch", title_justify="left")
    table.add_column("frame")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for frame in report.frames:
        table.add_row(frame.name, *figures_of(frame))
    table.add_section()
    table.add_row(
        "worst; IoU: of all",
        f"{report.score_deviation:.1e}",
        str(report.gate_flips),
        str(sum(frame.pixels_marked for frame in report.frames)),
        iou_text(report.iou),
        f"{max(f.pixels_differing / f.pixels for f in report.frames):.1e} of a frame",
        f"{max(f.confidence_deviation for f in report.frames):.1e}",
    )
    table.add_row("allowed", *allowed_figures(report.precision))
    return table


def _summary_table(bundle: Bundle) -> Table:
    manifest = bundle.manifest
    tile = manifest.tile
    table = Table(title=f"{manifest.name} {manifest.version}, release {manifest.release}", title_justify="left")
    table.add_column("key")
    table.add_column("value", overflow="fold")
    table.add_row("bundle hash", bundle.hash)
    table.add_row("signature", "none" if bundle.signature is None else "there is one; the station checks whose it is")
    table.add_row("format", manifest.format)
    table.add_row(r"core, halo \[px]", f"{tile.core_height} x {tile.core_width}, {tile.halo} (height x width)")
    table.add_row("most tiles a call", str(manifest.max_tiles))
    table.add_row("precision, opset", f"{manifest.precision}, {manifest.opset}")
    scale = manifest.scale
    table.add_row(
        "scale", "none: rules in px only" if scale is None else f"{scale.mm_per_px} mm/px ± {scale.tolerance:.0%}"
    )
    table.add_row("trained on", f"{manifest.provenance.dataset} ({manifest.provenance.dataset_sha256[:12]})")
    for key, value in manifest.provenance.made_with.items():
        table.add_row(key, value)
    return table


def _class_table(manifest: Manifest) -> Table:
    table = Table(title="classes: default (lowest..highest a recipe may set)", title_justify="left")
    for heading in ("label", "class", "gate", "threshold", r"min area \[px]", "min peak", "max count"):
        table.add_column(heading)
    for label, c in enumerate(manifest.classes, start=1):
        limits = (c.gate, c.threshold, c.rule.min_area_px, c.rule.min_peak, c.rule.max_count)
        table.add_row(str(label), c.name, *(_limit_text(limit) for limit in limits))
    return table


def _limit_text(limit: Limit) -> str:
    return f"{limit.default:g} ({limit.low:g}..{limit.high:g})"


def _file_table(bundle: Bundle) -> Table:
    table = Table(title="files", title_justify="left")
    table.add_column("file")
    table.add_column("KiB", justify="right")
    table.add_column("SHA-256")
    table.add_column("operators", overflow="fold")
    for name, data in bundle.files.items():
        operators = _operators(data) if name in (CLASSIFIER_NAME, SEGMENTER_NAME) else ""
        table.add_row(name, f"{len(data) / 1024:.0f}", bundle.manifest.files[name][:12], operators)
    return table


def _lint_findings(bundle: Bundle) -> list[str]:
    """Return what engines.lint finds; nothing where onnx is not installed: export has linted already."""
    try:
        from engines.lint import classifier_signature, lint, segmenter_signature
    except ImportError:
        return []
    manifest = bundle.manifest
    ports = (manifest.tile, manifest.channels, len(manifest.classes))
    return lint(bundle.classifier, classifier_signature(*ports)) + lint(bundle.segmenter, segmenter_signature(*ports))


def _operators(network: bytes) -> str:
    """Return ``Conv 28, Relu 18, ...``."""
    try:  # onnx comes with the extra 'train' and is not on every line PC
        from engines.lint import operator_counts
    except ImportError:
        return "(listed where the extra 'train' is installed)"
    return ", ".join(f"{name} {count}" for name, count in operator_counts(network).items())
