"""Grounding and citations of a candidate as annotations. A place that cannot be found is left out.

https://ai.google.dev/gemini-api/docs/google-search

Google counts bytes of UTF-8 over the texts of the candidate joined; OpenAI counts characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from ...codecs.lenient import optional_int, optional_list, optional_object, optional_objects, optional_str
from ...records import Annotation, JsonObject, UrlCitation

CITING_FIELDS = frozenset(("groundingMetadata", "citationMetadata"))
"""Fields of a candidate that name sources."""

_SOURCES = ("web", "maps", "retrievedContext", "image")
"""Fields of a chunk that describe its source, one of which it has."""

_CITATIONS = ("citations", "citationSources")
"""Field of the citations at Vertex AI, and at the Gemini API."""

MAX_ANNOTATIONS = 10_000
"""Annotations of one candidate; each is made of one support and one chunk, so few bytes could stand for many."""


class GeminiTexts:
    """The joined text of a candidate, in which places are counted in bytes."""

    __slots__ = ("_data", "_starts", "_text")

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts` are those of the parts; a part without text has an empty one, so that parts keep their numbers."""
        self._text = "".join(texts)
        self._data: bytes = self._text.encode("utf-8", "replace")
        lengths = (len(text.encode("utf-8", "replace")) for text in texts)
        self._starts = list(accumulate(lengths, initial=0))

    def place(self, segment: JsonObject) -> tuple[int, int] | None:
        """Start and end of a segment in characters, checked by its text; None where they cannot be found."""
        part = optional_int(segment.get("partIndex")) or 0
        offset = self._starts[part] if 0 < part < len(self._starts) - 1 else 0
        start = (optional_int(segment.get("startIndex")) or 0) + offset
        end = optional_int(segment.get("endIndex"))
        quoted = optional_str(segment.get("text"))
        if end is not None and 0 <= start <= end + offset <= len(self._data):
            found = self._data[start : end + offset].decode("utf-8", "replace")
            if quoted is None or found == quoted:
                first = len(self._data[:start].decode("utf-8", "replace"))
                return first, first + len(found)
        at = -1 if not quoted else self._text.find(quoted)
        return None if at < 0 or quoted is None else (at, at + len(quoted))


def read_annotations(candidate: JsonObject, texts: GeminiTexts) -> list[Annotation]:
    """The citations of a candidate: one for each source of each supported segment, then those of its citation data."""
    grounding = optional_object(candidate.get("groundingMetadata")) or {}
    found: list[Annotation] = []
    if grounding:
        sources = [_source(chunk) for chunk in optional_list(grounding.get("groundingChunks")) or ()]
        for support in optional_objects(grounding.get("groundingSupports")) or ():
            found += _supported(support, sources, texts)
            if len(found) >= MAX_ANNOTATIONS:
                return found[:MAX_ANNOTATIONS]
    cited = optional_object(candidate.get("citationMetadata")) or {}
    for field in _CITATIONS:
        found += _cited(optional_objects(cited.get(field)) or (), texts)
    return found[:MAX_ANNOTATIONS]


def _source(chunk: object) -> UrlCitation | None:
    """The source of a grounding chunk; None for one without an address."""
    fields = optional_object(chunk) or {}
    source = next((found for name in _SOURCES if (found := optional_object(fields.get(name))) is not None), None)
    url = None if source is None else optional_str(source.get("uri"))
    return None if source is None or not url else UrlCitation(url, optional_str(source.get("title")) or "")


def _supported(support: JsonObject, sources: Sequence[UrlCitation | None], texts: GeminiTexts) -> Iterable[Annotation]:
    place = texts.place(optional_object(support.get("segment")) or {})
    for value in optional_list(support.get("groundingChunkIndices")) or ():
        index = optional_int(value)
        source = sources[index] if index is not None and 0 <= index < len(sources) else None
        if source is not None:
            yield _annotation(source.url, source.title, place)


def _cited(citations: Iterable[JsonObject], texts: GeminiTexts) -> Iterable[Annotation]:
    for citation in citations:
        url = optional_str(citation.get("uri"))
        if url:
            has_place = citation.get("endIndex") is not None
            place = texts.place(citation) if has_place else None
            yield _annotation(url, optional_str(citation.get("title")) or "", place)


def _annotation(url: str, title: str, place: tuple[int, int] | None) -> Annotation:
    start, end = place or (None, None)
    return Annotation("url_citation", UrlCitation(url, title, start, end))
