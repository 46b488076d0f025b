"""Differences between OpenAI-compatible servers and OpenAI; contains no provider's data."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ...params import FUNCTION_CALLS, ParamSupport


@attrs.frozen
class Quirks:
    """Where an OpenAI-compatible server differs from OpenAI; the default is OpenAI itself."""

    include_usage: bool = True
    """Send ``stream_options.include_usage`` on streams that did not say otherwise."""
    reasoning: str | None = None
    """The member in which `reasoning_content` of earlier assistant turns goes back; None: it does not."""
    reasoning_details: bool = False
    """Send `reasoning_details` of earlier assistant turns back."""
    functions_as_tools: bool = False
    """The server has no functions: they are said as tools, and the answer is told in the form that was asked."""
    only_max_tokens: bool = False
    """The server knows `max_tokens` and not `max_completion_tokens`."""
    developer_role: bool | None = True
    """The server knows the role developer; where not, it is said as system. None: that depends on the model, so the
    role goes as it is and a warning says so."""
    calls_without_ids: bool = False
    """The server takes tool calls, and results of them, that have no id."""
    schema_name: bool = True
    """A JSON schema for the answer needs a name."""
    longest_function_name: int = 64
    """Characters that the name of a function may have."""
    renames: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Parameters that have another name here."""
    stream_options: bool = True
    """The server knows `stream_options`; where not, usage comes without being asked for."""
    message_name: bool = True
    """Messages may have a name."""
    reply_members: bool = True
    """Assistant messages may keep OpenAI's members of replies (refusal, annotations, audio)."""
    deployments: bool = False
    """Azure's addresses: the deployment and the API version stand in the URL."""

    def cells(self) -> dict[str, ParamSupport]:
        """What these quirks change in the parameter table, so that the table says what the encoder does."""
        cells: dict[str, ParamSupport] = {}
        if self.functions_as_tools:
            cells["functions"] = ParamSupport("mapped", note="tools")
            cells["function_call"] = ParamSupport("mapped", values=FUNCTION_CALLS, note="tool_choice")
        for name, wire_name in self.renames.items():
            cells[name] = ParamSupport("mapped", note=wire_name)
        if not self.stream_options:
            cells["stream_options"] = ParamSupport("mapped", note="usage always comes")
        if self.only_max_tokens:
            cells["max_completion_tokens"] = ParamSupport("mapped", minimum=1, note="max_tokens")
        return cells
