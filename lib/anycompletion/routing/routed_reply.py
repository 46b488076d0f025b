"""Whole replies of calls over a route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

from ..errors import CompletionError
from ..records import ChatCompletion
from .routed_call import RoutedCall
from .visit import Visit


async def routed_reply(call: RoutedCall) -> ChatCompletion:
    """The reply of the first target that answers.

    Raises:
        CompletionError: an error that no other target may answer, or `AllTargetsFailedError`.
    """
    visit = call.first_visit() or await call.next_visit()
    while True:
        try:
            reply = await cast("Awaitable[ChatCompletion]", visit.answer)
        except CompletionError as error:
            failed = error
        except BaseException:  # cancelled, or an error of user code: which is not the target's
            visit.end()
            raise
        else:
            _record(call, visit, reply)
            return reply
        final = call.fail(visit, failed)
        del failed  # its traceback has this frame
        if final is not None:
            raise final
        visit = await call.next_visit()


def _record(call: RoutedCall, visit: Visit, reply: ChatCompletion) -> None:
    call.succeed(visit, reply.info)
    visit.end()
    usage = reply.usage
    if usage is not None and usage.completion_tokens:
        elapsed = asyncio.get_running_loop().time() - visit.began
        visit.planned.health.add_per_token(elapsed / usage.completion_tokens)
