"""Signatures of requests with AWS credentials, and the correction of their time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal

from ..errors import APIError
from ..http import HttpRequest, RequestHeaders
from ..options import AWSCredentials, Secret
from ..sigv4 import body_digest, signing_headers
from .plan import override

if TYPE_CHECKING:
    from .call_context import CallContext

_MAX_HASHED_AT_ONCE = 1024 * 1024
"""Bytes; a longer body is hashed in a thread, because that would block the event loop for milliseconds."""


_MIN_CORRECTION = 10.0
"""Seconds; ``Date`` has whole seconds, and responses take time, so that a smaller difference corrects nothing."""


class RequestSigner:
    """Signs one request each time that it is sent, because a signature is valid for a few minutes."""

    __slots__ = ("_call", "_credentials", "_digest", "_headers", "_request")

    def __init__(
        self, call: CallContext, credentials: AWSCredentials, request: HttpRequest, headers: RequestHeaders, digest: str
    ) -> None:
        """`request` has the URL as it is sent, and `headers` are all headers but those of the signature."""
        self._call = call
        self._credentials = credentials
        self._request = request
        self._headers = headers
        self._digest = digest

    def signed_headers(self) -> RequestHeaders:
        """All headers of the request, with a signature of this moment."""
        call, credentials = self._call, self._credentials
        call.signed_offset = call.plan.endpoint.clock_offset
        signing = signing_headers(
            self._request.method,
            self._request.url,
            self._headers,
            self._digest,
            credentials,
            region=call.plan.signing_region(credentials),
            service=call.plan.provider_state.provider.auth.service,
            now=time.time() + call.signed_offset,
        )
        call.signature = Secret(signing["Authorization"].rpartition("=")[2])
        return override(self._headers, signing)


async def request_signer(
    call: CallContext, method: Literal["GET", "POST"], url: str, headers: RequestHeaders, body: bytes | None
) -> RequestSigner | None:
    """The signer of a request with AWS credentials; None where a key is sent, or the caller's own Authorization.

    Args:
        url: the URL as it is sent.
        headers: all other headers.
        body: the body as it is sent.
    """
    credentials = call.last_key_sent if callable(call.plan.key) else call.plan.key
    if not isinstance(credentials, AWSCredentials) or any(name.lower() == "authorization" for name in headers):
        return None
    if body is None or len(body) <= _MAX_HASHED_AT_ONCE:
        digest = body_digest(body)
    else:
        digest = await asyncio.to_thread(body_digest, body)
    return RequestSigner(call, credentials, HttpRequest(url, method=method), headers, digest)


def take_clock_correction(call: CallContext, error: APIError) -> bool:
    """Takes the call's one repetition with the server's time, after an error about the time of a signature.

    All later calls to this endpoint are signed with that time.
    """
    offset = None if call.clock_corrected else call.clock_offset(error)
    if offset is None or abs(offset - call.signed_offset) < _MIN_CORRECTION:
        return False
    call.clock_corrected = True
    call.plan.endpoint.clock_offset = offset
    return True
