"""Which camera is meant: by id, serial number or address, or the only one; else what was found."""

from __future__ import annotations

import pytest

from edge.errors import CameraError
from edge.inspector.camera.driver import Device, chosen, chosen_again

ONE = Device("Maker-Model-1", "Maker", "Model", "1", "192.168.1.20", "GigEVision")
TWO = Device("Maker-Model-2", "Maker", "Model", "2", "", "USB3Vision")
TWIN = Device("Other-Model-1", "Other", "Model", "1", "192.168.1.21", "GigEVision")


@pytest.mark.parametrize("device", ["Maker-Model-1", "192.168.1.20", "1"])
def test_a_camera_has_three_names(device: str) -> None:
    """Each of them finds it."""
    assert chosen([TWO, ONE], device) == "Maker-Model-1"


def test_the_only_one_needs_no_name() -> None:
    """Of two it is not guessed."""
    assert chosen([TWO], None) == "Maker-Model-2"
    with pytest.raises(
        CameraError, match=r"device to name one of them; found Maker-Model-1 \(serial 1, 192.168.1.20\), "
    ):
        chosen([ONE, TWO], None)


def test_an_address_may_lie_behind_a_router() -> None:
    """It is not found by asking around, and is tried all the same."""
    assert chosen([ONE], "10.0.0.7") == "10.0.0.7"


@pytest.mark.parametrize(
    ("found", "device", "told"),
    [
        ([], None, "expected a GenICam camera; found none; check cable"),
        ([], "Maker-Model-1", "Maker-Model-1 is not there; found none; check cable"),
        ([ONE, TWO], "Maker-Model-9", r"Maker-Model-9 is not there; found Maker-Model-1 .*, Maker-Model-2"),
        ([ONE, TWIN], "1", "1 fits more than one; name it by its id; found Maker-Model-1 .*Other-Model-1"),
    ],
)
def test_what_was_found_is_told(found: list[Device], device: str | None, told: str) -> None:
    """In one line, so that nobody has to look with another tool."""
    with pytest.raises(CameraError, match=told) as caught:
        chosen(found, device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", [None, "192.168.1.20"])
def test_a_later_open_takes_the_camera_of_the_first(device: str | None) -> None:
    """Not the one that has taken its address, nor the only other one that is left."""
    assert chosen_again([ONE], device, None) == ONE.id
    assert chosen_again([ONE], device, ONE.id) == ONE.id
    other = Device("Maker-Model-7", "Maker", "Model", "7", "192.168.1.20", "GigEVision")
    with pytest.raises(CameraError, match=r"Maker-Model-1.*restart the station") as caught:
        chosen_again([other], device, ONE.id)
    assert "Maker-Model-7" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_only_one_may_have_got_company() -> None:
    """At a later open it has a name."""
    assert chosen_again([ONE, TWO], None, ONE.id) == ONE.id
