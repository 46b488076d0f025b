"""Batches of values: the types that checkers infer; not run."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypedDict, assert_type

from pydantic import BaseModel, TypeAdapter

from anycompletion import AsyncCompletion, ChatRequest, CompletionError, Result
from anycompletion.batch import BatchRun, ParsedBatchRun, read_results
from anycompletion.structured import ParsedCompletion, ParsedResult

REQUESTS = [ChatRequest("openai/gpt-4o", "Something with carrots.")]
JOURNAL = Path("recipes.jsonl")


@dataclass
class Recipe:
    title: str


class Soup(BaseModel):
    name: str


class Mood(Enum):
    GOOD = "good"


class Place(TypedDict):
    city: str


async def results(client: AsyncCompletion) -> None:
    def check(found: Recipe) -> None:
        assert found.title

    async with client.batch(
        REQUESTS, into=Recipe, mode="tool", strict=False, max_reasks=1, validate=check, concurrency=3, journal=JOURNAL
    ) as run:
        assert_type(run, ParsedBatchRun[Recipe])
        async for result in run:
            assert_type(result, ParsedResult[Recipe])
            assert_type(result.parsed, Recipe | None)
            assert_type(result.error, CompletionError | None)
            assert_type(result.unwrap(), ParsedCompletion[Recipe])
            assert_type(result.unwrap().parsed, Recipe)
    plain: BatchRun = run
    results: list[Result] = [each async for each in plain]
    assert_type(results, list[Result])


def forms(client: AsyncCompletion) -> None:
    assert_type(client.batch(REQUESTS, into=Soup), ParsedBatchRun[Soup])
    assert_type(client.batch(REQUESTS, into=list[Recipe]), ParsedBatchRun[list[Recipe]])
    assert_type(client.batch(REQUESTS, into=Recipe | Soup), ParsedBatchRun[Recipe | Soup])
    assert_type(client.batch(REQUESTS, into=Mood), ParsedBatchRun[Mood])
    assert_type(client.batch(REQUESTS, into=Place), ParsedBatchRun[Place])
    assert_type(client.batch(REQUESTS, into=Literal["yes", "no"]), ParsedBatchRun[Literal["yes", "no"]])
    assert_type(client.batch(REQUESTS, into=dict[str, int] | None), ParsedBatchRun[dict[str, int] | None])
    assert_type(client.batch(REQUESTS, into=TypeAdapter(list[Soup])), ParsedBatchRun[list[Soup]])
    assert_type(client.batch(REQUESTS), BatchRun)


def stored() -> None:
    assert_type(list(read_results(JOURNAL, into=Recipe)), list[ParsedResult[Recipe]])
    assert_type(next(read_results(JOURNAL, into=Soup)).parsed, Soup | None)
    assert_type(next(read_results(JOURNAL, into=list[Recipe])).unwrap().parsed, list[Recipe])
    assert_type(next(read_results(JOURNAL, into=Recipe | Soup)).unwrap().parsed, Recipe | Soup)
    assert_type(next(read_results(JOURNAL, into=Mood)).unwrap().parsed, Mood)
    assert_type(next(read_results(JOURNAL, into=Place)).unwrap().parsed, Place)
    assert_type(next(read_results(JOURNAL, into=Literal["yes"])).unwrap().parsed, Literal["yes"])
    assert_type(next(read_results(JOURNAL, into=dict[str, int] | None)).unwrap().parsed, dict[str, int] | None)
    assert_type(next(read_results(JOURNAL, into=TypeAdapter(list[Soup]))).unwrap().parsed, list[Soup])
    assert_type(list(read_results(JOURNAL)), list[Result])


def any_type(run: ParsedBatchRun, result: ParsedResult) -> None:
    assert_type(run, ParsedBatchRun[Any])
    assert_type(result, ParsedResult[Any])
