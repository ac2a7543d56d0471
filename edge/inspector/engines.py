"""Which bytes a station's backend opens: the bundle's own networks, or what was made of them on this machine before."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from edge.bundle import Bundle
from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendSettings
from edge.inspector.cache import CLASSIFIER, SEGMENTER, EngineCache, Entry, Target, target_of
from edge.inspector.parity import ParityReport, problems_of

log = logging.getLogger("edge.inspector")


@dataclass(frozen=True)
class Made:
    """
    Attributes:
        classifier, segmenter: what the backend opens.
        proof: the entry that proves them on this machine; None = they are still to be proven.
    """

    classifier: bytes
    segmenter: bytes
    proof: Entry | None


def engines_for(bundle: Bundle, settings: BackendSettings, cache: EngineCache) -> Made:
    """
    Return what to open for *bundle*.

    Raises:
        ConfigurationError: the backend's package or its device is not there.
        BundleError: it must be built before and was not (says the command), was altered, or its proof is not good.
    """
    target = target_of(bundle, settings)
    if is_own(settings):
        return Made(bundle.classifier, bundle.segmenter, _proof_of_own(bundle, target, cache))
    cached = cache.read(target)
    if cached is None:
        raise BundleError(_not_built(bundle, settings, target, cache))
    problems = problems_of(cached.entry.parity)
    if problems:
        raise BundleError(f"{cache.folder / target.name}: its proof says: {problems[0]}; build it again")
    return Made(cached.classifier, cached.segmenter, cached.entry)


def is_own(settings: BackendSettings) -> bool:
    """Tell whether the bundle's own networks are opened, as they are: then a start needs no build before it."""
    return settings.name != "tensorrt" and settings.precision in ("fp32", "bf16")


def keep_proof(bundle: Bundle, settings: BackendSettings, cache: EngineCache, report: ParityReport) -> None:
    """Keep the proof of the bundle's own networks for the next start; a cache that cannot be written is told only."""
    entry = entry_of(bundle, target_of(bundle, settings), report, "first start")
    try:
        cache.write(entry, {CLASSIFIER: bundle.classifier, SEGMENTER: bundle.segmenter})
    except (BundleError, ConfigurationError) as error:
        log.warning("%s; each start proves the engines anew", error)


def entry_of(bundle: Bundle, target: Target, report: ParityReport, made_with: str) -> Entry:
    """Return an entry of this moment; its files are told by whoever writes it."""
    return Entry(
        target=target,
        bundle=f"{bundle.manifest.name} {bundle.manifest.version}, release {bundle.manifest.release}",
        made_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        made_with=made_with,
        parity=report,
        files={},
    )


def _proof_of_own(bundle: Bundle, target: Target, cache: EngineCache) -> Entry | None:
    """
    Return a proof of the very networks in the bundle; in fp32 one that is not believed is made anew, and replaced.

    Raises:
        BundleError: the proof of a lower precision is not believed.
    """
    try:
        cached = cache.read(target)
    except (BundleError, ConfigurationError) as error:
        if target.precision != "fp32":
            # A band that was built of many pictures must not give way to one of the few reference frames.
            raise
        log.warning("%s; the engines are proven anew", error)
        return None
    if cached is None or problems_of(cached.entry.parity):
        return None
    return cached.entry if (cached.classifier, cached.segmenter) == (bundle.classifier, bundle.segmenter) else None


def _not_built(bundle: Bundle, settings: BackendSettings, target: Target, cache: EngineCache) -> str:
    command = f"edge-engine build {bundle.path} --backend {settings.name} --precision {settings.precision}"
    if settings.precision != "fp32":
        command += " --calibration PICTURES"
    others = list(_others(target, cache))
    found = f"only for {others[0]}" if others else "none"
    return (
        f"{cache.folder}: no engine of this bundle for {target.backend} {target.precision} on {target.device}: found "
        f"{found}; build it here: {command} --cache {cache.folder}"
    )


def _others(target: Target, cache: EngineCache) -> Iterator[str]:
    """Yield what engines of the same bundle are for: made with another version, for another device or precision."""
    for _, entry in cache.entries():
        if isinstance(entry, Entry) and entry.target.bundle_hash == target.bundle_hash:
            yield f"{entry.target.backend} {entry.target.precision} on {entry.target.device}"
