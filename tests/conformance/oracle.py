"""The official SDKs as readers of recorded traffic; no reading of ours takes part."""

from typing import Any

import anthropic
import cohere
import cohere.core
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from anycompletion.testing import Recording, ReplayServer
from conformance import cohere_facts, facts, openai_facts, traffic
from conformance.facts import Facts

_ASKED: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


class Oracle:
    """Asks the server for recordings through the SDKs, each recording once."""

    def __init__(self, server: ReplayServer) -> None:
        self._server = server
        self._openai = openai.AsyncOpenAI(api_key="key", base_url=server.url, max_retries=0)
        self._anthropic = anthropic.AsyncAnthropic(api_key="key", base_url=server.url, max_retries=0)
        self._known: dict[str, Facts] = {}
        self._chunks: dict[str, list[Any]] = {}

    async def aclose(self) -> None:
        """Closes the SDKs."""
        await self._openai.close()
        await self._anthropic.close()

    async def facts(self, recording: Recording) -> Facts:
        """What the provider's own SDK reads in a recording, be it an answer or an error."""
        if recording.id not in self._known:
            self._server.segmentation = None
            self._known[recording.id] = await self._read(recording)
        return self._known[recording.id]

    async def _read(self, recording: Recording) -> Facts:
        format_ = traffic.format_of(recording)
        told = traffic.error_in(recording)
        if told is not None and recording.status < 400:
            # Two things that SDKs take for answers: to OpenAI's, an error is a reply without choices; to Cohere's, a
            # generation that failed is one like any other.
            if format_ == traffic.OPENAI and not traffic.is_stream(recording):
                return facts.of_told_error(told["error"], recording)
            if format_ == traffic.COHERE:
                return cohere_facts.of_told_error(told, recording)
        read = {
            traffic.OPENAI: self._openai_facts,
            traffic.ANTHROPIC: self._anthropic_facts,
            traffic.COHERE: self._cohere_facts,
        }[format_]
        try:
            found = await read(recording)
        except openai.APIError as error:
            return facts.of_openai_error(error, recording)
        except anthropic.APIStatusError as error:
            return facts.of_anthropic_error(error)
        except cohere.core.ApiError as error:
            return cohere_facts.of_error(error)
        assert not traffic.is_error(recording), "the SDK took an error for an answer"
        return found

    # --- OpenAI and all who speak its format ---

    async def _openai_facts(self, recording: Recording) -> Facts:
        if traffic.is_stream(recording):
            return openai_facts.folded(await self.openai_chunks(recording))
        completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
        return openai_facts.completion_said_by(facts.plain(await completions.create(**_ASKED)))

    async def _openai_chunks(self, recording: Recording) -> list[Any]:
        if recording.id not in self._chunks:
            self._server.segmentation = None
            completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
            chunks = [chunk async for chunk in await completions.create(**_ASKED, stream=True)]
            self._chunks[recording.id] = chunks
        return self._chunks[recording.id]

    async def openai_chunks(self, recording: Recording) -> list[Facts]:
        """The chunks of a stream, as the SDK gives them."""
        return [facts.plain(chunk) for chunk in await self._openai_chunks(recording)]

    async def openai_accumulated(self, recording: Recording) -> Facts:
        """The reply of a stream as the SDK itself puts it together; it can do so for OpenAI's own only."""
        state = ChatCompletionStreamState()
        for chunk in await self._openai_chunks(recording):
            state.handle_chunk(chunk)
        found = facts.plain(state.current_completion_snapshot)
        for choice in found["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                # The accumulator leaves the fragments' index in; the type of a whole call has no such member.
                del call["index"]
        return found

    # --- Anthropic ---

    async def _anthropic_facts(self, recording: Recording) -> Facts:
        messages = self._anthropic.with_options(base_url=self._server.base_url(recording)).messages
        if not traffic.is_stream(recording):
            return facts.of_anthropic(await messages.create(**_ASKED, max_tokens=1024))
        async with messages.stream(**_ASKED, max_tokens=1024) as stream:
            return facts.of_anthropic(await stream.get_final_message())

    # --- Cohere ---

    async def _cohere_facts(self, recording: Recording) -> Facts:
        where = self._server.base_url(recording)
        async with cohere.AsyncClientV2("key", base_url=where, timeout=10, max_retries=0) as client:
            if not traffic.is_stream(recording):
                return cohere_facts.of_reply(facts.plain(await client.chat(**_ASKED)))
            events = [facts.plain(event) async for event in client.chat_stream(**_ASKED)]
            return cohere_facts.of_reply(cohere_facts.folded(events))
