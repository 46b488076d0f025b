"""Log probabilities of a choice's tokens, in OpenAI's exact shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from attrs import define, field

from ..codecs.lenient import as_object, as_str, optional_float, optional_list, optional_objects, unknown_fields
from .base import JsonObject, Record, extra_field, field_names, nullable


class _LogprobRecord(Record):
    """Record with a `logprob` that is NaN where the provider sent none."""

    __slots__ = ()

    def to_dict(self) -> JsonObject:
        """OpenAI's JSON; an unknown log probability is null, because JSON has no NaN."""
        out = super().to_dict()
        logprob: object = out["logprob"]
        return out | {"logprob": None} if isinstance(logprob, float) and math.isnan(logprob) else out

    def __eq__(self, other: object) -> bool:
        # By the JSON, in which unknown log probabilities are equal, unlike NaN.
        if type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # mutable, like all records


@define(repr=False, eq=False)
class TopLogprob(_LogprobRecord):
    """Alternative token with its log probability, which is NaN if unknown."""

    token: str
    logprob: float
    bytes: list[int] | None = nullable()
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class TokenLogprob(_LogprobRecord):
    """Token of the reply with its log probability, which is NaN if unknown, and the likeliest alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None = nullable()
    top_logprobs: list[TopLogprob] = field(factory=list[TopLogprob])
    extra: JsonObject = extra_field()


@define(repr=False, eq=False)
class Logprobs(Record):
    """Log probabilities of a choice's content and refusal."""

    content: list[TokenLogprob] | None = nullable()
    refusal: list[TokenLogprob] | None = nullable()
    extra: JsonObject = extra_field()

    @classmethod
    def from_dict(cls, data: object, path: str = "logprobs") -> Logprobs:
        """Reads OpenAI's JSON leniently, also the older form, which has a list per field in place of `content`.

        Raises:
            ShapeError: `data` is no object; the text has its path.
        """
        source = as_object(data, path)
        content = _token_logprobs(source.get("content"))
        known = _LOGPROBS
        if content is None and isinstance(source.get("tokens"), list):
            content = _from_field_lists(source)
            known = _LOGPROBS_OF_BOTH_FORMS
        return cls(
            content,
            _token_logprobs(source.get("refusal")),
            extra=unknown_fields(source, known),
        )


def _token_logprobs(value: object) -> list[TokenLogprob] | None:
    tokens = optional_objects(value)
    return None if tokens is None else list(map(_token_logprob, tokens))


def _from_field_lists(data: JsonObject) -> list[TokenLogprob]:
    """The tokens of the older form: parallel lists of the tokens and of each of their fields."""
    columns = {name: data[old] for old, name in _OLDER_FIELDS.items() if isinstance(data.get(old), list)}
    tokens = [
        {name: values[i] for name, values in columns.items() if i < len(values)} for i in range(len(data["tokens"]))
    ]
    return [_token_logprob({name: value for name, value in token.items() if value is not None}) for token in tokens]


def _token_logprob(data: JsonObject) -> TokenLogprob:
    tops = [
        TopLogprob(*_token(alternative), extra=unknown_fields(alternative, _TOP_LOGPROB))
        for alternative in _alternatives(data.get("top_logprobs"))
    ]
    return TokenLogprob(*_token(data), tops, extra=unknown_fields(data, _TOKEN))


def _alternatives(value: object) -> Sequence[JsonObject]:
    """The alternatives of a token: a list of objects, or in the older form an object of token → log probability."""
    if isinstance(value, dict):
        tokens = cast("JsonObject", value)
        if "token" not in tokens:
            return [{"token": token, "logprob": logprob} for token, logprob in tokens.items()]
    return optional_objects(cast("object", value)) or ()


def _token(data: JsonObject) -> tuple[str, float, list[int] | None]:
    logprob = optional_float(data.get("logprob"))
    return (
        as_str(data.get("token")),
        math.nan if logprob is None else logprob,
        optional_list(data.get("bytes")),
    )


# --- JSON fields that are attributes, and those of the older form ---

_LOGPROBS, _TOP_LOGPROB, _TOKEN = field_names(Logprobs), field_names(TopLogprob), field_names(TokenLogprob)
_OLDER_FIELDS = {
    "tokens": "token",
    "token_logprobs": "logprob",
    "top_logprobs": "top_logprobs",
    "token_ids": "token_id",
    "text_offset": "text_offset",
}
"""Field of the older form of log probabilities, a list → field of each token."""
_LOGPROBS_OF_BOTH_FORMS = _LOGPROBS | _OLDER_FIELDS.keys()
