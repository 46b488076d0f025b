"""AWS credentials from botocore's chain, refreshed in a thread before they expire; never signs or sends a request.

Extra ``bedrock``. The chain: environment, profiles, roles, web identity, SSO, `credential_process`, containers, EC2.
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html

botocore reads files, runs programs and asks services for credentials, all of which blocks. So all of it runs in a
thread, one refresh at a time, and calls use the present credentials meanwhile, as long as these are valid.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, cast

from .._boundary import hides_frames
from ..errors import APIConnectionError, CompletionError, ConfigurationError, printable
from ..logs import log_event
from ..options import AWSCredentials, Secret

try:
    from botocore import exceptions  # type: ignore[import-untyped]
    from botocore.session import Session  # type: ignore[import-untyped]
except ImportError as missing:
    raise ImportError("AWS's credential chain needs botocore: pip install 'anycompletion[bedrock]'") from missing

__all__ = ["AWSCredentialChain"]

_MIN_VALIDITY = 60
"""Seconds; credentials that are valid for less are not used for a new request, which waits for the refresh instead."""

_PAUSE = 60.0
"""Seconds between two refreshes that no request waits for: some credentials are always about to expire."""

_NETWORK_ERRORS = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.MetadataRetrievalError)
"""What botocore raises if a service that gives credentials cannot be reached."""

_MAX_REASON = 300
"""Characters of botocore's reason in an error."""


class FrozenCredentials(Protocol):
    """Credentials of botocore that do not change any more."""

    @property
    def access_key(self) -> str:
        """The id of the access key."""
        ...

    @property
    def secret_key(self) -> str:
        """The secret access key."""
        ...

    @property
    def token(self) -> str | None:
        """The session token of temporary credentials."""
        ...


class BotocoreCredentials(Protocol):
    """Credentials of botocore, which may refresh themselves; those that do have a method `refresh_needed`."""

    def get_frozen_credentials(self) -> FrozenCredentials:
        """The credentials as they are now, after a refresh where one is due."""
        ...


class CredentialSession(Protocol):
    """A session of botocore or boto3, as far as it is used here."""

    def get_credentials(self) -> BotocoreCredentials | None:
        """botocore's credentials; None if there are none."""
        ...


class _Failure(NamedTuple):
    """Why there are no credentials."""

    reason: str
    is_temporary: bool = False
    """Whether it may work a little later."""

    def error(self) -> CompletionError:
        """The error of a call that waits for them."""
        text = f"no AWS credentials: {self.reason}"
        return APIConnectionError(text, phase="credentials") if self.is_temporary else ConfigurationError(text)


class AWSCredentialChain:
    """The credentials that AWS's own tools would use, for ``api_keys``.

    ::

        AsyncCompletion(api_keys={"bedrock": AWSCredentialChain(profile="dev")})

    They are looked for at the first call, and refreshed in the background when they are about to expire. It may be used
    by many clients, event loops and threads. It pickles as its arguments.

    Credentials that AWS refuses are looked for again, at most once in 60 s. That helps where a file or a profile has
    changed; a `session` keeps the credentials that it has found until they expire, so make a new chain then.

    Args:
        profile: a profile of the files in ``~/.aws``. Default: ``AWS_PROFILE``, or the default profile.
        session: a session of botocore or boto3 in place of a new one; it then does not pickle.
        region: the region of signatures, where the base URL is not AWS's own.

    Raises:
        ConfigurationError: when it is called: there are no credentials, or they cannot be refreshed.
        APIConnectionError: when it is called: a service that gives credentials failed; the call is tried again. Its
            `phase` is ``credentials``.
    """

    @hides_frames
    def __init__(
        self, profile: str | None = None, *, session: CredentialSession | None = None, region: str | None = None
    ) -> None:
        self._profile = profile
        self._session = session
        self._region = region
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._next_renewal = 0.0
        """When credentials that AWS refused may be forgotten again."""
        self._source: BotocoreCredentials | None = None
        """botocore's credentials, of which any attribute may block; `refresh_needed` never does."""
        self._current: AWSCredentials | None = None
        self._refresh: Future[AWSCredentials | _Failure] | None = None
        """The refresh that is under way."""
        self._next_refresh = 0.0

    def __repr__(self) -> str:
        source = "session" if self._session is not None else self._profile or "default"
        return f"<AWSCredentialChain {source}>"

    def __reduce__(self) -> Any:
        if self._session is not None:
            raise TypeError("an AWSCredentialChain with a session does not pickle; name a profile")
        return _rebuild, (self._profile, self._region)

    async def __call__(self) -> AWSCredentials:
        """Credentials that are valid for a minute at least, if the chain has such.

        Raises:
            ConfigurationError: there are none, or they cannot be refreshed.
            APIConnectionError: a service that gives credentials failed.
        """
        current, refresh = self._current_and_refresh()
        if current is not None:
            return current
        assert refresh is not None, "nothing is started only where something is valid"
        await _done(refresh)
        found = refresh.result()
        if isinstance(found, AWSCredentials):
            return found
        raise found.error()

    def on_refused(self, secret: Secret) -> None:
        """Forgets these credentials, because AWS has refused them; called before the call is tried again."""
        with self._lock:
            if self._current == secret and time.monotonic() >= self._next_renewal:
                self._current = None
                if self._refresh is None:  # else its result is newer
                    self._source = None
                self._next_renewal = time.monotonic() + _PAUSE

    def _current_and_refresh(self) -> tuple[AWSCredentials | None, Future[AWSCredentials | _Failure] | None]:
        """The credentials if they are valid, and the refresh that is under way or that this call starts."""
        with self._lock:
            if self._pid != os.getpid():  # after a fork, the thread of a refresh is the parent's
                self._pid = os.getpid()
                self._source = self._current = self._refresh = None
            current = self._current if self._is_valid_for(_MIN_VALIDITY) else None
            if self._refresh is None and (current is None or self._is_refresh_due()):
                refresh: Future[AWSCredentials | _Failure] = Future()
                threading.Thread(target=self._run, args=(refresh,), name="aws-credentials", daemon=True).start()
                self._refresh = refresh
            return current, self._refresh

    def _is_valid_for(self, seconds: int) -> bool:
        needs_refresh: Callable[..., bool] | None = getattr(self._source, "refresh_needed", None)
        return self._current is not None and (needs_refresh is None or not needs_refresh(refresh_in=seconds))

    def _is_refresh_due(self) -> bool:
        """Whether botocore would refresh them now, which it does a quarter of an hour before they expire."""
        needs_refresh: Callable[[], bool] | None = getattr(self._source, "refresh_needed", None)
        return needs_refresh is not None and time.monotonic() >= self._next_refresh and needs_refresh()

    # --- in the thread ---

    def _run(self, refresh: Future[AWSCredentials | _Failure]) -> None:
        source, result = _resolved(self._source, self._session, self._profile, self._region)
        failure = result if isinstance(result, _Failure) else None
        with self._lock:
            if self._refresh is refresh:
                self._refresh = None
                self._next_refresh = time.monotonic() + _PAUSE
                if not isinstance(result, _Failure):
                    self._source, self._current = source, result
                elif self._current is not None and self._is_valid_for(0):
                    result = self._current
        if failure is not None and result is not failure:
            text = "AWS credentials were not refreshed, and are used until they expire: %s"
            log_event(logging.WARNING, "credentials", text, failure.reason, reason=failure.reason)
        refresh.set_result(result)


def _rebuild(profile: str | None, region: str | None) -> AWSCredentialChain:
    return AWSCredentialChain(profile, region=region)


def _resolved(
    source: BotocoreCredentials | None, session: CredentialSession | None, profile: str | None, region: str | None
) -> tuple[BotocoreCredentials | None, AWSCredentials | _Failure]:
    """botocore's credentials and the texts that they hold now, or the reason why there are none; it may block."""
    try:
        if source is None:
            source = (session or cast("CredentialSession", Session(profile=profile))).get_credentials()
            if source is None:
                return None, _Failure("AWS's credential chain has found none")
        frozen = source.get_frozen_credentials()
        return source, AWSCredentials(frozen.access_key, frozen.secret_key, frozen.token or None, region=region)
    except BaseException as error:  # noqa: BLE001 (plugins may fail in any way, and calls wait for the end)
        return None, _failure(error)  # without botocore's frames, which hold the credentials


def _failure(error: BaseException) -> _Failure:
    """Why botocore has no credentials; without the output of a user's program, which may contain some."""
    if isinstance(error, exceptions.CredentialRetrievalError) and "custom-process" in str(error):
        return _Failure("the program of credential_process failed")
    if not isinstance(error, (exceptions.BotoCoreError, exceptions.ClientError)):
        return _Failure(f"botocore failed with {type(error).__name__}")
    status: object = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_temporary = isinstance(error, _NETWORK_ERRORS) or (isinstance(status, int) and (status >= 500 or status == 429))
    return _Failure(printable(str(error))[:_MAX_REASON], is_temporary)


async def _done(refresh: Future[AWSCredentials | _Failure]) -> None:
    """Waits for the end of a refresh, which goes on if this is cancelled: other calls may wait for it."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def wake(_: Future[AWSCredentials | _Failure]) -> None:
        try:
            loop.call_soon_threadsafe(end)
        except RuntimeError:  # the loop was closed meanwhile
            pass

    refresh.add_done_callback(wake)
    await waiter
