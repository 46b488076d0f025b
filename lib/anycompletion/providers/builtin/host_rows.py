"""Rows of companies that serve models in OpenAI's format."""

from __future__ import annotations

from ...dialects.openai_chat.call_ids import OpenAICallIdForm
from ...dialects.openai_chat.quirks import Quirks
from ...dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from ...params import NATIVE, TOOL_CHOICES, ParamSupport, unsupported
from ..provider import Provider, ProviderVariant
from ..structured_support import StructuredSupport
from .responses_parts import COMPATIBLE_RESPONSES, NO_RECORDED_RESPONSES, RESPONSES
from .shared_parts import (
    ASK_RESPONSES,
    AT_MOST_40,
    COMPATIBLE,
    JSON,
    MAX_TOKENS,
    NO_RECORDED_JSON,
    NOT_RECORDED,
    OWN_N,
    OWN_SCHEMA,
    SCHEMA,
    STRICT_TOOLS,
    THINKING_BACK,
    TOOLS,
)

_NINE_LETTERS_AND_DIGITS = OpenAICallIdForm("[A-Za-z0-9]{9}", 9)

_ONE = ParamSupport("fanned_out", takes_no_op=True)

_FOUR_STOPS = ParamSupport("native", max_items=4)

_STRICT = StructuredSupport("schema", strict=True)

_ONLY_JSON = StructuredSupport("json", lacks=("schema",))

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

_N_NOT_RECORDED = "native n is documented, not recorded"

ROWS: tuple[Provider, ...] = (
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
            **COMPATIBLE,
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
                params={**COMPATIBLE_RESPONSES, "store": unsupported("OpenRouter stores no responses")},
            )
        },
        structured=STRICT_TOOLS,
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
            **COMPATIBLE,
            "n": _ONE,
            "temperature": ParamSupport("native", minimum=0, maximum=2),
            "stop": _FOUR_STOPS,
            "response_format": OWN_SCHEMA,
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
                    **COMPATIBLE_RESPONSES,
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
        unverified=f"{NO_RECORDED_RESPONSES}; the refusal of a message's name (documented), which is not checked "
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
            **COMPATIBLE,
            "n": OWN_N,
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
        quirks=Quirks(
            functions_as_tools=True,
            developer_role=False,
            only_max_tokens=True,
            reasoning="reasoning_content",
            empty_reasoning=True,
        ),
        params={
            **COMPATIBLE,
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
                params={**COMPATIBLE_RESPONSES, "store": unsupported("DeepSeek stores no responses")},
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
            **COMPATIBLE,
            "n": OWN_N,
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
                    **COMPATIBLE_RESPONSES,
                    "seed": NATIVE,
                    "top_logprobs": ParamSupport("native", minimum=0, maximum=8),
                    **dict.fromkeys(("metadata", "service_tier"), unsupported("xAI has none")),
                },
            )
        },
        structured=STRICT_TOOLS,
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
            **{name: entry for name, entry in COMPATIBLE.items() if name != "top_logprobs"},
            "n": OWN_N,
            "response_format": OWN_SCHEMA,
        },
        structured=SCHEMA,
        docs="https://docs.together.ai/docs/inference/openai-compatibility",
        unverified=f"{_N_NOT_RECORDED}; max_completion_tokens, which its SDK does not have; the role developer; "
        "schemas of replies in OpenAI's form",
    ),
    Provider(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
        base_url_env=("FIREWORKS_API_BASE",),
        quirks=TOOLS,
        params={**COMPATIBLE, "n": OWN_N, "stop": _FOUR_STOPS, "thinking": NATIVE},
        variants={"responses": RESPONSES},
        structured=SCHEMA,
        docs="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        unverified=f"{NOT_RECORDED}; whether reasoning_content may be sent back",
    ),
    Provider(
        "cerebras",
        "https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        base_url_env=("CEREBRAS_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning"),
        params={**COMPATIBLE, "n": OWN_N, "top_logprobs": ParamSupport("native", minimum=0, maximum=20)},
        structured=STRICT_TOOLS,
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
        params={**COMPATIBLE, "temperature": ParamSupport("native", minimum=0, maximum=2)},
        structured=SCHEMA,
        docs="https://docs.perplexity.ai/docs/sonar/openai-compatibility",
        unverified="tools, stop, logprobs and n, which its SDK has and its documentation does not explain",
    ),
    Provider(
        "moonshot",
        "https://api.moonshot.ai/v1",
        key_env=("MOONSHOT_API_KEY",),
        base_url_env=("MOONSHOT_API_BASE",),
        quirks=Quirks(
            functions_as_tools=True,
            developer_role=False,
            reasoning="reasoning_content",
            empty_reasoning=True,
            blank_text=False,
        ),
        params={**COMPATIBLE, "thinking": NATIVE},
        rate_limit_scope="key",  # documented: shared by all models
        structured=StructuredSupport("json", lacks=("schema",), thinking_takes_forced_tools=False),
        docs="https://platform.kimi.ai/docs/api/chat",
        unverified="no recorded request; kimi models take fixed temperature, top_p, n and penalties only, and "
        "tool_choice required not with thinking; whether they take an empty reasoning_content",
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
        params={**COMPATIBLE, "thinking": NATIVE},
        structured=_ONLY_JSON,
        docs="https://docs.z.ai/api-reference/llm/chat-completion",
        unverified="penalties, logprobs, logit_bias, how many stops, and tool_choice other than auto; "
        f"{NO_RECORDED_JSON}",
    ),
    Provider(
        "huggingface",
        "https://router.huggingface.co/v1",
        key_env=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, schema_name=False),
        params={**COMPATIBLE, "response_format": OWN_SCHEMA},
        variants={"responses": RESPONSES},
        structured=JSON,
        docs="https://huggingface.co/docs/inference-providers/en/tasks/chat-completion",
        unverified="recorded on the router's addresses of single providers only; parameters depend on the provider "
        f"that the router picks; {NO_RECORDED_JSON}; {NO_RECORDED_RESPONSES}",
    ),
    Provider(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        base_url_env=("NVIDIA_NIM_API_BASE",),
        request_id_header="nvcf-reqid",
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
        unverified=f"{NOT_RECORDED}; every model has parameters of its own",
    ),
    Provider(
        "writer",
        "https://api.writer.com/v1",
        key_env=("WRITER_API_KEY",),
        path="/chat",
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, calls_without_ids=True),
        params={**COMPATIBLE, "n": OWN_N},
        structured=SCHEMA,
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
            **COMPATIBLE,
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
        quirks=TOOLS,
        params={
            **COMPATIBLE,
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
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://docs.crusoecloud.com/serverless-inference/overview",
        unverified="everything but messages, tools, tool_choice auto and stream_options",
    ),
    Provider(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        key_env=("DEEPINFRA_TOKEN", "DEEPINFRA_API_KEY"),
        base_url_env=("DEEPINFRA_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://deepinfra.com/docs/openai_api",
        unverified=f"{NOT_RECORDED}; tool_choice other than auto and none",
    ),
    Provider(
        "sambanova",
        "https://api.sambanova.ai/v1",
        key_env=("SAMBANOVA_API_KEY",),
        base_url_env=("SAMBA_NOVA_BASE_URL", "SAMBANOVA_API_BASE"),
        quirks=TOOLS,
        params={
            **COMPATIBLE,
            **dict.fromkeys(
                ("presence_penalty", "frequency_penalty"), unsupported("SambaNova accepts it and ignores it")
            ),
        },
        structured=SCHEMA,
        docs="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        unverified=f"{NOT_RECORDED}; native n, which its SDK has",
    ),
    Provider(
        "hyperbolic",
        "https://api.hyperbolic.xyz/v1",
        key_env=("HYPERBOLIC_API_KEY",),
        base_url_env=("HYPERBOLIC_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://docs.hyperbolic.ai/inference/overview",
        unverified=f"{NOT_RECORDED}; native n, the role developer, tools",
    ),
    Provider(
        "novita",
        "https://api.novita.ai/openai/v1",
        key_env=("NOVITA_API_KEY",),
        base_url_env=("NOVITA_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://novita.ai/docs/guides/llm-api",
        unverified=f"{NOT_RECORDED}; native n",
    ),
    Provider(
        "nebius",
        "https://api.tokenfactory.nebius.com/v1",
        key_env=("NEBIUS_API_KEY",),
        base_url_env=("NEBIUS_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://docs.tokenfactory.nebius.com/api-reference/introduction",
        unverified=f"{NOT_RECORDED}; native n",
    ),
    Provider(
        "siliconflow",
        "https://api.siliconflow.com/v1",
        key_env=("SILICONFLOW_API_KEY",),
        request_id_header="x-siliconcloud-trace-id",
        quirks=MAX_TOKENS,
        params={
            **COMPATIBLE,
            "thinking": unsupported(
                "SiliconFlow's own are extra_body={'enable_thinking': ..., 'thinking_budget': ...}"
            ),
        },
        structured=JSON,
        docs="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        unverified=f"{NOT_RECORDED}; native n; keys of siliconflow.cn, which is another platform",
    ),
    Provider(
        "baseten",
        "https://inference.baseten.co/v1",
        key_env=("BASETEN_API_KEY",),
        base_url_env=("BASETEN_API_BASE",),
        request_id_header="x-baseten-request-id",
        quirks=Quirks(functions_as_tools=True, developer_role=False, schema_name=False),
        params={**COMPATIBLE, "response_format": OWN_SCHEMA},
        structured=JSON,
        docs="https://docs.baseten.co/reference/inference-api/chat-completions",
        unverified="n, functions and the role developer",
    ),
    Provider(
        "featherless",
        "https://api.featherless.ai/v1",
        key_env=("FEATHERLESS_API_KEY", "FEATHERLESS_AI_API_KEY"),
        base_url_env=("FEATHERLESS_API_BASE", "FEATHERLESS_AI_API_BASE"),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://featherless.ai/docs/completions",
        unverified=f"{NOT_RECORDED}; tool_choice other than auto and none",
    ),
    Provider(
        "friendli",
        "https://api.friendli.ai/serverless/v1",
        key_env=("FRIENDLI_TOKEN", "FRIENDLIAI_API_KEY"),
        base_url_env=("FRIENDLI_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://friendli.ai/docs/guides/serverless_endpoints/introduction",
        unverified=f"{NOT_RECORDED}; native n",
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
            **COMPATIBLE,
            "thinking": unsupported("the gateway's own is reasoning: extra_body={'reasoning': ...}"),
        },
        variants={"responses": RESPONSES},
        structured=JSON,
        docs="https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
        unverified=f"{NO_RECORDED_RESPONSES}; n; parameters depend on the provider behind the gateway; "
        f"{NO_RECORDED_JSON}",
    ),
    Provider(
        "minimax",
        "https://api.minimax.io/v1",
        key_env=("MINIMAX_API_KEY",),
        base_url_env=("MINIMAX_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning_details=True, one_system_message=True),
        params={**COMPATIBLE, "thinking": NATIVE},
        structured=_ONLY_JSON,
        docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
        unverified=f"{NOT_RECORDED}; the penalties, logit_bias and tool_choice; keys of minimaxi.com, which is "
        "another platform",
    ),
    Provider(
        "scaleway",
        "https://api.scaleway.ai/v1",
        key_env=("SCW_SECRET_KEY",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://www.scaleway.com/en/docs/generative-apis/api-cli/using-chat-api",
        unverified=f"{NOT_RECORDED}; frequency_penalty, logit_bias and top_logprobs",
    ),
    Provider(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        key_env=("OVH_AI_ENDPOINTS_ACCESS_TOKEN", "OVHCLOUD_API_KEY"),
        base_url_env=("OVHCLOUD_API_BASE",),
        request_id_header="x-kong-request-id",
        quirks=TOOLS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://www.ovhcloud.com/en/public-cloud/ai-endpoints/catalog/",
        unverified="n, tools and functions; it also accepts requests without a key, at a low rate; the row does not; "
        f"{NO_RECORDED_JSON}",
    ),
    Provider(
        "databricks",
        "",
        key_env=("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"),
        base_url_env=("DATABRICKS_API_BASE",),
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, blank_text=False),
        params=COMPATIBLE,
        structured=SCHEMA,
        docs="https://docs.databricks.com/aws/en/machine-learning/model-serving/score-foundation-models",
        unverified="everything but messages, tools and response_format; parameters depend on the model",
    ),
    Provider(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        placeholders={"account": ("CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID")},
        key_env=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        request_id_header="cf-ray",
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=SCHEMA,
        docs="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        unverified="everything but messages, response_format, seed and stream_options",
    ),
    Provider(
        "doubleword",
        "https://api.doubleword.ai/v1",
        key_env=("DOUBLEWORD_API_KEY",),
        quirks=THINKING_BACK,
        params=COMPATIBLE,
        structured=SCHEMA,
        docs="https://docs.doubleword.ai/",
        unverified="everything but messages, tools, tool_choice, max_tokens, response_format and stream_options",
    ),
    Provider(
        "venice",
        "https://api.venice.ai/api/v1",
        key_env=("VENICE_API_KEY", "VENICE_AI_API_KEY"),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=SCHEMA,
        docs="https://docs.venice.ai/api-reference/endpoint/chat/completions",
        unverified="native n; whether reasoning_content may be sent back",
    ),
    Provider(
        "xiaomi",
        "https://api.xiaomimimo.com/v1",
        key_env=("MIMO_API_KEY", "XIAOMI_MIMO_API_KEY", "XIAOMI_API_KEY"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, reasoning="reasoning_content"),
        params={**COMPATIBLE, "thinking": NATIVE},
        structured=JSON,
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
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        structured=JSON,
        docs="https://github.com/pollinations/pollinations/blob/main/APIDOCS.md",
        unverified="everything but messages, tools, tool_choice and stream_options",
    ),
    Provider(
        "copilot",
        "https://api.githubcopilot.com",
        key_env=("GITHUB_COPILOT_API_KEY", "GITHUB_COPILOT_TOKEN"),
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, call_ids=AT_MOST_40),
        params=COMPATIBLE,
        variants={"responses": ProviderVariant("openai_responses", error_phrases=ASK_RESPONSES)},
        structured=STRICT_TOOLS,
        docs="https://docs.github.com/en/copilot",
        unverified="the token must come from the caller, and tokens of editors need the headers Editor-Version and "
        "Copilot-Integration-Id (extra_headers); this API has no public documentation",
    ),
)
