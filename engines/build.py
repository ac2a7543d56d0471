"""``edge-engine build``: make a bundle's engines for this machine, prove them, keep them in the engine cache."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
from rich.console import Console

from edge.bundle import Bundle, read_bundle
from edge.errors import ConfigurationError, ParityFailed
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.cache import BUILD_LOG, CLASSIFIER, LAYERS, PARITY_PAGE, SEGMENTER, EngineCache, Target, target_of
from edge.inspector.engines import entry_of
from edge.inspector.guard import NO_BAND, GuardReport, measure_guard, refuse_wide_band
from edge.inspector.parity import ParityReport, measure_parity, problems_of
from edge.reference import load_reference
from edge.rules import default_recipe
from edge.settings import default_engine_cache
from engines.calibration_set import CalibrationSet, read_calibration_set
from engines.contract import TILES, Manifest
from engines.options import Build
from engines.page import page_from_report, worst_frames

NOT_IDENTICAL = 3
"""The exit code of ParityFailed: the lines before have said why."""

_TIMING_CACHE = "timing.cache"
_MOVED_TILES = 4
_CHECKED_BATCHES = (1, 4)
NETWORKS = (CLASSIFIER, SEGMENTER)


@dataclass(frozen=True)
class _Made:
    """
    Attributes:
        networks: ONNX files in the precision asked for, by CLASSIFIER and SEGMENTER.
        engines: what the backend opens, by the same names.
        more: files for people, by name.
    """

    networks: Mapping[str, bytes]
    engines: Mapping[str, bytes]
    more: Mapping[str, bytes]


@dataclass(frozen=True)
class _Proof:
    parity: ParityReport
    guard: GuardReport | None
    problems: Sequence[str]
    page: str


def build_engines(command: Build, console: Console) -> int:
    """
    Make, prove and keep the engines; print what was found.

    Returns:
        0, or 3 when they do not give PyTorch's verdicts: the page that shows it is kept, the engines are not.

    Raises:
        ConfigurationError: no such backend or device here, or the pictures that a lower precision needs are not named.
        DataError: too few pictures, or of another size.
        BundleError: the bundle is altered, or the backend refuses a network.
    """
    bundle = read_bundle(command.bundle)
    settings = command.settings
    cache, target = EngineCache(command.cache or default_engine_cache()), target_of(bundle, settings)
    pictures = _pictures(command, bundle)
    _refuse_idle_flags(command)
    cache.require_writable()
    say = _sayer(console)
    made = _engines(settings, bundle, _networks(command, bundle, pictures), cache, say)
    proof = _proven(settings, bundle, made, pictures, target)
    for line in _lines(proof):
        say(line)
    if proof.problems:
        path = cache.folder / f"failed-{target.name}.html"
        path.write_text(proof.page, encoding="utf-8")
        say(f"not kept; {path} shows the worst frames")
        return NOT_IDENTICAL
    entry = entry_of(bundle, target, proof.parity, shlex.join(["edge-engine", *sys.argv[1:]]))
    path = cache.write(entry, {**made.engines, **made.more, PARITY_PAGE: proof.page.encode()})
    say(f"kept in {path}; {path / PARITY_PAGE} shows the worst frames")
    return 0


def _sayer(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, highlight=False, soft_wrap=True, markup=False)


def _pictures(command: Build, bundle: Bundle) -> CalibrationSet | None:
    if command.precision == "fp32":
        return None
    if command.calibration is None:
        raise ConfigurationError(
            f"--precision {command.precision} needs --calibration FOLDER: pictures as the line takes them, a third to "
            "calibrate with and the others to measure how far this precision strays"
        )
    manifest = bundle.manifest
    sizes = {_size(text) for text in command.size}
    if not sizes:
        shapes = [load_reference(bundle, frame).image.shape for frame in manifest.reference]
        sizes = {(shape[0], shape[1]) for shape in shapes}
    return read_calibration_set(command.calibration, manifest, sizes)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise ConfigurationError(f"--size {text}: expected HEIGHTxWIDTH in px, for instance 256x1600")
    return int(height), int(width)


def _refuse_idle_flags(command: Build) -> None:
    """Refuse what would be passed over in silence."""
    if command.keep and command.precision != "int8":
        raise ConfigurationError(f"--keep {command.keep[0]}: only of int8 can a layer be left alone; leave it out")
    if command.precision == "fp32" and command.calibration is not None:
        raise ConfigurationError("--calibration: fp32 is what was exported and takes no pictures; leave it out")


def _networks(command: Build, bundle: Bundle, pictures: CalibrationSet | None) -> dict[str, bytes]:
    """Return both networks as ONNX files in the precision asked for."""
    masters = {CLASSIFIER: bundle.classifier, SEGMENTER: bundle.segmenter}
    if command.precision in ("fp32", "bf16"):
        return masters
    try:
        from engines.half import half_from_network
        from engines.quantise import int8_from_network
    except ImportError as error:
        raise ConfigurationError(
            f"--precision {command.precision} needs the extra 'engines' ({error}); install 'edge-inspect[engines]'"
        ) from error
    if command.precision == "fp16":
        return {name: half_from_network(network) for name, network in masters.items()}
    assert pictures is not None
    tiles, kept = pictures.tiles(bundle.manifest), _kept(command.keep)
    return {
        name: int8_from_network(
            network, tiles, target="tensorrt" if command.backend == "tensorrt" else "cpu", keep=kept[name]
        )
        for name, network in masters.items()
    }


def _kept(texts: Sequence[str]) -> dict[str, list[str]]:
    """Sort ``segmenter:LAYER`` by network."""
    kept: dict[str, list[str]] = {name: [] for name in NETWORKS}
    for text in texts:
        network, _, layer = text.partition(":")
        if network not in kept or not layer:
            raise ConfigurationError(
                f"--keep {text}: expected classifier:LAYER or segmenter:LAYER, as the report has it"
            )
        kept[network].append(layer)
    return kept


def _engines(
    settings: BackendSettings,
    bundle: Bundle,
    networks: dict[str, bytes],
    cache: EngineCache,
    say: Callable[[str], None],
) -> _Made:
    """Compile what has to be compiled: a CPU backend compiles when it opens, in half a second."""
    if settings.name != "tensorrt":
        return _Made(networks, networks, {})
    from engines.plan import build_plan

    timing = cache.folder / _TIMING_CACHE
    known = timing.read_bytes() if timing.exists() else b""
    plans, logs, layers = dict[str, bytes](), list[str](), dict[str, msgspec.Raw]()
    for name, network in networks.items():
        plan = build_plan(
            network, TILES, bucket_sizes(bundle.manifest.max_tiles), known, _prefixed(say, name), gpu=settings.gpu
        )
        plans[name], known = plan.plan, plan.timing_cache
        logs.append(f"== {name}\n{plan.log}\n")
        layers[name] = msgspec.Raw(plan.layers.encode())
    cache.folder.mkdir(parents=True, exist_ok=True)
    timing.write_bytes(known)
    return _Made(networks, plans, {BUILD_LOG: "".join(logs).encode(), LAYERS: msgspec.json.encode(layers)})


def _prefixed(say: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: say(f"{name}: {line}")


def _proven(
    settings: BackendSettings, bundle: Bundle, made: _Made, pictures: CalibrationSet | None, target: Target
) -> _Proof:
    manifest = bundle.manifest
    with ExitStack() as opened:
        engines = _opened(opened, settings, made.engines, manifest)
        guard = None if pictures is None else _guard(opened, bundle, pictures, engines)
        parity = measure_parity(bundle, *engines, NO_BAND if guard is None else guard.band)
        pages = worst_frames(bundle, parity, engines[1])
    problems = [*problems_of(parity), *(_band_problems(guard, manifest, target) if guard is not None else [])]
    moved, costly = (_moved(bundle, made, pictures, costly=of) if problems else [] for of in (False, True))
    facts = {
        "bundle": f"{manifest.name} {manifest.version}, release {manifest.release}, {bundle.hash[:12]}",
        "backend": f"{target.backend} {target.precision}",
        "device": target.device,
        "command": shlex.join(["edge-engine", *sys.argv[1:]]),
        **({} if guard is None else {"guard band": _in_words(guard)}),
    }
    return _Proof(parity, guard, problems, page_from_report(parity, problems, facts, pages, moved, costly))


def _opened(
    opened: ExitStack, settings: BackendSettings, engines: Mapping[str, bytes], manifest: Manifest
) -> tuple[Engine, Engine]:
    batches = [size for size in _CHECKED_BATCHES if size <= manifest.max_tiles]
    if settings.name == "tensorrt":
        batches = list(bucket_sizes(manifest.max_tiles))
    classifier, segmenter = (
        opened.enter_context(open_engine(settings, engines[name], TILES, batches)) for name in NETWORKS
    )
    return classifier, segmenter


def _guard(opened: ExitStack, bundle: Bundle, pictures: CalibrationSet, engines: tuple[Engine, Engine]) -> GuardReport:
    """Measure the band against the bundle's own networks in float32 on the default backend."""
    masters = {CLASSIFIER: bundle.classifier, SEGMENTER: bundle.segmenter}
    exact = _opened(opened, BackendSettings(), masters, bundle.manifest)
    recipe = default_recipe(bundle.manifest.classes)
    return measure_guard(bundle.manifest, recipe, pictures.guard_frames(), exact, engines)


def _band_problems(guard: GuardReport, manifest: Manifest, target: Target) -> list[str]:
    try:
        refuse_wide_band(guard, manifest.max_guard, f"{target.backend} {target.precision}")
    except ParityFailed as error:
        return [str(error)]
    return []


def _moved(bundle: Bundle, made: _Made, pictures: CalibrationSet | None, *, costly: bool) -> list[tuple[str, float]]:
    """Return the layers that moved most in either network, or those worth keeping, named as --keep wants them."""
    if pictures is None or made.networks[CLASSIFIER] == bundle.classifier:
        return []
    from engines.moved import MOST_NAMED, costly_layers, moved_layers

    tiles = pictures.tiles(bundle.manifest, _MOVED_TILES)
    masters = {CLASSIFIER: bundle.classifier, SEGMENTER: bundle.segmenter}
    found = [
        (f"{name}:{layer}", deviation)
        for name, master in masters.items()
        for layer, deviation in (costly_layers if costly else moved_layers)(master, made.networks[name], tiles)
    ]
    return sorted(found, key=lambda pair: -pair[1])[:MOST_NAMED]


def _lines(proof: _Proof) -> list[str]:
    parity = proof.parity
    iou = "no marks to compare" if parity.iou is None else f"IoU {parity.iou:.4f}"
    lines = [
        f"{parity.backend} {parity.precision}: {len(parity.frames)} reference frames, {iou}, score deviation "
        f"{parity.score_deviation:.1e}, verdict flips {parity.verdict_flips}, REJECT -> PASS {parity.fails_open}; with "
        f"the guard band {parity.guarded_flips} and {parity.guarded_fails_open}"
    ]
    if proof.guard is not None:
        lines.append(f"guard band: {_in_words(proof.guard)}")
    return lines + [f"failed: {problem}" for problem in proof.problems]


def _in_words(guard: GuardReport) -> str:
    band = guard.band
    return (
        f"{band.score:g} off gates, {band.area_share:.1%} off areas, {band.peak:g} off peaks, on {guard.frames} frames "
        f"and {guard.regions} regions; without it {guard.flips} verdicts flip, {guard.fails_open} REJECT -> PASS; with "
        f"it {guard.guarded_fails_open}, and {guard.overkill:.1%} of the passing frames are rejected"
    )
