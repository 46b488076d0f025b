"""Recorded replies changed in one field at a time; ``python -m benchmarks.fuzz.recorded`` is the long form."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from benchmarks.fuzz.recorded import campaign, changes
from benchmarks.fuzz.recorded.responses import RecordedResponse, response_of, responses
from benchmarks.fuzz.recorded.rules import RULES
from benchmarks.fuzz.recorded.verdicts import judge

from anycompletion.testing import Recording
from conformance import traffic


@functools.cache
def recorded() -> list[RecordedResponse]:
    """The responses of the folder, read once."""
    assert traffic.FOLDER is not None
    return list(responses(traffic.FOLDER))


@pytest.mark.traffic
@pytest.mark.skipif(not traffic.FOLDER, reason=traffic.UNSET)
@pytest.mark.parametrize("dialect", RULES)
def test_an_odd_field_costs_nothing_but_itself(dialect: str) -> None:
    """A field of another type would cost a paid reply, change another part of it, or raise a foreign exception."""
    chosen = campaign.sample(
        [found for found in recorded() if found.dialect == dialect], RULES[dialect].changes, seed=1
    )
    outcome = campaign.run(chosen)
    assert not outcome.failures, "\n".join(campaign.listed(outcome.failures))


# --- the judge itself -------------------------------------------------------------------------------------------------


def reply(**fields: Any) -> RecordedResponse:
    """A reply in OpenAI's format."""
    message = {"role": "assistant", "content": "Hello"}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", **fields}
    body.setdefault("choices", [{"index": 0, "message": message, "finish_reason": "stop"}])
    found = response_of(
        Recording(id="r", provider="openai", api="chat.completions", body=json.dumps(body).encode(), headers={})
    )
    assert found is not None
    return found


def place_at(response: RecordedResponse, pattern: str) -> changes.Place:
    """The place of a pattern."""
    found = changes.places(response.documents[0], campaign.opaque(response), is_event=False)
    return next(place for place in found if place.pattern == pattern)


@pytest.mark.parametrize(
    ("pattern", "kind", "outcome"),
    [
        ("created", "text", "but for the field"),
        ("created", "its JSON as text", "same"),
        ("choices[].message.content", "object", "converted"),
        ("choices[].message", "list of one", "converted"),
        ("choices[].message", "number", "refused"),
    ],
)
def test_changes_have_their_outcome(pattern: str, kind: str, outcome: str) -> None:
    """The judge would take a refusal for a conversion, or a changed field for an unchanged one."""
    response = reply()
    verdict = judge(response, response.read(), 0, place_at(response, pattern), kind)
    assert (verdict.outcome, verdict.problem) == (outcome, "")


def test_a_changed_neighbour_is_a_failure() -> None:
    """The judge would find nothing."""
    response, other = reply(), reply(model="other")
    verdict = judge(response, other.read(), 0, place_at(response, "created"), "text")
    assert verdict.problem == "changes model"


def test_every_kind_of_change_applies_to_some_place() -> None:
    """A kind of change would never be made."""
    response = reply(service_tier="1", usage={"prompt_tokens": 1})
    chosen = campaign.sample([response], 10_000, seed=1)
    assert {change.kind for change in chosen} == {*changes.KINDS}


def test_the_selection_is_the_same_for_the_same_seed() -> None:
    """A failure could not be reproduced."""
    response = reply()
    first, again, other = (
        [(change.place.pattern, change.kind) for change in campaign.sample([response], 30, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other
