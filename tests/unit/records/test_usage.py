"""Usage: other names of its fields, and sums."""

from typing import Any

import pytest

from anycompletion.records import CompletionTokensDetails, PromptTokensDetails, Usage

OTHER_NAMES: list[tuple[dict[str, Any], Usage]] = [
    (
        {"input_tokens": 11, "output_tokens": "5", "total_tokens": 16},
        Usage(11, 5, 16),
    ),
    (
        {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}, "output_tokens_details": {"x": 1}},
        Usage(
            1,
            prompt_tokens_details=PromptTokensDetails(1),
            completion_tokens_details=CompletionTokensDetails(extra={"x": 1}),
        ),
    ),
    ({"prompt_tokens": None, "input_tokens": 3}, Usage(3)),
    ({"prompt_tokens": 2, "input_tokens": 3}, Usage(2, extra={"input_tokens": 3})),
    ({"input_tokens": "many"}, Usage()),
]


@pytest.mark.parametrize(("data", "usage"), OTHER_NAMES)
def test_usage_under_the_names_of_another_api(data: dict[str, Any], usage: Usage):
    """The usage of a server that calls prompts inputs would be unknown, or be counted twice."""
    assert Usage.from_dict(data) == usage


SUMS: list[tuple[Usage, Usage, Usage]] = [
    (Usage(1, 2, 3), Usage(10, 20, 30), Usage(11, 22, 33)),
    (Usage(1, 2, 3), Usage(1), Usage(2)),
    (Usage(0, 0, 0, cost=0.0), Usage(0, 0, 0, cost=0.5), Usage(0, 0, 0, cost=0.5)),
    (
        Usage(prompt_tokens_details=PromptTokensDetails(1, 2)),
        Usage(prompt_tokens_details=PromptTokensDetails(3)),
        Usage(prompt_tokens_details=PromptTokensDetails(4)),
    ),
    (Usage(prompt_tokens_details=PromptTokensDetails(1)), Usage(), Usage()),
    (
        Usage(completion_tokens_details=CompletionTokensDetails(5, 0, 0, 0, 1)),
        Usage(completion_tokens_details=CompletionTokensDetails(1, 2, 3, 4, 5)),
        Usage(completion_tokens_details=CompletionTokensDetails(6, 2, 3, 4, 6)),
    ),
    (Usage(1, extra={"a": 1}), Usage(1, extra={"a": 2}), Usage(2)),
]


@pytest.mark.parametrize(("one", "other", "total"), SUMS)
def test_usage_adds_up(one: Usage, other: Usage, total: Usage):
    """The usage of several branches would be wrong, or have a number where one is unknown."""
    assert one + other == total
    assert other + one == total
