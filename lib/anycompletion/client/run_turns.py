"""The client as tool runs use it: one logical call per turn, within what is left of the run's time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from .._boundary import UsageError
from ..dialects.base import EncodingReport
from ..errors import InvalidRequestError, UnsupportedParameterError
from ..options import OptionValues, Timeout
from ..providers import apply_param_support
from ..records import ChatCompletion, ChatRequest, Message
from ..structured.parse import with_refresh
from ..tools.run_driver import RunDriver
from ..tools.run_settings import SETTING_NAMES, checked_settings
from ..tools.tool_run import ToolRun
from ..tools.tool_set import tool_set
from ..tools.tool_threads import thread_limit
from ..tools.transcript import check_open_calls
from ..tools.typed_answers import typed_answer
from ..validation import check_option_values, parse_call
from ..validation.call_arguments import is_keyword, unknown_run_keyword
from .dispatch import CallDispatcher

if TYPE_CHECKING:
    import anyio

    from ..calls import CallPlan
    from ..streaming import CompletionStream
    from ..tools.run_client import OpenRun


class DispatchedTurns:
    """A client as `tools.run_driver.RunClient`; it references the client, which so lives as long as the run."""

    __slots__ = ("_client", "_dispatcher", "_options")

    def __init__(self, client: object, dispatcher: CallDispatcher, options: OptionValues) -> None:
        self._client = client
        self._dispatcher = dispatcher
        self._options = options
        if (dispatcher.defaults | options).get("keep_text") is False:
            self._options = options | OptionValues({"keep_text": True})  # a turn is made of its whole reply

    @property
    def threads(self) -> anyio.CapacityLimiter:
        """The limit of the threads of sync tools."""
        state = self._dispatcher.state
        if state.tool_threads is None:
            state.tool_threads = thread_limit()
        return state.tool_threads

    def track_run(self, run: OpenRun) -> None:
        """Has the client close a run when it is closed itself."""
        self._dispatcher.state.tool_runs.add(run)

    @property
    def may_refresh(self) -> bool:
        """Whether a reply may be asked for anew that a cache has stored."""
        return with_refresh(self._options, self._dispatcher.defaults) is not None

    async def check(self, request: ChatRequest, *, stream: bool) -> None:
        """Checks whether the request can be sent; with middleware, which may change it, only whether the client can.

        Raises:
            CompletionError: the client is closed, the provider is unknown or has no tools, or there is no key.
        """
        dispatcher, options = self._dispatcher, self._options
        await dispatcher.state.start_call()
        if dispatcher.middleware:
            return
        dispatcher.check(request.model, options)
        refusal: UnsupportedParameterError | None = None
        for plan in self._plans(request.model, stream=stream):
            target = plan.target
            report = EncodingReport(target.on_unsupported)
            try:
                apply_param_support(request, plan.param_support, report, provider=target.provider)
            except UnsupportedParameterError as error:
                refusal = refusal or error
            else:
                return
        if refusal is not None:
            raise refusal

    def _plans(self, model: str, *, stream: bool) -> Iterator[CallPlan]:
        """How calls would be made: one plan, or that of each target of a route."""
        dispatcher, options = self._dispatcher, self._options
        if not dispatcher.provider_of(model, options)[2]:
            yield dispatcher.plan(model, options, stream=stream)
            return
        planner, checked = dispatcher.load_routes().planner, check_option_values(options)
        route = planner.route_of(model, checked)
        if route is not None:
            yield from (target.plan for target in planner.planned(route, checked, stream=stream).targets)

    async def complete(self, request: ChatRequest, left: float | None, *, refresh: bool) -> ChatCompletion:
        """One reply, within `left` seconds; with `refresh`, no stored one."""
        started = await self._dispatcher.state.start_call()
        return await self._dispatcher.complete(request, self._options_of_turn(left, refresh=refresh), started)

    def stream(self, request: ChatRequest, left: float | None, *, refresh: bool) -> CompletionStream:
        """One streamed reply, within `left` seconds; with `refresh`, no stored one."""
        return self._dispatcher.stream(request, self._options_of_turn(left, refresh=refresh))

    def _options_of_turn(self, left: float | None, *, refresh: bool) -> OptionValues:
        """The call's options, with the smaller of its own total timeout and `left` seconds."""
        options = (with_refresh(self._options, self._dispatcher.defaults) if refresh else None) or self._options
        if left is None:
            return options
        checked = check_option_values(options)
        timeout: Timeout = (self._dispatcher.defaults | checked)["timeout"]
        total = left if timeout.total is None else min(timeout.total, left)
        return checked | OptionValues({"timeout": attrs.evolve(timeout, total=total)})


def tool_run(
    client: object,
    dispatcher: CallDispatcher,
    model: str,
    messages: object,
    tools: object,
    keywords: Mapping[str, Any],
    answer_options: Mapping[str, Any],
) -> ToolRun[Any]:
    """The run of the arguments of `run_tools`, which is not started.

    Raises:
        CompletionError: an argument is invalid.
        TypeError: an unknown keyword.
    """
    rest: Mapping[str, Any]
    try:
        for name in keywords:
            if name in SET_BY_RUN:
                raise UsageError(f"run_tools has no {name!r}: {SET_BY_RUN[name]}")
        if (n := keywords.get("n")) is not None and (type(n) is not int or n != 1):
            raise InvalidRequestError("n: a run has one conversation; leave it out", param="n")
        for name in keywords:
            if name not in SETTING_NAMES and not is_keyword(name):
                raise UsageError(unknown_run_keyword(name, (*SETTING_NAMES, *answer_options, "into"), SET_BY_RUN))
        own = {name: value for name, value in keywords.items() if name in SETTING_NAMES}
        settings, known = checked_settings(own), tool_set(tools)
        rest = {name: value for name, value in keywords.items() if name not in SETTING_NAMES and name != "n"}
        request, options = parse_call(model, messages, {**rest, "tools": known.definitions or None})
    finally:
        keywords = rest = {}  # tracebacks have this frame, and keys may be among them
    check_open_calls(cast("list[Message]", request.messages))
    answer = None
    if "into" in answer_options:
        answer = typed_answer(dispatcher, request, options, answer_options)
    return ToolRun(RunDriver(DispatchedTurns(client, dispatcher, options), request, known, settings, answer))


SET_BY_RUN: Mapping[str, str] = {
    "stream": "read the run by events() or text, and its turns are streamed",
    "functions": "pass them as tools",
    "function_call": "tool_choice has it",
    "response_format": "into= is the type of the answer",
}
"""Parameters of `create` that a run sets itself → what to write instead."""
