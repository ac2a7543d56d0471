"""
What a lower precision gains and what it costs: time, megabytes, masks, verdicts, the guard band and its overkill.

The shipped bundle on the synthetic strip, on two threads, every configuration in turn: compare within a round. The
reference is ONNX Runtime in float32, which stands for PyTorch after it has passed parity. What was measured is kept
part by part, so that times can be taken anew on a quieter machine: remove ``precision/times.json``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from edge.bundle import Bundle, read_bundle
from edge.inspector.parity import check_parity
from edge.rules import default_recipe
from edge.synthetic import Strip
from engines.calibration_set import CalibrationSet, read_calibration_set
from engines.moved import costly_layers
from tests.qualify.precision_frames import APART, CALIBRATION_SEED, Frames
from tests.qualify.precision_machines import (
    BASE,
    BATCHES,
    INT8,
    MACHINES,
    REFERENCE,
    THREADS,
    Engines,
    Machine,
    networks_of,
    open_engines,
    resident_mb,
    times_of,
)
from tests.qualify.report import CONSOLE, REPOSITORY, circumstances, table, with_spread

TITLE = "time, size, masks and verdicts of fp32, bf16 and int8 on a CPU"

_BUNDLE = REPOSITORY / "edge" / "demo_bundle"
_ROUNDS, _PICTURES, _FRAMES = 15, 180, 500
_AIMED_SPEED, _AIMED_IOU = 2.5, 0.98

Figures = dict[str, Any]


def run(out: Path, scale: float) -> Figures:
    """Quantise, take the times, measure the bands, judge the frames."""
    folder, bundle = out / "precision", read_bundle(_BUNDLE)
    found = _pictures(bundle, folder / "pictures", max(24, round(_PICTURES * scale)))
    tiles = found.tiles(bundle.manifest)
    networks = networks_of(bundle, tiles)
    with ExitStack() as opened:
        engines = {machine: open_engines(opened, machine, networks[machine]) for machine in MACHINES}
        report = check_parity(bundle, *engines[REFERENCE])
        CONSOLE.print(f"{REFERENCE.name} against PyTorch: score deviation {report.score_deviation:.1e}", markup=False)
        times = _kept(folder / "times.json", scale, lambda: times_of(engines, max(3, round(_ROUNDS * scale))))
        judged = _kept(
            folder / "judged.json", scale, lambda: _judged(bundle, found, engines, max(20, round(_FRAMES * scale)))
        )
    size = {
        machine.name: {
            "files": sum(map(len, networks[machine])) / 1e6,
            "memory": resident_mb(machine, networks[machine]),
        }
        for machine in MACHINES
    }
    _print_times(times, size)
    _print_verdicts(judged)
    for name, (master, quantised) in {
        "classifier": (bundle.classifier, networks[INT8][0]),
        "segmenter": (bundle.segmenter, networks[INT8][1]),
    }.items():
        costs = ", ".join(f"{layer} {cost:.1%}" for layer, cost in costly_layers(master, quantised, tiles[:4], most=6))
        CONSOLE.print(f"{name}, int8, one layer at a time moves the logits by: {costs}", markup=False)
    return {"times": times, "MB": size, "judged": judged, "broken": _broken(judged)}


def _pictures(bundle: Bundle, folder: Path, count: int) -> CalibrationSet:
    folder.mkdir(parents=True, exist_ok=True)
    strip = Strip(CALIBRATION_SEED, defect_share=0.6)
    for number in range(count):
        path = folder / f"{number:04}.png"
        if not path.exists():
            cv2.imwrite(str(path), strip.frame(number * APART).image)
    return read_calibration_set(folder, bundle.manifest, [(strip.height, strip.width)])


def _kept(path: Path, scale: float, measure: Callable[[], Figures]) -> Figures:
    """Return what *path* holds at this scale, or measure it and keep it there with its circumstances."""
    kept: Figures = json.loads(path.read_bytes()) if path.exists() else {}
    if kept.get("scale") != scale:
        under, figures = circumstances(), measure()
        kept = {"scale": scale, **under, "load after": circumstances()["load"], "figures": figures}
        path.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    load = f"load {kept['load']:.1f} before, {kept['load after']:.1f} after"
    CONSOLE.print(f"{path.name}: {kept['date']}, {kept['commit']}, {load}", markup=False)
    found: Figures = kept["figures"]
    return found


def _judged(bundle: Bundle, found: CalibrationSet, engines: Mapping[Machine, Engines], count: int) -> Figures:
    frames = Frames(bundle, default_recipe(bundle.manifest.classes), engines)
    bands = frames.bands(found)
    return {
        "bands": {machine.name: {**msgspec.to_builtins(of), "overkill": of.overkill} for machine, of in bands.items()},
        "frames": frames.judged(bands, count),
    }


def _ratios(times: Figures, name: str, n: int) -> list[float]:
    """Return how many times faster than BASE both networks together are, round by round."""
    own, base = (np.array(times[of][f"classify {n}"]) + np.array(times[of][f"segment {n}"]) for of in (name, BASE.name))
    return [float(ratio) for ratio in base / own]


def _print_times(times: Figures, size: Figures) -> None:
    rounds = len(times[BASE.name]["segment 1"])
    headings = [f"{n} tile{'s' * (n > 1)}" for n in BATCHES]
    table(
        f"Classifier + segmenter [ms], medians of {rounds} interleaved rounds on {THREADS} threads; MB of both files, "
        "and what both open engines add to a process",
        ("", *headings, "MB files", "MB memory"),
        [
            (
                name,
                *(
                    " + ".join(f"{statistics.median(of[f'{stage} {n}']):.1f}" for stage in ("classify", "segment"))
                    for n in BATCHES
                ),
                size[name]["files"],
                f"{size[name]['memory']:.0f}",
            )
            for name, of in times.items()
        ],
    )
    table(
        f"Times faster than {BASE.name}, both networks together: median of the rounds (lowest to highest); aim for "
        f"int8: {_AIMED_SPEED}",
        ("", *headings),
        [(name, *(with_spread(_ratios(times, name, n)) for n in BATCHES)) for name in times],
    )


def _print_verdicts(judged: Figures) -> None:
    some = judged["frames"][REFERENCE.name]
    table(
        f"{some['frames']} frames, half within 10 % of a gate or limit, against {REFERENCE.name} "
        f"({some['rejected by the reference']} REJECT; {some['defective']} defective). IoU where it marks something, "
        f"of all pixels and without those in doubt, aim {_AIMED_IOU}; verdicts without / with the guard band",
        ("", "score deviation", "IoU", "IoU, clear", "flips", "REJECT -> PASS", "overkill of sound frames"),
        [
            (
                name,
                f"{of['score deviation']:.3f}",
                f"{of['IoU']:.4f}",
                f"{of['IoU, clear']:.4f}",
                f"{of['plain']['flips']} / {of['banded']['flips']}",
                f"{of['plain']['opens']} / {of['banded']['opens']}",
                " / ".join(_share(of[key]["overkill"], of["sound and passing"]) for key in ("plain", "banded")),
            )
            for name, of in judged["frames"].items()
        ],
    )
    first = judged["bands"][REFERENCE.name]
    table(
        f"Guard bands, measured on {first['frames']} others ({first['rejected']} REJECT); without / with it there",
        ("", "score", "area share", "peak", "regions", "flips", "REJECT -> PASS", "overkill of frames that pass"),
        [
            (
                name,
                *(f"{of['band'][key]:.3f}" for key in ("score", "area_share", "peak")),
                of["regions"],
                f"{of['flips']} / {of['guarded_flips']}",
                f"{of['fails_open']} / {of['guarded_fails_open']}",
                f"{of['overkill']:.1%}",
            )
            for name, of in judged["bands"].items()
        ],
    )


def _share(count: int, whole: int) -> str:
    return f"{count} ({count / max(whole, 1):.1%})"


def _broken(judged: Figures) -> Sequence[str]:
    return [
        f"{name}: {of['banded']['opens']} REJECT -> PASS in spite of the guard band"
        for name, of in judged["frames"].items()
        if of["banded"]["opens"]
    ]
