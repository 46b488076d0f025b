"""LiteLLM's Router over the four deployments of a scenario."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import litellm

from benchmarks.router_peers.common import KEY, MODEL, Call
from benchmarks.router_peers.plan import LARGE_WINDOW, SMALL_WINDOW, Scenario

litellm.suppress_debug_info = True
logging.getLogger("LiteLLM Router").setLevel(logging.CRITICAL)
VERSION = importlib.metadata.version("litellm")


@asynccontextmanager
async def router(scenario: Scenario, urls: Sequence[str], **settings: Any) -> AsyncIterator[Call]:
    """A router with one group of four deployments, or two groups by their windows."""
    same = scenario.windows == "equal"
    models: list[dict[str, Any]] = []
    for index, url in enumerate(urls):
        is_small = not same and index < len(urls) // 2
        params: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": url, "api_key": KEY}
        if scenario.timeout is not None:
            params["timeout"] = scenario.timeout
        window = SMALL_WINDOW if is_small else LARGE_WINDOW
        info = {"max_input_tokens": window} if scenario.windows == "declared" else {}
        models.append(
            {"model_name": "four" if same or is_small else "large", "litellm_params": params, "model_info": info}
        )
    make: Any = litellm.Router
    one = make(
        model_list=models,
        num_retries=2,
        context_window_fallbacks=[] if same else [{"four": ["large"]}],
        enable_pre_call_checks=scenario.windows == "declared",
        **settings,
    )

    async def call(prompt: str) -> object:
        messages = [{"role": "user", "content": prompt}]
        if scenario.without_router:
            create: Any = litellm.acompletion
            return await create(model=f"openai/{MODEL}", messages=messages, api_base=urls[0], api_key=KEY)
        return await one.acompletion(model="four", messages=messages)

    try:
        yield call
    finally:
        one.discard()
