"""Every recorded prediction of Replicate's, created and polled by the client, compared with its own JSON.

Most outputs are links to images, which are the text of the reply. Replicate's SDK is no oracle: it returns the JSON.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
import pytest_asyncio

from anycompletion import APIError, AsyncCompletion, Result
from anycompletion.testing import RandomCuts, Recording
from conformance import expected, traffic
from conformance.predictions import PredictionServer, grouped, json_of

pytestmark = [pytest.mark.traffic, pytest.mark.asyncio(loop_scope="session")]

GROUPS = grouped(traffic.recorded(traffic.REPLICATE))

CUTS = {"whole": None, "cut": RandomCuts(2), "cut-finely": RandomCuts(3, longest=30)}
"""Name → how bodies are cut."""

each_group = pytest.mark.parametrize("group", [pytest.param(name, id=name) for name in GROUPS] or traffic.each(()))
each_cuts = pytest.mark.parametrize("cuts", CUTS)


@attrs.frozen
class Played:
    """The results of all predictions with one way of cutting; they run concurrently, because each takes seconds."""

    server: PredictionServer
    results: dict[str, Result]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def all_played() -> AsyncIterator[dict[str, Played]]:
    """Creates all predictions and polls them until they end, with each way of cutting."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncCompletion(max_retries=0))
        servers = [await stack.enter_async_context(PredictionServer(GROUPS, how)) for how in CUTS.values()]

        async def result(server: PredictionServer, group: str) -> Result:
            return await client.attempt(
                f"replicate/{'0' * 64}", "Hello", base_url=f"{server.url}/{group}", api_key="key"
            )

        results = iter(await asyncio.gather(*(result(server, group) for server in servers for group in GROUPS)))
        yield {
            name: Played(server, {group: next(results) for group in GROUPS})
            for name, server in zip(CUTS, servers, strict=True)
        }


@pytest.fixture
def played(all_played: dict[str, Played], cuts: str) -> Played:
    """The results with this way of cutting."""
    return all_played[cuts]


def last_of(group: str) -> Recording:
    """The last recording of a prediction."""
    return GROUPS[group][-1]


def text_of(prediction: dict[str, Any]) -> str:
    """The text of a model's output: a string, or a list of strings."""
    output = prediction["output"]
    return output if isinstance(output, str) else "".join(output or ())


def error_of(played: Played, group: str) -> APIError:
    """The error that a prediction ended with."""
    error = played.results[group].error
    assert isinstance(error, APIError), error
    return error


@each_cuts
@each_group
async def test_a_prediction_is_polled_until_it_ends(played: Played, group: str) -> None:
    """A running prediction would be given up, or a finished one polled again."""
    assert played.server.played(group) == GROUPS[group]


@each_cuts
@each_group
async def test_a_reply_has_the_values_of_the_predictions_json(played: Played, group: str) -> None:
    """The text, the counts or the state of a prediction would be lost."""
    prediction, result = json_of(last_of(group)), played.results[group]
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
            # No later recording exists, so the server answers 404.
            assert type(error_of(played, group)).__name__ == "NotFoundError"
        case other:
            pytest.fail(f"a recorded prediction has the status {other!r}")
