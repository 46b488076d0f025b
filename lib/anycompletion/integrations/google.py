"""Access tokens for Vertex AI from Google's credentials (extra ``google``); makes no call to a model.

google-auth finds and refreshes the credentials. Its network calls block, so they run in a thread.
https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

try:
    import google.auth
    import google.auth.credentials
    from google.auth.credentials import TokenState
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request
except ImportError as missing:
    raise ImportError("Google's credentials need an extra: pip install 'anycompletion[google]'") from missing

from ..errors import APIConnectionError, CompletionError, ConfigurationError, printable

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from ..options import Secret

# google-auth has types for few of its functions.
_find_default: Any = cast("Any", google.auth).default
_with_scopes: Any = cast("Any", google.auth.credentials).with_scopes_if_required

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""What the tokens may be used for: all of the account's rights in Google Cloud."""

_MAX_REASON = 500
"""Characters of google-auth's message that an error shows."""


class VertexToken:
    """Function that gives access tokens, as a key: ``api_keys={"vertex": vertex_token()}``. `vertex_token` makes one.

    A token is refreshed some minutes before it expires, and after the provider refused it. Callers that come meanwhile
    wait for the same refresh. If it fails while the old token is still valid, they get that one. One object may serve
    any number of clients, event loops and threads.
    """

    def __init__(self, credentials: Credentials | None) -> None:
        self._given = credentials is not None
        self._credentials: Any = None if credentials is None else _with_scopes(credentials, _SCOPES)
        self._request: Request | None = None
        self._refused: Secret | None = None
        self._refreshing = threading.Lock()
        self._refreshes: dict[asyncio.AbstractEventLoop, asyncio.Task[str | CompletionError]] = {}
        """The refresh that the callers in an event loop wait for."""

    def __repr__(self) -> str:
        kind = "application default credentials" if not self._given else type(self._credentials).__name__
        return f"<VertexToken of {kind}>"

    def __reduce__(self) -> tuple[Callable[[], VertexToken], tuple[()]]:
        if self._given:
            self._refuse_to_pickle()
        return vertex_token, ()

    def __copy__(self) -> VertexToken:
        return self  # its refresh is for all that have it, and copying would pickle it

    def __deepcopy__(self, memo: object) -> VertexToken:
        return self

    async def __call__(self) -> str:
        """A token that is valid for some minutes.

        Raises:
            APIConnectionError: the network failed; the call is tried again.
            ConfigurationError: there are no credentials, or they give no token; the text has google-auth's reason.
        """
        token = self._current()
        if token is not None:
            return token
        loop = asyncio.get_running_loop()
        refresh = self._refreshes.get(loop)
        if refresh is None:
            refresh = self._refreshes[loop] = loop.create_task(asyncio.to_thread(self._refreshed))
            refresh.add_done_callback(self._refresh_ended)
        found = await asyncio.shield(refresh)  # a caller that is cancelled leaves it to the others
        if isinstance(found, CompletionError):
            raise copy.copy(found)  # the client adds the details of a call to its error
        return found

    def _refresh_ended(self, refresh: asyncio.Task[str | CompletionError]) -> None:
        self._refreshes.pop(refresh.get_loop(), None)
        if not refresh.cancelled():
            refresh.exception()  # asyncio would log one that no caller waits for any more

    def on_refused(self, token: Secret) -> None:
        """Has the next call refresh, if `token` is the present one; the client calls this after a 401."""
        self._refused = token

    def _current(self) -> str | None:
        """The token, if it needs no refresh."""
        credentials = self._credentials
        if credentials is None or credentials.token_state is not TokenState.FRESH:
            return None
        return self._unless_refused(credentials.token)

    def _refreshed(self) -> str | CompletionError:
        """A token after a refresh, which another thread may have made meanwhile; or why there is none."""
        with self._refreshing:
            token = self._current()
            if token is not None:
                return token
            if self._request is None:
                self._request = Request()
            try:
                if self._credentials is None:
                    self._credentials, _ = _find_default(_SCOPES, request=self._request)
                self._credentials.refresh(self._request)
            except Exception as error:  # noqa: BLE001 (google-auth raises more on what servers and files contain)
                return self._still_usable() or _as_error(error)
            self._refused = None  # a metadata server may give the same token again
            found: str | None = self._credentials.token
            return found or ConfigurationError("Google's credentials give no token after a refresh")

    def _still_usable(self) -> str | None:
        """The old token, if it has neither expired nor been refused."""
        credentials = self._credentials
        if credentials is None or credentials.token_state is TokenState.INVALID:
            return None
        return self._unless_refused(credentials.token)

    def _unless_refused(self, token: str) -> str | None:
        return None if self._refused is not None and token == self._refused.reveal() else token

    def _refuse_to_pickle(self) -> NoReturn:
        raise TypeError(
            "a VertexToken with credentials of its own does not pickle; without, each process finds its own"
        )


def vertex_token(credentials: Credentials | None = None) -> VertexToken:
    """A function that gives access tokens for Vertex AI, as a key of its providers.

    ::

        token = vertex_token()
        client = AsyncCompletion(api_keys={"vertex": token, "vertex-anthropic": token, "vertex-openai": token})

    Args:
        credentials: any of google-auth's, such as those of `google.oauth2.service_account`. None: the application
            default credentials, which are looked for at the first call, in this order: the file that
            GOOGLE_APPLICATION_CREDENTIALS names, ``gcloud auth application-default login``, the metadata server of
            Google's clouds.
    """
    return VertexToken(credentials)


def _as_error(error: Exception) -> APIConnectionError | ConfigurationError:
    """google-auth's error as one of this package; the text is its first argument, and no response.

    Of other errors only the type is shown: their texts may have parts of a file.
    """
    if not isinstance(error, GoogleAuthError):
        return ConfigurationError(f"Google's credentials could not be read or refreshed: {type(error).__name__}")
    arguments: tuple[Any, ...] = error.args
    reason = printable(str(arguments[0]))[:_MAX_REASON] if arguments else type(error).__name__
    if isinstance(error, TransportError) or cast("Any", error).retryable:
        return APIConnectionError(f"Google's credentials could not be refreshed: {reason}")
    return ConfigurationError(f"Google's credentials give no token: {reason}")


__all__ = ["VertexToken", "vertex_token"]
