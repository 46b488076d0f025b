"""Real traffic into the folder format that the simulator replays; keys never get into a file.

What is kept of headers is said by lists of names, so that a header nobody thought of stays out. In bodies, what the
request was signed with is overwritten wherever it stands, and so is what looks like a key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from ... import Provider, known_providers
from ...errors import ConfigurationError
from ...redaction import hide
from ..fake.wrappers import TappedExchange, TappedPool
from ..formats.json_access import as_dict
from .recordings import RecordedCall, Recording

if TYPE_CHECKING:
    from ...calls import CallPlan
    from ...http import RequestHeaders
    from ...providers import TransportOverride
    from ...records import ChatRequest
    from ...transport import Pool, Response

ALL = "*"

_OF_REQUESTS = frozenset({"accept", "content-type", "anthropic-beta", "anthropic-version", "prefer"})
"""Request headers that are kept."""

_NO_SECRETS = _OF_REQUESTS | {"accept-encoding", "user-agent"}
"""Request headers whose values may stand in a body."""

_OF_ANSWERS = re.compile(
    r"content-type|retry-after|retry-after-ms|x-should-retry|(x-|anthropic-)?ratelimit-[a-z-]+|(x-)?request-id"
    r"|apim-request-id|x-debug-trace-id|openai-(processing-ms|version)"
)
"""Response headers that are kept."""

_QUERY = frozenset({"api-version"})
"""Parameters of a URL that are kept."""

_LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|rk|r8|gsk|xai|pplx|hf|nvapi|fw|tgp|csk)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}|\bAIza[A-Za-z0-9_-]{30,}"
)

_SHORTEST = 8
"""Characters; a shorter header value is no secret, and hiding it would garble every text."""

_FRAMINGS: Mapping[str, str] = {
    "application/json": "json",
    "application/problem+json": "json",
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/vnd.amazon.eventstream": "aws-eventstream",
}

_APIS: Mapping[str, str] = {
    "openai_chat": "chat.completions",
    "anthropic_messages": "messages",
    "cohere_chat": "v2/chat",
    "replicate_predictions": "predictions",
}


class Recorder:
    """Writes what a client and its providers say to each other into a folder, for tests to replay.

    ::

        async with AsyncCompletion(providers=[Recorder("tests/recordings")]) as client:
            await client.create("openai/gpt-4o-mini", "Hello!")

    The client works as it does without: it reaches the providers, and needs their keys. Each answer that came in whole
    becomes a file of the format that `Recording` describes, ``<folder>/<provider>/<name>.json``, whose name depends on
    the request alone: recording again replaces it. What was broken off is not recorded. Replay the folder with
    ``SimulatorServer(replay="tests/recordings")``.

    Not in the files are: all headers but a few (no key, no cookie, no account), all parameters of URLs but Azure's
    ``api-version``, hosts that are not the provider's public one, and in bodies the key and what looks like one. The
    prompts and answers are in there. Look at what you commit.

    Args:
        folder: made if it is not there.
        name: the provider to record, ``"*"`` for all of them.
        redact: called with the text of each body, gives what is written instead; for what only you know is secret.

    Raises:
        OSError: the folder cannot be made. A file that cannot be written is raised by the call it belongs to.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, name: str = ALL, redact: Callable[[str], str] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.recordings: list[Recording] = []
        """What was written, in order."""
        self._redact = redact
        self._twins: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Recorder {str(self.folder)!r}: {len(self.recordings)} recordings>"

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The rows it listens to; called by the client.

        Raises:
            ConfigurationError: there is no such row.
        """
        found = {**known_providers(), **known}
        if self.name != ALL and self.name not in found:
            raise ConfigurationError(
                f"Recorder: no provider is called {self.name!r}; put its row into providers= beside the recorder"
            )
        rows = found.values() if self.name == ALL else [found[self.name]]
        return [attrs.evolve(row, transport=_Tap(self, row)) for row in rows]

    def write(self, heard: Heard, pieces: list[bytes]) -> None:
        """Writes one file; called by what listens."""
        recording = heard.recording(pieces, self._redact)
        twin = self._twins[recording.id]
        self._twins[recording.id] += 1
        if twin:
            recording = attrs.evolve(recording, id=f"{recording.id}-{twin + 1:03}")
        path = self.folder / recording.provider / f"{recording.id}.json"
        path.parent.mkdir(exist_ok=True)
        recording.save(path)
        self.recordings.append(attrs.evolve(recording, path=path))


class _Tap:
    """The recorder at one row."""

    def __init__(self, recorder: Recorder, row: Provider) -> None:
        self._recorder = recorder
        self._row = row
        self._inner: TransportOverride | None = row.transport

    def pool(self, make: Callable[..., Pool]) -> Pool:
        inner = make() if self._inner is None else self._inner.pool(make)
        return cast("Pool", _RecordingPool(inner, self._recorder, self._row))

    def plan(self, request: ChatRequest, plan: CallPlan) -> CallPlan:
        return plan if self._inner is None else self._inner.plan(request, plan)


class _RecordingPool(TappedPool):
    def __init__(self, inner: Pool, recorder: Recorder, row: Provider) -> None:
        super().__init__(inner)
        self._recorder = recorder
        self._row = row

    async def send(self, method: str, url: str, headers: RequestHeaders, body: bytes | None, *rest: Any) -> Response:
        """Sends one request, and listens to the answer."""
        exchange = await self._inner.send(method, url, headers, body, *rest)
        heard = Heard(self._row, method, url, headers, body, exchange.status, dict(exchange.headers))

        def write(pieces: list[bytes]) -> None:
            self._recorder.write(heard, pieces)

        return cast("Response", _RecordingExchange(exchange, write))


class _RecordingExchange(TappedExchange):
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

    def release(self) -> None:
        """The format's own end was seen."""
        self._end()
        self._inner.release()

    def _end(self) -> None:
        write, self._write = self._write, None
        if write is not None:
            write([each for each in self._pieces if each])


@attrs.frozen
class Heard:
    """One exchange as it was."""

    row: Provider
    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(repr=False)
    status: int
    answer_headers: Mapping[str, str] = attrs.field(repr=False)

    def recording(self, pieces: list[bytes], redact: Callable[[str], str] | None) -> Recording:
        """The exchange without its secrets."""
        clean = self._cleaner(redact)
        answer_headers = {name.lower(): value for name, value in self.answer_headers.items()}
        request = json.loads(clean((self.body or b"null").decode()))
        url = clean(self._public_url())
        kind = answer_headers.get("content-type", "").partition(";")[0].strip().lower()
        raw = b"".join(pieces)
        body = _cleaned(raw, clean)
        return Recording(
            id=self._name(url, request),
            provider=self.row.name,
            api=_APIS.get(self.row.dialect, ""),
            streaming=as_dict(request).get("stream") is True,
            framing=_FRAMINGS.get(kind, "text"),
            status=self.status,
            headers={name: clean(value) for name, value in answer_headers.items() if self._keeps(name)},
            body=body,
            chunk_lengths=tuple(map(len, pieces)) if body == raw and len(pieces) > 1 else (),
            request=RecordedCall(
                self.method,
                url,
                {name.lower(): clean(value) for name, value in self.headers.items() if name.lower() in _OF_REQUESTS},
                request,
            ),
        )

    def _keeps(self, name: str) -> bool:
        return _OF_ANSWERS.fullmatch(name) is not None or name == self.row.request_id_header.lower()

    def _secrets(self) -> list[str]:
        """What the request was signed with: every header that is not known to be harmless, without its scheme."""
        values = [value for name, value in self.headers.items() if name.lower() not in _NO_SECRETS]
        values += [value for name, value in parse_qsl(urlsplit(self.url).query) if name not in _QUERY]
        words = {word for value in values for word in (value, value.rpartition(" ")[2])}
        return sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True)

    def _cleaner(self, redact: Callable[[str], str] | None) -> Callable[[str], str]:
        secrets, origin, public = self._secrets(), _origin(self.url), _origin(self._public_url())

        def clean(text: str) -> str:
            text = _LOOKS_LIKE_A_KEY.sub("***", hide(text, secrets)).replace(origin, public)
            return text if redact is None else redact(text)

        return clean

    def _public_url(self) -> str:
        """The URL with nothing in it that is the caller's own: a resource's or a gateway's name, a local port."""
        parts = urlsplit(self.url)
        query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name in _QUERY])
        signed = self.row.auth.header.lower() in {name.lower() for name in self.headers}
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if (signed or local) and not (self.row.base_url and _origin(self.row.base_url) == _origin(self.url)):
            parts = parts._replace(scheme="https", netloc=f"{self.row.name}.invalid")
        return parts._replace(query=query, fragment="").geturl()

    def _name(self, url: str, request: Any) -> str:
        """The same name for the same request, whenever it is recorded."""
        what = json.dumps([self.method, urlsplit(url).path, request], sort_keys=True)
        digest = hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:8]
        words = [self.row.name, _APIS.get(self.row.dialect, ""), str(as_dict(request).get("model") or "")]
        words += ["stream"] if as_dict(request).get("stream") is True else []
        said = (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
        return "-".join([*(word for word in said if word), digest])[-120:]


def _cleaned(raw: bytes, clean: Callable[[str], str]) -> bytes:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw
    return clean(text).encode("utf-8", "surrogatepass")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
