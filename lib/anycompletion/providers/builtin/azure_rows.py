"""Row of OpenAI's API at Azure."""

from __future__ import annotations

from ...auth import header_key
from ...dialects.openai_chat.quirks import Quirks
from ...dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from ..provider import Provider, ProviderVariant
from .shared_parts import ASK_RESPONSES, AT_MOST_40, STRICT_TOOLS

ROWS: tuple[Provider, ...] = (
    Provider(
        "azure",
        "",
        key_env=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_AI_API_KEY"),
        token_env=("AZURE_OPENAI_AD_TOKEN", "AZURE_AD_TOKEN"),
        base_url_env=("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE", "AZURE_AI_API_BASE"),
        api_version_env=("OPENAI_API_VERSION", "AZURE_API_VERSION"),
        auth=header_key("api-key", functions_give_tokens=True),
        headers_env={"OpenAI-Organization": ()},
        request_id_header="apim-request-id",
        quirks=Quirks(deployments=True, call_ids=AT_MOST_40),
        variants={
            "responses": ProviderVariant(
                "openai_responses", quirks=OpenAIResponsesQuirks(azure_urls=True), error_phrases=ASK_RESPONSES
            )
        },
        structured=STRICT_TOOLS,
        docs="https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference",
        unverified="which API versions take which parameters, and n > 1 of models that are not OpenAI's",
    ),
)
