"""parse with a validator, re-asks, and what may go wrong; a generic helper of one's own."""

import asyncio
from typing import TYPE_CHECKING, TypeVar, Unpack, assert_type

from msgspec import Struct

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ParseParams,
    ReplyError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
)
from anycompletion.testing import FakeProvider, ParsedReply

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")


class Split(Struct):
    shares: list[float]


def sums_up(split: Split) -> None:
    if abs(sum(split.shares) - 1) > 1e-6:
        raise ValueError("the shares must add up to 1")


async def divide(client: AsyncCompletion, text: str) -> Split | None:
    try:
        return (await client.parse("openai/gpt-4o", text, Split, validate=sums_up, max_reasks=1)).parsed
    except ReplyValidationError as error:
        print("misses:", error.path, error.kind, error.expected, error.usage is not None, error.info.reasks)
    except ReplyTruncatedError as error:
        print("as far as it came:", error.data)
    except ReplyRefusedError as error:
        print("refused:", error.refusal)
    return None


async def ask(client: AsyncCompletion, text: str, into: "TypeForm[T]", **params: Unpack[ParseParams]) -> T:
    return (await client.parse("openai/gpt-4o", text, into, **params)).parsed


def ended(text: str, reason: str, refusal: str | None = None) -> ChatCompletion:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return ChatCompletion.from_dict({"choices": [{"message": message, "finish_reason": reason}]})


async def main() -> None:
    half = ParsedReply(Split([0.5]))
    fake = FakeProvider(half, ParsedReply(Split([0.5, 0.5])), half, half)
    fake.add(ended('{"shares": [0.25, 0.', "length"), ended("", "stop", "I cannot divide."), "No numbers.")
    async with AsyncCompletion(providers=[fake]) as client:
        print("asked twice:", await divide(client, "In halves."))
        for _ in range(3):
            assert await divide(client, "In quarters.") is None
        try:
            numbers = await ask(client, "Two numbers?", list[int], temperature=0)
            assert_type(numbers, list[int])
        except ReplyError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
