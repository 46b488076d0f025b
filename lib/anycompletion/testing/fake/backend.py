"""The server of a fake provider: takes scripted replies in order and sends them; opens no connection."""

from __future__ import annotations

import asyncio
import copy
import inspect
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from ...errors import CompletionError
from ...records import ChatCompletion, ChatRequest
from ..formats.faulty_calls import with_call_fault
from ..formats.json_access import as_dict
from ..formats.openai_chat import simulate as openai_chat
from ..formats.openai_chat.encode import DONE
from ..formats.registry import simulated_error
from ..formats.replicate_predictions.simulate import stream_interruption
from ..formats.wire_format import ASK, ProviderMemory, SimulatedRequest, WireFormat
from ..simulator.delivery import NO_REPLY_FAULTS, Delivery, plain_delivery, plan_delivery, with_choices
from ..simulator.faults import Fault, FaultSequence
from ..simulator.loopback import RequestHandler, close_connection
from ..simulator.request_log import RecordedRequest
from ..simulator.sending import send
from .replies import FakeAnswer, FakeReply, ReplyDefaults, check_reply, count_choices, make_script

TAG = "x-anycompletion-fake"
"""The header by which the backend finds the call that a request belongs to; it is removed before it is logged."""

_NO_LIST = "a FakeProvider has no list of models"

_MAX_KEPT = 100_000
"""Calls that are kept; beyond that the oldest are dropped."""


class NoReplyLeft(AssertionError):
    """A `FakeProvider` got more requests than it has replies: a mistake of the test, and no error of the API."""


@attrs.define(eq=False)
class FakeRequest:
    """One logical call that reached a `FakeProvider`: the request of the app, and the HTTP requests made for it."""

    provider: str
    """Name of the provider that the app asked for."""
    model: str
    """The provider's own name of it."""
    request: ChatRequest = attrs.field(repr=False)
    """As the app wrote it: with its `n`, and with parameters that the provider does not have."""
    stream: bool
    """Whether a stream was asked for."""
    wire: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest], repr=False)
    """The HTTP requests in order: attempts, branches of a fan-out, steps of a prediction."""

    @property
    def body(self) -> Any:
        """The JSON of the first HTTP request that asked for a reply."""
        return next((each.body for each in self.wire if each.method == "POST"), None)


@attrs.define(eq=False)
class PendingRequest:
    """One HTTP request whose response has not begun."""

    call: FakeRequest
    format: WireFormat
    base_url: str
    id_header: str
    """The header in which the provider reports the id of a request."""
    memory: ProviderMemory
    choices_made: list[int]
    """Choices of the logical call that were answered before: one number that all its requests share."""
    error: BaseException | None = None
    """What the caller gets instead of a connection error."""


class FakeBackend(RequestHandler):
    """Answers a client's requests with the replies that a test scripted."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.latency = 0.0
        self.chunk_delay = 0.0
        self.chunks: int | None = None
        self.faults = FaultSequence(None)
        self.calls: list[FakeRequest] = []
        self.replies: deque[FakeReply] = deque()
        self.added = 0
        """Replies that were ever added."""
        self._pending: dict[str, PendingRequest] = {}
        self._tags = 0

    def add(self, *replies: FakeReply) -> None:
        """Appends replies."""
        self.replies.extend([check_reply(each) for each in replies])
        self.added += len(replies)

    def expect(self, pending: PendingRequest) -> str:
        """Registers a request that is about to be sent; returns its tag."""
        self._tags += 1
        tag = str(self._tags)
        self._pending[tag] = pending
        return tag

    def forget(self, tag: str) -> None:
        """Removes a request whose response has begun, or never will."""
        self._pending.pop(tag, None)

    # --- replies ---

    async def _next_answers(self, pending: PendingRequest, request: SimulatedRequest) -> list[FakeAnswer]:
        """Answers for all the choices that one HTTP request asks for; or an error alone."""
        most = pending.format.max_choices
        count = most or as_dict(request.body).get("n") or 1
        first = pending.choices_made[0]
        pending.choices_made[0] += count
        answers: list[FakeAnswer] = []
        made = 0
        while made < count:
            answer = await self._next_answer(pending.call, count - made, first + made, request.fault)
            if isinstance(answer, CompletionError):
                return [answer]
            answers.append(answer)
            made += count_choices(answer)
        if most is not None and made > most:
            raise ValueError(
                f"a reply has several choices, and a response of {pending.call.provider} has one; "
                "give it one reply for each choice"
            )
        return answers

    async def _next_answer(self, call: FakeRequest, count: int, first: int, fault: Fault | None) -> FakeAnswer:
        if not self.added:
            return _simulated_answer(call, count, first, fault)
        if not self.replies:
            raise NoReplyLeft(
                f"FakeProvider {self.name!r} has no reply left of the {self.added} it was given, and a call to "
                f"{call.provider}/{call.model} asks for one; give it more, or as the last one a function, which "
                "answers all further requests"
            )
        stays = len(self.replies) == 1 and callable(self.replies[0])
        reply = self.replies[0] if stays else self.replies.popleft()
        if not callable(reply):
            return reply
        result = reply(call.request)
        answer = check_reply(await result if inspect.isawaitable(result) else result)
        if callable(answer):
            raise TypeError("the function of a FakeProvider returned another function")
        return answer

    # --- requests ---

    def _provider_of(self, path: str) -> str:
        return ""

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        tag = record.headers.pop(TAG, None)
        if tag is None:  # no call, but a request for the list of models
            return web.json_response({"message": _NO_LIST, "error": {"message": _NO_LIST}}, status=404)
        pending = self._pending.get(tag)
        if pending is None:  # its call was cancelled while the request was on its way
            close_connection(request, record)
            return web.Response()
        self._log_request(pending, record)
        try:
            delivery = await self._delivery(pending, record)
        except Exception as error:  # noqa: BLE001 (the test's own code can fail in any way, and the caller gets that error)
            pending.error = copy.copy(error) if isinstance(error, CompletionError) else error
            close_connection(request, record)
            return web.Response()
        headers = {pending.id_header: f"req_{uuid.uuid4().hex}", **delivery.headers}
        return await send(request, record, attrs.evolve(delivery, headers=headers), self.chunk_delay)

    def _log_request(self, pending: PendingRequest, record: RecordedRequest) -> None:
        record.provider = pending.call.provider
        self.requests.clear()  # they are kept by call
        if not pending.call.wire:
            self.calls.append(pending.call)
            del self.calls[:-_MAX_KEPT]
        pending.call.wire.append(record)

    async def _delivery(self, pending: PendingRequest, record: RecordedRequest) -> Delivery:
        """The delivery of one response; what this raises, the caller of the API gets."""
        request, wire = self._simulated_request(pending, record), pending.format
        step = wire.step(request.method, request.path)
        fault = self.faults.next(pending.call.provider, step)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if self.latency:
            await asyncio.sleep(self.latency)
        if step != ASK:
            delivery = plan_delivery(wire, wire.reply, request, fault)
            error = stream_interruption(request) if fault is None else None
            return delivery if error is None else _interrupted(delivery, error, pending)
        request = attrs.evolve(with_choices(wire, request, fault), fault=fault)
        replaced = fault is not None and fault.kind in NO_REPLY_FAULTS
        answers = [_simulated_answer(pending.call, 1, 0)] if replaced else await self._next_answers(pending, request)
        if isinstance(answers[0], CompletionError):
            return _error_delivery(answers[0], pending, request)
        script = make_script(answers, self._defaults(pending.call, request))
        if script.error is not None and not pending.call.stream:
            return _error_delivery(script.error, pending, request)
        encode = wire.encode
        assert encode is not None, "a dialect's own format encodes scripts"
        delivery = plan_delivery(wire, lambda request: encode(request, script), request, fault)
        if script.error is None or fault is not None or delivery.sized:
            return delivery
        return _interrupted(delivery, script.error, pending)

    def _defaults(self, call: FakeRequest, request: SimulatedRequest) -> ReplyDefaults:
        return ReplyDefaults(
            id=f"fake-{request.uid}",
            created=int(request.now),
            model=call.model,
            request=call.request,
            stream=call.stream,
            pieces=self.chunks,
        )

    def _simulated_request(self, pending: PendingRequest, record: RecordedRequest) -> SimulatedRequest:
        base = urlsplit(pending.base_url)
        return SimulatedRequest(
            method=record.method,
            path=record.path.removeprefix(base.path).removeprefix(pending.format.root),
            headers=record.headers,
            body=record.body,
            uid=uuid.uuid4().hex,
            now=time.time(),
            query=record.query,
            origin=f"{base.scheme}://{base.netloc}{base.path}",
            latency=self.latency,
            memory=pending.memory,
        )


def _simulated_answer(call: FakeRequest, count: int, first: int, fault: Fault | None = None) -> ChatCompletion:
    """The simulator's reply to the request."""
    body: Mapping[str, Any] = call.request.to_dict()
    messages = body["messages"]
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    body = {**body, "messages": messages, "model": call.model, "n": count}
    request = SimulatedRequest(method="POST", path="", headers={}, body=body, uid=uuid.uuid4().hex, now=time.time())
    replies = openai_chat.choose_replies(request, body, first)
    whole = openai_chat.completion(request, body, replies)
    # Arguments that are objects, because the provider's format may have no others.
    whole["choices"] = [with_call_fault(choice, fault, objects=True) for choice in whole["choices"]]
    return ChatCompletion.from_dict(whole)


def _error_delivery(error: CompletionError, pending: PendingRequest, request: SimulatedRequest) -> Delivery:
    """The delivery of the error response with which the provider would report this error.

    Raises:
        CompletionError: it would report it with none, and the caller gets the error itself.
    """
    reported = simulated_error(pending.format, error)
    if reported is None:
        raise error
    response = pending.format.encode_error(request, reported)
    wait = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    headers = {**response.headers, **dict(error.headers or {}), **wait}
    return plain_delivery(attrs.evolve(response, headers=headers))


def _interrupted(delivery: Delivery, error: CompletionError, pending: PendingRequest) -> Delivery:
    """A stream without its end; its reader gets `error` instead."""
    pending.error = copy.copy(error)
    writes = tuple(each for each in delivery.writes if each != DONE.data and b"event: done" not in each)
    return attrs.evolve(delivery, writes=writes, ending="close", whole=False)
