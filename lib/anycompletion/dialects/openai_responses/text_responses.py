"""Responses whose output is one message with one text, as most are: read by msgspec in one step. No I/O.

https://platform.openai.com/docs/api-reference/responses/object
"""

# Annotations are no strings here: msgspec would evaluate each of them.

from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast

import msgspec

from ...codecs.json import decoded


class _ResponseText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["output_text"]
    text: str
    annotations: tuple[()] | None = None
    logprobs: tuple[()] | None = None


class _ResponseMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["message"]
    content: tuple[_ResponseText]
    role: Literal["assistant"]
    status: Literal["completed"]
    id: str | None = None


class OpenAITextResponse(msgspec.Struct):
    """Response that is complete and has a text and nothing else for a chat message."""

    id: str
    object: Literal["response"]
    status: Literal["completed"]
    output: tuple[_ResponseMessage]
    model: str
    created_at: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    error: None = None
    incomplete_details: None = None
    billing: dict[str, Any] | None = None
    moderation: None = None

    @property
    def answer(self) -> str:
        """The text; `text` is a field that repeats the request."""
        return self.output[0].content[0].text


def text_response_decoder(echoed: Iterable[str]) -> msgspec.json.Decoder[OpenAITextResponse]:
    """The decoder of such responses; `echoed` are the names of fields that are skipped, all others are refused."""
    fields = [(name, msgspec.Raw, msgspec.Raw()) for name in echoed]
    whole = msgspec.defstruct("_Whole", fields, bases=(OpenAITextResponse,), forbid_unknown_fields=True)
    return msgspec.json.Decoder(cast("type[OpenAITextResponse]", whole))


def text_response(data: bytes, decoder: msgspec.json.Decoder[OpenAITextResponse]) -> OpenAITextResponse | None:
    """A response with one text that is not blank and nothing else; None for all others."""
    response = decoded(data, decoder.decode)
    return None if response is None or not response.answer or response.answer.isspace() else response
