"""The calls of a batch whose replies are values of a type; `client.parse` makes the same ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from hashlib import sha256
from typing import Any

from ..batch import ParsedBatchRun
from ..codecs.json import canonical
from ..errors import InvalidRequestError
from ..options import OptionValues
from ..records import ChatCompletion, ChatRequest
from ..structured import ParsedResult
from ..structured.parse import SET_BY_PARSE, checked_reasks, with_refresh
from ..structured.reasks import complete_typed
from ..structured.reply_type import reply_type
from .batch_calls import BatchCalls
from .dispatch import CallDispatcher
from .typed_dispatch import OnLoadRefusal


class ParsedBatchCalls(BatchCalls):
    """A client as `batch.BatchClient` that asks for values of a type, and again where a reply is none."""

    __slots__ = ("_asked", "_max_reasks")

    def __init__(self, client: object, dispatcher: CallDispatcher, into: object, arguments: Mapping[str, Any]) -> None:
        """Checks the type and the arguments `mode`, `strict`, `max_reasks` and `validate`.

        Raises:
            InvalidRequestError: one of them is invalid; `.param` names it.
        """
        super().__init__(client, dispatcher)
        self._asked = reply_type(into, arguments)
        self._max_reasks = checked_reasks(arguments["max_reasks"])

    @property
    def type_digest(self) -> str:
        """Digest of the type's schema, a part of what is asked. How it is asked (the mode, re-asks) is none."""
        return sha256(canonical(self._asked.plan.schema)).hexdigest()

    async def complete(
        self, request: ChatRequest, options: OptionValues, on_load_refusal: OnLoadRefusal
    ) -> ChatCompletion:
        """Sends a validated request, and again up to `max_reasks` times.

        Raises:
            ReplyError: the reply is no value of the type.
        """
        self._check(request)
        typed = self._asked.typed(request, *self._dispatcher.provider_of(request.model, options))
        started = asyncio.get_running_loop().time()

        def send(request: ChatRequest, reasks: int) -> Awaitable[ChatCompletion]:
            if reasks:
                return self._dispatcher.complete_again(request, options, started, on_load_refusal)
            return self._dispatcher.complete(request, options, on_load_refusal=on_load_refusal)

        def refresh(request: ChatRequest) -> Awaitable[ChatCompletion] | None:
            renewed = with_refresh(options, self._dispatcher.defaults)
            if renewed is None:
                return None
            return self._dispatcher.complete_again(request, renewed, started, on_load_refusal)

        return await complete_typed(send, typed, self._asked, self._max_reasks, refresh)

    def _check(self, request: ChatRequest) -> None:
        for name in SET_BY_PARSE:
            if getattr(request, name) is not None:
                raise InvalidRequestError(f"{name}: an item of a batch with a type has none of its own", param=name)
        if self._max_reasks and (request.n or 1) > 1:
            raise InvalidRequestError("max_reasks: works for one choice only; leave out n", param="max_reasks")


def parsed_batch(
    client: object,
    dispatcher: CallDispatcher,
    requests: object,
    into: object,
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> ParsedBatchRun[Any]:
    """A batch of a client whose replies are values of a type.

    Args:
        client: kept alive by the run.
        dispatcher: makes the calls.
        requests: the items.
        into: the type.
        arguments: `mode`, `strict`, `max_reasks` and `validate`.
        options: the arguments that batches without a type have as well.

    Raises:
        InvalidRequestError: an invalid argument; `.param` names it.
    """
    calls = ParsedBatchCalls(client, dispatcher, into, arguments)
    return ParsedBatchRun(requests, client=calls, into=calls.type_digest, as_parsed=ParsedResult.of, **options)
