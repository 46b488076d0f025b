"""Testing without a provider: fakes, a simulator, recordings, and no network; the package itself never imports it."""

from __future__ import annotations

from .desk import FakeRequest, NoReplyLeft
from .fake import FakeProvider
from .faults import FAULTS, Fault, Faults
from .log import RecordedRequest
from .network import NetworkBlockedError, block_network
from .recorder import Recorder
from .recordings import RecordedCall, Recording, load_folder
from .replay import RandomCuts, ReplayServer, Segmentation
from .replies import FakeReply
from .script import Reply
from .simulator import SimulatorServer

__all__ = [
    "FAULTS",
    "FakeProvider",
    "FakeReply",
    "FakeRequest",
    "Fault",
    "Faults",
    "NetworkBlockedError",
    "NoReplyLeft",
    "RandomCuts",
    "RecordedCall",
    "RecordedRequest",
    "Recorder",
    "Recording",
    "ReplayServer",
    "Reply",
    "Segmentation",
    "SimulatorServer",
    "block_network",
    "load_folder",
]
