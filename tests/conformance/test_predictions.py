"""Every recorded prediction of Replicate's, created and asked after by the client, held against its own JSON.

Most are pictures: they show the road, and their links are the text. No SDK is asked: it ends where these tests begin.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio

from anycompletion import APIError, AsyncCompletion, Result
from anycompletion.testing import Recording
from conformance import expected, traffic
from conformance.predictions import PredictionServer, grouped, told

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

GROUPS = grouped(traffic.recorded(traffic.REPLICATE))

each_group = pytest.mark.parametrize("group", [pytest.param(name, id=name) for name in GROUPS] or traffic.each(()))


@attrs.frozen
class Played:
    """How all predictions came out; they run at the same time, because each takes its seconds."""

    server: PredictionServer
    results: dict[str, Result]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played() -> AsyncIterator[Played]:
    """All predictions, created and followed to their ends."""
    async with PredictionServer(GROUPS) as server, AsyncCompletion(max_retries=0) as client:

        async def result(group: str) -> Result:
            return await client.attempt(
                f"replicate/{'0' * 64}", "Hello", base_url=f"{server.url}/{group}", api_key="key"
            )

        results = await asyncio.gather(*map(result, GROUPS))
        yield Played(server, dict(zip(GROUPS, results, strict=True)))


def last_of(group: str) -> Recording:
    """The last that is known of a prediction."""
    return GROUPS[group][-1]


def text_of(prediction: dict[str, Any]) -> str:
    """What a model said: a text, or pieces of one."""
    output = prediction["output"]
    return output if isinstance(output, str) else "".join(output or ())


def error_of(played: Played, group: str) -> APIError:
    """The error that a prediction ended with."""
    error = played.results[group].error
    assert isinstance(error, APIError), error
    return error


@each_group
async def test_a_prediction_is_asked_after_until_it_has_ended(played: Played, group: str) -> None:
    """An answer would be given up, or asked for again after it came."""
    assert played.server.played(group) == GROUPS[group]


@each_group
async def test_a_prediction_says_what_its_json_says(played: Played, group: str) -> None:
    """The text, the counts or the state of a prediction would be lost on the way to the caller."""
    prediction, result = told(last_of(group)), played.results[group]
    match prediction["status"]:
        case "succeeded":
            reply = result.unwrap()
            assert (reply.id, reply.text) == (prediction["id"], text_of(prediction))
            assert reply.choices[0].finish_reason == "stop"
            counts = prediction["metrics"].get("input_token_count"), prediction["metrics"].get("output_token_count")
            usage = reply.usage
            assert (usage and usage.prompt_tokens, usage and usage.completion_tokens) == counts
        case "failed":
            assert (prediction["error"] or "") in error_of(played, group).message
        case "canceled" | "aborted" as state:
            assert error_of(played, group).code == state
        case int() as status:
            error = error_of(played, group)
            assert (error.status_code, error.message) == (status, prediction["detail"])
            assert type(error).__name__ == expected.CLASSES_BY_STATUS.get(status, "BadRequestError")
        case "starting" | "processing":
            # Nothing more was recorded: the server knows no more of it.
            assert type(error_of(played, group)).__name__ == "NotFoundError"
        case other:
            pytest.fail(f"a recorded prediction has the status {other!r}")
