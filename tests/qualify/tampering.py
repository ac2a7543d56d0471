"""
Bundles and engines that were changed, mixed, swapped or taken from yesterday: each must be refused, in one line.

The demo bundle is signed anew with a key of this run; each try changes one thing, reads the bundle as a station does,
and puts the change right again. Seeded: the same tries each time.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.bundle import Bundle, Trust, read_bundle, read_trusted_bundle
from edge.errors import EdgeError
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.cache import CLASSIFIER, PARITY_PAGE, SEGMENTER, EngineCache, target_of
from edge.inspector.engines import entry_of
from edge.inspector.equipment import refuse_other_bundle
from edge.inspector.parity import check_parity
from edge.settings import DEMO_BUNDLE
from edge.wire import sha256
from engines.contract import MANIFEST_NAME, SIGNATURE_NAME, TILES
from tests.qualify.report import table
from tests.support.signing import Signer, change_manifest

TITLE = "changed, mixed, swapped and old bundles, and changed engines: how many are refused"

_SEED = 20261130
_BYTES = 1000
_RACES = 100
_RELEASE = 7


@dataclass(frozen=True)
class Quarry:
    """
    A folder whose every byte is vouched for.

    Attributes:
        folder: a good one; changed and put right again.
        read: as a station reads it; an EdgeError refuses it.
    """

    name: str
    folder: Path
    read: Callable[[Path], object]

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@dataclass
class Tally:
    """
    What became of the tries of one kind.

    Attributes:
        harmless: the change came too late to matter: what was used is what was signed.
    """

    tries: int = 0
    refused: int = 0
    harmless: int = 0
    broken: list[str] = field(default_factory=list)

    def tried(self, what: str, read: Callable[[], object], good: Callable[[object], bool] = lambda got: False) -> None:
        """Read once; whatever is neither refused nor *good* breaks the promise."""
        self.tries += 1
        try:
            got = read()
        except EdgeError as error:
            self.refused += 1
            if "\n" in str(error):
                self.broken.append(f"{what}: told in more than one line")
        except Exception as error:  # noqa: BLE001 - a station would end with a traceback
            self.broken.append(f"{what}: {type(error).__name__}: {error}")
        else:
            self.harmless += good(got)
            if not good(got):
                self.broken.append(f"{what}: accepted")


def run(out: Path, scale: float) -> dict[str, Any]:
    """Try everything; ``broken`` has a line for each try that was accepted, or that ended otherwise than refused."""
    folder = out / "tampering"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = random.Random(_SEED)
    tallies: dict[tuple[str, str], Tally] = {}
    bundles = Bundles(folder)
    for quarry in (bundles.quarry(), *further_quarries(folder)):
        for kind, attack in EVERYWHERE.items():
            tallies[quarry.name, kind] = attack(quarry, rng, scale)
    for kind, attack_bundle in ON_BUNDLES.items():
        tallies["bundle", kind] = attack_bundle(bundles, rng, scale)
    _print(tallies)
    return {
        **{f"{name}: {kind}": [t.tries, t.refused, t.harmless] for (name, kind), t in tallies.items()},
        "broken": [f"{name}: {kind}: {line}" for (name, kind), t in tallies.items() for line in t.broken],
    }


def further_quarries(folder: Path) -> list[Quarry]:
    """Return what else is vouched for, each good as it lies in *folder*: an entry of the engine cache."""
    bundle, settings = read_bundle(DEMO_BUNDLE), BackendSettings()
    cache, target = EngineCache(folder / "engines"), target_of(bundle, settings)
    with (
        open_engine(settings, bundle.classifier, TILES, (4,)) as classifier,
        open_engine(settings, bundle.segmenter, TILES, (4,)) as segmenter,
    ):
        entry = entry_of(bundle, target, check_parity(bundle, classifier, segmenter), "tampering")
    files = {CLASSIFIER: bundle.classifier, SEGMENTER: bundle.segmenter, PARITY_PAGE: b"<html>"}
    return [Quarry("engine cache", cache.write(entry, files), lambda at: cache.read(target))]


# ---- on anything that is vouched for --------------------------------------------------------------------------------


def random_bytes(quarry: Quarry, rng: random.Random, scale: float) -> Tally:
    """One byte becomes another; every second time in a file drawn by its size, else each file is as likely."""
    tally = Tally()
    files = quarry.files()
    sizes = [path.stat().st_size for path in files]
    for number in range(max(20, round(_BYTES * scale))):
        path = rng.choices(files, sizes)[0] if number % 2 else rng.choice([f for f in files if f.stat().st_size])
        data = path.read_bytes()
        at, flip = rng.randrange(len(data)), rng.randint(1, 255)
        with changed(path, data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]):
            tally.tried(f"{path.name}, byte {at}: {flip:#04x}", lambda: quarry.read(quarry.folder))
    return tally


def lengths(quarry: Quarry, rng: random.Random, scale: float) -> Tally:
    """Each file empty, cut short, one byte longer, or gone."""
    tally = Tally()
    for path in quarry.files():
        data = path.read_bytes()
        for what, other in (("empty", b""), ("cut", data[:-1]), ("longer", data + b"\0")):
            with changed(path, other):
                tally.tried(f"{path.name} {what}", lambda: quarry.read(quarry.folder))
        if path.name == SIGNATURE_NAME:
            continue  # Without it the bundle is unsigned: tried by itself.
        with gone(path):
            tally.tried(f"{path.name} gone", lambda: quarry.read(quarry.folder))
    return tally


def extra_files(quarry: Quarry, rng: random.Random, scale: float) -> Tally:
    """One more file, in each folder, under names that might be overlooked."""
    tally = Tally()
    folders = sorted({path.parent for path in quarry.files()})
    for at in (*folders, quarry.folder / "more"):
        for name in ("extra.onnx", ".hidden", "manifest.json.bak", "__init__.py", "é"):
            with added(at / name):
                tally.tried(f"{at.name}/{name}", lambda: quarry.read(quarry.folder))
    return tally


def links(quarry: Quarry, rng: random.Random, scale: float) -> Tally:
    """Each file, and each folder in it, a symbolic link to the very same bytes; and a link to nowhere."""
    tally = Tally()
    inner = [path for path in quarry.folder.iterdir() if path.is_dir()]
    for path in (*quarry.files(), *inner):
        elsewhere = quarry.folder.parent / f"{path.name}.elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        tally.tried(f"{path.name} linked", lambda: quarry.read(quarry.folder))
        path.unlink()
        elsewhere.rename(path)
    nowhere = quarry.folder / "nowhere"
    nowhere.symlink_to(quarry.folder.parent / "not there")
    tally.tried("link to nowhere", lambda: quarry.read(quarry.folder))
    nowhere.unlink()
    return tally


EVERYWHERE: dict[str, Callable[[Quarry, random.Random, float], Tally]] = {
    "random byte": random_bytes,
    "length": lengths,
    "extra file": extra_files,
    "symbolic link": links,
}


# ---- on bundles -----------------------------------------------------------------------------------------------------


class Bundles:
    """
    Attributes:
        good: release 7, signed.
        other: release 8, signed by the same key; every file differs from the good one's.
        older: release 6, signed by the same key.
        trust: one key; release 7 was active.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer, self.stranger = Signer(folder), Signer(folder, "stranger")
        self.good = self.signer.copy(DEMO_BUNDLE, folder / "good", release=_RELEASE)
        self.older = self.signer.copy(DEMO_BUNDLE, folder / "older", release=_RELEASE - 1)
        self.other = shutil.copytree(self.good, folder / "other")
        for name in read_bundle(self.good).files:
            with (self.other / name).open("ab") as file:
                file.write(b"\0")
        list_anew(self.other, release=_RELEASE + 1)
        self.signer.sign(self.other)
        name = read_bundle(self.good).manifest.name
        self.trust = Trust((self.signer.key.public,), releases={name: _RELEASE})
        self.hash = self.read().hash
        read_trusted_bundle(self.other, self.trust)

    def read(self, folder: Path | None = None) -> Bundle:
        return read_trusted_bundle(folder or self.good, self.trust)

    def quarry(self) -> Quarry:
        return Quarry("bundle", self.good, self.read)

    def is_whole(self, got: object) -> bool:
        """Tell whether every byte in use is one that was signed for."""
        assert isinstance(got, Bundle)
        listed = got.manifest.files
        return got.hash == self.hash and {name: sha256(data) for name, data in got.files.items()} == listed

    def names(self) -> list[str]:
        return [path.relative_to(self.good).as_posix() for path in self.quarry().files()]


def list_anew(folder: Path, **changes: object) -> None:
    """Write a manifest that is true of the files: what an intruder can do who has no key."""
    unlisted = (MANIFEST_NAME, SIGNATURE_NAME)
    listed = [path for path in folder.rglob("*") if path.is_file() and path.name not in unlisted]
    files = {path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in listed}
    change_manifest(folder, {"files": files, **changes})


def foreign_files(bundles: Bundles, rng: random.Random, scale: float) -> Tally:
    """Each file from another bundle that is as good; manifest and signature together would be that bundle's."""
    tally = Tally()
    for name in bundles.names():
        with changed(bundles.good / name, (bundles.other / name).read_bytes()):
            tally.tried(name, bundles.read)
    with (
        changed(bundles.good / MANIFEST_NAME, (bundles.other / MANIFEST_NAME).read_bytes()),
        changed(bundles.good / SIGNATURE_NAME, (bundles.other / SIGNATURE_NAME).read_bytes()),
    ):
        tally.tried("manifest with signature", bundles.read)
    return tally


def older_bundle(bundles: Bundles, rng: random.Random, scale: float) -> Tally:
    """Whole and signed, but of yesterday; and with today's number written into it."""
    tally = Tally()
    tally.tried("release 6 after 7", lambda: bundles.read(bundles.older))
    manifest = (bundles.older / MANIFEST_NAME).read_bytes()
    change_manifest(bundles.older, {"release": _RELEASE})
    tally.tried("its number raised", lambda: bundles.read(bundles.older))
    (bundles.older / MANIFEST_NAME).write_bytes(manifest)
    return tally


def without_the_key(bundles: Bundles, rng: random.Random, scale: float) -> Tally:
    """Altered and listed anew: with the old signature, with none, and with a stranger's."""
    tally = Tally()
    forged = shutil.copytree(bundles.good, bundles.folder / "forged")
    network = forged / "segmenter.onnx"
    network.write_bytes(network.read_bytes() + b"\0")
    list_anew(forged)
    tally.tried("old signature", lambda: bundles.read(forged))
    (forged / SIGNATURE_NAME).unlink()
    tally.tried("no signature", lambda: bundles.read(forged))
    bundles.stranger.sign(forged)
    tally.tried("a stranger's signature", lambda: bundles.read(forged))
    loose = Trust(bundles.trust.keys, allow_unsigned=True)
    tally.tried("a stranger's signature, allow_unsigned", lambda: read_trusted_bundle(forged, loose))
    return tally


def after_the_check(bundles: Bundles, rng: random.Random, scale: float) -> Tally:
    """Tried beside the line, then exchanged in its folder by another good bundle: the hash that was tried tells."""
    tally = Tally()

    def load() -> Bundle:
        bundle = bundles.read()
        refuse_other_bundle(bundle, checked)
        return bundle

    checked = bundles.read().hash
    aside = bundles.folder / "aside"
    bundles.good.rename(aside)
    shutil.copytree(bundles.other, bundles.good)
    tally.tried("another good bundle", load)
    shutil.rmtree(bundles.good)
    aside.rename(bundles.good)
    for name in bundles.names():
        data = (bundles.good / name).read_bytes()
        loaded = load()
        with changed(bundles.good / name, bytes(len(data))):
            tally.tried(f"{name}, after the load", lambda loaded=loaded: loaded, bundles.is_whole)  # type: ignore[misc]
            tally.tried(f"{name}, before the load", load)
    return tally


def during_the_load(bundles: Bundles, rng: random.Random, scale: float) -> Tally:
    """A file changes to and fro while the bundle is read: refused, or every byte in use is one that was signed for."""
    tally = Tally()
    for number in range(max(5, round(_RACES * scale))):
        name = rng.choice(bundles.names())
        with flickering(bundles.good / name, bundles.folder / "bad"):
            tally.tried(f"{name}, race {number}", bundles.read, bundles.is_whole)
    return tally


ON_BUNDLES: dict[str, Callable[[Bundles, random.Random, float], Tally]] = {
    "file of another bundle": foreign_files,
    "older bundle": older_bundle,
    "altered, listed anew": without_the_key,
    "changed after the check": after_the_check,
    "changed during the load": during_the_load,
}


# ---- changes that are put right again -------------------------------------------------------------------------------


@contextmanager
def changed(path: Path, data: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def gone(path: Path) -> Iterator[None]:
    before = path.read_bytes()
    path.unlink()
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def added(path: Path) -> Iterator[None]:
    made = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"extra")
    try:
        yield
    finally:
        path.unlink()
        if made:
            path.parent.rmdir()


@contextmanager
def flickering(path: Path, beside: Path) -> Iterator[None]:
    """Exchange a file for one of another byte and back, as fast as it goes, until the end."""
    good = path.read_bytes()
    bad = bytes([good[0] ^ 1]) + good[1:]
    ended = threading.Event()

    def flicker() -> None:
        while not ended.is_set():
            for data in (bad, good):
                beside.write_bytes(data)
                beside.replace(path)

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _print(tallies: dict[tuple[str, str], Tally]) -> None:
    whole = Counter({"tries": 0})
    rows: list[tuple[object, ...]] = []
    for (name, kind), tally in tallies.items():
        rows.append((f"{name}: {kind}", tally.tries, tally.refused, tally.harmless, len(tally.broken)))
        whole.update(tries=tally.tries, refused=tally.refused, harmless=tally.harmless, broken=len(tally.broken))
    rows.append(("all", *(whole[key] for key in ("tries", "refused", "harmless", "broken"))))
    table(
        "Tampering: refused, or without effect since the bytes in use were read before",
        ("what was changed", "tries", "refused", "without effect", "broken"),
        rows,
    )
