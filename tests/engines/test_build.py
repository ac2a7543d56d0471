"""edge-engine build: engines that give PyTorch's verdicts are kept, others are shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge.bundle import read_bundle
from edge.errors import EdgeError
from edge.inspector.backend import BackendSettings
from edge.inspector.cache import PARITY_PAGE, EngineCache, target_of
from edge.inspector.engines import engines_for
from engines import build
from engines.main import main
from tests.support.bundles import picture


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures as the tiny bundle's line takes them."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(30):
        class_ids = ((), (1,), (2,))[number % 3]
        cv2.imwrite(str(folder / f"{number:02d}.png"), picture(7000 + number, *class_ids))
    return folder


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_lower_precision_is_built_proven_and_found(
    tiny_bundle: Path, pictures: Path, tmp_path: Path, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its band and its page; a station of that precision opens the very bytes."""
    flags = ["--precision", precision, "--calibration", str(pictures), "--cache", str(tmp_path)]
    assert main(["build", str(tiny_bundle), *flags]) == 0
    said = capsys.readouterr().out
    assert "guard band:" in said
    assert "kept in" in said
    bundle, settings = read_bundle(tiny_bundle), BackendSettings(precision=precision)  # type: ignore[arg-type]
    made = engines_for(bundle, settings, EngineCache(tmp_path))
    assert made.proof is not None
    assert made.proof.parity.band.score > 0
    assert made.classifier != bundle.classifier
    page = (tmp_path / target_of(bundle, settings).name / PARITY_PAGE).read_text(encoding="utf-8")
    assert "off gates" in page


def test_what_does_not_give_pytorchs_verdicts_is_not_kept(
    tiny_bundle: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 3, a page with the worst frames and the layers that moved most, and no entry."""
    monkeypatch.setattr(build, "problems_of", lambda report: ["IoU 0.1 over all frames, expected 0.98 or more"])
    flags = ["--precision", "int8", "--calibration", str(pictures), "--cache", str(tmp_path)]
    assert main(["build", str(tiny_bundle), *flags]) == build.NOT_IDENTICAL
    said = capsys.readouterr().out
    assert "failed: IoU 0.1" in said
    assert "not kept" in said
    assert EngineCache(tmp_path).entries() == []
    (page,) = tmp_path.glob("failed-*.html")
    assert "--keep segmenter:" in page.read_text(encoding="utf-8") or "--keep classifier:" in page.read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--precision", "int8"], "needs --calibration FOLDER"),
        (["--precision", "int8", "--calibration", "nowhere"], "nowhere"),
        (["--precision", "int8", "--calibration", "PICTURES", "--keep", "layer"], "expected classifier:LAYER"),
        (["--precision", "int8", "--calibration", "PICTURES", "--keep", "segmenter:nothing"], "nothing"),
        (["--precision", "int8", "--calibration", "FEW"], "expected 24 or more"),
        (["--precision", "int8", "--calibration", "PICTURES", "--size", "480x640"], "expected 480x640"),
        (["--precision", "int8", "--calibration", "PICTURES", "--size", "480"], "expected HEIGHTxWIDTH"),
        (["--precision", "fp16", "--calibration", "PICTURES", "--keep", "segmenter:x"], "only of int8"),
        (["--calibration", "PICTURES"], "takes no pictures"),
        (["--backend", "onnxruntime", "--precision", "bf16", "--calibration", "PICTURES"], "bf16"),
    ],
)
def test_bad_input_is_one_line(
    tiny_bundle: Path,
    pictures: Path,
    tmp_path: Path,
    flags: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What, and what to do; nothing is kept."""
    few = tmp_path / "few"
    few.mkdir()
    cv2.imwrite(str(few / "1.png"), picture(1))
    named = {"PICTURES": str(pictures), "FEW": str(few)}
    code = main(
        ["build", str(tiny_bundle), *(named.get(flag, flag) for flag in flags), "--cache", str(tmp_path / "cache")]
    )
    error = capsys.readouterr().err.strip()
    assert code in {kind.exit_code for kind in (EdgeError, *EdgeError.__subclasses__())}
    assert said in error
    assert "\n" not in error
    assert EngineCache(tmp_path / "cache").entries() == []
