"""The built-in providers, as data without code.

Rows of OpenAI-compatible providers follow recorded traffic, the vendor's SDK or the vendor's documentation, and list in
`unverified` what none of these confirms. Unconfirmed features are requested in the form that every server accepts: n by
several requests, functions as tools, developer as system, max_completion_tokens as max_tokens.

Environment variables with a base URL in another form than the row's are not read (GROQ_BASE_URL has no version path,
OLLAMA_HOST need be no URL), because requests would go to a wrong address.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..auth import aws_sigv4, header_key
from ..dialects.anthropic_messages.anthropic_quirks import AnthropicQuirks
from ..dialects.gemini_generate.gemini_quirks import GeminiQuirks
from ..dialects.openai_chat.call_ids import OpenAICallIdForm
from ..dialects.openai_chat.quirks import Quirks
from ..dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from ..params import NATIVE, TOOL_CHOICES, ParamSupport, ParamTable, unsupported
from .placeholders import DependentPlaceholder, EnvPlaceholder, Placeholder
from .provider import Provider, ProviderVariant
from .structured_support import StructuredMode, StructuredSupport

# --- shared by OpenAI-compatible servers ---

_TOOLS = Quirks(functions_as_tools=True, developer_role=False)
_MAX_TOKENS = Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True)
_THINKING_BACK = Quirks(
    functions_as_tools=True, developer_role=False, only_max_tokens=True, reasoning="reasoning_content"
)

_AT_MOST_40 = OpenAICallIdForm(".{1,40}", 24)
_NINE_LETTERS_AND_DIGITS = OpenAICallIdForm("[A-Za-z0-9]{9}", 9)

_COMPATIBLE: ParamTable = {
    "n": ParamSupport("fanned_out"),
    # OpenAI's limits do not apply.
    "temperature": ParamSupport("native", minimum=0),
    "stop": NATIVE,
    "top_logprobs": ParamSupport("native", minimum=0),
    "thinking": unsupported("only reasoning_effort is known; the provider's own switches go through extra_body"),
}
_OWN_N = ParamSupport("native", minimum=1)
_ONE = ParamSupport("fanned_out", takes_no_op=True)
_FOUR_STOPS = ParamSupport("native", max_items=4)
_OWN_SCHEMA = ParamSupport("native", own_forms=True)

# --- typed replies ---

_OLD_OPENAI: Mapping[str, StructuredMode] = {
    **dict.fromkeys(("gpt-3.5", "gpt-4", "gpt-4o-2024-05-13", "gpt-4o-audio", "gpt-audio"), "tool"),
    **dict.fromkeys(("gpt-4o", "gpt-4.1", "gpt-4.5"), "schema"),
}
"""OpenAI's models before gpt-4o-2024-08-06 and those that speak have no schemas for replies; others have."""
_ALL = ("",)
_OPENAI = StructuredSupport(
    "schema",
    strict=True,
    strict_tools=True,
    models=_OLD_OPENAI,
    keywords={"minLength": True, "maxLength": True},
    schema_with_tools=_ALL,
)
_STRICT = StructuredSupport("schema", strict=True)
_STRICT_TOOLS = StructuredSupport("schema", strict=True, strict_tools=True)
_SCHEMA = StructuredSupport("schema")
_JSON = StructuredSupport("json")
_ONLY_JSON = StructuredSupport("json", lacks=("schema",))
_UNANCHORED: Mapping[str, bool] = {"pattern": False, "minLength": True, "maxLength": True}
"""Keywords of servers that make llama.cpp's grammar of a schema, in which a pattern of another form is an error."""

_OLD_CLAUDE: Mapping[str, StructuredMode] = dict.fromkeys(
    (
        *("claude-instant", "claude-2", "claude-v2", "claude-3"),
        *("claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2", "claude-opus-4@"),
        *("claude-sonnet-4-0", "claude-sonnet-4-2", "claude-sonnet-4@"),
    ),
    "tool",
)
"""Claude models before 4.5, which have no schemas for replies. Dated names of 4.0 begin with 4-2025."""
_CLAUDE = StructuredSupport("schema", models=_OLD_CLAUDE, schema_with_tools=_ALL, thinking_takes_forced_tools=False)
_GEMINI = StructuredSupport("schema", schema_with_tools=("gemini-3",))

_BEDROCK = StructuredSupport(
    "tool",
    models=dict.fromkeys(
        (
            *("anthropic.claude-haiku-4-5", "anthropic.claude-sonnet-4-5", "anthropic.claude-sonnet-4-6"),
            *("anthropic.claude-opus-4-5", "anthropic.claude-opus-4-6"),
            *("deepseek.v3-v1", "google.gemma-3-12b", "google.gemma-3-27b", "minimax.minimax-m2"),
            *("mistral.magistral-small", "mistral.ministral-3", "mistral.mistral-large-3", "mistral.voxtral"),
            *("moonshot.kimi-k2", "moonshotai.kimi-k2", "nvidia.nemotron-nano", "openai.gpt-oss", "qwen.qwen3"),
        ),
        "schema",
    ),
    thinking_takes_forced_tools=False,
)
"""The models of the documentation's list; others may have schemas as well, and get a tool."""

_GROQ = StructuredSupport(
    "json",
    strict=True,
    models=dict.fromkeys(
        (
            *("openai/gpt-oss", "moonshotai/kimi-k2"),
            *("meta-llama/llama-4-maverick", "meta-llama/llama-4-scout"),
        ),
        "schema",
    ),
    strict_models=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
)
_NO_RECORDED_JSON = "JSON mode, in which typed replies are asked for, is not recorded"

# --- Google Vertex AI ---


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

_AWS_REGION: Mapping[str, Placeholder] = {
    "region": EnvPlaceholder(
        ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_REGION_NAME"), model_pattern=r"arn:[^:]*:bedrock:([a-z0-9-]+):"
    )
}
_AWS_RUNTIME: Mapping[str, Placeholder] = {
    **_AWS_REGION,
    "domain": DependentPlaceholder(
        "region", {"eusc-*": "amazonaws.eu", "cn-*": "amazonaws.com.cn", "*": "amazonaws.com"}
    ),
}
_AWS_HINT = (
    "; anycompletion.integrations.aws.AWSCredentialChain() is such a key: credentials of profiles, SSO and roles"
)

# --- the Responses API ---

_ONLY_RESPONSES = (
    *("o1-pro", "o3-pro", "o3-deep-research", "o4-mini-deep-research", "computer-use-preview"),
    *("gpt-5-codex", "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.3-codex"),
    *("gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro"),
    *("gpt-daybreak", "gpt-rosalind", "gpt-*-cyber", "gpt-*-rosalind", "gpt-*-law"),
)
"""OpenAI's models that have no chat endpoint."""

_ASK_RESPONSES = ("v1/responses", "not a chat model")
"""Parts of OpenAI's messages about models without a chat endpoint, and about tools with which the chat API does not
reason (gpt-5.4 and newer)."""

_TOKEN_LIMIT = ParamSupport("mapped", minimum=1, note="max_output_tokens")
_COMPATIBLE_RESPONSES: ParamTable = {
    # OpenAI's limits do not apply.
    "temperature": ParamSupport("native", minimum=0),
    "max_tokens": _TOKEN_LIMIT,
    "max_completion_tokens": _TOKEN_LIMIT,
    "top_logprobs": ParamSupport("native", minimum=0),
}
_RESPONSES = ProviderVariant(
    "openai_responses",
    quirks=OpenAIResponsesQuirks(encrypted_reasoning=False, developer_role=False),
    params=_COMPATIBLE_RESPONSES,
)
_NO_RECORDED_RESPONSES = "its Responses API is documented, not recorded"

_NOT_RECORDED = "from documentation and SDKs, no recorded traffic"
_N_NOT_RECORDED = "native n is documented, not recorded"

ROWS: tuple[Provider, ...] = (
    Provider(
        "openai",
        "https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_URL"),
        headers_env={
            "OpenAI-Organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY"),
            "OpenAI-Project": ("OPENAI_PROJECT_ID",),
        },
        quirks=Quirks(call_ids=_AT_MOST_40),
        prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-"),
        variants={
            "responses": ProviderVariant(
                "openai_responses", only_models=_ONLY_RESPONSES, error_phrases=_ASK_RESPONSES, structured=_OPENAI
            )
        },
        structured=_OPENAI,
        docs="https://platform.openai.com/docs/api-reference/chat",
    ),
    Provider(
        "anthropic",
        "https://api.anthropic.com",
        "anthropic_messages",
        key_env=("ANTHROPIC_API_KEY",),
        base_url_env=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        token_env=("ANTHROPIC_AUTH_TOKEN",),
        auth=header_key("x-api-key"),
        request_id_header="request-id",
        prefixes=("claude-",),
        structured=_CLAUDE,
        docs="https://docs.anthropic.com/en/api/messages",
    ),
    Provider(
        "cohere",
        "https://api.cohere.com",
        "cohere_chat",
        key_env=("CO_API_KEY", "COHERE_API_KEY"),
        base_url_env=("CO_API_URL",),
        request_id_header="x-debug-trace-id",
        prefixes=("command",),
        structured=_SCHEMA,
        docs="https://docs.cohere.com/reference/chat",
        unverified="which keywords of JSON Schema its schemas of replies take",
    ),
    Provider(
        "replicate",
        "https://api.replicate.com",
        "replicate_predictions",
        key_env=("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        base_url_env=("REPLICATE_BASE_URL",),
        rate_limit_scope="key",
        retry_safe=False,
        docs="https://replicate.com/docs/reference/http",
    ),
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
        structured=_CLAUDE,
        docs="https://docs.anthropic.com/en/api/claude-on-vertex-ai",
        unverified="which models and locations take schemas of replies, images by URL and service_tier; the list of "
        "models",
    ),
    Provider(
        "bedrock",
        "https://bedrock-runtime.{region}.{domain}",
        "bedrock_converse",
        placeholders=_AWS_RUNTIME,
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        base_url_env=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
        auth=aws_sigv4("bedrock"),
        key_hint=_AWS_HINT,
        request_id_header="x-amzn-requestid",
        structured=_BEDROCK,
        docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        unverified="which models take which parameters and schemas; service tiers are documented, not recorded",
    ),
    Provider(
        "bedrock-anthropic",
        "https://bedrock-mantle.{region}.api.aws/anthropic",
        "anthropic_messages",
        placeholders=_AWS_REGION,
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        auth=aws_sigv4("bedrock-mantle"),
        key_hint=_AWS_HINT,
        request_id_header="request-id",
        structured=_CLAUDE,
        docs="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
        unverified="all of it: from documentation and SDKs, no recorded traffic",
    ),
    # --- OpenAI's format on other hosts ---
    Provider(
        "vertex-openai",
        "https://{host}/v1/projects/{project}/locations/{location}/endpoints/openapi",
        placeholders=_VERTEX,
        key_env=_GOOGLE_TOKENS,
        key_hint=_GOOGLE_HINT,
        headers_env=_GOOGLE_QUOTA,
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, extra_content=True),
        params=_COMPATIBLE,
        structured=_SCHEMA,
        docs="https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis",
        unverified=f"{_NOT_RECORDED}; parameters depend on the model, and Mistral's models have another endpoint",
    ),
    Provider(
        "bedrock-openai",
        "https://bedrock-runtime.{region}.{domain}/openai/v1",
        placeholders=_AWS_RUNTIME,
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        auth=aws_sigv4("bedrock"),
        key_hint=_AWS_HINT,
        request_id_header="x-amzn-requestid",
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        variants={"responses": ProviderVariant("openai_responses", params=_COMPATIBLE_RESPONSES)},
        structured=_JSON,
        docs="https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html",
        unverified="everything but messages and audio parts; its Responses API is recorded on the host bedrock-mantle",
    ),
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
        quirks=Quirks(deployments=True, call_ids=_AT_MOST_40),
        variants={
            "responses": ProviderVariant(
                "openai_responses", quirks=OpenAIResponsesQuirks(azure_urls=True), error_phrases=_ASK_RESPONSES
            )
        },
        structured=_STRICT_TOOLS,
        docs="https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference",
        unverified="which API versions take which parameters, and n > 1 of models that are not OpenAI's",
    ),
    Provider(
        "openrouter",
        "https://openrouter.ai/api/v1",
        key_env=("OPENROUTER_API_KEY", "OR_API_KEY"),
        base_url_env=("OPENROUTER_API_BASE",),
        headers_env={
            "HTTP-Referer": ("OPENROUTER_HTTP_REFERER", "OR_SITE_URL"),
            "X-OpenRouter-Title": ("OPENROUTER_X_OPEN_ROUTER_TITLE", "OR_APP_NAME"),
        },
        request_id_header="x-generation-id",
        own_models=("auto", "auto-beta", "bodybuilder", "free", "fusion", "pareto-code"),
        quirks=Quirks(functions_as_tools=True, reasoning="reasoning", reasoning_details=True, include_usage=False),
        params={
            **_COMPATIBLE,
            "n": _ONE,
            "stop": _FOUR_STOPS,
            "thinking": unsupported(
                "OpenRouter's own is reasoning: use reasoning_effort or extra_body={'reasoning': ...}"
            ),
            "audio": unsupported("OpenRouter's requests have no audio settings"),
            "store": unsupported("OpenRouter stores no completions"),
        },
        variants={
            "responses": ProviderVariant(
                "openai_responses",
                params={**_COMPATIBLE_RESPONSES, "store": unsupported("OpenRouter stores no responses")},
            )
        },
        structured=_STRICT_TOOLS,
        docs="https://openrouter.ai/docs/api-reference/overview",
        unverified="what the routed-to provider ignores: OpenRouter leaves out silently what it does not support, "
        "unless extra_body={'provider': {'require_parameters': True}} is sent",
    ),
    Provider(
        "groq",
        "https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        base_url_env=("GROQ_API_BASE",),
        quirks=Quirks(functions_as_tools=True, reasoning="reasoning", message_name=False, schema_name=False),
        params={
            **_COMPATIBLE,
            "n": _ONE,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "stop": _FOUR_STOPS,
            "response_format": _OWN_SCHEMA,
            **dict.fromkeys(
                ("logprobs", "top_logprobs", "logit_bias"), unsupported("Groq answers 400: it is not supported yet")
            ),
            **dict.fromkeys(
                ("presence_penalty", "frequency_penalty"), unsupported("none of Groq's models supports it yet")
            ),
            **dict.fromkeys(("metadata", "store"), unsupported("Groq does not support it")),
        },
        variants={
            "responses": ProviderVariant(
                "openai_responses",
                quirks=OpenAIResponsesQuirks(store=False, encrypted_reasoning=False, developer_role=False),
                params={
                    **_COMPATIBLE_RESPONSES,
                    **dict.fromkeys(
                        ("store", "logprobs", "top_logprobs", "prompt_cache_key", "safety_identifier"),
                        unsupported("Groq's Responses API does not support it yet"),
                    ),
                },
                structured=_GROQ,
            )
        },
        structured=_GROQ,
        docs="https://console.groq.com/docs/openai",
        unverified=f"{_NO_RECORDED_RESPONSES}; the refusal of a message's name (documented), which is not checked "
        "here; which models take schemas",
    ),
    Provider(
        "mistral",
        "https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        base_url_env=("MISTRAL_API_BASE",),
        request_id_header="mistral-correlation-id",
        quirks=Quirks(
            functions_as_tools=True,
            developer_role=False,
            only_max_tokens=True,
            stream_options=False,
            message_name=False,
            reply_members=False,
            renames={"seed": "random_seed"},
            call_ids=_NINE_LETTERS_AND_DIGITS,
            assistant_after_results=True,
            blank_text=False,
        ),
        params={
            **_COMPATIBLE,
            "n": _OWN_N,
            "tool_choice": ParamSupport("native", values=(*TOOL_CHOICES, "any")),
            "thinking": unsupported("Mistral's own are reasoning_effort and extra_body={'prompt_mode': 'reasoning'}"),
            **dict.fromkeys(
                (
                    "logit_bias",
                    "user",
                    "logprobs",
                    "top_logprobs",
                    "modalities",
                    "audio",
                    "service_tier",
                    "store",
                    "verbosity",
                    "prompt_cache_retention",
                    "prompt_cache_options",
                    "safety_identifier",
                    "web_search_options",
                    "moderation",
                ),
                unsupported("Mistral answers 422 to parameters it does not know"),
            ),
        },
        structured=_STRICT,
        docs="https://docs.mistral.ai/api/",
        unverified=f"{_N_NOT_RECORDED}; each refusal but those of max_completion_tokens and stream_options",
    ),
    Provider(
        "deepseek",
        "https://api.deepseek.com",
        key_env=("DEEPSEEK_API_KEY",),
        base_url_env=("DEEPSEEK_API_BASE",),
        request_id_header="x-ds-trace-id",
        quirks=_THINKING_BACK,
        params={
            **_COMPATIBLE,
            "n": _ONE,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "stop": ParamSupport("native", max_items=16),
            "top_logprobs": ParamSupport("native", minimum=0, maximum=20),
            "thinking": NATIVE,
        },
        variants={
            "responses": ProviderVariant(
                "openai_responses",
                quirks=OpenAIResponsesQuirks(encrypted_reasoning=False, developer_role=False, calls_last=True),
                params={**_COMPATIBLE_RESPONSES, "store": unsupported("DeepSeek stores no responses")},
            )
        },
        structured=StructuredSupport("json", lacks=("schema",), thinking_takes_forced_tools=False),
        docs="https://api-docs.deepseek.com/api/create-chat-completion",
        unverified="the effect of parameters that its documentation does not list, such as seed and logit_bias",
    ),
    Provider(
        "xai",
        "https://api.x.ai/v1",
        key_env=("XAI_API_KEY",),
        base_url_env=("XAI_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning_content"),
        params={
            **_COMPATIBLE,
            "n": _OWN_N,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "stop": _FOUR_STOPS,
        },
        variants={
            "responses": ProviderVariant(
                "openai_responses",
                quirks=OpenAIResponsesQuirks(
                    encrypted_reasoning=True, developer_role=False, logprobs_flag=True, search_context_size=False
                ),
                params={
                    **_COMPATIBLE_RESPONSES,
                    "seed": NATIVE,
                    "top_logprobs": ParamSupport("native", minimum=0, maximum=8),
                    **dict.fromkeys(("metadata", "service_tier"), unsupported("xAI has none")),
                },
            )
        },
        structured=_STRICT_TOOLS,
        docs="https://docs.x.ai/docs/api-reference",
        unverified=f"{_N_NOT_RECORDED}; reasoning models refuse stop and the penalties; the role developer",
    ),
    Provider(
        "together",
        "https://api.together.ai/v1",
        key_env=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
        base_url_env=("TOGETHER_AI_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, schema_name=False, logprobs_number=True),
        params={
            **{name: entry for name, entry in _COMPATIBLE.items() if name != "top_logprobs"},
            "n": _OWN_N,
            "response_format": _OWN_SCHEMA,
        },
        structured=_SCHEMA,
        docs="https://docs.together.ai/docs/inference/openai-compatibility",
        unverified=f"{_N_NOT_RECORDED}; max_completion_tokens, which its SDK does not have; the role developer; "
        "schemas of replies in OpenAI's form",
    ),
    Provider(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
        base_url_env=("FIREWORKS_API_BASE",),
        quirks=_TOOLS,
        params={**_COMPATIBLE, "n": _OWN_N, "stop": _FOUR_STOPS, "thinking": NATIVE},
        variants={"responses": _RESPONSES},
        structured=_SCHEMA,
        docs="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        unverified=f"{_NOT_RECORDED}; whether reasoning_content may be sent back",
    ),
    Provider(
        "cerebras",
        "https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        base_url_env=("CEREBRAS_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning"),
        params={**_COMPATIBLE, "n": _OWN_N, "top_logprobs": ParamSupport("native", minimum=0, maximum=20)},
        structured=_STRICT_TOOLS,
        docs="https://inference-docs.cerebras.ai/resources/openai",
        unverified=f"{_N_NOT_RECORDED}; penalties, logit_bias, parallel_tool_calls and service_tier, which its SDK "
        "has and an earlier documentation listed as refused",
    ),
    Provider(
        "perplexity",
        "https://api.perplexity.ai",
        key_env=("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"),
        base_url_env=("PERPLEXITY_BASE_URL", "PERPLEXITY_API_BASE"),
        quirks=Quirks(
            functions_as_tools=True,
            developer_role=False,
            only_max_tokens=True,
            include_usage=False,
            schema_name=False,
        ),
        params={**_COMPATIBLE, "temperature": ParamSupport("native", minimum=0, maximum=2)},
        structured=_SCHEMA,
        docs="https://docs.perplexity.ai/docs/sonar/openai-compatibility",
        unverified="tools, stop, logprobs and n, which its SDK has and its documentation does not explain",
    ),
    Provider(
        "moonshot",
        "https://api.moonshot.ai/v1",
        key_env=("MOONSHOT_API_KEY",),
        base_url_env=("MOONSHOT_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning_content", blank_text=False),
        params={**_COMPATIBLE, "thinking": NATIVE},
        rate_limit_scope="key",  # documented: shared by all models
        structured=StructuredSupport("json", lacks=("schema",), thinking_takes_forced_tools=False),
        docs="https://platform.kimi.ai/docs/api/chat",
        unverified="no recorded request; kimi models take fixed temperature, top_p, n and penalties only, and "
        "tool_choice required not with thinking",
    ),
    Provider(
        "zai",
        "https://api.z.ai/api/paas/v4",
        key_env=("ZAI_API_KEY",),
        base_url_env=("ZAI_BASE_URL", "ZAI_API_BASE"),
        quirks=Quirks(
            functions_as_tools=True,
            developer_role=False,
            only_max_tokens=True,
            reasoning="reasoning_content",
            calls_without_ids=True,
        ),
        params={**_COMPATIBLE, "thinking": NATIVE},
        structured=_ONLY_JSON,
        docs="https://docs.z.ai/api-reference/llm/chat-completion",
        unverified="penalties, logprobs, logit_bias, how many stops, and tool_choice other than auto; "
        f"{_NO_RECORDED_JSON}",
    ),
    Provider(
        "huggingface",
        "https://router.huggingface.co/v1",
        key_env=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, schema_name=False),
        params={**_COMPATIBLE, "response_format": _OWN_SCHEMA},
        variants={"responses": _RESPONSES},
        structured=_JSON,
        docs="https://huggingface.co/docs/inference-providers/en/tasks/chat-completion",
        unverified="recorded on the router's addresses of single providers only; parameters depend on the provider "
        f"that the router picks; {_NO_RECORDED_JSON}; {_NO_RECORDED_RESPONSES}",
    ),
    Provider(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        base_url_env=("NVIDIA_NIM_API_BASE",),
        request_id_header="nvcf-reqid",
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
        unverified=f"{_NOT_RECORDED}; every model has parameters of its own",
    ),
    Provider(
        "gemini-openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, extra_content=True),
        params={
            **_COMPATIBLE,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "thinking": unsupported(
                "use reasoning_effort, or extra_body={'extra_body': {'google': {'thinking_config': ...}}}"
            ),
        },
        structured=_JSON,
        docs="https://ai.google.dev/gemini-api/docs/openai",
        unverified=f"one recorded request; which of OpenAI's parameters it answers 400 to; {_NO_RECORDED_JSON}",
    ),
    # --- self-hosted servers ---
    Provider(
        "ollama",
        "http://localhost:11434",
        "ollama_chat",
        key_env=("OLLAMA_API_KEY",),
        key_optional=True,
        base_url_env=("OLLAMA_API_BASE",),
        allow_http="private",
        structured=_SCHEMA,
        docs="https://docs.ollama.com/api/chat",
        unverified="thinking levels of the models that have them, and lists of models of the cloud",
    ),
    Provider(
        "ollama-openai",
        "http://localhost:11434/v1",
        key_env=("OLLAMA_API_KEY",),
        key_optional=True,
        quirks=Quirks(functions_as_tools=True, developer_role=None, only_max_tokens=True, reasoning="reasoning"),
        params={
            **_COMPATIBLE,
            **dict.fromkeys(("parallel_tool_calls", "logit_bias"), unsupported("Ollama ignores it silently")),
        },
        allow_http="private",
        structured=StructuredSupport("schema", keywords=_UNANCHORED),
        docs="https://docs.ollama.com/api/openai-compatibility",
        unverified="the effect of tool_choice, which older servers accept and ignore; which models know the role "
        "developer",
    ),
    Provider(
        "vllm",
        "http://localhost:8000/v1",
        key_env=("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"),
        key_optional=True,
        base_url_env=("HOSTED_VLLM_API_BASE",),
        quirks=_TOOLS,
        params={**_COMPATIBLE, "n": _OWN_N},
        allow_http="private",
        variants={"responses": _RESPONSES},
        structured=_SCHEMA,
        docs="https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
        unverified=f"{_NOT_RECORDED}; the name of reasoning that is sent back differs between versions",
    ),
    Provider(
        "lmstudio",
        "http://localhost:1234/v1",
        key_env=("LM_API_TOKEN", "LM_STUDIO_API_KEY"),
        key_optional=True,
        base_url_env=("LM_STUDIO_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        allow_http="private",
        variants={"responses": _RESPONSES},
        structured=StructuredSupport("schema", keywords=_UNANCHORED),
        docs="https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
        unverified=f"{_NOT_RECORDED}; the effect of parameters that its documentation does not list",
    ),
    Provider(
        "llamacpp",
        "http://localhost:8080/v1",
        key_env=("LLAMA_API_KEY",),
        key_optional=True,
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, schema_name=False),
        params={**_COMPATIBLE, "n": _OWN_N, "response_format": _OWN_SCHEMA},
        allow_http="private",
        variants={"responses": _RESPONSES},
        structured=StructuredSupport("schema", keywords=_UNANCHORED),
        docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        unverified=f"{_NO_RECORDED_RESPONSES}; older servers refuse n, and with n the usage is that of one choice",
    ),
    Provider(
        "gpustack",
        "",
        key_env=("GPUSTACK_API_KEY",),
        quirks=_THINKING_BACK,
        params=_COMPATIBLE,
        allow_http="private",
        structured=_JSON,
        docs="https://docs.gpustack.ai/latest/user-guide/openai-compatible-apis/",
        unverified="parameters depend on the backend; older servers have /v1-openai instead of /v1; "
        f"{_NO_RECORDED_JSON}",
    ),
    Provider(
        "litellm",
        "http://localhost:4000",
        key_env=("LITELLM_PROXY_API_KEY",),
        key_optional=True,
        base_url_env=("LITELLM_PROXY_API_BASE",),
        request_id_header="x-litellm-call-id",
        quirks=_TOOLS,
        params={**_COMPATIBLE, "thinking": NATIVE},
        allow_http="private",
        variants={"responses": _RESPONSES},
        structured=_JSON,
        docs="https://docs.litellm.ai/docs/providers/litellm_proxy",
        unverified=f"{_NOT_RECORDED}; parameters depend on where the proxy sends the request",
    ),
    # --- more hosts of open models, and gateways ---
    Provider(
        "writer",
        "https://api.writer.com/v1",
        key_env=("WRITER_API_KEY",),
        path="/chat",
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, calls_without_ids=True),
        params={**_COMPATIBLE, "n": _OWN_N},
        structured=_SCHEMA,
        docs="https://dev.writer.com/api-reference/completion-api/chat-completion",
        unverified="the effect of parameters that its SDK does not have, such as seed, user and the penalties; "
        "schemas of replies are not recorded",
    ),
    Provider(
        "snowflake",
        "",
        key_env=("SNOWFLAKE_PAT", "SNOWFLAKE_JWT"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning_details=True, blank_text=False),
        params={
            **_COMPATIBLE,
            "thinking": unsupported("use reasoning_effort, or for Claude models extra_body={'reasoning': ...}"),
        },
        structured=StructuredSupport("prompt", models={"claude": "schema"}),
        docs="https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
        unverified="the variables' names, which Snowflake's documentation does not give; whether a JWT needs its "
        "X-Snowflake-Authorization-Token-Type; which models take which parameters, and schemas of replies",
    ),
    Provider(
        "alibaba",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_env=("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
        base_url_env=("DASHSCOPE_API_BASE",),
        quirks=_TOOLS,
        params={
            **_COMPATIBLE,
            "thinking": unsupported("Alibaba's own are extra_body={'enable_thinking': ..., 'thinking_budget': ...}"),
        },
        structured=_ONLY_JSON,
        docs="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        unverified="no recorded request; keys of one region are refused in another; the penalties",
    ),
    Provider(
        "crusoe",
        "https://api.inference.crusoecloud.com/v1",
        key_env=("CRUSOE_API_KEY",),
        base_url_env=("CRUSOE_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://docs.crusoecloud.com/serverless-inference/overview",
        unverified="everything but messages, tools, tool_choice auto and stream_options",
    ),
    Provider(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_TOKEN", "DEEPINFRA_API_KEY"),
        base_url_env=("DEEPINFRA_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://deepinfra.com/docs/openai_api",
        unverified=f"{_NOT_RECORDED}; tool_choice other than auto and none",
    ),
    Provider(
        "sambanova",
        "https://api.sambanova.ai/v1",
        key_env=("SAMBANOVA_API_KEY",),
        base_url_env=("SAMBA_NOVA_BASE_URL", "SAMBANOVA_API_BASE"),
        quirks=_TOOLS,
        params={
            **_COMPATIBLE,
            **dict.fromkeys(
                ("presence_penalty", "frequency_penalty"), unsupported("SambaNova accepts it and ignores it")
            ),
        },
        structured=_SCHEMA,
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        unverified=f"{_NOT_RECORDED}; native n, which its SDK has",
    ),
    Provider(
        "hyperbolic",
        "https://api.hyperbolic.xyz/v1",
        key_env=("HYPERBOLIC_API_KEY",),
        base_url_env=("HYPERBOLIC_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://docs.hyperbolic.ai/inference/overview",
        unverified=f"{_NOT_RECORDED}; native n, the role developer, tools",
    ),
    Provider(
        "novita",
        "https://api.novita.ai/openai/v1",
        key_env=("NOVITA_API_KEY",),
        base_url_env=("NOVITA_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://novita.ai/docs/guides/llm-api",
        unverified=f"{_NOT_RECORDED}; native n",
    ),
    Provider(
        "nebius",
        "https://api.tokenfactory.nebius.com/v1",
        key_env=("NEBIUS_API_KEY",),
        base_url_env=("NEBIUS_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://docs.tokenfactory.nebius.com/api-reference/introduction",
        unverified=f"{_NOT_RECORDED}; native n",
    ),
    Provider(
        "siliconflow",
        "https://api.siliconflow.com/v1",
        key_env=("SILICONFLOW_API_KEY",),
        request_id_header="x-siliconcloud-trace-id",
        quirks=_MAX_TOKENS,
        params={
            **_COMPATIBLE,
            "thinking": unsupported(
                "SiliconFlow's own are extra_body={'enable_thinking': ..., 'thinking_budget': ...}"
            ),
        },
        structured=_JSON,
        docs="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        unverified=f"{_NOT_RECORDED}; native n; keys of siliconflow.cn, which is another platform",
    ),
    Provider(
        "baseten",
        "https://inference.baseten.co/v1",
        key_env=("BASETEN_API_KEY",),
        base_url_env=("BASETEN_API_BASE",),
        request_id_header="x-baseten-request-id",
        quirks=Quirks(functions_as_tools=True, developer_role=False, schema_name=False),
        params={**_COMPATIBLE, "response_format": _OWN_SCHEMA},
        structured=_JSON,
        docs="https://docs.baseten.co/reference/inference-api/chat-completions",
        unverified="n, functions and the role developer",
    ),
    Provider(
        "featherless",
        "https://api.featherless.ai/v1",
        key_env=("FEATHERLESS_API_KEY", "FEATHERLESS_AI_API_KEY"),
        base_url_env=("FEATHERLESS_API_BASE", "FEATHERLESS_AI_API_BASE"),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://featherless.ai/docs/completions",
        unverified=f"{_NOT_RECORDED}; tool_choice other than auto and none",
    ),
    Provider(
        "friendli",
        "https://api.friendli.ai/serverless/v1",
        key_env=("FRIENDLI_TOKEN", "FRIENDLIAI_API_KEY"),
        base_url_env=("FRIENDLI_API_BASE",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://friendli.ai/docs/guides/serverless_endpoints/introduction",
        unverified=f"{_NOT_RECORDED}; native n",
    ),
    Provider(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        key_env=("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
        base_url_env=("VERCEL_AI_GATEWAY_API_BASE",),
        quirks=Quirks(
            functions_as_tools=True, developer_role=False, reasoning="reasoning_content", reasoning_details=True
        ),
        params={
            **_COMPATIBLE,
            "thinking": unsupported("the gateway's own is reasoning: extra_body={'reasoning': ...}"),
        },
        variants={"responses": _RESPONSES},
        structured=_JSON,
        docs="https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
        unverified=f"{_NO_RECORDED_RESPONSES}; n; parameters depend on the provider behind the gateway; "
        f"{_NO_RECORDED_JSON}",
    ),
    Provider(
        "minimax",
        "https://api.minimax.io/v1",
        key_env=("MINIMAX_API_KEY",),
        base_url_env=("MINIMAX_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning_details=True, one_system_message=True),
        params={**_COMPATIBLE, "thinking": NATIVE},
        structured=_ONLY_JSON,
        docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
        unverified=f"{_NOT_RECORDED}; the penalties, logit_bias and tool_choice; keys of minimaxi.com, which is "
        "another platform",
    ),
    Provider(
        "scaleway",
        "https://api.scaleway.ai/v1",
        key_env=("SCW_SECRET_KEY",),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://www.scaleway.com/en/docs/generative-apis/api-cli/using-chat-api",
        unverified=f"{_NOT_RECORDED}; frequency_penalty, logit_bias and top_logprobs",
    ),
    Provider(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        key_env=("OVH_AI_ENDPOINTS_ACCESS_TOKEN", "OVHCLOUD_API_KEY"),
        base_url_env=("OVHCLOUD_API_BASE",),
        request_id_header="x-kong-request-id",
        quirks=_TOOLS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://www.ovhcloud.com/en/public-cloud/ai-endpoints/catalog/",
        unverified="n, tools and functions; it also accepts requests without a key, at a low rate; the row does not; "
        f"{_NO_RECORDED_JSON}",
    ),
    Provider(
        "databricks",
        "",
        key_env=("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"),
        base_url_env=("DATABRICKS_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, blank_text=False),
        params=_COMPATIBLE,
        structured=_SCHEMA,
        docs="https://docs.databricks.com/aws/en/machine-learning/model-serving/score-foundation-models",
        unverified="everything but messages, tools and response_format; parameters depend on the model",
    ),
    Provider(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        placeholders={"account": ("CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID")},
        key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        request_id_header="cf-ray",
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_SCHEMA,
        docs="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        unverified="everything but messages, response_format, seed and stream_options",
    ),
    Provider(
        "doubleword",
        "https://api.doubleword.ai/v1",
        key_env=("DOUBLEWORD_API_KEY",),
        quirks=_THINKING_BACK,
        params=_COMPATIBLE,
        structured=_SCHEMA,
        docs="https://docs.doubleword.ai/",
        unverified="everything but messages, tools, tool_choice, max_tokens, response_format and stream_options",
    ),
    Provider(
        "venice",
        "https://api.venice.ai/api/v1",
        key_env=("VENICE_API_KEY", "VENICE_AI_API_KEY"),
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_SCHEMA,
        docs="https://docs.venice.ai/api-reference/endpoint/chat/completions",
        unverified="native n; whether reasoning_content may be sent back",
    ),
    Provider(
        "xiaomi",
        "https://api.xiaomimimo.com/v1",
        key_env=("MIMO_API_KEY", "XIAOMI_MIMO_API_KEY", "XIAOMI_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning_content"),
        params={**_COMPATIBLE, "thinking": NATIVE},
        structured=_JSON,
        docs="https://platform.xiaomimimo.com/docs/api/chat/openai-api",
        unverified="everything but messages, tools, tool_choice, max_completion_tokens, thinking and audio",
    ),
    Provider(
        "pollinations",
        "https://text.pollinations.ai",
        key_env=("POLLINATIONS_API_KEY",),
        key_optional=True,
        path="/openai",
        request_id_header="cf-ray",
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        structured=_JSON,
        docs="https://github.com/pollinations/pollinations/blob/main/APIDOCS.md",
        unverified="everything but messages, tools, tool_choice and stream_options",
    ),
    Provider(
        "mistralrs",
        "http://localhost:1234/v1",
        key_env=("MISTRALRS_API_KEY",),
        key_optional=True,
        quirks=_MAX_TOKENS,
        params=_COMPATIBLE,
        allow_http="private",
        variants={"responses": _RESPONSES},
        structured=_JSON,
        docs="https://github.com/EricLBuehler/mistral.rs/blob/master/docs/HTTP.md",
        unverified="everything but messages, tools, tool_choice, temperature, max_tokens and stream_options",
    ),
    Provider(
        "copilot",
        "https://api.githubcopilot.com",
        key_env=("GITHUB_COPILOT_API_KEY", "GITHUB_COPILOT_TOKEN"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, call_ids=_AT_MOST_40),
        params=_COMPATIBLE,
        variants={"responses": ProviderVariant("openai_responses", error_phrases=_ASK_RESPONSES)},
        structured=_STRICT_TOOLS,
        docs="https://docs.github.com/en/copilot",
        unverified="the token must come from the caller, and tokens of editors need the headers Editor-Version and "
        "Copilot-Integration-Id (extra_headers); this API has no public documentation",
    ),
)
