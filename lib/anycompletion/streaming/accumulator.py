"""Accumulator: makes one completion of a stream's chunks; keeps pieces of text, never chunks.

Fields beyond OpenAI's (`extra`) are merged by the rules of `fragments`, usage by those of `latest_usage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import APIResponseError
from ..records import ChatCompletion, Choice, JsonObject, Usage
from ..records.chunks import ChatCompletionChunk
from ..records.latest_usage import latest_usage
from .choice_state import ChoiceEnd, ChoiceState
from .fragments import OBJECT_SIZE, joined, merge_extra, size_of

MAX_TEXT = 256 * 1024 * 1024
"""Characters that a reply may have, of which media count a quarter; more is an error, so that no stream can fill the
memory."""


def accumulated(chunks: Iterable[ChatCompletionChunk]) -> ChatCompletion:
    """The completion that the chunks of a whole stream add up to."""
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()


class Accumulator:
    """Accumulates chunks into a completion."""

    __slots__ = (
        "_choices",
        "_created",
        "_extra",
        "_id",
        "_model",
        "_service_tier",
        "_size",
        "_state",
        "_system_fingerprint",
        "usage",
    )

    def __init__(self, *, keep_text: bool = True) -> None:
        self._state = ChoiceState if keep_text else ChoiceEnd
        self._choices: dict[int, ChoiceState] = {}
        self._size = 0
        """Characters of all choices, and of the chunks' own fields."""
        self._id = ""
        self._model = ""
        self._created = 0
        self._extra: JsonObject = {}
        self._service_tier: str | None = None
        self._system_fingerprint: str | None = None
        self.usage: Usage | None = None
        """The counts that chunks have reported so far."""

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Adds one chunk.

        Raises:
            APIResponseError: the chunks add up to more than MAX_TEXT.
        """
        text = chunk._only_text  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if text:
            chunk._only_text = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            known = self._choices.get(chunk.choices[0].index)
            if known is not None and self._model:
                self._size += known.add_text(text)
                if self._size > MAX_TEXT:
                    raise _too_large()
                return
        for choice in chunk.choices:
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = self._state(choice.index)
                self._size += OBJECT_SIZE
            self._size += state.add(choice)
        if chunk.usage is not None:
            self.usage = latest_usage(self.usage, chunk.usage)
        if not self._id or not self._model:
            self._add_ids(chunk)
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if chunk.system_fingerprint is not None:
            self._system_fingerprint = chunk.system_fingerprint
        if chunk.prompt_filter_results is not None or chunk.extra is not None:
            self._add_extra(chunk)
        if self._size > MAX_TEXT:
            raise _too_large()

    def _add_extra(self, chunk: ChatCompletionChunk) -> None:
        if chunk.prompt_filter_results is not None:
            self._extra["prompt_filter_results"] = chunk.prompt_filter_results
        extra = chunk.extra or {}
        # A list or text replaces the one before: some servers repeat theirs in every chunk.
        kept = self._extra
        if self._state is ChoiceState:
            self._size += sum(size_of(each) for name, each in extra.items() if name not in kept or type(each) is dict)
            merge_extra(kept, extra)

    def _add_ids(self, chunk: ChatCompletionChunk) -> None:
        # Azure first sends chunks that have filter results only, and these fields empty.
        self._created = self._created or chunk.created if self._id else chunk.created or self._created
        self._id = self._id or chunk.id
        self._model = self._model or chunk.model

    @property
    def started(self) -> bool:
        """Whether a chunk was added."""
        return bool(self._choices or self._id)

    @property
    def finish_reasons(self) -> dict[int, str | None]:
        """Index of each choice → its finish reason so far."""
        return {index: state.finish_reason for index, state in self._choices.items()}

    def text_pieces(self, index: int) -> Sequence[str]:
        """The text of a choice so far; later pieces are appended to the list, in which pieces are joined at times."""
        state = self._choices.get(index)
        return () if state is None else state.content or ()

    def completion(self) -> ChatCompletion:
        """A new record of the reply so far; later chunks do not change it."""
        completion = ChatCompletion(
            self._id,
            [
                Choice(
                    index,
                    state.message(),
                    state.finish_reason,
                    state.token_logprobs(),
                    state.native_finish_reason,
                    paused=state.paused,
                    extra=joined(state.extra),
                )
                for index, state in sorted(self._choices.items())
            ],
            self._model,
            self._created,
            usage=self.usage,
            service_tier=self._service_tier,
            system_fingerprint=self._system_fingerprint,
            extra=joined(self._extra),
        )
        completion.keep_own_json()
        return completion


def _too_large() -> APIResponseError:
    return APIResponseError("the stream is larger than this client keeps; see keep_text", maybe_billed=True)
