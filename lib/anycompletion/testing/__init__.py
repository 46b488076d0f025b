"""Testing without a provider: a simulator and a replay of recorded traffic; the package itself never imports it."""

from __future__ import annotations

from .faults import FAULTS, Fault
from .log import RecordedRequest
from .recordings import RecordedCall, Recording, load_folder
from .replay import RandomCuts, ReplayServer
from .simulator import SimulatorServer

__all__ = [
    "FAULTS",
    "Fault",
    "RandomCuts",
    "RecordedCall",
    "RecordedRequest",
    "Recording",
    "ReplayServer",
    "SimulatorServer",
    "load_folder",
]
