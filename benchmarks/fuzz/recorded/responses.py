"""Recorded responses as JSON documents, decoded by the dialects' pure functions; opens no socket."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec

from anycompletion import PROVIDERS, ChatRequest
from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Continuation, DecoderWithResponse, Dialect, Target
from anycompletion.errors import CompletionError
from anycompletion.http import Headers, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.streaming.accumulator import Accumulator
from anycompletion.testing import Recording, load_folder

from .rules import RULES

DIALECT_OF_API: Mapping[str, str] = {api: name for name, dialect in RULES.items() for api in dialect.apis}
"""The recordings' name of an API → the dialect that reads it."""


@attrs.frozen
class Reading:
    """What was read: the reply as a dict, the URL of the next request, or the exception."""

    reply: Any = None
    error: BaseException | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether the exception is none of the package's."""
        return self.error is not None and not isinstance(self.error, CompletionError)

    def same(self, other: Reading, but_for: str = "") -> bool:
        """Whether both are the same reply, not comparing places that start with `but_for`, or errors of one class."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        return not [path for path in differing(self.reply, other.reply) if not but_for or not path.startswith(but_for)]


@attrs.frozen(eq=False)
class RecordedResponse:
    """One recorded response as JSON documents: the body, or the data of each event."""

    recording: Recording
    dialect: str
    events: tuple[Event, ...] | None
    """The events of a stream; None for a whole body."""
    documents: tuple[Any, ...]
    """The JSON of each event, or of the body; None where it is no JSON object."""

    @property
    def kind(self) -> str:
        """Whether it is an error by its status, a stream or a reply."""
        return "error" if self.recording.status >= 400 else "reply" if self.events is None else "stream"

    def read(self, number: int | None = None, document: Any = None) -> Reading:
        """Decodes the response, with the document of this number replaced, if any is."""
        try:
            return Reading(self._read(number, b"" if number is None else to_bytes(document)))
        except Exception as error:  # noqa: BLE001 (foreign exceptions are findings)
            return Reading(error=error)

    def _read(self, number: int | None, data: bytes) -> Any:
        dialect: Dialect = DIALECTS[self.dialect]
        row = PROVIDERS.get(self.recording.provider)
        # A server of another dialect, or without a row, is read with the dialect's defaults.
        quirks = row.quirks if row is not None and row.dialect == self.dialect else dialect.quirks_type()
        target = Target(
            provider=self.recording.provider,
            model="any",
            base_url="https://api.replicate.com",
            stream=self.events is not None,
            quirks=quirks,
        )
        body: Any = self.recording.request.body if self.recording.request is not None else None
        n = body.get("n") if isinstance(body, dict) else None
        request = ChatRequest("any", "Hello", n=n if isinstance(n, int) else None)
        if self.events is not None:
            events = list(self.events)
            if number is not None:
                events[number] = msgspec.structs.replace(events[number], data=data)
            return _read_stream(dialect, request, target, events)
        whole = self.recording.body if number is None else data
        response = HttpResponse(self.recording.status, Headers.of(self.recording.headers), whole)
        if self.recording.status >= 400:
            raise dialect.error(response)
        found = dialect.decode(response, request, target)
        return found.request.url if isinstance(found, Continuation) else comparable(found.to_dict())


def _read_stream(dialect: Dialect, request: ChatRequest, target: Target, events: Iterable[Event]) -> Any:
    decoder = dialect.decoder(request, target)
    accumulator = Accumulator()
    assert not isinstance(decoder, DecoderWithResponse) or dialect.name == "replicate_predictions"
    for event in events:
        for chunk in decoder.feed(event):
            accumulator.add(chunk)
        if decoder.done:
            break
    end = decoder.finish()
    assert not isinstance(end, Continuation), "only a prediction whose creation was read has one"
    for chunk in end:
        accumulator.add(chunk)
    return comparable(accumulator.completion().to_dict())


def comparable(value: Any) -> Any:
    """A JSON value without NaN, which does not equal itself."""
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case dict():
            return {name: comparable(item) for name, item in value.items()}
        case list():
            return [comparable(item) for item in value]
        case _:
            return value


def differing(first: Any, second: Any) -> list[str]:
    """Paths, without indices, of the values that differ between two replies."""
    mine, other = dict(_leaves(first, "")), dict(_leaves(second, ""))
    paths = [path for path in mine.keys() | other.keys() if mine.get(path) != other.get(path)]
    return [re.sub(r"\[\d+\]", "", path) for path in paths]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for name, item in value.items():
                yield from _leaves(item, f"{path}.{name}" if path else name)
        case list():
            for number, item in enumerate(value):
                yield from _leaves(item, f"{path}[{number}]")
        case None:
            return
        case _:
            yield path, (type(value) is bool, value)


def to_bytes(document: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def response_of(recording: Recording) -> RecordedResponse | None:
    """The response of a recording; None if its API has no dialect."""
    dialect = DIALECT_OF_API.get(recording.api)
    if dialect is None:
        return None
    if recording.framing in ("sse", "ndjson", "aws-eventstream") and recording.status < 400:
        events = tuple(DIALECTS[dialect].framing().feed(recording.body))
        return RecordedResponse(recording, dialect, events, tuple(_object(event.data) for event in events))
    return RecordedResponse(recording, dialect, None, (_object(recording.body),))


def responses(folder: str | Path) -> Iterator[RecordedResponse]:
    """All responses of a folder of recordings whose API has a dialect."""
    for recording in load_folder(folder):
        found = response_of(recording)
        if found is not None:
            yield found


def _object(data: bytes) -> Any:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, (dict, list)) else None
