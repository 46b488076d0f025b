"""Rows of servers that one runs oneself, and of gateways."""

from __future__ import annotations

from collections.abc import Mapping

from ...dialects.openai_chat.quirks import Quirks
from ...params import NATIVE, unsupported
from ..provider import Provider
from ..structured_support import StructuredSupport
from .responses_parts import NO_RECORDED_RESPONSES, RESPONSES
from .shared_parts import (
    COMPATIBLE,
    JSON,
    MAX_TOKENS,
    NO_RECORDED_JSON,
    NOT_RECORDED,
    OWN_N,
    OWN_SCHEMA,
    SCHEMA,
    THINKING_BACK,
    TOOLS,
)

_UNANCHORED: Mapping[str, bool] = {"pattern": False, "minLength": True, "maxLength": True}
"""Keywords of servers that make llama.cpp's grammar of a schema, in which a pattern of another form is an error."""

ROWS: tuple[Provider, ...] = (
    Provider(
        "ollama",
        "http://localhost:11434",
        "ollama_chat",
        key_env=("OLLAMA_API_KEY",),
        key_optional=True,
        base_url_env=("OLLAMA_API_BASE",),
        allow_http="private",
        structured=SCHEMA,
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
            **COMPATIBLE,
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
        quirks=TOOLS,
        params={**COMPATIBLE, "n": OWN_N},
        allow_http="private",
        variants={"responses": RESPONSES},
        structured=SCHEMA,
        docs="https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
        unverified=f"{NOT_RECORDED}; the name of reasoning that is sent back differs between versions",
    ),
    Provider(
        "lmstudio",
        "http://localhost:1234/v1",
        key_env=("LM_API_TOKEN", "LM_STUDIO_API_KEY"),
        key_optional=True,
        base_url_env=("LM_STUDIO_API_BASE",),
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        allow_http="private",
        variants={"responses": RESPONSES},
        structured=StructuredSupport("schema", keywords=_UNANCHORED),
        docs="https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
        unverified=f"{NOT_RECORDED}; the effect of parameters that its documentation does not list",
    ),
    Provider(
        "llamacpp",
        "http://localhost:8080/v1",
        key_env=("LLAMA_API_KEY",),
        key_optional=True,
        quirks=Quirks(functions_as_tools=True, developer_role=False, only_max_tokens=True, schema_name=False),
        params={**COMPATIBLE, "n": OWN_N, "response_format": OWN_SCHEMA},
        allow_http="private",
        variants={"responses": RESPONSES},
        structured=StructuredSupport("schema", keywords=_UNANCHORED),
        docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        unverified=f"{NO_RECORDED_RESPONSES}; older servers refuse n, and with n the usage is that of one choice",
    ),
    Provider(
        "gpustack",
        "",
        key_env=("GPUSTACK_API_KEY",),
        quirks=THINKING_BACK,
        params=COMPATIBLE,
        allow_http="private",
        structured=JSON,
        docs="https://docs.gpustack.ai/latest/user-guide/openai-compatible-apis/",
        unverified="parameters depend on the backend; older servers have /v1-openai instead of /v1; "
        f"{NO_RECORDED_JSON}",
    ),
    Provider(
        "litellm",
        "http://localhost:4000",
        key_env=("LITELLM_PROXY_API_KEY",),
        key_optional=True,
        base_url_env=("LITELLM_PROXY_API_BASE",),
        request_id_header="x-litellm-call-id",
        quirks=TOOLS,
        params={**COMPATIBLE, "thinking": NATIVE},
        allow_http="private",
        variants={"responses": RESPONSES},
        structured=JSON,
        docs="https://docs.litellm.ai/docs/providers/litellm_proxy",
        unverified=f"{NOT_RECORDED}; parameters depend on where the proxy sends the request",
    ),
    Provider(
        "mistralrs",
        "http://localhost:1234/v1",
        key_env=("MISTRALRS_API_KEY",),
        key_optional=True,
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        allow_http="private",
        variants={"responses": RESPONSES},
        structured=JSON,
        docs="https://github.com/EricLBuehler/mistral.rs/blob/master/docs/HTTP.md",
        unverified="everything but messages, tools, tool_choice, temperature, max_tokens and stream_options",
    ),
)
