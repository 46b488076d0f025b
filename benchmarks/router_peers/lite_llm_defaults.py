"""LiteLLM's Router with its own settings for failures."""

from __future__ import annotations

from benchmarks.router_peers.common import run
from benchmarks.router_peers.lite_llm_router import VERSION, router

if __name__ == "__main__":
    run(VERSION, router)
