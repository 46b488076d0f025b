"""The official SDKs as readers of recorded traffic; no reading of ours takes part."""

from typing import Any

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from anycompletion.testing import Recording, ReplayServer
from conformance import facts, traffic
from conformance.facts import Facts

_ASKED: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


class Oracle:
    """Asks the server for recordings through the SDKs, each recording once."""

    def __init__(self, server: ReplayServer) -> None:
        self._server = server
        self._openai = openai.AsyncOpenAI(api_key="key", base_url=server.url, max_retries=0)
        self._anthropic = anthropic.AsyncAnthropic(api_key="key", base_url=server.url, max_retries=0)
        self._known: dict[str, Facts] = {}

    async def aclose(self) -> None:
        """Closes both SDKs."""
        await self._openai.close()
        await self._anthropic.close()

    async def facts(self, recording: Recording) -> Facts:
        """What the provider's own SDK reads in a recording, be it an answer or an error."""
        if recording.id not in self._known:
            self._server.segmentation = None
            self._known[recording.id] = await self._read(recording)
        return self._known[recording.id]

    async def _read(self, recording: Recording) -> Facts:
        read = self._openai_facts if recording.provider == "openai" else self._anthropic_facts
        try:
            found = await read(recording)
        except openai.APIStatusError as error:
            return facts.of_openai_error(error)
        except anthropic.APIStatusError as error:
            return facts.of_anthropic_error(error)
        assert not traffic.is_error(recording), "the SDK took an error for an answer"
        return found

    async def _openai_facts(self, recording: Recording) -> Facts:
        if not recording.streaming:
            completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
            return facts.of_openai(await completions.create(**_ASKED))
        state = ChatCompletionStreamState()
        for chunk in await self._openai_chunks(recording):
            state.handle_chunk(chunk)
        return facts.of_openai_stream(state.current_completion_snapshot)

    async def _openai_chunks(self, recording: Recording) -> list[Any]:
        completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
        return [chunk async for chunk in await completions.create(**_ASKED, stream=True)]

    async def openai_chunks(self, recording: Recording) -> list[Facts]:
        """The chunks of a stream, as the SDK gives them."""
        self._server.segmentation = None
        return [facts.plain(chunk) for chunk in await self._openai_chunks(recording)]

    async def _anthropic_facts(self, recording: Recording) -> Facts:
        messages = self._anthropic.with_options(base_url=self._server.base_url(recording)).messages
        if not recording.streaming:
            return facts.of_anthropic(await messages.create(**_ASKED, max_tokens=1024))
        async with messages.stream(**_ASKED, max_tokens=1024) as stream:
            return facts.of_anthropic(await stream.get_final_message())
