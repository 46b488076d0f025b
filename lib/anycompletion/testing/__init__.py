"""Testing without a provider: fakes, a simulator, recordings, and a network guard; the package never imports it."""

from __future__ import annotations

from .fake.backend import FakeRequest, NoReplyLeft
from .fake.fake_provider import FakeProvider
from .fake.replies import FakeReply
from .formats.simulated_reply import SimulatorReply
from .network_guard import NetworkBlockedError, block_network
from .recording.recorder import Recorder
from .recording.recordings import RecordedCall, Recording, load_folder
from .recording.replay_server import RandomCuts, ReplayServer, Segmentation
from .simulator.faults import FAULTS, Fault, Faults
from .simulator.request_log import RecordedRequest
from .simulator.server import SimulatorServer

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
    "Segmentation",
    "SimulatorReply",
    "SimulatorServer",
    "block_network",
    "load_folder",
]
