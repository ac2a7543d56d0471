"""
A procedural steel strip as a line-scan camera sees it: source of the demo, the tests and the shipped bundle.

The strip runs along y, its width lies along x. No picture of a real strip enters: everything is drawn from seeds.
"""

from __future__ import annotations

from edge.synthetic.defects import CLASS_NAMES
from edge.synthetic.strip import GROUP_FRAMES, Strip, SyntheticFrame

__all__ = ["CLASS_NAMES", "GROUP_FRAMES", "Strip", "SyntheticFrame"]
