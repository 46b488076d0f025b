"""LiteLLM's Router, with the settings that its page on reliability names, and the numbers of the scenario."""

from __future__ import annotations

from benchmarks.router_peers.common import run
from benchmarks.router_peers.lite_llm_router import VERSION, router

if __name__ == "__main__":
    run(VERSION, lambda scenario, urls: router(scenario, urls, allowed_fails=2, cooldown_time=scenario.pause))
