"""
Vendors' packages that tell their makers of their use: kept from it, in this process.

Imported before any of them. Neither is left to the service's environment or to a file in a home directory: a program
that is started by hand has another one.
"""

from __future__ import annotations

import os
import sys

# OpenVINO reports each import and conversion, unless it finds the package that does so missing. To Python it is.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

# ONNX Runtime from 1.29 on reports process, models and errors, and keeps an id of the machine, unless this is set
# before it is loaded; its own call comes too late for the first report. Source: its Privacy.md, "Disabling Telemetry".
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
