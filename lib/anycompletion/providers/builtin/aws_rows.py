"""Rows of Amazon Bedrock: its own format, and OpenAI's and Anthropic's on it."""

from __future__ import annotations

from collections.abc import Mapping

from ...auth import aws_sigv4
from ..placeholders import DependentPlaceholder, EnvPlaceholder, Placeholder
from ..provider import Provider, ProviderVariant
from ..structured_support import StructuredSupport
from .responses_parts import COMPATIBLE_RESPONSES
from .shared_parts import CLAUDE, COMPATIBLE, JSON, MAX_TOKENS

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

ROWS: tuple[Provider, ...] = (
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
        structured=CLAUDE,
        docs="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
        unverified="all of it: from documentation and SDKs, no recorded traffic",
    ),
    Provider(
        "bedrock-openai",
        "https://bedrock-runtime.{region}.{domain}/openai/v1",
        placeholders=_AWS_RUNTIME,
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        auth=aws_sigv4("bedrock"),
        key_hint=_AWS_HINT,
        request_id_header="x-amzn-requestid",
        quirks=MAX_TOKENS,
        params=COMPATIBLE,
        variants={"responses": ProviderVariant("openai_responses", params=COMPATIBLE_RESPONSES)},
        structured=JSON,
        docs="https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html",
        unverified="everything but messages and audio parts; its Responses API is recorded on the host bedrock-mantle",
    ),
)
