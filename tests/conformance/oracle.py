"""The providers' own SDKs as oracles for recorded traffic, without any code of this package's decoders."""

from typing import Any

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from anycompletion.testing import Recording, ReplayServer
from conformance import cohere_facts, facts, openai_facts, traffic
from conformance.facts import Facts
from conformance.provider_sdks import module

_ARGUMENTS: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


class _CohereError(Exception):
    """An error of Cohere's SDK, which can be imported only where it is installed; `.facts` are its values."""

    def __init__(self, found: Facts) -> None:
        super().__init__("error")
        self.facts = found


class Oracle:
    """Reads recordings with the SDKs, each recording once."""

    def __init__(self, server: ReplayServer) -> None:
        self._server = server
        self._openai = openai.AsyncOpenAI(api_key="key", base_url=server.url, max_retries=0)
        self._anthropic = anthropic.AsyncAnthropic(api_key="key", base_url=server.url, max_retries=0)
        self._facts: dict[str, Facts] = {}
        self._chunks: dict[str, list[Any]] = {}

    async def aclose(self) -> None:
        """Closes the SDKs."""
        await self._openai.close()
        await self._anthropic.close()

    async def facts(self, recording: Recording) -> Facts:
        """The values that the provider's own SDK reads from a recording, for a reply or an error."""
        if recording.id not in self._facts:
            self._server.segmentation = None
            self._facts[recording.id] = await self._read(recording)
        return self._facts[recording.id]

    async def _read(self, recording: Recording) -> Facts:
        format_ = traffic.format_of(recording)
        error_object = traffic.error_in(recording)
        if error_object is not None and recording.status < 400:
            # Errors that SDKs do not raise: OpenAI's reads an error as a reply without choices, Cohere's a failed
            # generation as a reply.
            if format_ == traffic.OPENAI and not traffic.is_stream(recording):
                return facts.of_error_object(error_object["error"], recording)
            if format_ == traffic.COHERE:
                return cohere_facts.of_error_object(error_object, recording)
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
        except _CohereError as error:
            return error.facts
        assert not traffic.is_error(recording), "the SDK read an error as a reply"
        return found

    # --- OpenAI and compatible servers ---

    async def _openai_facts(self, recording: Recording) -> Facts:
        if traffic.is_stream(recording):
            return openai_facts.assembled(await self.openai_chunks(recording))
        completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
        return openai_facts.normalized_completion(facts.plain(await completions.create(**_ARGUMENTS)))

    async def _openai_chunks(self, recording: Recording) -> list[Any]:
        if recording.id not in self._chunks:
            self._server.segmentation = None
            completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
            chunks = [chunk async for chunk in await completions.create(**_ARGUMENTS, stream=True)]
            self._chunks[recording.id] = chunks
        return self._chunks[recording.id]

    async def openai_chunks(self, recording: Recording) -> list[Facts]:
        """The chunks of a stream as the SDK returns them."""
        return [facts.plain(chunk) for chunk in await self._openai_chunks(recording)]

    async def openai_accumulated(self, recording: Recording) -> Facts:
        """The reply of a stream as the SDK assembles it, which works for OpenAI's own streams only."""
        state = ChatCompletionStreamState()
        for chunk in await self._openai_chunks(recording):
            state.handle_chunk(chunk)
        found = facts.plain(state.current_completion_snapshot)
        for choice in found["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                # The SDK's accumulator keeps the pieces' index, which complete calls do not have.
                del call["index"]
        return found

    # --- Anthropic ---

    async def _anthropic_facts(self, recording: Recording) -> Facts:
        messages = self._anthropic.with_options(base_url=self._server.base_url(recording)).messages
        if not traffic.is_stream(recording):
            return facts.of_anthropic(await messages.create(**_ARGUMENTS, max_tokens=1024))
        async with messages.stream(**_ARGUMENTS, max_tokens=1024) as stream:
            return facts.of_anthropic(await stream.get_final_message())

    # --- Cohere ---

    async def _cohere_facts(self, recording: Recording) -> Facts:
        sdk = module("cohere")
        where = self._server.base_url(recording)
        async with sdk.AsyncClientV2("key", base_url=where, timeout=10, max_retries=0) as client:
            try:
                if not traffic.is_stream(recording):
                    return cohere_facts.of_reply(facts.plain(await client.chat(**_ARGUMENTS)))
                events = [facts.plain(event) async for event in client.chat_stream(**_ARGUMENTS)]
            except module("cohere.core").ApiError as error:
                raise _CohereError(cohere_facts.of_error(error)) from None
            return cohere_facts.of_reply(cohere_facts.assembled(events))
