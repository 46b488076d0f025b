"""Grounding and citations of a candidate as annotations. A place that cannot be found is left out.

https://ai.google.dev/gemini-api/docs/google-search

Google counts bytes of UTF-8 over the texts of the candidate joined; OpenAI counts characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

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

_MAX_SEARCHED = 100_000_000
"""Characters that are searched for the quoted texts of one candidate whose places are wrong."""

_BLOCK = 4096
_CONTINUATION = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


class GeminiTexts:
    """The joined text of a candidate, in which places are counted in bytes."""

    __slots__ = ("_blocks", "_data", "_searched", "_starts", "_text")

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts` are those of the parts; a part without text has an empty one, so that parts keep their numbers."""
        self._text = "".join(texts)
        self._data: bytes = self._text.encode("utf-8", "replace")
        lengths = (len(text.encode("utf-8", "replace")) for text in texts)
        self._starts = list(accumulate(lengths, initial=0))
        starts = range(0, len(self._data), _BLOCK)
        self._blocks = list(accumulate((_characters(self._data[at : at + _BLOCK]) for at in starts), initial=0))
        """Number of characters before each block of bytes."""
        self._searched = 0
        """Number of characters that were searched for quoted texts."""

    def place(self, segment: JsonObject) -> tuple[int, int] | None:
        """Start and end of a segment in characters, checked by its text; None where they cannot be found."""
        part = optional_int(segment.get("partIndex")) or 0
        offset = self._starts[part] if 0 < part < len(self._starts) - 1 else 0
        start = (optional_int(segment.get("startIndex")) or 0) + offset
        end = optional_int(segment.get("endIndex"))
        quoted = optional_str(segment.get("text"))
        last = -1 if end is None else end + offset
        is_inside = 0 <= start <= last <= len(self._data)
        if is_inside and (quoted is None or self._data[start:last] == quoted.encode("utf-8", "replace")):
            return self._characters_before(start), self._characters_before(last)
        if not quoted or self._searched > _MAX_SEARCHED:
            return None
        self._searched += len(self._text)
        at = self._text.find(quoted)
        return None if at < 0 else (at, at + len(quoted))

    def _characters_before(self, place: int) -> int:
        block = place // _BLOCK
        return self._blocks[block] + _characters(self._data[block * _BLOCK : place])


def _characters(data: bytes) -> int:
    """The number of characters that begin in UTF-8 data."""
    return len(data.translate(None, _CONTINUATION))


def read_annotations(candidate: JsonObject, texts: GeminiTexts) -> list[Annotation]:
    """The citations of a candidate: one for each source of each supported segment, then those of its citation data."""
    return list(islice(_annotations(candidate, texts), MAX_ANNOTATIONS))


def _annotations(candidate: JsonObject, texts: GeminiTexts) -> Iterator[Annotation]:
    grounding = optional_object(candidate.get("groundingMetadata")) or {}
    supports = optional_objects(grounding.get("groundingSupports")) or ()
    if supports:
        sources = [_source(chunk) for chunk in optional_list(grounding.get("groundingChunks")) or ()]
        for support in islice(supports, MAX_ANNOTATIONS):
            yield from _supported(support, sources, texts)
    cited = optional_object(candidate.get("citationMetadata")) or {}
    for field in _CITATIONS:
        yield from _cited(optional_objects(cited.get(field)) or (), texts)


def _source(chunk: object) -> UrlCitation | None:
    """The source of a grounding chunk; None for one without an address."""
    fields = optional_object(chunk) or {}
    source = next((found for name in _SOURCES if (found := optional_object(fields.get(name))) is not None), None)
    url = None if source is None else optional_str(source.get("uri"))
    return None if source is None or not url else UrlCitation(url, optional_str(source.get("title")) or "")


def _supported(support: JsonObject, sources: Sequence[UrlCitation | None], texts: GeminiTexts) -> Iterator[Annotation]:
    indexes = map(optional_int, optional_list(support.get("groundingChunkIndices")) or ())
    known = (sources[index] for index in indexes if index is not None and 0 <= index < len(sources))
    found = [source for source in islice(known, MAX_ANNOTATIONS) if source is not None]
    place = texts.place(optional_object(support.get("segment")) or {}) if found else None
    for source in found:
        yield _annotation(source.url, source.title, place)


def _cited(citations: Iterable[JsonObject], texts: GeminiTexts) -> Iterator[Annotation]:
    for citation in citations:
        url = optional_str(citation.get("uri"))
        if url:
            has_place = citation.get("endIndex") is not None
            place = texts.place(citation) if has_place else None
            yield _annotation(url, optional_str(citation.get("title")) or "", place)


def _annotation(url: str, title: str, place: tuple[int, int] | None) -> Annotation:
    start, end = place or (None, None)
    return Annotation("url_citation", UrlCitation(url, title, start, end))
