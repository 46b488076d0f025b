"""The simulator: a real server that speaks the providers' own wire formats; never connects to a provider."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable

import attrs
from aiohttp import web

from ... import known_providers
from ..formats.openai_chat import simulate as openai_chat
from ..formats.registry import FORMATS
from ..formats.simulated_reply import ReplyOptions, SimulatorReply
from ..formats.wire_format import AnyResponse, ErrorSpec, ProviderMemory, SimulatedRequest, WireFormat
from ..recording.matcher import RecordingMatcher
from ..recording.recordings import Recording
from .delivery import NO_REPLY_FAULTS, Responder, plain_delivery, plan_delivery
from .faults import Fault, Faults, FaultSequence
from .loopback import LoopbackServer
from .request_log import RecordedRequest
from .sending import send

_MAX_COUNTED = 100_000
"""Different requests whose repeats are counted; beyond that the counts are reset."""


class SimulatorServer(LoopbackServer):
    """A server on 127.0.0.1 that responds like the real providers, deterministically and without keys or network.

    ::

        async with SimulatorServer() as sim:
            client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys)

    It serves every format that the package has, under the providers that `base_urls` names, whole and streamed: several
    choices, tool calls whose arguments fit the tool's schema, JSON replies that fit a schema, token limits, stop
    sequences, usage (a token is a word), thinking. It rejects what the real providers reject, such as a wrong key or a
    missing parameter, and the model ``no-such-model``.

    Every request is kept in `requests`, with how its response was sent.

    Faults come from `fault` or, for one request, from a request header ``x-simulate: rate-limit``, which has priority.
    All options are attributes that may be changed while it runs. The names are:

    * Error responses: ``rate-limit`` ``quota`` ``overloaded`` ``server-error`` ``unavailable`` ``timeout``
      ``bad-request`` ``context-length`` ``content-policy`` ``authentication`` ``permission`` ``not-found``
      ``html-error`` ``redirect``
    * Streams, for any number N: ``cut-after-N-events`` ``close-after-N-events`` ``reset-after-N-events``
      ``stall-after-N-events`` ``error-after-N-events``; and ``no-finish-reason`` ``no-done``
    * Replies with N choices, whatever ``n`` asks for: ``1-choice``, ``N-choices``
    * Replies that call a tool: ``1-call``, ``N-calls``, ``missing-call-ids``, ``duplicate-call-ids``, ``unknown-tool``,
      ``broken-arguments``, ``cut-call``; and Anthropic's ``pause-turn``
    * No response: ``hang`` ``close-before-answer`` ``reset-before-answer`` ``half-status-line`` ``half-headers``
      ``slow-headers`` ``garbage``
    * Malformed responses: ``html`` ``empty`` ``malformed-json`` ``early-hints`` ``second-answer`` ``long-header``
      ``many-headers`` ``two-lengths`` ``bad-chunk-size`` ``short-body`` ``reset-in-body`` ``huge-length``
      ``endless-body`` ``gzip-bomb`` ``false-gzip`` ``unknown-encoding``
    * Replicate's predictions: ``slow-prediction`` ``failed-prediction`` ``aborted-prediction``
      ``canceled-prediction``

    Args:
        host: 127.0.0.1 or localhost; there is no other.
        port: 0 picks a free one.
        reply: the text of every reply, or a function from a request's JSON body to it. Tools are called all the same.
            By default the reply repeats the last user message, and takes its part in a knock-knock joke.
        latency: seconds before the headers of a response; 0 by default.
        chunk_delay: seconds between the events of a stream; 0 by default.
        chunks: pieces of text in a stream, per choice; a text too short for that is repeated. None: one per word.
        fault: the faults to inject: a `Fault`, a name such as ``"overloaded"`` or ``"cut-after-3-events"``, or several
            of them, in a sequence as `Fault` describes.
        replay: recordings, or a folder of them, as `Recorder` writes it. The response to a request is then the
            recording of the same provider, method, path and JSON body, whatever the key; repeats of a request get its
            next recordings, and then the last one again. A request without a recording is rejected, and the error
            names the differences from the nearest. `base_urls` has all providers of the recordings.

    Raises:
        OSError: the folder of recordings cannot be read.
        TypeError: `reply` or `fault` is of another type.
        ValueError: another host, a number out of range, a file that is no recording, or an unknown fault; the message
            names the closest one.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        reply: SimulatorReply | None = None,
        latency: float = 0.0,
        chunk_delay: float = 0.0,
        chunks: int | None = None,
        fault: Faults = None,
        replay: Iterable[Recording] | str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(host=host, port=port)
        for name, value in (("latency", latency), ("chunk_delay", chunk_delay)):
            if value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if chunks is not None and chunks < 1:
            raise ValueError(f"chunks must be at least 1, got {chunks}")
        self.reply = reply
        self.latency = latency
        self.chunk_delay = chunk_delay
        self.chunks = chunks
        self._faults = FaultSequence(fault)
        self._repeats: Counter[bytes] = Counter()
        self._replay = None if replay is None else RecordingMatcher(replay)
        self._formats = {**FORMATS, **_openai_formats(() if self._replay is None else self._replay.providers)}
        self._memories = {name: ProviderMemory() for name in self._formats}

    @property
    def reply(self) -> SimulatorReply | None:
        """The text of every reply, or a function from a request's JSON body to it; None repeats the user's message."""
        return self._reply

    @reply.setter
    def reply(self, reply: SimulatorReply | None) -> None:
        given: object = reply
        if given is not None and not isinstance(given, str) and not callable(given):
            hint = "; FakeProvider takes several replies" if isinstance(given, (list, tuple)) else ""
            raise TypeError(f"reply must be a text or a function of the request, found {type(given).__name__}{hint}")
        self._reply = reply

    @property
    def fault(self) -> tuple[Fault, ...]:
        """The faults to inject. Setting it resets all counts."""
        return self._faults.faults

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._faults = FaultSequence(fault)

    @property
    def base_urls(self) -> dict[str, str]:
        """Provider name → base URL, in the form that the provider's own SDK takes.

        Raises:
            RuntimeError: the server was never started.
        """
        return {name: self.url + wire.base for name, wire in self._formats.items()}

    @property
    def api_keys(self) -> dict[str, str]:
        """Provider name → the only key that the simulator accepts. These keys are not secret."""
        return {name: wire.api_key for name, wire in self._formats.items()}

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that direct an `AsyncCompletion()` without arguments here; "" marks variables
        that would have priority over them and must be unset.

        Raises:
            RuntimeError: the server was never started.
        """
        rows, keys = known_providers(), self.api_keys
        values: dict[str, str] = {}
        for name, url in self.base_urls.items():
            row = rows.get(name)
            if row is not None and row.base_url_env:
                values |= dict.fromkeys([*row.base_url_env, *row.token_env, *row.key_env, *row.api_version_env], "")
                values |= dict.fromkeys(row.base_url_env[:1], url) | dict.fromkeys(row.key_env[:1], keys[name])
        return values

    def _provider_of(self, path: str) -> str:
        """The provider that a path belongs to; empty for none."""
        name = path.split("/", 2)[1]
        return name if name in self._formats else ""

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        """Responds to one request in its provider's format."""
        wire = self._formats.get(record.provider)
        if wire is None:
            known = ", ".join(self.base_urls.values())
            return web.json_response({"error": f"nothing is simulated here; try {known}"}, status=404)
        wire = wire.of_path(record.path)
        problem = None
        try:
            fault = self._fault(wire, record)
        except ValueError as error:
            fault, problem = None, str(error)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if self.latency:
            await asyncio.sleep(self.latency)
        replied = fault is None or fault.kind not in NO_REPLY_FAULTS
        simulated = self._simulated_request(wire, record, replied=replied)
        respond: Responder = wire.respond
        if self._replay is not None and problem is None and replied:
            found = self._replay.find(wire.provider, simulated.method, simulated.path, simulated.body)
            if isinstance(found, str):
                problem = found
            else:
                recorded = self._replay.response(found, self.url + wire.root)
                respond = functools.partial(_constant, recorded)
        if problem is not None:
            error_response = wire.error_response(simulated, ErrorSpec(400, "simulator_error", problem))
            delivery = plain_delivery(error_response)
        else:
            delivery = plan_delivery(wire, respond, simulated, fault)
        return await send(request, record, delivery, self.chunk_delay)

    def _fault(self, wire: WireFormat, record: RecordedRequest) -> Fault | None:
        name = record.headers.get("x-simulate")
        step = wire.step(record.method, record.path.removeprefix(wire.root))
        if not name:
            return self._faults.next(wire.provider, step)
        fault = Fault.named(name)
        if fault.provider not in (None, wire.provider):
            raise ValueError(f"{name!r} is a fault of {fault.provider}, not of {wire.provider}")
        return fault if fault.step == step else None

    def _simulated_request(self, wire: WireFormat, record: RecordedRequest, *, replied: bool) -> SimulatedRequest:
        """The request as its format gets it. One that gets an error instead of a reply is not counted as a repeat."""
        key = hashlib.blake2b(record.path.encode("utf-8", "replace") + record.raw).digest()
        repeats = self._repeats[key]
        if replied:
            self._repeats[key] += 1
        if len(self._repeats) > _MAX_COUNTED:
            self._repeats.clear()
        return SimulatedRequest(
            method=record.method,
            path=record.path.removeprefix(wire.root),
            headers=record.headers,
            body=record.body,
            uid=uuid.uuid4().hex,
            now=time.time(),
            repeats=repeats,
            options=ReplyOptions(self.reply, self.chunks),
            query=record.query,
            origin=self.url,
            latency=self.latency,
            memory=self._memories[wire.provider],
        )


def _constant(response: AnyResponse, _: SimulatedRequest) -> AnyResponse:
    """A responder that always returns the same response."""
    return response


def _openai_formats(names: Iterable[str]) -> dict[str, WireFormat]:
    """Formats for providers that have recordings but no simulation: their errors are OpenAI's."""
    return {
        name: attrs.evolve(openai_chat.FORMAT, provider=name, base_path="", api_key=f"simulated-{name}-key")
        for name in names
        if name not in FORMATS
    }
