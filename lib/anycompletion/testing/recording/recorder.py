"""Records real traffic in the folder format that the simulator replays; never writes a key into a file.

The headers to keep are listed by name, so that a header that is not listed is never written. In bodies, the credentials
of the request are overwritten wherever they occur, and so is everything that looks like a key.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from ... import Provider, known_providers
from ...errors import ConfigurationError
from ...http import RequestHeaders
from ...records import ChatRequest
from ...redaction import basic_password, hide, signature_secrets
from ...transport import Response, Transport
from ..fake.wrappers import ResponseWrapper, TransportWrapper
from ..formats.aws_eventstream import with_changed_texts
from ..formats.json_access import as_dict
from ..formats.registry import FORMATS_BY_DIALECT
from .recordings import RecordedCall, Recording

ALL = "*"

_REQUEST_HEADERS = frozenset({"accept", "content-type", "anthropic-beta", "anthropic-version", "prefer"})
"""Request headers that are kept."""

_HARMLESS_HEADERS = _REQUEST_HEADERS | {"accept-encoding", "user-agent", "x-amz-date"}
"""Request headers whose values may occur in a body."""

_RESPONSE_HEADERS = re.compile(
    r"content-type|retry-after|retry-after-ms|x-should-retry|(x-|anthropic-)?ratelimit-[a-z-]+|(x-)?request-id"
    r"|apim-request-id|x-debug-trace-id|openai-(processing-ms|version)|x-amzn-errortype"
)
"""Response headers that are kept."""

_QUERY = frozenset({"alt", "api-version"})
"""Parameters of a URL that are kept."""

_LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|rk|r8|gsk|xai|pplx|hf|nvapi|fw|tgp|csk)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}|\bAIza[A-Za-z0-9_-]{30,}"
)

_MIN_SECRET = 8
"""Characters; a shorter header value is no secret, and hiding it would make texts unreadable."""

_FRAMINGS: Mapping[str, str] = {
    "application/json": "json",
    "application/problem+json": "json",
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/vnd.amazon.eventstream": "aws-eventstream",
}


_STREAMS = ("sse", "ndjson", "aws-eventstream")
"""Framings of streams, for formats whose path asks for a stream and not the body."""


class Recorder:
    """Records the traffic between a client and its providers in a folder, for tests to replay.

    ::

        async with AsyncCompletion(providers=[Recorder("tests/recordings")]) as client:
            await client.create("openai/gpt-4o-mini", "Hello!")

    The client works as it does without a recorder: it connects to the providers, and needs their keys. Each response
    that arrived completely becomes a file of the format that `Recording` describes,
    ``<folder>/<provider>/<name>.json``, whose name depends on the request alone: recording again replaces it.
    Interrupted responses are not recorded. Replay the folder with ``SimulatorServer(replay="tests/recordings")``.

    Only their owner can read the files. They do not contain: headers other than a few (no key, no cookie, no account),
    parameters of URLs other than Azure's ``api-version``, hosts other than the provider's public one, and in bodies the
    key and whatever looks like one. They do contain the prompts and replies, and the paths of URLs. Review what you
    commit.

    Args:
        folder: created if it does not exist.
        name: the provider to record, ``"*"`` for all of them.
        redact: called with the text of each body, returns the text to write; for secrets that only you know.

    Raises:
        OSError: the folder cannot be created. If a file cannot be written, the call it belongs to raises the error.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, name: str = ALL, redact: Callable[[str], str] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.recordings: list[Recording] = []
        """The recordings that were written, in order."""
        self._redact = redact
        self._repeats: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Recorder {str(self.folder)!r}: {len(self.recordings)} recordings>"

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The providers it records; called by the client.

        Raises:
            ConfigurationError: there is no such provider.
        """
        found = {**known_providers(), **known}
        if self.name != ALL and self.name not in found:
            raise ConfigurationError(
                f"Recorder: no provider is called {self.name!r}; put its row into providers= beside the recorder"
            )
        rows = found.values() if self.name == ALL else [found[self.name]]
        return list(rows)

    def transport(self, provider: Provider, open_pool: Callable[..., Transport], **overrides: Any) -> Transport:
        """Opens a transport whose responses are recorded; called by the client."""
        inner = open_pool(**overrides)
        bind: Callable[..., Transport] | None = getattr(inner, "for_call", None)
        if bind is None:
            return _RecordingTransport(inner, self, provider)
        return _RecordingCallTransports(inner, self, provider, bind)

    def write(self, exchange: RecordedExchange, pieces: list[bytes]) -> None:
        """Writes one file; called by the transport."""
        recording = exchange.recording(pieces, self._redact)
        repeats = self._repeats[recording.id]
        self._repeats[recording.id] += 1
        if repeats:
            recording = attrs.evolve(recording, id=f"{recording.id}-{repeats + 1:03}")
        path = self.folder / recording.provider / f"{recording.id}.json"
        path.parent.mkdir(exist_ok=True)
        recording.save(path)
        self.recordings.append(attrs.evolve(recording, path=path))


class _RecordingTransport(TransportWrapper):
    """A transport whose responses are recorded."""

    def __init__(self, inner: Transport, recorder: Recorder, row: Provider) -> None:
        super().__init__(inner)
        self._recorder = recorder
        self._row = row

    async def send(
        self, method: str, url: str, headers: RequestHeaders, body: bytes | None, *args: Any, **kwargs: Any
    ) -> Response:
        """Sends one request, and records its response."""
        response = await self._inner.send(method, url, headers, body, *args, **kwargs)
        exchange = RecordedExchange(self._row, method, url, headers, body, response.status, dict(response.headers))

        def write(pieces: list[bytes]) -> None:
            self._recorder.write(exchange, pieces)

        return cast("Response", _RecordingResponse(response, write))


class _RecordingCallTransports(_RecordingTransport):
    """A recording transport around one that has a transport for each logical call, as a fake's has."""

    def __init__(self, inner: Transport, recorder: Recorder, row: Provider, bind: Callable[..., Transport]) -> None:
        super().__init__(inner, recorder, row)
        self._bind = bind

    def for_call(self, request: ChatRequest, **call: Any) -> Transport:
        """The transport for one logical call, recorded as well."""
        return _RecordingTransport(self._bind(request, **call), self._recorder, self._row)


class _RecordingResponse(ResponseWrapper):
    """A response that is recorded when all of it was read."""

    def __init__(self, inner: Response, write: Callable[[list[bytes]], None]) -> None:
        super().__init__(inner)
        self._write: Callable[[list[bytes]], None] | None = write
        self._pieces: list[bytes] = []

    async def read(self) -> bytes:
        data = await self._inner.read()
        if data:
            self._pieces.append(data)
        else:
            self._end()
        return data

    async def read_all(self, limit: int) -> bytes:
        data = await self._inner.read_all(limit)
        self._pieces.append(data)
        self._end()
        return data

    async def read_some(self, limit: int) -> bytes:
        data = await self._inner.read_some(limit)
        self._pieces.append(data)
        self._end()
        return data

    def finish_soon(self) -> None:
        """Called after the end marker of a stream."""
        self._end()
        self._inner.finish_soon()

    def _end(self) -> None:
        write, self._write = self._write, None
        if write is not None:
            write([each for each in self._pieces if each])


@attrs.frozen
class RecordedExchange:
    """One request and the head of its response, with everything that is secret in them."""

    row: Provider
    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(repr=False)
    status: int
    response_headers: Mapping[str, str] = attrs.field(repr=False)

    def recording(self, pieces: list[bytes], redact: Callable[[str], str] | None) -> Recording:
        """The recording of the exchange, without its secrets."""
        sanitize = self._redactor(redact)
        response_headers = {name.lower(): value for name, value in self.response_headers.items()}
        request = json.loads(sanitize((self.body or b"null").decode()))
        url = sanitize(self._public_url())
        kind = response_headers.get("content-type", "").partition(";")[0].strip().lower()
        raw = b"".join(pieces)
        framing, secrets = _FRAMINGS.get(kind, "text"), self._secrets()
        redacted = functools.partial(_redacted, sanitize=sanitize, secrets=secrets)
        # Messages of an event stream have lengths and checksums, which have to be those of the redacted texts.
        body = with_changed_texts(raw, redacted) if framing == "aws-eventstream" else redacted(raw)
        return Recording(
            id=self._name(url, request),
            provider=self.row.name,
            api=_api_of(self.row, self.url),
            streaming=as_dict(request).get("stream") is True or framing in _STREAMS,
            framing=framing,
            status=self.status,
            headers={name: sanitize(value) for name, value in response_headers.items() if self._keeps(name)},
            body=body,
            chunk_lengths=tuple(map(len, pieces)) if body == raw and len(pieces) > 1 else (),
            request=RecordedCall(
                self.method,
                url,
                {
                    name.lower(): sanitize(value)
                    for name, value in self.headers.items()
                    if name.lower() in _REQUEST_HEADERS
                },
                request,
            ),
        )

    def _keeps(self, name: str) -> bool:
        return _RESPONSE_HEADERS.fullmatch(name) is not None or name == self.row.request_id_header.lower()

    def _secrets(self) -> list[str]:
        """The credentials of the request: all headers not known to be harmless, also without their scheme."""
        values = [value for name, value in self.headers.items() if name.lower() not in _HARMLESS_HEADERS]
        values += [value for name, value in parse_qsl(urlsplit(self.url).query) if name not in _QUERY]
        words = {word for value in values for word in _secret_words(value)}
        return sorted((word for word in words if len(word) >= _MIN_SECRET), key=len, reverse=True)

    def _redactor(self, redact: Callable[[str], str] | None) -> Callable[[str], str]:
        secrets, origin, public = self._secrets(), _origin(self.url), _origin(self._public_url())

        def sanitize(text: str) -> str:
            text = _LOOKS_LIKE_A_KEY.sub("***", hide(text, secrets)).replace(origin, public)
            return text if redact is None else redact(text)

        return sanitize

    def _public_url(self) -> str:
        """The URL without anything of the caller's own: the name of a resource or gateway, a local port."""
        parts = urlsplit(self.url)
        query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name in _QUERY])
        has_key = self.row.auth.header.lower() in {name.lower() for name in self.headers}
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if (has_key or local) and not (self.row.base_url and _origin(self.row.base_url) == _origin(self.url)):
            parts = parts._replace(scheme="https", netloc=f"{self.row.name}.invalid")
        return parts._replace(query=query, fragment="").geturl()

    def _name(self, url: str, request: Any) -> str:
        """A name that depends on the request alone."""
        identity = json.dumps([self.method, urlsplit(url).path, request], sort_keys=True)
        digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:8]
        words = [self.row.name, _api_of(self.row, self.url), str(as_dict(request).get("model") or "")]
        words += ["stream"] if as_dict(request).get("stream") is True else []
        slugs = (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
        return "-".join([*(slug for slug in slugs if slug), digest])[-120:]


def _secret_words(value: str) -> Iterable[str]:
    """The secret texts in a header: the value, also without its scheme; of AWS's signatures, the secret parts only."""
    return signature_secrets(value) or (value, value.rpartition(" ")[2], basic_password(value))


def _redacted(raw: bytes, sanitize: Callable[[str], str], secrets: Iterable[str]) -> bytes:
    """`raw` without secrets, whatever its encoding is; bytes that are not UTF-8 stay as they are."""
    for encoding in ("utf-16-le", "utf-16-be"):
        for secret in secrets:
            raw = raw.replace(secret.encode(encoding), "***".encode(encoding))
    text = sanitize(raw.decode("utf-8", "surrogateescape"))
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, which only the caller's own function can have made
        return text.encode("utf-8", "surrogatepass")


def _api_of(row: Provider, url: str) -> str:
    """The name of the row's API, or of that of its variants, in recordings; "" for a dialect that is not simulated."""
    segments = urlsplit(url).path.split("/")
    asked = (variant.dialect for name, variant in row.variants.items() if name in segments)
    wire = FORMATS_BY_DIALECT.get(next(asked, row.dialect))
    return "" if wire is None else wire.api


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
