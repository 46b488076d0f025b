"""What one call must put on the wire: the notation of the tables, and how a cell of theirs is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from anycompletion import AsyncCompletion, CompletionError, InvalidRequestError, UnsupportedParameterError
from anycompletion.testing import SimulatorServer

MODELS: Mapping[str, str] = {
    "openai": "gpt-4o-mini",
    "azure": "our-deployment",
    "openrouter": "openai/gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "cohere": "command-a-03-2025",
    "replicate": "meta/meta-llama-3-8b-instruct",
}
"""Provider → the model that is asked, in the provider's own words."""

QUESTION = "Hi."
USER = {"role": "user", "content": QUESTION}


# --- the notation ---------------------------------------------------------------------------------------------------


@attrs.frozen
class Given:
    """The row's parameters (and messages) stand in the body as they were given, under their own names."""


@attrs.frozen
class Unsupported:
    """`UnsupportedParameterError` naming `param` (the row's only one by default), and nothing is sent."""

    param: str = ""
    rest: Cell = attrs.field(factory=dict[str, Any])
    """What is sent where it is dropped instead: a difference to the base body."""


@attrs.frozen
class Invalid:
    """`InvalidRequestError` naming `param` (the row's only one by default), whatever the policy."""

    param: str = ""


@attrs.frozen
class Branches:
    """As many requests, each with the base body."""

    number: int


Cell = dict[str, Any] | Given | Unsupported | Invalid | Branches | None
"""A dict is the difference to the base body (to its `input`, for Replicate), None is a cell nobody looks at."""

GIVEN = Given()
UNSENT: Cell = {}
"""Accepted, and the base body goes out as it is."""
REFUSED = Unsupported()
INVALID = Invalid()


@attrs.frozen
class Row:
    """One call and what each provider is sent for it."""

    params: Mapping[str, Any]
    openai: Cell
    openrouter: Cell
    anthropic: Cell
    cohere: Cell
    replicate: Cell
    azure: Cell = attrs.field(kw_only=True)
    messages: Any = attrs.field(default=None, kw_only=True)
    """Instead of one question."""
    stream: bool = attrs.field(default=False, kw_only=True)
    models: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    """Instead of `MODELS`."""
    denied: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Providers whose server says no to what is sent all the same."""

    @azure.default
    def _as_openai(self) -> Cell:
        return self.openai

    def __str__(self) -> str:
        said = [f"{name}={value!r}" for name, value in self.params.items()]
        if self.messages is not None:
            said.append(f"messages={self.messages!r}")
        text = ", ".join(said) + (", stream" if self.stream else "")
        return text if len(text) <= 90 else f"{text[:89]}…"

    def cells(self) -> dict[str, Cell]:
        """Provider → cell."""
        return {name: cell for name in MODELS if (cell := getattr(self, name)) is not None}


def everywhere(params: Mapping[str, Any], cell: Cell, **options: Any) -> Row:
    """The same cell for all providers."""
    return Row(params, cell, cell, cell, cell, cell, **options)


# --- what must be sent ----------------------------------------------------------------------------------------------


def base_body(row: Row, provider: str) -> dict[str, Any]:
    """What is sent for the row's messages and no parameter."""
    if provider == "replicate":
        whole: dict[str, Any] = {"input": {"prompt": QUESTION}}
        return whole | {"stream": True} if row.stream else whole
    body: dict[str, Any] = {"model": row.models.get(provider, MODELS[provider]), "messages": [USER]}
    if provider == "anthropic":
        body["max_tokens"] = 4096
    if row.stream:
        body["stream"] = True
        if provider in ("openai", "azure"):
            body["stream_options"] = {"include_usage": True}
    return body


def changed(row: Row, provider: str, cell: Cell) -> dict[str, Any]:
    """The base body with a cell's difference."""
    body = base_body(row, provider)
    match cell:
        case Given():
            difference = dict(row.params)
            if row.messages is not None:
                assert provider != "replicate", "no model here takes messages"
                difference["messages"] = row.messages
        case dict():
            difference = cell
        case _:
            raise AssertionError(f"{cell} is no body")
    if provider == "replicate":
        return body | {"input": {**body["input"], **difference}}
    return body | difference


@attrs.frozen
class Outcome:
    """What a call came to."""

    bodies: list[dict[str, Any]]
    """Of every request that asks for an answer."""
    refusal: tuple[type[CompletionError], str | None] | None = None
    """Kind and parameter of an error that was raised before anything was sent."""
    answered: bool = False


def expected(row: Row, provider: str, cell: Cell) -> Outcome:
    """What a cell demands."""
    (own,) = row.params if len(row.params) == 1 else ("",)
    match cell:
        case Invalid(param):
            return Outcome([], (InvalidRequestError, param or own))
        case Unsupported(param, _):
            return Outcome([], (UnsupportedParameterError, param or own))
        case Branches(number):
            return Outcome([base_body(row, provider)] * number, answered=True)
        case _:
            return Outcome([changed(row, provider, cell)], answered=provider not in row.denied)


# --- what is sent ---------------------------------------------------------------------------------------------------


async def outcome(row: Row, provider: str, sim: SimulatorServer, client: AsyncCompletion, **options: Any) -> Outcome:
    """What the row's call comes to."""
    sim.requests.clear()
    error = None
    try:
        await said(row, provider, client, **options)
    except CompletionError as fault:
        error = fault
    # What a model of Replicate's takes is asked before it is known what to refuse.
    bodies = [request.body for request in sim.requests if request.method == "POST"]
    if isinstance(error, InvalidRequestError):
        return Outcome(bodies, (type(error), error.param))
    return Outcome(bodies, answered=error is None)


async def said(row: Row, provider: str, client: AsyncCompletion, **options: Any) -> list[str]:
    """Makes the row's call, and gives the warnings of its reply.

    Raises:
        CompletionError: what the call raises.
    """
    model = f"{provider}/{row.models.get(provider, MODELS[provider])}"
    messages = QUESTION if row.messages is None else row.messages
    options = {"max_retries": 0, **row.params, **options}
    if not row.stream:
        return (await client.create(model, messages, **options)).info.warnings
    async with client.stream(model, messages, **options) as stream:
        return (await stream.get_final_completion()).info.warnings
