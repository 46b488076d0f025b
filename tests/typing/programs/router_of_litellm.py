"""A LiteLLM Router's configuration as it stands, taken over."""

import asyncio
import os
from typing import Any

from anycompletion import AsyncCompletion
from anycompletion.integrations.litellm import routes_from
from anycompletion.integrations.otel import otel
from anycompletion.testing import FakeProvider

MODEL_LIST: list[dict[str, Any]] = [
    {
        "model_name": "gpt",
        "litellm_params": {
            "model": f"azure/gpt-{region}",
            "api_key": f"os.environ/AZURE_KEY_{region}",
            "api_base": f"https://acme-{region}.openai.azure.com",
            "rpm": 600,
        },
    }
    for region in ("eu", "us")
] + [{"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5"}}]

config = routes_from(
    MODEL_LIST, routing_strategy="least-busy", num_retries=2, fallbacks=[{"gpt": ["claude"]}], cooldown_time=30
)


async def main() -> str:
    async with AsyncCompletion(
        **config, providers=[FakeProvider("Hello!", name="azure")], middleware=[otel()]
    ) as client:
        return (await client.create("gpt", "Hello!")).text


if __name__ == "__main__":
    os.environ |= {"AZURE_KEY_eu": "key-eu", "AZURE_KEY_us": "key-us"}
    print(asyncio.run(main()))
