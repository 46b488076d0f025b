"""What rows of several modules have in common where the provider has OpenAI's Responses API as well."""

from __future__ import annotations

from ...dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from ...params import ParamSupport, ParamTable
from ..provider import ProviderVariant

TOKEN_LIMIT = ParamSupport("mapped", minimum=1, note="max_output_tokens")

COMPATIBLE_RESPONSES: ParamTable = {
    # OpenAI's limits do not apply.
    "temperature": ParamSupport("native", minimum=0),
    "max_tokens": TOKEN_LIMIT,
    "max_completion_tokens": TOKEN_LIMIT,
    "top_logprobs": ParamSupport("native", minimum=0),
}

RESPONSES = ProviderVariant(
    "openai_responses",
    quirks=OpenAIResponsesQuirks(encrypted_reasoning=False, developer_role=False),
    params=COMPATIBLE_RESPONSES,
)

NO_RECORDED_RESPONSES = "its Responses API is documented, not recorded"
