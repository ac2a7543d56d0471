"""
The genuine Python API of TensorRT, in three versions, as something that code can be checked against without a GPU.

The bindings are NVIDIA's wheels from PyPI; the libraries they load are replaced by stubs that return nothing, so that
classes can be looked at, and never run. From what they say of themselves a stub file for mypy is written: names,
parameters and what a call returns. Wheels and stubs stay in ``.cache``; they are not ours to hand on.
"""

from __future__ import annotations

import json
import keyword
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.made import CACHE, Unavailable, give_up, once, pip, run

VERSIONS = {
    "10.3": "tensorrt-cu12-bindings==10.3.0",  # JetPack 6
    "10.13": "tensorrt-cu13-bindings==10.13.3.9.post1",  # JetPack 7, CUDA 13
    "11.4": "tensorrt-cu13-bindings==11.4.0.106",  # every network strongly typed
}
Api = Mapping[str, Any]
"""Of a class: kind, bases, members, and enum or signatures; see _DESCRIBE."""

_ENTRY_POINTS = (
    *(f"create{made}_INTERNAL" for made in ("InferBuilder", "InferRefitter", "InferRuntime")),
    *(f"createNvOnnx{made}_INTERNAL" for made in ("Parser", "ParserRefitter")),
    "getBuilderPluginRegistry",
    "getInferLibVersion",
    "getLogger",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)

_DESCRIBE = r"""
import importlib, inspect, json, re, sys
trt = importlib.import_module(sys.argv[1])

def signatures(of):
    lines = [re.sub(r"^\d+\. ", "", line.strip()) for line in (of.__doc__ or "").splitlines()]
    found = [re.sub(r"tensorrt_bindings\.(tensorrt\.)?", "", l) for l in lines if re.match(r"\w+\(.*\) -> .+", l)]
    return found or ([of.__name__ + str(inspect.signature(of)).replace("'", "") + " -> object"]
                     if inspect.isfunction(of) else [])

def describe(of, name, depth=0):
    if inspect.isclass(of):
        enum = dict.fromkeys(getattr(of, "__members__", ()), 0)
        names = dir(of) if sys.argv[1] != "tensorrt" else vars(of)
        members = {n: describe(inspect.getattr_static(of, n), n, depth + 1) for n in names
                   if depth < 3 and not n.startswith("_") and n not in enum}
        init = [] if sys.argv[1] == "tensorrt" and "__init__" not in vars(of) else signatures(of.__init__)
        return {"kind": "class", "bases": [b.__name__ for b in of.__mro__[1:]], "init": init, "enum": list(enum),
                "members": members, "indexed": hasattr(of, "__getitem__")}
    if isinstance(of, property):
        return {"kind": "property"}
    of = of.__func__ if isinstance(of, staticmethod) else of
    return {"kind": "callable", "signatures": signatures(of)} if callable(of) else {"kind": "value"}

left_out = {"ctypes", "os", "sys", "warnings", "tensorrt", "plugin"}
names = getattr(trt, "__all__", None) or [n for n in dir(trt) if not n.startswith("_") and n not in left_out]
json.dump({n: describe(getattr(trt, n), n) for n in names}, sys.stdout)
"""


def genuine(version: str) -> Path:
    """Return the folder of a version: ``api.json``, and ``stubs`` for mypy."""
    try:
        return once(
            f"tensorrt_{version}", (VERSIONS[version], Path(__file__).read_text(), sys.version), _Maker(version)
        )
    except Unavailable as error:
        give_up(error, f"the contract with TensorRT {version}")


def api_of(version: str) -> Api:
    """Return every public name of a version."""
    return json.loads((genuine(version) / "api.json").read_text())  # type: ignore[no-any-return]


def api_of_standin(environment: Mapping[str, str]) -> Api:
    """Return every name that the stand-in offers."""
    return json.loads(run(sys.executable, "-c", _DESCRIBE, "tensorrt", variables=environment))  # type: ignore[no-any-return]


def misuses(version: str, files: Sequence[Path]) -> list[str]:
    """Return what mypy says of the names and parameters of TensorRT that *files* use."""
    command = [sys.executable, "-m", "mypy", "--config-file=", "--python-version=3.10", "--no-error-summary"]
    # Nothing but names and parameters is known: neither that None drops a reference, nor what has a buffer.
    command += ["--follow-imports=skip", "--check-untyped-defs"]
    command += ["--disable-error-code=assignment", "--disable-error-code=arg-type"]
    command += [f"--cache-dir={CACHE / 'mypy-contract' / version}", *map(str, files)]
    variables = {**os.environ, "MYPYPATH": str(genuine(version) / "stubs")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def differences(offered: Api, there: Api) -> Iterator[str]:
    """Say which names and parameters of *offered* are not *there*."""
    for name, mine in offered.items():
        if name not in there:
            yield f"{name} is missing"
        elif mine["kind"] == "class":
            yield from _class_differences(name, mine, there[name])
        else:
            yield from _call_differences(name, mine["signatures"], there[name]["signatures"])


def _class_differences(name: str, mine: Any, there: Any) -> Iterator[str]:
    yield from (f"{name}.{member} is missing" for member in mine["enum"] if member not in there["enum"])
    yield from _call_differences(name, mine["init"], there["init"])
    for member, offered in mine["members"].items():
        if member not in there["members"]:
            yield f"{name}.{member} is missing"
        elif offered["kind"] == "callable":
            given = there["members"][member].get("signatures", [])
            yield from _call_differences(f"{name}.{member}", offered["signatures"], given)


def _call_differences(name: str, mine: Sequence[str], there: Sequence[str]) -> Iterator[str]:
    """A call of which the genuine package tells no parameters, an object that nobody constructs, is left alone."""
    known = [_parameters(signature) for signature in there]
    for signature in mine:
        if known and _parameters(signature) not in known:
            yield f"{name}{_parameters(signature)} has the parameters {known}"


class _Maker:
    """Downloads one version, looks at it and writes what it has found."""

    def __init__(self, version: str) -> None:
        self._requirement = VERSIONS[version]

    def __call__(self, folder: Path) -> None:
        pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder.parent), self._requirement)
        site = folder.parent / "site"
        zipfile.ZipFile(next(folder.parent.glob("*.whl"))).extractall(site)
        _stub_libraries(site / "tensorrt_bindings" / "tensorrt.so")
        described = run(sys.executable, "-c", _DESCRIBE, "tensorrt_bindings", variables={"PYTHONPATH": str(site)})
        (folder / "api.json").write_text(described)
        stubs = folder / "stubs" / "tensorrt"
        stubs.mkdir(parents=True)
        (stubs / "__init__.pyi").write_text("\n".join(_stub_lines(json.loads(described))))


def _stub_libraries(bindings: Path) -> None:
    """Put libraries that return nothing where the bindings look first: beside themselves."""
    source = bindings.with_name("nothing.c")
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in _ENTRY_POINTS))
    needed = re.findall(rb"libnv(?:infer|onnxparser|infer_plugin)\.so\.\d+", bindings.read_bytes())
    for name in sorted({name.decode() for name in needed}):
        run("gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(bindings.with_name(name)), str(source))


def _stub_lines(api: Api) -> Iterator[str]:
    yield "from typing import Any, ClassVar, overload"
    yield "__version__: str"
    for name, described in api.items():
        if described["kind"] == "class":
            yield from _class_lines(name, described, api)
        elif described["kind"] == "callable":
            yield from _call_lines(name, described["signatures"], api, "")
        else:
            yield f"{name}: Any"


def _class_lines(name: str, described: Any, api: Api, indent: str = "") -> Iterator[str]:
    bases = [base for base in described["bases"] if base in api][:1]
    yield f"{indent}class {name}{f'({bases[0]})' if bases else ''}:"
    inner = indent + "    "
    yield f"{inner}def __int__(self) -> int: ..."
    if described["indexed"]:
        yield f"{inner}def __getitem__(self, index: Any) -> Any: ..."
        yield f"{inner}def __iter__(self) -> Any: ..."
        yield f"{inner}def __len__(self) -> int: ..."
    yield from (f"{inner}{member}: ClassVar[{name}]" for member in described["enum"])
    yield from _call_lines("__init__", described["init"], api, inner)
    for member, of in described["members"].items():
        if of["kind"] == "class":
            yield from _class_lines(member, of, api, inner)
        elif of["kind"] == "callable":
            yield from _call_lines(member, of["signatures"], api, inner)
        else:
            yield f"{inner}{member}: Any"


def _call_lines(name: str, signatures: Sequence[str], api: Api, indent: str) -> Iterator[str]:
    """Write a call with the parameters and the class it returns; without that where the package tells neither."""
    if not signatures or any(keyword.iskeyword(p) for s in signatures for p in _parameters(s)):
        yield f"{indent}def {name}({'self, ' if indent else ''}*args: Any, **kwargs: Any) -> Any: ..."
        return
    for signature in signatures:
        returned = signature.rsplit("-> ", 1)[1]
        written, defaults = [], ""
        for parameter, has_default in _pairs(signature):
            defaults = " = ..." if has_default else defaults  # One that follows without is the package's own slip.
            written.append(parameter if parameter == "self" else f"{parameter}: Any{defaults}")
        if len(signatures) > 1:
            yield f"{indent}@overload"
        yield f"{indent}def {name}({', '.join(written)}) -> {returned if returned in api else 'Any'}: ..."


def _parameters(signature: str) -> list[str]:
    return [name for name, _ in _pairs(signature)]


def _pairs(signature: str) -> list[tuple[str, bool]]:
    """Return (name, has a default) of each parameter."""
    inside = signature[signature.index("(") + 1 : signature.rindex(") ->")]
    while (bare := re.sub(r"\[[^\[\]]*\]|<[^<>]*>|\([^()]*\)", "", inside)) != inside:
        inside = bare
    parts = [part.strip() for part in inside.split(",") if part.strip() not in ("", "/", "*")]
    return [(re.split(r"[:=]", part)[0].strip(), "=" in part) for part in parts]
