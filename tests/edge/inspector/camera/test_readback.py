"""Settings of a GenICam camera: what reads back as asked is fine, anything else says requested and actual."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import CameraError
from tests.support.genicam import FakeHandle, Rig

ASKED: dict[str, Any] = {
    "pixel_format": "Mono8",
    "offset_x": 100,
    "offset_y": 50,
    "exposure_us": 200.0,
    "gain_db": 6.0,
    "rate_hz": 25.0,
    "packet_size": 9000,
}


def test_every_setting_reaches_the_camera() -> None:
    """Region, exposure, gain, rate, format, packets; how buffers are kept goes along with the start."""
    rig = Rig(**ASKED, buffers=5, packet_resend=False, frame_retention_ms=40)
    rig.camera.open(1)
    assert rig.handle.numbers == {
        "width": 24, "height": 16, "offset_x": 100, "offset_y": 50,
        "exposure_us": 200, "gain_db": 6, "rate_hz": 25, "packet_size": 9000,
        "binning_x": 1, "binning_y": 1, "reverse_x": 0,
    }  # fmt: skip
    assert rig.handle.started_with == (5, False, 40)


def test_what_is_left_out_stays_as_the_camera_has_it() -> None:
    """But the region is always the canvas, at the corner unless it is said where."""
    rig = Rig()
    rig.camera.open(1)
    numbers = rig.handle.numbers
    assert (numbers["exposure_us"], numbers["rate_hz"], numbers["packet_size"]) == (5000, 50, 1500)
    assert [numbers[key] for key in ("width", "height", "offset_x", "offset_y")] == [24, 16, 0, 0]


def refusal(rig: Rig) -> str:
    with pytest.raises(CameraError) as caught:
        rig.camera.open(1)
    assert "\n" not in str(caught.value)
    assert rig.handle.torn
    return str(caught.value)


@pytest.mark.parametrize("key", ["width", "exposure_us", "gain_db", "rate_hz", "offset_x", "packet_size"])
def test_a_setting_that_is_out_of_bounds_is_refused(key: str) -> None:
    """With what it takes; nothing is written that the camera would only half understand."""
    rig = Rig(**ASKED)
    rig.prepare = lambda handle: handle.limits.update({key: (1e6, 2e6)})
    told = refusal(rig)
    assert f"{key} requested" in told
    assert "it takes 1e+06 to 2e+06" in told


@pytest.mark.parametrize("key", ["width", "exposure_us", "gain_db", "rate_hz", "offset_x", "packet_size"])
def test_a_setting_that_reads_back_differently_is_refused(key: str) -> None:
    """Cameras round in steps of their own, and some take a value and do nothing."""
    rig = Rig(**ASKED)
    rig.prepare = lambda handle: handle.steps.update({key: 17_000.0})
    assert f"{key} requested" in refusal(rig)
    assert ", actual " in refusal(rig)


@pytest.mark.parametrize("key", ["exposure_us", "gain_db", "rate_hz", "offset_x"])
def test_a_feature_that_it_does_not_have_is_refused_when_it_is_asked_for(key: str) -> None:
    """Not asked for, it is not missed."""
    rig = Rig(**{key: ASKED[key]})
    rig.prepare = lambda handle: handle.limits.pop(key)  # type: ignore[return-value]
    assert f"{key} requested" in refusal(rig)
    without = Rig()
    without.prepare = rig.prepare
    without.camera.open(1)


def test_a_slight_rounding_is_accepted() -> None:
    """An exposure of 200 us in lines of 3 us is 201 us."""
    rig = Rig(exposure_us=200.0)
    rig.prepare = lambda handle: handle.steps.update(exposure_us=3.0)
    assert "201 us" in rig.camera.open(1).description


@pytest.mark.parametrize(
    ("asked", "has", "told"),
    [
        ("BGR8", "Mono8", r"pixel_format requested BGR8, actual Mono8; it has Mono8, RGB8, BayerRG8, Mono16 \(value"),
        (None, "Mono16", r"pixel format Mono16 is none of Mono8, BGR8, RGB8"),
        (None, "RGB8", r'pixel format RGB8 gives bgr8, the bundle takes mono8; .*convert_to = "mono8"'),
    ],
)
def test_a_pixel_format_that_cannot_be_taken_is_refused(asked: Any, has: str, told: str) -> None:
    """Once, when it is opened: not as UNKNOWN of every single part."""
    rig = Rig(pixel_format=asked)

    def prepare(handle: FakeHandle) -> None:
        handle.code = next(code for code, name in handle.codes.items() if name == has)

    rig.prepare = prepare
    with pytest.raises(CameraError, match=told):
        rig.camera.open(1)


def test_a_camera_that_takes_everything_and_does_nothing_is_refused() -> None:
    """Also the format and the trigger are read back."""
    rig = Rig(trigger="software")

    def deaf(handle: FakeHandle) -> None:
        handle.numbers.update(width=24, height=16, offset_x=0, offset_y=0)
        handle.deaf = True

    rig.prepare = deaf
    assert "trigger requested Software, actual off" in refusal(rig)
    colour = Rig("bgr8", pixel_format="RGB8")
    colour.prepare = deaf
    assert "pixel_format requested RGB8, actual Mono8" in refusal(colour)


def test_a_trigger_input_that_it_does_not_have_is_refused() -> None:
    """With those that it has."""
    rig = Rig(trigger="camera", trigger_line="Line7")
    assert "trigger requested Line7, actual off; it has Line1, Software" in refusal(rig)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [("free-run", (None, None)), ("software", ("Software", None)), ("camera", ("Line1", "FallingEdge"))],
)
def test_the_trigger_follows_the_station(trigger: str, expected: tuple[str | None, str | None]) -> None:
    """What makes a part there, makes a frame here."""
    rig = Rig(trigger=trigger, trigger_activation="FallingEdge")
    rig.camera.open(1)
    assert rig.handle.trigger == expected


@pytest.mark.parametrize(
    ("key", "actual", "setting"),
    [("binning_x", 2, "binning"), ("binning_y", 4, "binning"), ("reverse_x", 1, "reverse_x")],
)
def test_pixels_that_are_joined_or_mirrored_unasked_are_refused(key: str, actual: int, setting: str) -> None:
    """Another program has set it: the canvas has its size all the same, and shows another part of the world."""
    rig = Rig()
    rig.prepare = lambda handle: handle.numbers.update({key: actual})
    told = refusal(rig)
    assert f"{key} is {actual}, expected {0 if actual == 1 else 1}" in told
    assert f"or {setting} in the station's file" in told


def test_pixels_are_joined_and_mirrored_where_a_setting_says_so() -> None:
    """And back again; what the camera does not have it cannot do, but it need not be able to do nothing."""
    rig = Rig(binning=2, reverse_x=True)
    rig.camera.open(1)
    assert [rig.handle.numbers[key] for key in ("binning_x", "binning_y", "reverse_x")] == [2, 2, 1]
    back = Rig(binning=1, decimation=1, reverse_x=False, reverse_y=False)
    back.prepare = lambda handle: handle.numbers.update(binning_x=2, reverse_x=1)
    back.camera.open(1)
    assert [back.handle.numbers[key] for key in ("binning_x", "reverse_x")] == [1, 0]
    assert "decimation_x requested 2, but it has no such feature" in refusal(Rig(decimation=2))
    assert "reverse_y requested 1, but it has no such feature" in refusal(Rig(reverse_y=True))


@pytest.mark.parametrize("feature", ["TestPattern", "TestImageSelector"])
def test_a_test_picture_is_refused(feature: str) -> None:
    """It shows no part, and passes for ever."""
    rig = Rig()
    rig.prepare = lambda handle: handle.others.update({feature: "GreyHorizontalRamp"})
    assert f"{feature} is GreyHorizontalRamp, expected Off: it shows no part" in refusal(rig)


@pytest.mark.parametrize("feature", ["ExposureAuto", "GainAuto", "BalanceWhiteAuto"])
def test_an_automatic_that_ends_by_itself_is_refused(feature: str) -> None:
    """It goes to Off when it has found its value: the next open would be refused for that, until a restart."""
    rig = Rig()
    rig.prepare = lambda handle: handle.others.update({feature: "Once"})
    assert f"{feature} is Once, expected Off or Continuous" in refusal(rig)
    rig.prepare = lambda handle: handle.others.update({feature: "Off"})
    rig.camera.open(1)


def change(handle: FakeHandle, name: str, value: Any) -> None:
    if name in handle.numbers:
        handle.numbers[name] = value
    elif name == "pixel_format":
        handle.code = next(code for code, has in handle.codes.items() if has == value)
    else:
        handle.others[name] = value


@pytest.mark.parametrize(
    ("name", "first", "later"),
    [("Gamma", "1", "0.45"), ("exposure_us", 5000, 9000), ("gain_db", 0, 6), ("BlackLevel", None, "12")],
)
def test_what_no_setting_says_is_the_same_at_each_open(name: str, first: Any, later: Any) -> None:
    """Changed by another program, or lost with its power: it is not the camera any more that was set up."""
    rig = Rig()
    rig.opened()
    rig.camera.close()
    rig.opened()
    rig.camera.close()
    rig.prepare = lambda handle: change(handle, name, later)
    told = refusal(rig)
    assert f"changed since its first open: {name} {later}, at first {'none' if first is None else first}" in told
    assert "restart the station" in told
    rig.prepare = lambda handle: None
    rig.camera.open(1)


def test_what_a_setting_says_or_an_automatic_does_may_have_changed() -> None:
    """The one is written again at each open, the other changes by itself."""
    asked = Rig(exposure_us=200.0)
    asked.opened()
    asked.camera.close()
    asked.prepare = lambda handle: handle.numbers.update(exposure_us=9000)
    asked.camera.open(1)
    automatic = Rig()
    automatic.prepare = lambda handle: handle.others.update(ExposureAuto="Continuous")
    automatic.opened()
    automatic.camera.close()

    def prepare(handle: FakeHandle) -> None:
        handle.others.update(ExposureAuto="Continuous")
        handle.numbers.update(exposure_us=9000)

    automatic.prepare = prepare
    automatic.camera.open(1)


def test_a_pixel_format_that_was_changed_is_refused_where_it_was_left_to_the_camera() -> None:
    """Also when it can be converted: colours of a mosaic are not those of a picture."""
    rig = Rig("bgr8")
    rig.prepare = lambda handle: change(handle, "pixel_format", "RGB8")
    rig.opened()
    rig.camera.close()
    rig.prepare = lambda handle: change(handle, "pixel_format", "BayerRG8")
    assert "pixel_format BayerRG8, at first RGB8" in refusal(rig)
