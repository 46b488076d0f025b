"""Differences between OpenAI-compatible servers and OpenAI. Contains no provider's data."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ...params import FUNCTION_CALLS, ParamSupport, ParamTable
from ..base import DialectQuirks, Target
from .call_ids import OpenAICallIdForm
from .finish_reasons import FINISH_REASONS


@attrs.frozen(eq=False, repr=False)
class Quirks(DialectQuirks):
    """Differences between an OpenAI-compatible server and OpenAI; the default has none."""

    include_usage: bool = True
    """Send ``stream_options.include_usage`` with streams for which the caller did not set it."""
    reasoning: str | None = None
    """The field in which `reasoning_content` of earlier assistant messages is sent back; None: it is not sent."""
    empty_reasoning: bool = False
    """The server refuses calls of earlier assistant messages without reasoning, as other providers' are: it gets an
    empty one with them."""
    reasoning_details: bool = False
    """Send `reasoning_details` of earlier assistant messages back."""
    extra_content: bool = False
    """Send Google's `extra_content` (thought signatures) of earlier assistant messages and their calls back."""
    functions_as_tools: bool = False
    """The server has no functions: they are sent as tools, and the reply is converted to the form of the request."""
    only_max_tokens: bool = False
    """The server supports `max_tokens` and not `max_completion_tokens`."""
    developer_role: bool | None = True
    """The server supports the role developer; if False, the role is sent as system. None: this depends on the model, so
    the role is sent unchanged with a warning."""
    calls_without_ids: bool = False
    """The server accepts tool calls and results without an id."""
    call_ids: OpenAICallIdForm | None = None
    """The form of ids that the server accepts; ids of another form, from other providers, are replaced. None: any."""
    one_system_message: bool = False
    """The server accepts one system message only: the leading ones are joined, and later ones are not supported."""
    blank_text: bool = True
    """Earlier assistant messages may be blank, and so may texts in lists of parts."""
    logprobs_number: bool = False
    """`logprobs` is the number of top tokens, and there is no `top_logprobs`."""
    schema_name: bool = True
    """A JSON schema for the reply needs a name."""
    longest_function_name: int = 64
    """Maximum length of a function's name, in characters."""
    renames: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Parameter → its name for this server."""
    stream_options: bool = True
    """The server supports `stream_options`; if not, usage is sent without a request for it."""
    message_name: bool = True
    """Messages may have a name."""
    reply_members: bool = True
    """Assistant messages may keep OpenAI's fields of replies (refusal, annotations, audio)."""
    result_media: bool = False
    """Results of tools may have images and files; if not, they are sent in a message of the user after the results."""
    assistant_after_results: bool = False
    """A message of the user may not follow tool results: a short one of the assistant is added between them."""
    finish_reasons: Mapping[str, str] = attrs.field(default=FINISH_REASONS)
    """The server's finish reason → OpenAI's."""
    deployments: bool = False
    """Azure's URLs, which contain the deployment and the API version."""

    @property
    def requires_call_ids(self) -> bool:
        """Whether tool calls and their results need an id."""
        return not self.calls_without_ids

    def param_support(self) -> ParamTable:
        """Parameter support that differs from the dialect's, so that the table agrees with the encoder."""
        support: dict[str, ParamSupport] = {}
        if self.functions_as_tools:
            support["functions"] = ParamSupport("mapped", note="tools")
            support["function_call"] = ParamSupport("mapped", values=FUNCTION_CALLS, note="tool_choice")
        for name, wire_name in self.renames.items():
            support[name] = ParamSupport("mapped", note=wire_name)
        if not self.stream_options:
            support["stream_options"] = ParamSupport("mapped", note="usage always comes")
        if self.logprobs_number:
            support["logprobs"] = ParamSupport("native", own_forms=True, note="the number of top tokens")
            support["top_logprobs"] = ParamSupport("mapped", minimum=0, note="logprobs")
        if self.only_max_tokens:
            support["max_completion_tokens"] = ParamSupport("mapped", minimum=1, note="max_tokens")
        return support


def finish_reasons_of(target: Target) -> Mapping[str, str]:
    """The target's finish reason → OpenAI's."""
    quirks = target.quirks
    return quirks.finish_reasons if isinstance(quirks, Quirks) else FINISH_REASONS
