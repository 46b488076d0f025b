"""The built-in simulator: a real server that speaks the providers' own wire formats; never talks to a provider."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs
from aiohttp import web

from ... import known_providers
from ..formats.anthropic_messages import simulate as sim_anthropic
from ..formats.azure import simulate as sim_azure
from ..formats.cohere_chat import simulate as sim_cohere
from ..formats.openai_chat import simulate as sim_openai
from ..formats.openrouter import simulate as sim_openrouter
from ..formats.replicate_predictions import simulate as sim_replicate
from ..formats.simulated_reply import Reply, Style
from ..formats.wire_format import Call, Failure, Format, Memory, Plain, Stream
from ..recording.matcher import Matcher
from ..recording.recordings import Recording
from .delivery import deliver, healthy
from .faults import Fault, Faults, FaultScript
from .loopback import LoopbackServer
from .request_log import RecordedRequest
from .sending import send

_MODULES = (sim_openai, sim_anthropic, sim_azure, sim_cohere, sim_replicate, sim_openrouter)

FORMATS: Mapping[str, Format] = {module.FORMAT.provider: module.FORMAT for module in _MODULES}
"""Every provider the simulator speaks, by name."""

_NO_ANSWER = frozenset({"status", "body", "garble"})
"""Kinds of faults that put something else in the place of the answer."""

_MOST_TWINS = 100_000
"""Different requests whose repetitions are counted; after that the counts start anew."""


class SimulatorServer(LoopbackServer):
    """A server on 127.0.0.1 that answers like the real providers, deterministically and without keys or network.

    ::

        async with SimulatorServer() as sim:
            client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys)

    It serves OpenAI's, Azure's and OpenRouter's chat completions, Anthropic's messages, Cohere's chat and Replicate's
    predictions, plain and streamed: several choices, tool calls whose arguments fit the tool's schema, JSON answers
    that fit a schema, token limits, stop sequences, usage (a token is a word), thinking. It refuses what the real ones
    refuse, such as a wrong key or a missing parameter, and the model ``no-such-model``.

    Every request is kept in `requests`, with how its answer went out.

    Faults come from `fault` or, for one request, from a request header ``x-simulate: rate-limit``, which goes first.
    All options are attributes that may be changed while it runs. The names are:

    * Refusals: ``rate-limit`` ``quota`` ``overloaded`` ``server-error`` ``unavailable`` ``timeout`` ``bad-request``
      ``context-length`` ``content-policy`` ``authentication`` ``permission`` ``not-found`` ``html-error`` ``redirect``
    * Streams, for any number N: ``cut-after-N-events`` ``close-after-N-events`` ``reset-after-N-events``
      ``stall-after-N-events`` ``error-after-N-events``; and ``no-finish-reason`` ``no-done``
    * No answer: ``hang`` ``close-before-answer`` ``reset-before-answer`` ``half-status-line`` ``half-headers``
      ``slow-headers`` ``garbage``
    * Odd answers: ``html`` ``empty`` ``malformed-json`` ``early-hints`` ``second-answer`` ``long-header``
      ``many-headers`` ``two-lengths`` ``bad-chunk-size`` ``short-body`` ``reset-in-body`` ``huge-length``
      ``endless-body`` ``gzip-bomb`` ``false-gzip`` ``unknown-encoding``
    * Replicate's predictions: ``slow-prediction`` ``failed-prediction`` ``aborted-prediction``
      ``canceled-prediction``

    Args:
        host: 127.0.0.1 or localhost; there is no other.
        port: 0 picks a free one.
        reply: the text of every answer, or a function from a request's JSON body to it. Tools are called all the same.
            By default the answer repeats the last user message, and knows how to be told a knock-knock joke.
        latency: seconds before the headers of an answer; 0 by default.
        chunk_delay: seconds between the events of a stream; 0 by default.
        chunks: pieces of text in a stream, per choice; a text too short for that is repeated. None: one per word.
        fault: what goes wrong: a `Fault`, a name such as ``"overloaded"`` or ``"cut-after-3-events"``, or several of
            them, taken in turn as `Fault` describes.
        replay: recordings, or a folder of them, as `Recorder` writes it. Requests are then answered with what was
            recorded for them: same provider, method, path and JSON body, whatever the key; the same request again gets
            its next recording, and at last the last one again. A request that has none is refused, and the error says
            in what it differs from the nearest. Providers of the recordings are in `base_urls`, whoever they are.

    Raises:
        OSError: the folder of recordings cannot be read.
        ValueError: another host, a number out of range, a file that is no recording, or an unknown fault; the message
            names the closest.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        reply: Reply | None = None,
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
        self.reply: Reply | None = reply
        self.latency = latency
        self.chunk_delay = chunk_delay
        self.chunks = chunks
        self._faults = FaultScript(fault)
        self._twins: Counter[bytes] = Counter()
        self._replay = None if replay is None else Matcher(replay)
        self._formats = {**FORMATS, **_like_openai(() if self._replay is None else self._replay.providers)}
        self._memories = {name: Memory() for name in self._formats}

    @property
    def fault(self) -> tuple[Fault, ...]:
        """What goes wrong. Setting it starts all counts anew."""
        return self._faults.faults

    @fault.setter
    def fault(self, fault: Faults) -> None:
        self._faults = FaultScript(fault)

    @property
    def base_urls(self) -> dict[str, str]:
        """Provider name → base URL, in the form that the provider's own SDK takes.

        Raises:
            RuntimeError: the server was never started.
        """
        return {name: self.url + wire.base for name, wire in self._formats.items()}

    @property
    def api_keys(self) -> dict[str, str]:
        """Provider name → the one key the simulator accepts. They are no secrets."""
        return {name: wire.api_key for name, wire in self._formats.items()}

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point an `AsyncCompletion()` without arguments here; "" stands for those
        that would go before them and must be unset.

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
        """Answers one request in its provider's format."""
        wire = self._formats.get(record.provider)
        if wire is None:
            known = ", ".join(self.base_urls.values())
            return web.json_response({"error": f"nothing is simulated here; try {known}"}, status=404)
        unknown = None
        try:
            fault = self._fault(wire, record)
        except ValueError as error:
            fault, unknown = None, str(error)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if self.latency:
            await asyncio.sleep(self.latency)
        call = self._call(wire, record, answered=fault is None or fault.kind not in _NO_ANSWER)
        if self._replay is not None:
            wire, unknown = self._replayed(wire, call, fault, unknown)
        if unknown is not None:
            delivery = healthy(wire.refuse(call, Failure(400, "simulator_error", unknown)))
        else:
            delivery = deliver(wire, call, fault)
        return await send(request, record, delivery, self.chunk_delay)

    def _fault(self, wire: Format, record: RecordedRequest) -> Fault | None:
        name = record.headers.get("x-simulate")
        step = wire.step(record.method, record.path.removeprefix(wire.root))
        if not name:
            return self._faults.next(wire.provider, step)
        fault = Fault.named(name)
        if fault.provider not in (None, wire.provider):
            raise ValueError(f"{name!r} is a fault of {fault.provider}'s, not of {wire.provider}'s")
        return fault if fault.step == step else None

    def _replayed(
        self, wire: Format, call: Call, fault: Fault | None, unknown: str | None
    ) -> tuple[Format, str | None]:
        """The format that answers with a recording, or why there is none."""
        if self._replay is None or unknown is not None or (fault is not None and fault.kind in _NO_ANSWER):
            return wire, unknown
        found = self._replay.find(wire.provider, call.method, call.path, call.body)
        if isinstance(found, str):
            return wire, found
        answer = self._replay.answer(found, self.url + wire.root)

        def replayed(_: Call) -> Plain | Stream:
            return answer

        return attrs.evolve(wire, answer=replayed), None

    def _call(self, wire: Format, record: RecordedRequest, *, answered: bool) -> Call:
        """The request as its format sees it. One that gets an error instead of an answer is nobody's twin."""
        twin = hashlib.blake2b(record.path.encode("utf-8", "replace") + record.raw).digest()
        twins = self._twins[twin]
        if answered:
            self._twins[twin] += 1
        if len(self._twins) > _MOST_TWINS:
            self._twins.clear()
        return Call(
            method=record.method,
            path=record.path.removeprefix(wire.root),
            headers=record.headers,
            body=record.body,
            uid=uuid.uuid4().hex,
            now=time.time(),
            twins=twins,
            style=Style(self.reply, self.chunks),
            query=record.query,
            origin=self.url,
            latency=self.latency,
            memory=self._memories[wire.provider],
        )


def _like_openai(names: Iterable[str]) -> dict[str, Format]:
    """Formats for providers that the simulator does not speak as: their errors are told in OpenAI's words."""
    return {
        name: attrs.evolve(
            sim_openai.FORMAT, provider=name, root=f"/{name}", base=f"/{name}", api_key=f"simulated-{name}-key"
        )
        for name in names
        if name not in FORMATS
    }
