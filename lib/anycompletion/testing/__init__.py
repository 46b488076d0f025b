"""Testing without a provider: fakes, a simulator, recordings, and a network guard; the package never imports it."""

from __future__ import annotations

from .fake.backend import FakeRequest, NoReplyLeft
from .fake.fake_provider import FakeProvider
from .fake.parsed_replies import ParsedReply
from .fake.replies import FakeAnswer, FakePiece, FakeReply, tool_call
from .formats.simulated_reply import SimulatorReply
from .network_guard import NetworkBlockedError, block_network
from .recording.recorder import Recorder
from .recording.recordings import RecordedCall, Recording, load_folder
from .recording.replay_server import RandomCuts, ReplayServer, Segmentation
from .simulator.faults import FAULTS, Fault, Faults, RawStep
from .simulator.loopback import LoopbackServer
from .simulator.request_log import RecordedRequest
from .simulator.server import SimulatorServer

__all__ = [
    "FAULTS",
    "FakeAnswer",
    "FakePiece",
    "FakeProvider",
    "FakeReply",
    "FakeRequest",
    "Fault",
    "Faults",
    "LoopbackServer",
    "NetworkBlockedError",
    "NoReplyLeft",
    "ParsedReply",
    "RandomCuts",
    "RawStep",
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
    "tool_call",
]
