"""Handles each failure by what can be done about it, and reports it with what support needs to know."""

import asyncio

from anycompletion import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncCompletion,
    AuthenticationError,
    BadRequestError,
    ChatCompletion,
    CompletionError,
    ConfigurationError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InvalidRequestError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from anycompletion.testing import FakeProvider

MODEL = "openai/gpt-4o-mini"


async def answer(client: AsyncCompletion, question: str, max_tokens: int = 100) -> str:
    try:
        reply = await client.create(MODEL, question, max_tokens=max_tokens)
    except ContextWindowExceededError:
        return "the question is too long"
    except ContentPolicyViolationError as error:
        return f"refused: {error.message}"
    except QuotaExceededError:
        return "the account is empty"
    except RateLimitError as error:
        return f"again in {error.retry_after or 1:.1f} s"
    except (AuthenticationError, ConfigurationError) as error:
        return f"wrong key: {error.provider}"
    except InvalidRequestError as error:
        return f"invalid: {error.param}"
    except APITimeoutError as error:
        return f"no answer within {error.elapsed or 0:.0f} s, {error.phase}"
    except APIStatusError as error:
        return report(error)
    except APIConnectionError as error:
        return f"the network failed: {error.phase}, billed: {error.maybe_billed}"
    return reply.text


def report(error: APIStatusError) -> str:
    headers = error.headers or {}
    return (
        f"{error.status_code} {error.code} {error.type} {error.request_id or headers.get('x-request-id')} {error.body}"
    )


async def partial(client: AsyncCompletion, question: str) -> tuple[str, bool]:
    """The text of a stream, and whether it is all of it."""
    try:
        async with client.stream(MODEL, question) as stream:
            return (await stream.get_final_completion()).text, True
    except StreamInterruptedError as error:
        return error.partial.text if error.partial is not None else "", False


async def or_none(client: AsyncCompletion, question: str) -> ChatCompletion | None:
    result = await client.attempt(MODEL, question)
    if result.error is not None and not result.error.retryable:
        raise result.error
    return result.completion


def is_ours(error: BaseException) -> bool:
    return isinstance(error, CompletionError)


async def main() -> None:
    failures: list[CompletionError] = [
        ContextWindowExceededError("too many tokens", status_code=400),
        ContentPolicyViolationError("flagged", status_code=400),
        QuotaExceededError("insufficient quota", status_code=429),
        RateLimitError("slow down", retry_after=0.2),
        AuthenticationError("no such key", provider="openai"),
        APITimeoutError("too slow", elapsed=600, phase="total"),
        BadRequestError("bad", status_code=400, code="bad_value", type="invalid_request_error", request_id="req_1"),
        APIConnectionError("no route", phase="connect"),
    ]
    async with AsyncCompletion(providers=[FakeProvider(*failures)], max_retries=0) as client:
        for _ in failures:
            print("answer:", await answer(client, "Hello!"))
        print("answer:", await answer(client, "Hello!", max_tokens=-1))
    cut = FakeProvider(["Once ", "upon ", StreamInterruptedError("cut")], RateLimitError("slow down"), APIError("odd"))
    async with AsyncCompletion(providers=[cut], max_retries=0) as client:
        print("partial:", await partial(client, "Tell me a story."))
        print("none:", await or_none(client, "Hello!"))
        try:
            await or_none(client, "Hello!")
        except APIError as error:
            print("raised:", error, is_ours(error))


if __name__ == "__main__":
    asyncio.run(main())
