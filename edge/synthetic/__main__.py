"""``python -m edge.synthetic``: write a data set for training."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from edge.commandline import run
from edge.synthetic.dataset import write_dataset
from edge.synthetic.strip import Strip


class WriteSynthetic(BaseModel):
    """Write a data set of synthetic steel strip: images/, masks/ (label values 0..4) and labels.csv."""

    out: Path = Field(description="folder to write; must not exist or be empty")
    frames: int = Field(1200, ge=1, le=1_000_000, description="number of frames, ten of them a group")
    defect_share: float = Field(0.6, ge=0.0, le=1.0, description="share of the frames with at least one defect")
    seed: int = Field(1, ge=0, lt=2**63, description="another seed is another strip")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("edge.synthetic", WriteSynthetic, args, _write)


def _write(command: WriteSynthetic) -> int:
    write_dataset(Strip(command.seed, command.defect_share), command.frames, command.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
