"""Log probabilities: unknown ones, and the older form of their JSON."""

import math
import pickle
from typing import Any

import pytest

from anycompletion.codecs.lenient import ShapeError
from anycompletion.records.logprobs import Logprobs, TokenLogprob, TopLogprob

OLDER_FORM: list[tuple[dict[str, Any], list[TokenLogprob]]] = [
    ({"tokens": []}, []),
    ({"tokens": ["a", "b"], "token_logprobs": [None, -0.5]}, [TokenLogprob("a", math.nan), TokenLogprob("b", -0.5)]),
    ({"tokens": ["a", "b"], "token_logprobs": [-0.5]}, [TokenLogprob("a", -0.5), TokenLogprob("b", math.nan)]),
    ({"tokens": ["a"], "token_logprobs": None}, [TokenLogprob("a", math.nan)]),
    (
        {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [[{"token": "a", "logprob": -0.5}]]},
        [TokenLogprob("a", -0.5, None, [TopLogprob("a", -0.5)])],
    ),
    (
        {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "b": -3}]},
        [TokenLogprob("a", -0.5, None, [TopLogprob("a", -0.5), TopLogprob("b", -3.0)])],
    ),
    (
        {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1], "token_ids": [7, None], "text_offset": [0, 1]},
        [
            TokenLogprob("a", -0.5, extra={"token_id": 7, "text_offset": 0}),
            TokenLogprob("b", -1.0, extra={"text_offset": 1}),
        ],
    ),
]


@pytest.mark.parametrize(("data", "tokens"), OLDER_FORM)
def test_log_probabilities_in_the_older_form(data: dict[str, Any], tokens: list[TokenLogprob]):
    """Log probabilities that were asked for would be missing where a server sends them in lists."""
    assert Logprobs.from_dict({**data, "x": 1}) == Logprobs(tokens, extra={"x": 1})


def test_the_older_form_beside_the_newer_one_is_kept():
    """Fields that a server sends twice would be lost."""
    both = {"content": [{"token": "a", "logprob": -0.5}], "tokens": ["a"], "token_logprobs": None}
    assert Logprobs.from_dict(both) == Logprobs(
        [TokenLogprob("a", -0.5)], extra={"tokens": ["a"], "token_logprobs": None}
    )
    nulls = {"tokens": None, "token_logprobs": None, "top_logprobs": None}
    assert Logprobs.from_dict(nulls) == Logprobs(extra=nulls)


def test_log_probabilities_that_are_no_object_are_refused_with_their_path():
    """A stored reply with an invalid member would be an error of another kind, without its place."""
    with pytest.raises(ShapeError, match=r"choices\[0\].logprobs"):
        Logprobs.from_dict(5, "choices[0].logprobs")


def test_an_unknown_log_probability_is_neither_certainty_nor_invalid_json():
    """A token of unknown probability would count as certain, or a stored reply could not be read."""
    logprobs = Logprobs.from_dict({"content": [{"token": "a", "logprob": None, "top_logprobs": [{"token": "b"}]}]})
    assert logprobs.content is not None
    assert math.isnan(logprobs.content[0].logprob)
    data = logprobs.to_dict()
    assert data["content"][0]["logprob"] is None
    assert data["content"][0]["top_logprobs"][0]["logprob"] is None
    for other in (Logprobs.from_dict(data), pickle.loads(pickle.dumps(logprobs))):  # noqa: S301
        assert other == logprobs
    assert logprobs.content[0] != TokenLogprob("a", 0.0, None, logprobs.content[0].top_logprobs)
    assert TokenLogprob("a", -0.5) != TopLogprob("a", -0.5)
