"""Rows of Google's APIs: Gemini, Vertex AI, and the partners' formats on both."""

from __future__ import annotations

from collections.abc import Mapping

from ...auth import header_key
from ...dialects.anthropic_messages.anthropic_quirks import AnthropicQuirks
from ...dialects.gemini_generate.gemini_quirks import GeminiQuirks
from ...dialects.openai_chat.quirks import Quirks
from ...params import ParamSupport, unsupported
from ..placeholders import DependentPlaceholder, EnvPlaceholder, Placeholder
from ..provider import Provider
from ..structured_support import StructuredSupport
from .shared_parts import CLAUDE, COMPATIBLE, JSON, NO_RECORDED_JSON, NOT_RECORDED, SCHEMA


def _project(*first: str) -> EnvPlaceholder:
    variables = (*first, "GOOGLE_CLOUD_PROJECT", "VERTEXAI_PROJECT")
    return EnvPlaceholder(variables, characters=".:_-", model_pattern=r"projects/([a-z0-9.:_-]+)/")


def _location(*first: str) -> EnvPlaceholder:
    variables = (*first, "GOOGLE_CLOUD_LOCATION", "VERTEXAI_LOCATION", "VERTEX_LOCATION")
    return EnvPlaceholder(variables, "global", model_pattern=r"projects/[^/]+/locations/([a-z0-9-]+)/")


_VERTEX_HOST = DependentPlaceholder(
    "location",
    {
        "global": "aiplatform.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
        "us": "aiplatform.us.rep.googleapis.com",
        "*": "{location}-aiplatform.googleapis.com",
    },
)

_VERTEX: Mapping[str, Placeholder] = {
    "host": _VERTEX_HOST,
    "project": _project(),
    "location": _location(),
}

_GOOGLE_TOKENS = ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")

_GOOGLE_QUOTA: Mapping[str, tuple[str, ...]] = {"x-goog-user-project": ("GOOGLE_CLOUD_QUOTA_PROJECT",)}

_GOOGLE_HINT = "; anycompletion.integrations.google.vertex_token() is such a key: tokens of Google's credentials"

_GEMINI = StructuredSupport("schema", schema_with_tools=("gemini-3",))

ROWS: tuple[Provider, ...] = (
    Provider(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "gemini_generate",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        base_url_env=("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"),
        api_version_env=("GOOGLE_GENAI_API_VERSION",),
        auth=header_key("x-goog-api-key"),
        structured=_GEMINI,
        docs="https://ai.google.dev/api/generate-content",
        unverified="several candidates, image and audio replies in streams, and errors inside streams are not recorded",
    ),
    Provider(
        "vertex",
        "https://{host}/projects/{project}/locations/{location}",
        "gemini_generate",
        placeholders=_VERTEX,
        api_key_base_url="https://aiplatform.googleapis.com",
        key_env=("GOOGLE_VERTEX_API_KEY",),
        token_env=_GOOGLE_TOKENS,
        api_version_env=("GOOGLE_GENAI_API_VERSION",),
        key_hint=_GOOGLE_HINT,
        auth=header_key("x-goog-api-key", functions_give_tokens=True),
        headers_env=_GOOGLE_QUOTA,
        path="/publishers/google/models/{model}:{method}",
        quirks=GeminiQuirks(vertex=True),
        structured=_GEMINI,
        docs="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        unverified="express mode, several candidates, schemas of replies, and errors inside streams are not recorded",
    ),
    Provider(
        "vertex-anthropic",
        "https://{host}/v1/projects/{project}/locations/{location}",
        "anthropic_messages",
        placeholders={
            "host": _VERTEX_HOST,
            "project": _project("ANTHROPIC_VERTEX_PROJECT_ID"),
            "location": _location("CLOUD_ML_REGION"),
        },
        key_env=_GOOGLE_TOKENS,
        key_hint=_GOOGLE_HINT,
        headers_env=_GOOGLE_QUOTA,
        request_id_header="request-id",
        path="/publishers/anthropic/models/{model}:rawPredict",
        quirks=AnthropicQuirks(
            body_version="vertex-2023-10-16",
            stream_path="/publishers/anthropic/models/{model}:streamRawPredict",
            publisher_models=True,
        ),
        structured=CLAUDE,
        docs="https://docs.anthropic.com/en/api/claude-on-vertex-ai",
        unverified="which models and locations take schemas of replies, images by URL and service_tier; the list of "
        "models",
    ),
    Provider(
        "vertex-openai",
        "https://{host}/v1/projects/{project}/locations/{location}/endpoints/openapi",
        placeholders=_VERTEX,
        key_env=_GOOGLE_TOKENS,
        key_hint=_GOOGLE_HINT,
        headers_env=_GOOGLE_QUOTA,
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, extra_content=True),
        params=COMPATIBLE,
        structured=SCHEMA,
        docs="https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis",
        unverified=f"{NOT_RECORDED}; parameters depend on the model, and Mistral's models have another endpoint",
    ),
    Provider(
        "gemini-openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, extra_content=True),
        params={
            **COMPATIBLE,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "thinking": unsupported(
                "use reasoning_effort, or extra_body={'extra_body': {'google': {'thinking_config': ...}}}"
            ),
        },
        structured=JSON,
        docs="https://ai.google.dev/gemini-api/docs/openai",
        unverified=f"one recorded request; which of OpenAI's parameters it answers 400 to; {NO_RECORDED_JSON}",
    ),
)
