"""How calls of one kind are made: everything that is the same from one call to the next, prepared once."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..auth import check_secret, sign
from ..errors import ConfigurationError
from ..http import Headers, HttpRequest, RequestHeaders
from ..options import AWSCredentials, BearerToken, Secret, Timeout
from ..providers import variables_of
from ..redaction import header_probes, redacted_headers, secret_values
from .endpoint_state import EndpointState
from .provider_state import KeySource, ProviderState

if TYPE_CHECKING:
    from ..dialects.base import Dialect, Target
    from ..params import ParamTable
    from ..ratelimit.client_limits import ModelLimits
    from ..transport import Transport

USER_AGENT = "anycompletion"

EVENT_STREAM = "text/event-stream"
"""The media type of a stream."""

_MAX_HEADER_SETS = 16
"""Header sets that a plan keeps."""


class CallPlan:
    """How calls of one kind (client or view, model, streamed or not) are made; made by the client."""

    def __init__(
        self,
        state: ProviderState,
        target: Target,
        endpoint: EndpointState,
        *,
        dialect: Dialect,
        param_support: ParamTable | None = None,
        model_by_error_phrase: Mapping[str, str],
        key: KeySource,
        headers: Mapping[str, str],
        timeout: Timeout,
        max_retries: int,
        extra_headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        log_level: int = logging.DEBUG,
        tags: Mapping[str, str] | None = None,
        fill_choices: bool = True,
        keep_text: bool = True,
        warnings: tuple[str, ...] = (),
        limits: ModelLimits | None = None,
    ) -> None:
        self.provider_state = state
        self.transport: Transport = state.transport
        self.target = target
        self.dialect = dialect
        """The wire format: the provider's own, or that of the variant that the model asks for."""
        self.model_by_error_phrase = model_by_error_phrase
        """Phrase of the provider's errors → the model's name in a format that has what this one refuses."""
        self.requires_call_ids = target.quirks.requires_call_ids
        self.param_support = state.param_support(target.model) if param_support is None else param_support
        """Parameters that are not simply native in this format."""
        self.endpoint = endpoint
        self.cooldown = endpoint.cooldown_of("" if state.provider.rate_limit_scope == "key" else target.model)
        """The cooldown of the model, or of the key where the provider's limits are those of the key."""
        self.cache = endpoint.cache(target.base_url)
        self.key: KeySource = key
        self.headers = headers
        """The provider's headers, as far as they may be sent to this base URL."""
        self.key_source_note = state.key_source_note if key is state.key else ""
        self.timeout = timeout
        self.max_retries = max_retries
        self.extra_headers = extra_headers
        """The caller's own headers; they override all others."""
        self.query = query
        self.extra_body = extra_body
        """Fields that the options add to the request's own."""
        self.log_level = log_level
        self.tags = tags
        """The caller's own details of the call, for its log records."""
        self.fill_choices = fill_choices
        """Whether choices that a provider with its own `n` leaves out are asked for by further requests."""
        self.keep_text = keep_text
        """Whether streams keep the contents of their chunks for the reply at the end."""
        self.warnings = warnings
        """What was dropped from the options."""
        self.limits = limits
        """The client's own limits and the shared limiter; None where there are none."""
        self.auth_headers: Mapping[str, str] | None = None
        """The headers that carry the key, once it was checked; None where a function has to be asked for it."""
        self.may_sign = state.provider.auth.kind == "aws_sigv4"
        """Whether requests are signed when they are sent, unless the key is a text."""
        self._secrets = tuple(
            Secret(text) for given in (headers, extra_headers, query or {}) for text in secret_values(given)
        )
        self._secret_pieces = [piece for text in self.secrets(None) for piece in header_probes(text)]
        """Pieces of the secrets as they would stand in a response's headers."""
        self._header_sets: dict[tuple[Any, ...], RequestHeaders] = {}

    def with_transport(self, transport: Transport) -> CallPlan:
        """A copy for one logical call that is sent by `transport`."""
        plan = copy.copy(self)
        plan.transport = transport
        return plan

    def with_timeout(self, timeout: Timeout) -> CallPlan:
        """A copy for a call with another timeout."""
        plan = copy.copy(self)
        plan.timeout = timeout
        return plan

    def for_cancel_request(self, total: float) -> CallPlan:
        """A copy for a request that nothing waits for: `total` seconds, no shared cooldown, no limits."""
        plan = copy.copy(self)
        plan.endpoint, plan.timeout, plan.limits = EndpointState(), Timeout(total=total), None
        plan.cooldown = plan.endpoint.cooldown_of("")
        return plan

    # --- the key ---

    def secrets(self, last_key_sent: Secret | None) -> list[str]:
        """The secrets in requests: the key, and those among the headers."""
        secrets = [secret.reveal() for secret in self._secrets]
        if last_key_sent is not None:
            secrets += last_key_sent.reveal_all()
        elif isinstance(self.key, Secret):
            secrets += [text.strip() for text in self.key.reveal_all()]
        elif isinstance(self.key, str):
            secrets.append(self.key.strip())
        return secrets

    def without_echoes(self, headers: Headers, last_key_sent: Secret | None) -> Headers:
        """A response's headers without the secrets of its request."""
        if last_key_sent is None and not headers.contain_any(self._secret_pieces):
            return headers
        return redacted_headers(headers, self.secrets(last_key_sent))

    def checked_key(self) -> str | AWSCredentials | None:
        """The key or credentials, where no function has to be asked for it.

        Raises:
            ConfigurationError: it cannot be sent.
        """
        key = self.key
        return None if key is None or callable(key) else self.checked(key)

    def checked(self, secret: str | Secret) -> str | AWSCredentials:
        """A key or credentials, if they can be sent; see `auth.check_secret`.

        Raises:
            ConfigurationError: they cannot, or nothing names the region of a signature.
        """
        state, name = self.provider_state, self.target.provider
        checked = check_secret(secret, state.provider.auth, name, self.key_source_note)
        if isinstance(checked, AWSCredentials):
            self.signing_region(checked)
        return checked

    def signing_region(self, credentials: AWSCredentials) -> str:
        """The region of signatures: that of the endpoint's host, else that of the credentials or the environment.

        Raises:
            ConfigurationError: none of them names one, or it is no region.
        """
        from ..sigv4 import region_of  # noqa: PLC0415 (few programs sign requests)

        state, name = self.provider_state, self.target.provider
        region = region_of(self.target.base_url) or credentials.region or state.region or state.provider.auth.region
        if region and not re.fullmatch("[a-z0-9-]+", region):
            raise ConfigurationError(
                f"the region for the signatures of {name} must be small letters, digits and - only", provider=name
            )
        if region:
            return region
        variables = " or ".join(variables_of(state.provider.placeholders.get("region", ())))
        raise ConfigurationError(
            f"no region for the signatures of {name}: its base URL names none; "
            f"{f'set {variables}, or ' if variables else ''}pass AWSCredentials(..., region=...)",
            provider=name,
        )

    def sign(self, request: HttpRequest, key: str | AWSCredentials | None, given: KeySource) -> dict[str, str]:
        """The headers of `request` that carry `key`: none for credentials, whose signature is made when it is sent.

        Args:
            key: the checked key.
            given: the same as it was configured, or as the function gave it.
        """
        if isinstance(key, AWSCredentials):
            return {}
        auth = self.provider_state.provider.auth
        is_token = isinstance(given, BearerToken) or (callable(self.key) and auth.functions_give_tokens)
        return sign(auth, request, key, token=is_token)

    # --- headers ---

    def request_headers(
        self, request: HttpRequest, accept: str, has_body: bool, auth: Mapping[str, str]
    ) -> RequestHeaders:
        """The headers of a request, prepared once for all requests that are alike."""
        if auth is not self.auth_headers:
            return self._make_headers(request, accept, has_body, auth)
        kind = (accept, has_body, request.authenticated, *request.headers.items())
        headers = self._header_sets.get(kind)
        if headers is None:
            if len(self._header_sets) > _MAX_HEADER_SETS:
                self._header_sets.clear()
            headers = self._header_sets[kind] = self._make_headers(request, accept, has_body, auth)
        return headers

    def _make_headers(
        self, request: HttpRequest, accept: str, has_body: bool, auth: Mapping[str, str]
    ) -> RequestHeaders:
        # A host that does not get the key gets none of the provider's or the caller's headers either.
        common = self.headers if request.authenticated else {"User-Agent": USER_AGENT}
        headers = {**common, "Accept": accept, **request.headers}
        if has_body:
            headers.setdefault("Content-Type", "application/json")
        # An event stream in pieces gains nothing from compression and would wait in its buffers.
        headers["Accept-Encoding"] = "identity" if accept == EVENT_STREAM else "gzip, deflate"
        if request.authenticated:
            headers |= auth
            if self.extra_headers:
                headers = override(headers, self.extra_headers)
        return RequestHeaders(headers)


def override(headers: Mapping[str, str], extra: Mapping[str, str]) -> RequestHeaders:
    """`headers` updated by `extra`; names are compared without case."""
    given = {name.lower() for name in extra}
    return RequestHeaders({name: value for name, value in headers.items() if name.lower() not in given} | dict(extra))
