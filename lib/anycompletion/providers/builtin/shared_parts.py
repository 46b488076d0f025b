"""What rows of several modules have in common."""

from __future__ import annotations

from collections.abc import Mapping

from ...dialects.openai_chat.call_ids import OpenAICallIdForm
from ...dialects.openai_chat.quirks import Quirks
from ...params import NATIVE, ParamSupport, ParamTable, unsupported
from ..structured_support import StructuredMode, StructuredSupport

TOOLS = Quirks(functions_as_tools=True, developer_role=False)

MAX_TOKENS = Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True)

THINKING_BACK = Quirks(
    functions_as_tools=True, developer_role=False, only_max_tokens=True, reasoning="reasoning_content"
)

AT_MOST_40 = OpenAICallIdForm(".{1,40}", 24)

COMPATIBLE: ParamTable = {
    "n": ParamSupport("fanned_out"),
    # OpenAI's limits do not apply.
    "temperature": ParamSupport("native", minimum=0),
    "stop": NATIVE,
    "top_logprobs": ParamSupport("native", minimum=0),
    "thinking": unsupported("only reasoning_effort is known; the provider's own switches go through extra_body"),
}

OWN_N = ParamSupport("native", minimum=1)

OWN_SCHEMA = ParamSupport("native", own_forms=True)

STRICT_TOOLS = StructuredSupport("schema", strict=True, strict_tools=True)

ALL_MODELS = ("",)
"""The start of every model's name."""

SCHEMA = StructuredSupport("schema")

JSON = StructuredSupport("json")

OLD_CLAUDE: Mapping[str, StructuredMode] = dict.fromkeys(
    (
        *("claude-instant", "claude-2", "claude-v2", "claude-3"),
        *("claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2", "claude-opus-4@"),
        *("claude-sonnet-4-0", "claude-sonnet-4-2", "claude-sonnet-4@"),
    ),
    "tool",
)
"""Claude models before 4.5, which have no schemas for replies. Dated names of 4.0 begin with 4-2025."""

CLAUDE = StructuredSupport("schema", models=OLD_CLAUDE, schema_with_tools=ALL_MODELS, thinking_takes_forced_tools=False)

NO_RECORDED_JSON = "JSON mode, in which typed replies are asked for, is not recorded"

ASK_RESPONSES = ("v1/responses", "not a chat model")
"""Parts of OpenAI's messages about models without a chat endpoint, and about tools with which the chat API does not
reason (gpt-5.4 and newer)."""

NOT_RECORDED = "from documentation and SDKs, no recorded traffic"
