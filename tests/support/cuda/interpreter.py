"""A Python that has the stand-ins installed, for programs that start others isolated, as the station does."""

from __future__ import annotations

import os
import site
import subprocess
import venv
from pathlib import Path

from tests.support.cuda.build import environment


def make_interpreter(folder: Path) -> tuple[Path, dict[str, str]]:
    """
    Make a virtual environment in *folder* that sees this one's packages and the stand-ins.

    Returns:
        Its Python, and the environment that its processes need: the stand-in for the driver is found by it.
    """
    variables = environment()
    venv.create(folder, symlinks=True)
    paths = [*variables.pop("PYTHONPATH").split(os.pathsep), *site.getsitepackages()]
    packages = next(folder.glob("lib/python*/site-packages"))
    # addsitedir: the editable install of this project is a .pth file itself.
    lines = [f"import site; site.addsitedir({path!r})" for path in paths]
    (packages / "standins.pth").write_text("\n".join(lines) + "\n")
    python = folder / "bin" / "python"
    subprocess.run([python, "-I", "-c", "import edge, pycuda, tensorrt"], check=True, env=variables)
    return python, variables
