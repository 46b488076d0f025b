"""The providers' own SDKs as oracles for recorded traffic, without any code of this package's decoders."""

from collections.abc import Awaitable
from typing import Any

import anthropic
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from anycompletion.testing import Recording, ReplayServer
from conformance import anthropic_facts, facts, openai_facts, traffic
from conformance.comparing import Facts, plain
from conformance.recorded_format import SDKError

_ARGUMENTS: dict[str, Any] = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


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
        is_good_reply = recording.status < 400 and not traffic.is_stream(recording)
        if format_ == traffic.OPENAI and error_object is not None and is_good_reply:
            # OpenAI's SDK does not raise this error: it reads it as a reply without choices.
            return facts.of_error_object(error_object["error"], recording)
        try:
            found = await self._read_by_sdk(recording, format_)
        except openai.APIError as error:
            return facts.of_openai_error(error, recording)
        except anthropic.APIStatusError as error:
            return facts.of_anthropic_error(error)
        except SDKError as error:
            return error.facts
        assert not traffic.is_error(recording), "the SDK read an error as a reply"
        return found

    def _read_by_sdk(self, recording: Recording, format_: str) -> Awaitable[Facts]:
        oracle = traffic.ALL_FORMATS[format_].oracle
        if oracle is not None:
            return oracle(self._server.base_url(recording), recording)
        return self._openai_facts(recording) if format_ == traffic.OPENAI else self._anthropic_facts(recording)

    # --- OpenAI and compatible servers ---

    async def _openai_facts(self, recording: Recording) -> Facts:
        if traffic.is_stream(recording):
            return openai_facts.assembled(await self.openai_chunks(recording))
        completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
        return openai_facts.normalized_completion(plain(await completions.create(**_ARGUMENTS)))

    async def _openai_chunks(self, recording: Recording) -> list[Any]:
        if recording.id not in self._chunks:
            self._server.segmentation = None
            completions = self._openai.with_options(base_url=self._server.base_url(recording)).chat.completions
            chunks = [chunk async for chunk in await completions.create(**_ARGUMENTS, stream=True)]
            self._chunks[recording.id] = chunks
        return self._chunks[recording.id]

    async def openai_chunks(self, recording: Recording) -> list[Facts]:
        """The chunks of a stream as the SDK returns them."""
        return [plain(chunk) for chunk in await self._openai_chunks(recording)]

    async def openai_accumulated(self, recording: Recording) -> Facts:
        """The reply of a stream as the SDK assembles it, which works for OpenAI's own streams only."""
        state = ChatCompletionStreamState()
        for chunk in await self._openai_chunks(recording):
            state.handle_chunk(chunk)
        found = plain(state.current_completion_snapshot)
        for choice in found["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                # The SDK's accumulator keeps the pieces' index, which complete calls do not have.
                del call["index"]
        return found

    # --- Anthropic ---

    async def _anthropic_facts(self, recording: Recording) -> Facts:
        messages = self._anthropic.with_options(base_url=self._server.base_url(recording)).messages
        if not traffic.is_stream(recording):
            return anthropic_facts.of_reply(await messages.create(**_ARGUMENTS, max_tokens=1024))
        async with messages.stream(**_ARGUMENTS, max_tokens=1024) as stream:
            return anthropic_facts.of_reply(await stream.get_final_message())
