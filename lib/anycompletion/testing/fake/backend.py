"""The server behind a fake provider: takes replies in turn and answers with them; opens no connection."""

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
from ..formats.json_access import as_dict
from ..formats.openai_chat import simulate as sim_openai
from ..formats.registry import Language
from ..formats.replicate_predictions import encode as say_replicate
from ..formats.replicate_predictions import simulate as sim_replicate
from ..formats.wire_format import ASK, Call, Memory, Plain, Stream
from ..simulator.delivery import Delivery, deliver, healthy
from ..simulator.faults import FaultScript
from ..simulator.loopback import Answerer, close
from ..simulator.request_log import RecordedRequest
from ..simulator.sending import send
from .replies import Answer, FakeReply, Frame, Script, check, choices_of, script_of

TAG = "x-anycompletion-fake"
"""The header that tells the server which call a request belongs to; nobody else sees it."""

_KEPT = 100_000
"""Calls that are remembered; after that the oldest go."""

_NO_ANSWER = frozenset({"status", "body", "garble"})
"""Kinds of faults that put something else in the place of the answer."""


class NoReplyLeft(AssertionError):
    """A `FakeProvider` was asked once more than it has replies: a mistake of the test, and no error of the API."""


@attrs.define(eq=False)
class FakeRequest:
    """One logical call that reached a `FakeProvider`: what the app meant, and what went over the wire for it."""

    provider: str
    model: str
    """The provider's own name of it."""
    request: ChatRequest = attrs.field(repr=False)
    """As the app wrote it: with its `n`, and with parameters that the provider does not have."""
    stream: bool
    wire: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest], repr=False)
    """The HTTP requests in the order they came: attempts, branches of a fan-out, steps of a prediction."""

    @property
    def body(self) -> Any:
        """The JSON of the first HTTP request that asked for an answer."""
        return next((each.body for each in self.wire if each.method == "POST"), None)


@attrs.define(eq=False)
class Ask:
    """One HTTP request on its way."""

    logical: FakeRequest
    language: Language
    base_url: str
    id_header: str
    """The header in which the provider names a request."""
    memory: Memory
    """The provider's, from one request to the next."""
    answered: list[int]
    """Choices of the logical call that were answered before: one number that all its requests share."""
    raising: BaseException | None = None
    """What the caller gets in the place of a connection error."""


class Desk(Answerer):
    """Answers what a client sends, with what a test wrote."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.latency = 0.0
        self.chunk_delay = 0.0
        self.chunks: int | None = None
        self.faults = FaultScript(None)
        self.calls: list[FakeRequest] = []
        self.replies: deque[FakeReply] = deque()
        self.given = 0
        """Replies that were ever given."""
        self._expected: dict[str, Ask] = {}
        self._tags = 0

    def add(self, *replies: FakeReply) -> None:
        """More replies."""
        self.replies.extend([check(each) for each in replies])
        self.given += len(replies)

    def expect(self, ask: Ask) -> str:
        """A tag for a request that is about to be sent."""
        self._tags += 1
        tag = str(self._tags)
        self._expected[tag] = ask
        return tag

    def forget(self, tag: str) -> None:
        """Its answer has begun, or never will."""
        self._expected.pop(tag, None)

    # --- replies ---

    async def _answers(self, ask: Ask, call: Call) -> list[Answer]:
        """Replies for all the choices that one HTTP request asks for; or an error alone."""
        most = ask.language.most_choices
        count = most or as_dict(call.body).get("n") or 1
        first = ask.answered[0]
        ask.answered[0] += count
        answers: list[Answer] = []
        have = 0
        while have < count:
            answer = await self._answer(ask.logical, count - have, first + have)
            if isinstance(answer, CompletionError):
                return [answer]
            answers.append(answer)
            have += choices_of(answer)
        if most is not None and have > most:
            raise ValueError(
                f"a reply has several choices, and an answer of {ask.logical.provider}'s has one; give it one each"
            )
        return answers

    async def _answer(self, logical: FakeRequest, count: int, first: int) -> Answer:
        if not self.given:
            return _echo(logical, count, first)
        if not self.replies:
            raise NoReplyLeft(
                f"FakeProvider {self.name!r} has no reply left of the {self.given} it was given, and a call to "
                f"{logical.provider}/{logical.model} asks for one; give it more, or as the last one a function, which "
                "answers all that come"
            )
        lasting = len(self.replies) == 1 and callable(self.replies[0])
        reply = self.replies[0] if lasting else self.replies.popleft()
        if not callable(reply):
            return reply
        given = reply(logical.request)
        answer = check(await given if inspect.isawaitable(given) else given)
        if callable(answer):
            raise TypeError("the function of a FakeProvider gave another function")
        return answer

    # --- requests ---

    def _provider_of(self, path: str) -> str:
        return ""

    async def _respond(self, request: web.Request, record: RecordedRequest) -> web.StreamResponse:
        ask = self._expected[record.headers.pop(TAG)]
        self._note(ask, record)
        try:
            delivery = await self._delivery(ask, record)
        except Exception as error:  # noqa: BLE001 (the test's own code may fail in any way, and its caller is told)
            ask.raising = copy.copy(error) if isinstance(error, CompletionError) else error
            close(request, record)
            return web.Response()
        headers = {ask.id_header: f"req_{uuid.uuid4().hex}", **delivery.headers}
        return await send(request, record, attrs.evolve(delivery, headers=headers), self.chunk_delay)

    def _note(self, ask: Ask, record: RecordedRequest) -> None:
        record.provider = ask.logical.provider
        self.requests.clear()  # they are kept by call
        if not ask.logical.wire:
            self.calls.append(ask.logical)
            del self.calls[:-_KEPT]
        ask.logical.wire.append(record)

    async def _delivery(self, ask: Ask, record: RecordedRequest) -> Delivery:
        """What the server does for one request; whatever is raised, the caller gets."""
        call, wire = self._call(ask, record), ask.language.simulated
        step = wire.step(call.method, call.path)
        fault = self.faults.next(ask.logical.provider, step)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if self.latency:
            await asyncio.sleep(self.latency)
        if step != ASK:
            delivery = deliver(attrs.evolve(wire, answer=say_replicate.step), call, fault)
            error = say_replicate.broken_off(call) if fault is None else None
            return delivery if error is None else _broken_off(delivery, error, ask)
        replaced = fault is not None and fault.kind in _NO_ANSWER
        answers = [_echo(ask.logical, 1, 0)] if replaced else await self._answers(ask, call)
        if isinstance(answers[0], CompletionError):
            return _failed(answers[0], ask, call)
        script = script_of(answers, self._frame(ask, call))
        if script.error is not None and not ask.logical.stream:
            return _failed(script.error, ask, call)
        delivery = deliver(attrs.evolve(wire, answer=_Said(ask.language, script)), call, fault)
        if script.error is None or fault is not None or wire is sim_replicate.FORMAT:
            return delivery
        return _broken_off(delivery, script.error, ask)

    def _frame(self, ask: Ask, call: Call) -> Frame:
        logical = ask.logical
        return Frame(
            id=f"fake-{call.uid}",
            created=int(call.now),
            model=logical.model,
            request=logical.request,
            stream=logical.stream,
            pieces=self.chunks,
        )

    def _call(self, ask: Ask, record: RecordedRequest) -> Call:
        wire, base = ask.language.simulated, urlsplit(ask.base_url)
        return Call(
            method=record.method,
            path=record.path.removeprefix(base.path).removeprefix(wire.root),
            headers=record.headers,
            body=record.body,
            uid=uuid.uuid4().hex,
            now=time.time(),
            query=record.query,
            origin=f"{base.scheme}://{base.netloc}{base.path}",
            latency=self.latency,
            memory=ask.memory,
        )


@attrs.frozen
class _Said:
    """The answer that was written, whatever is asked."""

    language: Language
    script: Script

    def __call__(self, call: Call) -> Plain | Stream:
        return self.language.say(call, self.script)


def _echo(logical: FakeRequest, count: int, first: int) -> ChatCompletion:
    """What the simulator would answer."""
    body: Mapping[str, Any] = logical.request.to_dict()
    messages = body["messages"]
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    asked = {**body, "messages": messages, "model": logical.model, "n": count}
    call = Call(method="POST", path="", headers={}, body=asked, uid=uuid.uuid4().hex, now=time.time())
    return ChatCompletion.from_dict(sim_openai.completion(call, asked, sim_openai.decisions(call, asked, first)))


def _failed(error: CompletionError, ask: Ask, call: Call) -> Delivery:
    """The provider's own words for an error, where it has any.

    Raises:
        CompletionError: it has none, and the caller gets the error itself.
    """
    failure = ask.language.failure(error)
    if failure is None:
        raise error
    answer = ask.language.refuse(call, failure)
    wait = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    return healthy(attrs.evolve(answer, headers={**answer.headers, **dict(error.headers or {}), **wait}))


def _broken_off(delivery: Delivery, error: CompletionError, ask: Ask) -> Delivery:
    """A stream without its end, and the error that its reader gets instead."""
    ask.raising = copy.copy(error)
    writes = tuple(each for each in delivery.writes if each != sim_openai.DONE.data and b"event: done" not in each)
    return attrs.evolve(delivery, writes=writes, ending="close", whole=False)
