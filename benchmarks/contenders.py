"""Contenders of the benchmarks: the clients measured, how each is run, and its label in tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contender:
    """One client in one configuration."""

    name: str
    label: str
    adapter: str
    """The module of `benchmarks.clients`."""
    environment: str
    """A name of `peers.ENVIRONMENTS`."""
    loop: str = "asyncio"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of the adapter's client."""
    job: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Additional members of its jobs."""
    distributions: tuple[str, ...] = ()
    """Distributions whose versions the results record."""
    peer: bool = True
    """Whether it is a third-party client; the short form leaves peers out."""
    library: str | None = None
    """The ``lib`` folder of another checkout, which it runs instead of this one's."""


_RUNTIME = ("anycompletion", "aiohttp", "attrs", "cattrs", "msgspec", "anyio")
_OPENAI = ("openai", "httpx2", "httpx", "pydantic", "aiohttp")

CAREFUL = Contender(
    "careful", "aiohttp + orjson, careful", "careful", "bare", distributions=("aiohttp", "orjson"), peer=False
)
BARE = Contender("bare", "aiohttp + orjson, naive", "bare", "bare", distributions=("aiohttp", "orjson"), peer=False)
OUR_ADAPTERS = ("ours", "ours_formats")
"""Adapters that run this package."""
OURS = Contender("ours", "anycompletion", "ours", "bare", distributions=_RUNTIME, peer=False)
BARE_UVLOOP = Contender(
    "bare-uvloop", "aiohttp + orjson, naive, uvloop", "bare", "bare", "uvloop", distributions=("uvloop",), peer=False
)
OURS_UVLOOP = Contender(
    "ours-uvloop", "anycompletion, uvloop", "ours", "bare", "uvloop", distributions=("uvloop",), peer=False
)
OURS_ANTHROPIC = Contender(
    "ours-anthropic",
    "anycompletion, Anthropic's format",
    "ours",
    "bare",
    options={"model": "anthropic/claude-haiku-4-5"},
    distributions=_RUNTIME,
    peer=False,
)
RAW = Contender("raw", "raw socket", "raw", "bare", distributions=("orjson",), peer=False)
OPENAI = Contender("openai", "openai-python", "openai_python", "openai", distributions=_OPENAI)
OPENAI_AIOHTTP = Contender(
    "openai-aiohttp",
    "openai-python on aiohttp",
    "openai_python",
    "openai",
    options={"on_aiohttp": True},
    distributions=_OPENAI,
)
ANTHROPIC = Contender(
    "anthropic", "Anthropic's SDK", "anthropic_python", "anthropic", distributions=("anthropic", "httpx2", "pydantic")
)
ANY_LLM = Contender("any-llm", "any-llm", "any_llm_sdk", "any-llm", distributions=("any-llm-sdk", *_OPENAI))
PYDANTIC_AI = Contender(
    "pydantic-ai",
    "pydantic-ai, direct",
    "pydantic_ai_direct",
    "pydantic-ai",
    distributions=("pydantic-ai-slim", *_OPENAI),
)
LANGCHAIN = Contender(
    "langchain-openai",
    "langchain-openai",
    "langchain_chat",
    "langchain-openai",
    distributions=("langchain-openai", "langchain-core", *_OPENAI),
)
LITELLM = Contender("litellm", "LiteLLM", "lite_llm", "litellm", distributions=("litellm", *_OPENAI))

PEERS = (ANTHROPIC, OPENAI, OPENAI_AIOHTTP, ANY_LLM, PYDANTIC_AI, LANGCHAIN, LITELLM)
"""By rising cost, as the tables list them."""

ALL_CONTENDERS = (RAW, CAREFUL, BARE, OURS, BARE_UVLOOP, OURS_UVLOOP, OURS_ANTHROPIC, *PEERS)
