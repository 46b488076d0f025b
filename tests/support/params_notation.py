"""Notation of the parameter table: calls, what each provider must receive for them, and how an outcome is observed.

A call is written once (`params_calls`, `legacy_params_calls`). Each provider has a column (a module of `params_table`)
that maps the names of calls to expectations. `Row` joins a call with the expectations of all columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from anycompletion import AsyncCompletion, CompletionError, InvalidRequestError, UnsupportedParameterError
from anycompletion.testing import SimulatorServer

QUESTION = "Hi."
USER = {"role": "user", "content": QUESTION}


# --- expectations -----------------------------------------------------------------------------------------------------


@attrs.frozen
class Given:
    """The body contains the call's parameters (and messages) under their own names, as they were given."""


@attrs.frozen
class Unsupported:
    """`UnsupportedParameterError` naming `param` (by default the call's only one), and nothing is sent."""

    param: str = ""
    rest: Expectation = attrs.field(factory=dict[str, Any])
    """What is sent where the parameter is dropped instead: a difference from the base body."""


@attrs.frozen
class Invalid:
    """`InvalidRequestError` naming `param` (by default the call's only one), whatever the policy."""

    param: str = ""


@attrs.frozen
class Branches:
    """`number` requests, each with the base body."""

    number: int


Expectation = dict[str, Any] | Given | Unsupported | Invalid | Branches
"""A dict is the difference from the base body, or from its member `ProviderColumn.member`."""

GIVEN = Given()
UNSENT: Expectation = {}
"""The parameter is accepted, and the base body is sent unchanged."""
REFUSED = Unsupported()
INVALID = Invalid()


# --- calls, columns and rows ------------------------------------------------------------------------------------------


@attrs.frozen
class ParamsCall:
    """Arguments of one call."""

    name: str
    """The key of its expectations in columns."""
    params: Mapping[str, Any]
    messages: Any = None
    """Instead of one question."""
    stream: bool = False
    model: str = ""
    """Instead of the column's model."""


def call(
    name: str = "", /, *, messages: Any = None, stream: bool = False, model: str = "", **params: Any
) -> ParamsCall:
    """A call with `params`; its name is by default its parameters as they are written."""
    return ParamsCall(name or described(params, messages, stream), params, messages, stream, model)


def described(params: Mapping[str, Any], messages: Any, stream: bool) -> str:
    """The arguments of a call as text."""
    given = [f"{name}={value!r}" for name, value in params.items()]
    if messages is not None:
        given.append(f"messages={messages!r}")
    return ", ".join(given) + (", stream" if stream else "")


@attrs.frozen(kw_only=True)
class ProviderColumn:
    """One provider's column of the table: its expectations, and facts about it that tests need."""

    model: str
    """The model of calls without one, by the provider's own name."""
    asked_as: str = ""
    """What precedes the model in a call, where that is not the name of the column: a provider and its variant."""
    path: str
    """Where the simulator receives requests for that model."""
    body: Callable[[str, bool], dict[str, Any]]
    """The base body of a call without parameters, for a model and for whether it streams."""
    member: str = ""
    """The member of the body that contains parameters and messages; "" for the body itself."""
    expectations: Mapping[str, Expectation]
    """An expectation for each of `CALLS`."""
    own_expectations: tuple[tuple[ParamsCall, Expectation], ...] = ()
    """Calls that are meant for this provider only, or for one of its models."""
    legacy_expectations: Mapping[str, Expectation]
    """Expectations for `LEGACY_CALLS`."""
    denied: frozenset[str] = frozenset()
    """Names of calls that the client sends and the server refuses."""
    stream_path: str = ""
    """The path of streams, where they have another one."""
    stream_type: str = "text/event-stream"
    """The content type of streams."""
    functions: bool = True
    """Whether the model can call functions."""
    long_tool_names: bool = False
    """Whether names of tools may have more than OpenAI's 64 characters."""
    unknown_parts: bool = True
    """Whether a message's parts of unknown types are sent as they are."""
    several_choices: bool = False
    """Whether one request can return several choices."""
    support_depends_on_model: bool = False
    """Whether a native parameter can be missing from a model."""
    bare_models: tuple[str, ...] = ()
    """Names that identify the provider without its name before them."""
    key_header: tuple[str, str]
    """The header that contains the key "the-key", and its value."""
    key_variables: tuple[str, ...]
    """Environment variables that can contain the key."""
    url_variables: tuple[str, ...]
    """Environment variables that can contain the base URL."""


@attrs.frozen
class Row:
    """One call and what each provider must receive for it."""

    call: ParamsCall
    expectations: Mapping[str, Expectation]
    """Provider → expectation."""
    columns: Mapping[str, ProviderColumn]

    @property
    def params(self) -> Mapping[str, Any]:
        """The call's parameters."""
        return self.call.params

    def model(self, provider: str) -> str:
        """The model that is asked."""
        return self.call.model or self.columns[provider].model

    def asked_model(self, provider: str) -> str:
        """The model as callers write it."""
        return f"{self.columns[provider].asked_as or provider}/{self.model(provider)}"

    def __str__(self) -> str:
        text = described(self.call.params, self.call.messages, self.call.stream)
        return text if len(text) <= 90 else f"{text[:89]}…"


# --- what must be sent ----------------------------------------------------------------------------------------------


def base_body(row: Row, provider: str) -> dict[str, Any]:
    """The body for one question and no parameter."""
    return row.columns[provider].body(row.model(provider), row.call.stream)


def changed_body(row: Row, provider: str, expectation: Expectation) -> dict[str, Any]:
    """The base body with the difference of an expectation."""
    body, member = base_body(row, provider), row.columns[provider].member
    match expectation:
        case Given():
            difference = dict(row.params)
            if row.call.messages is not None:
                difference["messages"] = row.call.messages
        case dict():
            difference = expectation
        case _:
            raise AssertionError(f"{expectation} is not a body")
    return body | {member: {**body[member], **difference}} if member else body | difference


@attrs.frozen
class Outcome:
    """The result of a call: what was sent and how the call ended."""

    bodies: list[dict[str, Any]]
    """Of every request for a completion."""
    refusal: tuple[type[CompletionError], str | None] | None = None
    """Class and parameter of an error that was raised before anything was sent."""
    answered: bool = False


def expected(row: Row, provider: str, expectation: Expectation) -> Outcome:
    """The outcome that an expectation describes."""
    (own,) = row.params if len(row.params) == 1 else ("",)
    match expectation:
        case Invalid(param):
            return Outcome([], (InvalidRequestError, param or own))
        case Unsupported(param, _):
            return Outcome([], (UnsupportedParameterError, param or own))
        case Branches(number):
            return Outcome([base_body(row, provider)] * number, answered=True)
        case _:
            denied = row.call.name in row.columns[provider].denied
            return Outcome([changed_body(row, provider, expectation)], answered=not denied)


# --- what is sent ---------------------------------------------------------------------------------------------------


async def outcome(row: Row, provider: str, sim: SimulatorServer, client: AsyncCompletion, **options: Any) -> Outcome:
    """The outcome of the row's call."""
    sim.requests.clear()
    error = None
    try:
        await reply_warnings(row, provider, client, **options)
    except CompletionError as exc:
        error = exc
    # Replicate's model descriptions are fetched with GET before the request can be checked.
    bodies = [request.body for request in sim.requests if request.method == "POST"]
    if isinstance(error, InvalidRequestError):
        return Outcome(bodies, (type(error), error.param))
    return Outcome(bodies, answered=error is None)


async def reply_warnings(row: Row, provider: str, client: AsyncCompletion, **options: Any) -> list[str]:
    """Makes the row's call and returns the warnings of its reply.

    Raises:
        CompletionError: the call raises it.
    """
    model = row.asked_model(provider)
    messages = QUESTION if row.call.messages is None else row.call.messages
    options = {"max_retries": 0, **row.params, **options}
    if not row.call.stream:
        return (await client.create(model, messages, **options)).info.warnings
    async with client.stream(model, messages, **options) as stream:
        return (await stream.get_final_completion()).info.warnings
