"""What our code uses of TensorRT exists in 10.3, 10.13 and 11.4; and so does all that its stand-in offers."""

from __future__ import annotations

import pytest

from tests.support.cuda.build import environment
from tests.support.made import REPOSITORY
from tests.support.tensorrt_contract import VERSIONS, api_of, api_of_standin, differences, misuses

OURS = [REPOSITORY / "edge/inspector/backend/tensorrt.py", REPOSITORY / "engines/plan.py"]
PREPARED = ("import tensorrt as trt", "builder = trt.Builder(trt.Logger())")
USES = {
    "builder.create_builder_config().progress_monitor": set(),
    "builder.platform_has_fast_fp16": {"11.4"},
    "trt.BuilderFlag.FP16": {"11.4"},
    "trt.BuilderFlag.EDITABLE_TIMING_CACHE": {"10.3"},
    "getattr(trt.BuilderFlag, 'EDITABLE_TIMING_CACHE', None)": set(),
    "builder.create_network(flag=1)": {"10.3", "10.13", "11.4"},
    "builder.build_serialized_network(network=None, config=None, kernel_text=None)": {"10.3"},
    "trt.Runtime(trt.Logger()).deserialize_cuda_engine(b'').get_binding_name(0)": {"10.3", "10.13", "11.4"},
}
"""Of code, the versions that lack what it uses."""


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_and_parameter_exists(version: str) -> None:
    """Classes, methods, parameters and enum members that two files use, by what each call returns."""
    assert misuses(version, OURS) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_stand_in_offers_nothing_else(version: str) -> None:
    """A test that passes on the stand-in uses no name, and no parameter, that the genuine package lacks."""
    assert list(differences(api_of_standin(environment()), api_of(version))) == []


@pytest.fixture(scope="module")
def lines_found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the lines of USES with which something is wrong, by version."""
    file = tmp_path_factory.mktemp("contract") / "uses.py"
    file.write_text("\n".join([*PREPARED, *USES]))
    found = {version: [int(said.split(":")[1]) for said in misuses(version, [file])] for version in VERSIONS}
    return {version: {list(USES)[n - 1 - len(PREPARED)] for n in numbers} for version, numbers in found.items()}


@pytest.mark.parametrize("code", USES)
def test_what_a_version_lacks_is_found(code: str, lines_found: dict[str, set[str]]) -> None:
    """The contract would tell: names, parameters, and methods of what a call returns; getattr is a guard."""
    assert {version for version, lines in lines_found.items() if code in lines} == USES[code]


def test_difference_of_a_stand_in_is_found() -> None:
    """A name that is not there, and a parameter of another name."""
    offered = {
        "Runtime": {
            "kind": "class",
            "init": ["__init__(self, log) -> object"],
            "enum": ["FAST"],
            "members": {"run": {"kind": "value"}},
        },
        "Nothing": {"kind": "class"},
    }
    assert list(differences(offered, api_of("10.3"))) == [
        "Runtime.FAST is missing",
        "Runtime['self', 'log'] has the parameters [['self', 'logger']]",
        "Runtime.run is missing",
        "Nothing is missing",
    ]
