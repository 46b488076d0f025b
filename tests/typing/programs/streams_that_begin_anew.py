"""A stream that begins anew at another target after a cut, and health that processes share."""

import asyncio
from collections import defaultdict

from anycompletion import AsyncCompletion, ChatCompletion, CompletionError, StreamInterruptedError
from anycompletion.routing import Route, SharedHealth
from anycompletion.testing import FakeProvider


class Openings:
    """Openings of targets, for the clients of one process."""

    def __init__(self) -> None:
        self._ends: defaultdict[str, float] = defaultdict(float)

    def publish(self, target: str, seconds: float) -> None:
        self._ends[target] = max(self._ends[target], asyncio.get_running_loop().time() + seconds)

    def open_until(self, target: str) -> float:
        return self._ends[target]


class Screen:
    """A text that can be taken back."""

    def __init__(self) -> None:
        self.text = ""

    def clear(self, error: CompletionError) -> None:
        lost: ChatCompletion | None = error.partial
        print("begins anew after", type(error).__name__, "and", lost and lost.text)
        self.text = ""


async def main() -> None:
    fakes = [
        FakeProvider(["Because ", StreamInterruptedError("cut")], name="openai"),
        FakeProvider("The air scatters blue light.", name="groq"),
    ]
    routes = {"chat": Route(["openai/gpt-4o", "groq/llama-3.3-70b"], restart_streams=True)}
    shared: SharedHealth = Openings()
    async with AsyncCompletion(providers=fakes, routes=routes, route_health=shared) as client:
        screen = Screen()
        async with client.stream("chat", "Why is the sky blue?") as stream:
            stream.on_restart(screen.clear)
            async for piece in stream.text:
                screen.text += piece
        restarts: int = stream.restarts
        print(screen.text, restarts, stream.may_restart)


if __name__ == "__main__":
    asyncio.run(main())
