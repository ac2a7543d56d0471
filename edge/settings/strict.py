"""What every table of the settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Strict(BaseModel):
    """Frozen; a mistyped key is an error, and so is a number that is none (TOML has nan and inf)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
