"""Careful clients of the wire formats, each aiohttp + orjson by hand: the bases of the benchmark `formats`.

As in `careful`, the URL and headers are made once, there are no redirects and no cookies, and a stream is read in
whatever pieces arrive, each split once. They read text, finish reason and usage, and know their own format only. There
are no types, no validation, no retries and no deadline.
"""

from __future__ import annotations

import hmac
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from time import perf_counter
from typing import Any, ClassVar
from zlib import crc32

import aiohttp
from yarl import URL

from benchmarks.clients import AWS_KEYS, AWS_REGION, KEY, Json, Streamed, check_end, first_call
from benchmarks.clients.bare import dumps, loads

_DATA = b"data: "
_DONE = b"data: [DONE]"


class FormatClient(ABC):
    """One session for all calls in one format, with prepared requests."""

    path = ""
    stream_path = ""
    """The path of a stream, where it is another."""
    headers: ClassVar[Mapping[str, str]] = {"Authorization": f"Bearer {KEY}"}

    def __init__(self, root: str, model: str) -> None:
        self.model = model
        self._url = URL(root + self.path.format(model=model), encoded=True)
        self._stream_url = URL(root + (self.stream_path or self.path).format(model=model), encoded=True)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={**self.headers, "Content-Type": "application/json"},
        )

    async def call(self, messages: list[Json], params: Json) -> int:
        body = dumps(self.body(messages, params, stream=False))
        async with self._session.post(
            self._url, data=body, allow_redirects=False, headers=self.sign(self._url, body)
        ) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            return self.read(loads(await response.read()))

    async def stream(self, messages: list[Json], params: Json) -> Streamed:
        body = dumps(self.body(messages, params, stream=True))
        async with self._session.post(
            self._stream_url, data=body, allow_redirects=False, headers=self.sign(self._stream_url, body)
        ) as response:
            if response.status != 200:
                raise RuntimeError(response.status)
            return await self.read_stream(response.content)

    async def hold(self, messages: list[Json], params: Json) -> object:
        body = dumps(self.body(messages, params, stream=True))
        response = await self._session.post(
            self._stream_url, data=body, allow_redirects=False, headers=self.sign(self._stream_url, body)
        )
        await response.content.readany()
        return response

    async def close(self) -> None:
        await self._session.close()

    def sign(self, url: URL, body: bytes) -> Mapping[str, str] | None:
        """Headers that sign a request; None for formats that need none."""
        return None

    @abstractmethod
    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        """A request."""

    @abstractmethod
    def read(self, reply: Any) -> int:
        """Reads a reply; returns the length of its text."""

    @abstractmethod
    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        """Reads a stream."""


class OpenAIClient(FormatClient):
    """OpenAI's chat completions."""

    path = "/v1/chat/completions"

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        if stream:
            options = {"include_usage": True}
            return {"model": self.model, "messages": messages, "stream": True, "stream_options": options, **params}
        return {"model": self.model, "messages": messages, **params}

    def read(self, reply: Any) -> int:
        choice = reply["choices"][0]
        check_end(choice["finish_reason"], "stop", reply["usage"]["completion_tokens"])
        return len(choice["message"]["content"])

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                if event.startswith(_DATA) and event != _DONE:
                    chunk = loads(event[6:])
                    for choice in chunk["choices"]:
                        text = choice["delta"].get("content")
                        if text:
                            first = first or perf_counter()
                            characters += len(text)
                        reason = choice["finish_reason"] or reason
                    if chunk["usage"]:
                        tokens = chunk["usage"]["completion_tokens"]
        check_end(reason, "stop", tokens)
        return Streamed(characters, first)


class AnthropicClient(FormatClient):
    """Anthropic's messages."""

    path = "/v1/messages"
    headers: ClassVar[Mapping[str, str]] = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        system, *turns = messages
        body = {"model": self.model, "max_tokens": 4096, "system": system["content"], "messages": turns, **params}
        return {**body, "stream": True} if stream else body

    def read(self, reply: Any) -> int:
        check_end(reply["stop_reason"], "end_turn", reply["usage"]["output_tokens"])
        return sum(len(block["text"]) for block in reply["content"] if block["type"] == "text")

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                data = loads(event[event.index(_DATA) + 6 :])
                kind = data["type"]
                if kind == "content_block_delta":
                    if data["delta"]["type"] == "text_delta":
                        first = first or perf_counter()
                        characters += len(data["delta"]["text"])
                elif kind == "message_delta":
                    reason, tokens = data["delta"]["stop_reason"], data["usage"]["output_tokens"]
        check_end(reason, "end_turn", tokens)
        return Streamed(characters, first)


class GeminiClient(FormatClient):
    """Gemini's generateContent."""

    path = "/v1beta/models/{model}:generateContent"
    stream_path = "/v1beta/models/{model}:streamGenerateContent?alt=sse"
    headers: ClassVar[Mapping[str, str]] = {"x-goog-api-key": KEY}

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        system, user = messages
        return {
            "systemInstruction": {"parts": [{"text": system["content"]}]},
            "contents": [{"role": "user", "parts": [{"text": user["content"]}]}],
            "generationConfig": params,
        }

    def read(self, reply: Any) -> int:
        candidate = reply["candidates"][0]
        check_end(candidate["finishReason"], "STOP", reply["usageMetadata"]["candidatesTokenCount"])
        return sum(len(part["text"]) for part in candidate["content"]["parts"] if "text" in part)

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            *events, rest = (rest + piece).split(b"\r\n\r\n")
            for event in events:
                data = loads(event[6:])
                for candidate in data["candidates"]:
                    for part in candidate["content"]["parts"]:
                        if "text" in part:
                            first = first or perf_counter()
                            characters += len(part["text"])
                    reason = candidate.get("finishReason")
                tokens = data["usageMetadata"]["candidatesTokenCount"]
        check_end(reason, "STOP", tokens)
        return Streamed(characters, first)


class BedrockClient(FormatClient):
    """Bedrock's Converse with a bearer key; a stream is an AWS event stream, whose checksums are verified."""

    path = "/model/{model}/converse"
    stream_path = "/model/{model}/converse-stream"

    def __init__(self, root: str, model: str) -> None:
        super().__init__(root, model.replace(":", "%3A"))
        self._names: dict[bytes, str] = {}
        """The headers of a message → its event's name: nearly all messages have the same headers."""

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        system, user = messages
        return {
            "system": [{"text": system["content"]}],
            "messages": [{"role": "user", "content": [{"text": user["content"]}]}],
            "inferenceConfig": params,
        }

    def read(self, reply: Any) -> int:
        check_end(reply["stopReason"], "end_turn", reply["usage"]["outputTokens"])
        return sum(len(block["text"]) for block in reply["output"]["message"]["content"] if "text" in block)

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            events, rest = self._split(rest + piece)
            for name, payload in events:
                if name == "contentBlockDelta":
                    text = loads(payload)["delta"].get("text")
                    if text:
                        first = first or perf_counter()
                        characters += len(text)
                elif name == "messageStop":
                    reason = loads(payload)["stopReason"]
                elif name == "metadata":
                    tokens = loads(payload)["usage"]["outputTokens"]
        check_end(reason, "end_turn", tokens)
        return Streamed(characters, first)

    def _split(self, data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
        """Name and payload of each complete message, and the incomplete one."""
        events: list[tuple[str, bytes]] = []
        at, size = 0, len(data)
        while size - at >= 12:
            length, headers, checksum = _PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != checksum:
                raise ValueError("a prelude is damaged")
            end = at + length
            if end > size:
                break
            if crc32(data[at : end - 4]) != _CHECKSUM.unpack_from(data, end - 4)[0]:
                raise ValueError("a message is damaged")
            block = data[at + 12 : at + 12 + headers]
            name = self._names.get(block)
            if name is None:
                name = self._names[block] = event_name(block)
            events.append((name, data[at + 12 + headers : end - 4]))
            at = end
        return events, data[at:]


_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")


def event_name(block: bytes) -> str:
    """The name of the event of a message with these headers, all of which are texts."""
    headers: dict[bytes, bytes] = {}
    at = 0
    while at < len(block):
        end = at + 1 + block[at]
        name, length = block[at + 1 : end], int.from_bytes(block[end + 1 : end + 3], "big")
        headers[name] = block[end + 3 : end + 3 + length]
        at = end + 3 + length
    if headers[b":message-type"] != b"event":
        raise RuntimeError(headers)
    return headers[b":event-type"].decode()


class SignedBedrockClient(BedrockClient):
    """The same with requests that are signed with AWS credentials."""

    headers: ClassVar[Mapping[str, str]] = {}

    def sign(self, url: URL, body: bytes) -> Mapping[str, str]:
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{moment[:8]}/{AWS_REGION}/bedrock/aws4_request"
        request = (
            f"POST\n{url.raw_path.replace('%', '%25')}\n\ncontent-type:application/json\nhost:{url.authority}\n"
            f"x-amz-date:{moment}\n\ncontent-type;host;x-amz-date\n{sha256(body).hexdigest()}"
        )
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(_signing_key(scope), text.encode(), "sha256").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={AWS_KEYS[0]}/{scope}"
        authorization = f"{credential}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        return {"X-Amz-Date": moment, "Authorization": authorization}


@lru_cache(1)
def _signing_key(scope: str) -> bytes:
    """The key of a day, a region and a service."""
    key = b"AWS4" + AWS_KEYS[1].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class OllamaClient(FormatClient):
    """Ollama's chat, which needs no key; a stream is JSON lines."""

    path = "/api/chat"
    headers: ClassVar[Mapping[str, str]] = {}

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        return {"model": self.model, "messages": messages, "options": params, "stream": stream}

    def read(self, reply: Any) -> int:
        check_end(reply["done_reason"], "stop", reply["eval_count"])
        return len(reply["message"]["content"])

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                data = loads(line)
                text = data["message"]["content"]
                if text:
                    first = first or perf_counter()
                    characters += len(text)
                if data["done"]:
                    reason, tokens = data["done_reason"], data["eval_count"]
        check_end(reason, "stop", tokens)
        return Streamed(characters, first)


class ResponsesClient(FormatClient):
    """OpenAI's Responses API."""

    path = "/v1/responses"

    def body(self, messages: list[Json], params: Json, *, stream: bool) -> Json:
        body = {"model": self.model, "input": messages, **params}
        return {**body, "stream": True} if stream else body

    def read(self, reply: Any) -> int:
        check_end(reply["status"], "completed", reply["usage"]["output_tokens"])
        return sum(
            len(part["text"])
            for item in reply["output"]
            if item["type"] == "message"
            for part in item["content"]
            if part["type"] == "output_text"
        )

    async def read_stream(self, content: aiohttp.StreamReader) -> Streamed:
        characters, first, rest, reason, tokens = 0, 0.0, b"", None, None
        async for piece in content.iter_any():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                data = loads(event[event.index(_DATA) + 6 :])
                kind = data["type"]
                if kind == "response.output_text.delta":
                    first = first or perf_counter()
                    characters += len(data["delta"])
                elif kind == "response.completed":
                    response = data["response"]
                    reason, tokens = response["status"], response["usage"]["output_tokens"]
        check_end(reason, "completed", tokens)
        return Streamed(characters, first)


_CLIENTS: Mapping[str, type[FormatClient]] = {
    "openai": OpenAIClient,
    "openai/responses": ResponsesClient,
    "anthropic": AnthropicClient,
    "gemini": GeminiClient,
    "bedrock": BedrockClient,
    "ollama": OllamaClient,
}


def Client(root: str, model: str = "openai/gpt-4o-mini", *, signed: bool = False) -> FormatClient:  # noqa: N802
    """The client of a model's format; `model` has its provider in front."""
    provider, _, name = model.rpartition("/")
    return SignedBedrockClient(root, name) if signed else _CLIENTS[provider](root, name)


if __name__ == "__main__":
    first_call(Client)
