"""Mistakes that type checkers have to report; not run.

Each ignore is needed, because both checkers report an unused ignore.
"""

from anycompletion import AsyncCompletion, Timeout, UserMessage


async def mistakes(client: AsyncCompletion) -> None:
    await client.create("openai/gpt-4o")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.create("openai/gpt-4o", 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.stream("openai/gpt-4o", "Hello!", temprature=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.stream("openai/gpt-4o", "Hello!", n="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.with_options(temperature=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.with_options(on_unsupported="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncCompletion(api_keys={"openai": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Timeout(total="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    UserMessage(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
