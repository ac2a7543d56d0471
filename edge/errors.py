"""
Every error this product raises on purpose.

    EdgeError
    ├── ConfigurationError   exit 2   settings, flags, ports: the engineer mends a file
    ├── BundleError          exit 3   a release bundle is missing, altered, or its network misbehaves
    │   ├── ParityFailed              this machine does not give PyTorch's answers
    │   └── InferenceFailed           a backend refused, or returned what cannot be believed
    │       └── DeviceLost   exit 7   the device answers nothing any more until a new process opens it
    ├── CameraError          exit 4   a camera did not open, ended, or delivered something else
    │   ├── SourceEnded               a replay has no further frame: not a failure
    │   ├── CameraHangs               its driver does not come back: only a new process can open it
    │   └── FormatRefused             it gives mono8 where bgr8 is taken, or the other way round
    ├── WireError            exit 5   a message is not what docs/protocol.md says
    │   ├── NoAnswer                  nobody answered a request in time
    │   └── RequestRefused            the station refused a request; carries the code
    │       └── NameTaken             another consumer has our name, or had it meanwhile
    ├── DataError            exit 6   training data, masks, labels or pictures of a target are not usable
    │   ├── ArchiveError              an archive, or a part of it, is damaged, of another version, or in use
    │   └── TargetUnsupported exit 8  the labelled parts cannot prove the rate that calibration was asked for
    └── ChallengeFailed      exit 9   the station judged a master part wrongly

A message is one line: what, where, the value, what was expected, what to do.
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base of all of them; *exit_code* is what a console script ends with."""

    exit_code = 1


class ConfigurationError(EdgeError):
    exit_code = 2


class BundleError(EdgeError):
    exit_code = 3


class ParityFailed(BundleError):
    pass


class InferenceFailed(BundleError):
    pass


class DeviceLost(InferenceFailed):
    exit_code = 7


class CameraError(EdgeError):
    exit_code = 4


class SourceEnded(CameraError):
    pass


class CameraHangs(CameraError):
    pass


class FormatRefused(CameraError):
    pass


class WireError(EdgeError):
    exit_code = 5


class NoAnswer(WireError):
    pass


class RequestRefused(WireError):
    """*code* is one of edge.requests.REFUSALS."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"refused ({code}): {text}")
        self.code = code


class NameTaken(RequestRefused):
    pass


class DataError(EdgeError):
    exit_code = 6


class ArchiveError(DataError):
    pass


class TargetUnsupported(DataError):
    exit_code = 8


class ChallengeFailed(EdgeError):
    exit_code = 9
