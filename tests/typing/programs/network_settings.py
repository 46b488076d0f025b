"""Sets up clients for a company's network: gateways, proxies, certificates, own servers, keys that rotate."""

import asyncio
import os
import ssl
import time
from types import SimpleNamespace

import aiohttp

from anycompletion import (
    PROVIDERS,
    AsyncCompletion,
    BearerToken,
    ConfigurationError,
    EnvKey,
    Key,
    Provider,
    Secret,
    Timeout,
    header_key,
    supported_params,
)


class Vault:
    """Keys that are read again when they are old."""

    def __init__(self, name: str, lifetime: float = 300.0) -> None:
        self._name = name
        self._lifetime = lifetime
        self._read_at = float("-inf")
        self._key = ""
        self.reads = 0

    async def key(self) -> str:
        if time.monotonic() - self._read_at > self._lifetime:
            await asyncio.sleep(0)
            self._key, self._read_at = os.environ[self._name], time.monotonic()
            self.reads += 1
        return self._key


def token_from_file() -> str:
    """Keys may also come from a function that is not async."""
    return os.environ["ANTHROPIC_API_KEY"]


def make_session(seen: list[str]) -> aiohttp.ClientSession:
    """A session with traces, which the program uses for other things, too."""

    async def on_start(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        seen.append(params.method)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(on_start)
    return aiohttp.ClientSession(trace_configs=[trace], trust_env=True)


def gateway(url: str) -> Provider:
    return Provider(
        "acme",
        url,
        key_env=("ACME_API_KEY", "ACME_TOKEN"),
        headers={"x-tenant": "blue"},
        auth=header_key("api-key"),
        allow_http=True,
    )


def behind_proxy() -> AsyncCompletion:
    return AsyncCompletion(proxy="http://proxy.example:3128", ssl_context=ssl.create_default_context())


async def main() -> None:
    vault = Vault("OPENAI_API_KEY")
    keys: dict[str, Key] = {
        "openai": vault.key,
        "anthropic": token_from_file,
        "cohere": EnvKey("CO_API_KEY"),
        "azure": BearerToken("token-of-entra-id"),
        "acme": Secret("secret"),
    }
    defaults = Timeout(total=120, connect=5, first_chunk=30, idle=15)
    providers = [gateway(os.environ["OPENAI_BASE_URL"])]
    async with AsyncCompletion(providers=providers, api_keys=keys, timeout=defaults, max_retries=4) as client:
        for model in ("openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-haiku-4-5"):
            await client.create(model, "Hello!")
        print("reads of the key:", vault.reads)
        for model in ("acme/large", "cohere/command-a", "groq/llama"):
            try:
                print("ready:", client.check(model).provider)
            except ConfigurationError as error:
                print("not ready:", error.provider or model)
        tenant = client.with_options(api_key=Secret(os.environ["OPENAI_API_KEY"]), provider="openai", project="blue")
        print("tenant:", (await tenant.create("gpt-4o-mini", "Hello!")).info.status_code)
    seen: list[str] = []
    async with make_session(seen) as session, AsyncCompletion(session=session) as client:
        await client.create("openai/gpt-4o-mini", "Hello!", extra_query={"trace": "1"})
    print("traced:", seen, "providers:", len(PROVIDERS) > 40)
    print("seed of Anthropic:", supported_params("anthropic/claude-haiku-4-5")["seed"].support)
    await behind_proxy().aclose()


if __name__ == "__main__":
    asyncio.run(main())
