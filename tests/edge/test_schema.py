"""The schema of the wire says what the records say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import msgspec
import pytest

from edge.records import Reason
from edge.requests import REQUESTS, AnyAnswer, AnyRequest
from edge.schema import schema_of_wire
from edge.wire import Published

RECORDS = [*get_args(Published), *get_args(AnyRequest), *get_args(AnyAnswer)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_is_there_with_all_its_fields_required(record: type[msgspec.Struct]) -> None:
    """A reader that is generated from the schema refuses what we would refuse."""
    definition = schema_of_wire()["$defs"][record.__name__]
    tag_field = record.__struct_config__.tag_field
    assert set(definition["properties"]) == {tag_field, *record.__struct_encode_fields__}
    assert set(definition["required"]) == set(definition["properties"])
    assert definition["additionalProperties"] is False


def test_the_closed_lists_stand_in_it() -> None:
    """Reasons are those of the one table."""
    assert schema_of_wire()["$defs"]["Reason"]["enum"] == sorted(reason.value for reason in Reason)


def test_each_request_of_the_table_may_be_asked() -> None:
    """REQUESTS and the schema's choice of requests are the same."""
    choice = schema_of_wire()["$defs"]["request"]["anyOf"]
    assert {reference["$ref"].rpartition("/")[2] for reference in choice} == {record.__name__ for record in REQUESTS}


def test_the_command_prints_it() -> None:
    """``python -m edge.schema`` writes one JSON document."""
    printed = subprocess.run([sys.executable, "-m", "edge.schema"], capture_output=True, check=True).stdout
    assert json.loads(printed) == schema_of_wire()
