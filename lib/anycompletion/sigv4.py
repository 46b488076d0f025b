"""AWS Signature Version 4: the headers that sign a request, and errors about its time and its credentials.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

Pure: the time, the region and the credentials are arguments. Nothing here stores or sends them.
"""

from __future__ import annotations

import functools
import hashlib
import re
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from .options import AWSCredentials
from .redaction import MaskedBytes, MaskedValue

_ALGORITHM = "AWS4-HMAC-SHA256"

_DEFAULT_PORTS = {"http": 80, "https": 443}

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".amazonwebservices.com.cn")
_REGION = r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}"
"""A region in a host name: ``us-east-1``, ``us-gov-west-1``, ``eusc-de-east-1``."""

_MAX_SKEW = 240.0
"""Seconds; AWS accepts signatures whose time differs from its own by five minutes."""

_CLOCK_CODES = frozenset(("RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"))
_SIGNATURE_CODES = frozenset(("InvalidSignature", "SignatureDoesNotMatch"))
"""Codes of errors whose cause may be the clock, but also a wrong key; all of them without "Exception" at the end."""

_CLOCK_PHRASES = ("Signature expired", "Signature not yet current")


def body_digest(body: bytes | None) -> str:
    """The SHA-256 of a body as it is sent, in hexadecimal."""
    return hashlib.sha256(body or b"").hexdigest()


def signing_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    digest: str,
    credentials: AWSCredentials,
    *,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers that sign a request; they replace those of the same names.

    Only ``host``, ``content-type`` and ``x-amz-*`` are signed, because proxies may change others.

    Args:
        method: the HTTP method.
        url: the URL exactly as it is sent, percent-encoded.
        headers: all other headers of the request.
        digest: the `body_digest` of its body.
        region: the region of the endpoint.
        service: the name of the AWS service in signatures, such as ``bedrock``.
        now: the time of the signature in Unix seconds.
    """
    added = {"X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))}
    # The traceback of an error below has this frame, so no local may show a secret.
    access_key_id, *tokens = map(MaskedValue, credentials.reveal_all()[::2])
    if tokens:
        added["X-Amz-Security-Token"] = tokens[0]
    given = {name.lower(): value for name, value in headers.items()}
    signed = {name: value for name, value in given.items() if name == "content-type" or name.startswith("x-amz-")}
    if not tokens:
        signed.pop("x-amz-security-token", None)
    signed |= {name.lower(): value for name, value in added.items()}
    signed["host"] = host_header(url)
    scope = f"{added['X-Amz-Date'][:8]}/{region}/{service}/aws4_request"
    text = string_to_sign(canonical_request(method, url, signed, digest), added["X-Amz-Date"], scope)
    names = ";".join(sorted(signed))
    found = MaskedValue(signature(text, credentials, scope))
    added["Authorization"] = MaskedValue(
        f"{_ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={found}"
    )
    return added


def canonical_request(method: str, url: str, headers: Mapping[str, str], digest: str) -> str:
    """The text whose hash is signed; `headers` are those that are signed, with names in lower case."""
    path, query = _canonical_target(url)
    # Masked, because a session token is among them.
    lines = [MaskedValue(f"{name}:{' '.join(headers[name].split())}") for name in sorted(headers)]
    names = ";".join(sorted(headers))
    return MaskedValue("\n".join((method, path, query, *lines, "", names, digest)))


def string_to_sign(request: str, timestamp: str, scope: str) -> str:
    """The text that is signed: the time, the scope and the hash of a canonical request."""
    return "\n".join((_ALGORITHM, timestamp, scope, hashlib.sha256(request.encode()).hexdigest()))


def signature(text: str, credentials: AWSCredentials, scope: str) -> str:
    """The signature of `text` in hexadecimal, with the key that `scope` and the secret access key give."""
    import hmac  # noqa: PLC0415 (few programs sign requests)

    return hmac.digest(credentials.signing_key(scope, _derived_key), text.encode(), "sha256").hex()


def _derived_key(secret_access_key: str, scope: str) -> bytes:
    import hmac  # noqa: PLC0415 (as above)

    key = MaskedBytes(b"AWS4" + MaskedValue(secret_access_key).encode())
    del secret_access_key  # tracebacks have this frame
    for part in scope.split("/"):
        key = MaskedBytes(hmac.digest(key, part.encode(), "sha256"))
    return key


@functools.lru_cache(64)
def host_header(url: str) -> str:
    """The value of ``Host`` as it is sent: with a port that is not the scheme's own, and without a dot at its end."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    port = parts.port
    if port is not None:
        host = host.rpartition(":")[0]
    host = host.removesuffix(":").rstrip(".")
    return host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"


def region_of(url: str) -> str:
    """The region in the host name of an AWS endpoint; "" in others."""
    host = urlsplit(url).hostname or ""
    if not host.endswith(_AWS_DOMAINS):
        return ""
    return next((label for label in host.split(".") if re.fullmatch(_REGION, label)), "")


@functools.lru_cache(64)
def _canonical_target(url: str) -> tuple[str, str]:
    """The path and the query of a canonical request; kept, because a service has few URLs."""
    parts = urlsplit(url)
    path = quote(_without_dot_segments(parts.path), safe="/~")  # once more than it is in the URL
    return path, _canonical_query(parts.query)


def _without_dot_segments(path: str) -> str:
    """A path as AWS reads it: without ``.`` and ``..`` segments and without empty ones."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return f"/{'/'.join(kept)}{end}"


def _canonical_query(query: str) -> str:
    """The parameters of a query: sorted, each with a ``=``; characters that are not percent-encoded yet are encoded."""
    pairs = sorted(pair.partition("=")[::2] for pair in quote(query, safe="%&=+~").split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)


# --- errors ---


def is_expired_session(code: str | None, text: str) -> bool:
    """Whether an error is about temporary credentials that have expired; formats of other vendors do not know it."""
    return (code or "").startswith("ExpiredToken") or "security token included in the request is expired" in text


def clock_offset(code: str | None, text: str, server_time: float | None, now: float) -> float | None:
    """Seconds by which the server's clock is ahead of `now`, where an error is about that; else None.

    Args:
        code: the structured code of the error.
        text: its message.
        server_time: the ``Date`` of the response in Unix seconds, if it has one.
        now: the time with which the request was signed.
    """
    code = (code or "").removesuffix("Exception")
    names_clock = code in _CLOCK_CODES or any(phrase in text for phrase in _CLOCK_PHRASES)
    if server_time is None or not (names_clock or code in _SIGNATURE_CODES):
        return None
    offset = server_time - now
    return offset if names_clock or abs(offset) > _MAX_SKEW else None


def clock_note(offset: float, date: str) -> str:
    """Clause for the error of a signature whose time the server does not accept."""
    direction = "behind" if offset > 0 else "ahead of"
    return f"this machine's clock is {abs(offset):.0f} s {direction} the server's, whose Date is {date}; set the clock"
