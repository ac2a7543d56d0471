"""The challenge: good and bad master parts that the station must judge rightly, shift by shift."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edge.settings.strict import Strict

# Its name, "@" and a time must fit into a part id of 64 characters.
_MasterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]


class Master(Strict):
    """A physical part that was looked at by people, once and for all: [[challenge.parts]]."""

    name: _MasterName = Field(description="as it is written on the part")
    expect: Literal["PASS", "REJECT"] = Field(description="what the station must say of it")
    defect: str | None = Field(
        None, min_length=1, max_length=64, description="class of a defect that it must be rejected for; none = any"
    )

    @model_validator(mode="after")
    def _a_defect_is_rejected(self) -> Master:
        if self.defect is not None and self.expect != "REJECT":
            raise ValueError(f'expected expect = "REJECT" of a part with defect = "{self.defect}"')
        return self


class ChallengeSettings(Strict):
    """
    Master parts that must be shown to the station: [challenge]. Without this table none are asked for.

    Due at the beginning of each shift (or every_h after the last), and when recipe, bundle, masters or cameras are
    others than the last one was passed with. After grace_min, after a challenge that failed, and before the first one
    that is passed, no part is inspected until one is.
    """

    parts: tuple[Master, ...] = Field(
        min_length=2, max_length=32, description="the masters, a good and a bad one at least"
    )
    every_h: float | None = Field(
        None, gt=0, le=24 * 31, description="so long after the last one passed the next is due; none = once a shift"
    )
    grace_min: float = Field(30.0, ge=0, le=24 * 60, description="parts are inspected for so long while one is due")

    @field_validator("parts")
    @classmethod
    def _good_and_bad(cls, value: tuple[Master, ...]) -> tuple[Master, ...]:
        names = [master.name for master in value]
        if len(set(names)) != len(names):
            raise ValueError(f"names of masters repeat: {', '.join(names)}")
        missing = {"PASS", "REJECT"} - {master.expect for master in value}
        if missing:
            raise ValueError(
                f'expected a part with expect = "{missing.pop()}" too: a station that says the same of every part '
                "would pass"
            )
        return value
