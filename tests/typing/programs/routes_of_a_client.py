"""Routes: several places for one name, strategies, Azure regions, a window fallback."""

import asyncio

from anycompletion import AsyncCompletion, ContextWindowExceededError, EnvKey, RateLimitError, Timeout
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.testing import FakeProvider

REGIONS = ("swedencentral", "eastus2")

azure = [
    RouteTarget(
        "azure/our-gpt",
        name=region,
        weight=2 if region == "swedencentral" else 1,
        options={
            "base_url": f"https://acme-{region}.openai.azure.com",
            "api_key": EnvKey(f"AZURE_KEY_{region.upper()}"),
            "timeout": Timeout(connect=3, first_chunk=15),
        },
        context_window=128_000,
    )
    for region in REGIONS
]
routes = {
    "fast": Route(["groq/llama-3.3-70b", RouteTarget("cerebras/llama-3.3-70b", params={"seed": None})], "fastest"),
    "gpt": Route(azure, strategy="weighted", breaker=CircuitBreaker(failures=5), sticky="prompt_cache"),
    "default": Route(["gpt", "fast", RouteTarget("gemini/gemini-2.5-pro", context_window=1_000_000)], hedge_after=8),
}


async def main() -> None:
    names = ("azure", "groq", "cerebras", "gemini")
    fakes = [FakeProvider(RateLimitError("slow down"), "Hello!", name=name) for name in names]
    async with AsyncCompletion(providers=fakes, routes=routes) as client:
        try:
            reply = await client.create("default", "Hello!")
            print(reply.text, reply.info.route, reply.info.target)
            print("errors:", [type(each.error).__name__ for each in reply.info.tried])
        except ContextWindowExceededError as error:
            print("too long for all:", error)


if __name__ == "__main__":
    asyncio.run(main())
