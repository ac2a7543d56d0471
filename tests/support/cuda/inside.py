"""
Test files that run in a process of their own, on the stand-ins for CUDA and TensorRT.

Such a file is named so that pytest does not find it (``cuda_cases.py``); a test file beside it runs it once, and has
one test for each of its functions.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

from tests.support.cuda.build import environment
from tests.support.made import REPOSITORY


def cases(file: Path) -> list[str]:
    """Return the names of a file's test functions, its own and those it imports."""
    nodes = ast.parse(file.read_text()).body
    own = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    imported = [alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [name for name in own + imported if name.startswith("test_")]


def run_inside(file: Path, report: Path, **variables: str) -> dict[str, str]:
    """
    Run a file's tests on the stand-ins.

    Args:
        report: a path for pytest's report.
        variables: for the environment of the process.

    Returns:
        What each of its functions has to say: nothing, if it passed.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**environment(), **variables}, cwd=REPOSITORY
    )
    if done.returncode not in (0, 1):
        return defaultdict(lambda: f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    words: dict[str, str] = defaultdict(lambda: f"did not run\n{done.stdout}\n{done.stderr}")
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").split("[")[0]
        said = "".join(part.text or "" for part in case if part.tag in ("failure", "error", "skipped"))
        words[name] = words.get(name, "") + said
    return words
