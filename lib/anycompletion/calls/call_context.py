"""The context of one call, which admission, signing and retry share with it."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import APIStatusError, AuthenticationError, CompletionError, RateLimitError, printable, printable_id
from ..http import parse_date
from ..logs import log, log_event
from ..options import Secret
from ..ratelimit.token_estimate import used_tokens
from ..records import ChatRequest, ReplyInfo, Usage
from ..redaction import redact_in_place
from .plan import CallPlan

if TYPE_CHECKING:
    from ..ratelimit.client_limits import Permit

E = TypeVar("E", bound=CompletionError)


class CallContext:
    """What the parts of one call (admission, signing, retry) know of it: plan, request, time, details and log."""

    __slots__ = (
        "clock_corrected",
        "cooldown_error",
        "end_logged",
        "free_reconnect_used",
        "idempotency_key",
        "info",
        "is_part",
        "key_refreshed",
        "last_key_sent",
        "max_repeats",
        "may_wait_for_cooldown",
        "on_load_refusal",
        "permit",
        "plan",
        "request",
        "retry_paid",
        "signature",
        "signed_offset",
        "started",
        "total_started",
    )

    def __init__(self, plan: CallPlan, request: ChatRequest, info: ReplyInfo, started: float = 0.0) -> None:
        self.plan = plan
        self.request = request
        self.info = info
        self.started = started
        """When the logical call began, on the loop's clock; 0.0 before that. Later by the time that a batch's item has
        waited for the client's own limits."""
        self.total_started: float | None = None
        """When the total timeout began, where that is not the begin of the call."""
        self.on_load_refusal: Callable[[], None] | None = None
        """Called after each attempt that the provider refused because it gets too many requests; batches set it."""
        self.max_repeats: int | None = None
        """For a visit to a target of a route, whose errors the route handles: how often the request may be repeated
        with another key or time. None for a call that retries by itself."""
        self.may_wait_for_cooldown = True
        """Whether it waits for the end of a cooldown; if not, that is an error at once."""
        self.idempotency_key = ""
        """The same for all attempts; "" for providers that know none."""
        self.permit: Permit | None = None
        """What the attempt that is under way has acquired of the client's limits."""
        self.cooldown_error: RateLimitError | None = None
        """The 429 with which this call last started a cooldown."""
        self.key_refreshed = False
        """Whether the caller's function was asked for another key after the key was refused."""
        self.clock_corrected = False
        """Whether the call was repeated with the server's time in its signature."""
        self.free_reconnect_used = False
        """Whether a connection that could not be made was tried again without spending retry budget."""
        self.retry_paid = False
        """Whether the attempt that is under way is a retry that took a token of the retry budget."""
        self.last_key_sent: Secret | None = None
        """The key that a function gave last, so that echoes of it can be hidden."""
        self.signature: Secret | None = None
        """The signature that was sent last, so that echoes of it can be hidden."""
        self.signed_offset = 0.0
        """Seconds that were added to this machine's time in that signature."""
        self.is_part = False
        """Whether it is one of several calls that make one logical call, whose end is logged once."""
        self.end_logged = False
        """Whether the log has the end of this call."""

    @property
    def is_batch_item(self) -> bool:
        """Whether the call is made by a batch."""
        return self.on_load_refusal is not None

    # --- time ---

    def start(self) -> None:
        """Begins the logical call: its total timeout runs from here."""
        if not self.started:
            self.started = asyncio.get_running_loop().time()
        self.plan.endpoint.retry_budget.calls += 1
        if self.plan.provider_state.provider.idempotency_header:
            self.idempotency_key = str(uuid.uuid4())

    @property
    def deadline(self) -> float | None:
        """When the total timeout runs out, on the loop's clock; None if there is none."""
        total, began = self.plan.timeout.total, self.total_started
        return None if total is None else (self.started if began is None else began) + total

    def time_left(self) -> float | None:
        """Seconds until the total timeout; None if there is none."""
        deadline = self.deadline
        return None if deadline is None else deadline - asyncio.get_running_loop().time()

    def renew_default_total(self) -> None:
        """Begins a default total anew for the requests after a stream, because it ended with the first chunk."""
        if not self.plan.timeout.total_is_explicit:
            self.total_started = asyncio.get_running_loop().time()

    def elapsed(self) -> float:
        """Seconds since the logical call began."""
        return asyncio.get_running_loop().time() - self.started

    def reply_time(self) -> int:
        """The Unix time of a reply that has none: its ``Date`` header, else this machine's clock."""
        return int(parse_date(self.info.headers.first("date")) or time.time())

    # --- the outcome ---

    def return_retry(self) -> None:
        """Returns the token of a retry that succeeded to the retry budget."""
        self.retry_paid = False
        self.plan.endpoint.retry_budget.refund()

    def settle_permit(self, usage: Usage | None = None, *, refused: bool = False) -> None:
        """Ends the attempt for the client's limits: a refused one used no tokens, an unknown usage is as estimated."""
        permit, self.permit = self.permit, None
        if permit is not None:
            permit.settle(0 if refused else used_tokens(usage))

    def with_details(self, error: E) -> E:
        """`error` with everything that the call knows, without echoes of the key, and without our frames."""
        info = self.info
        error.provider, error.model = self.plan.target.provider, self.plan.target.model
        error.attempts, error.elapsed = info.attempts, self.elapsed()
        request_id = info.request_id or error.request_id  # the row's header before any other place
        error.request_id = request_id and printable_id(request_id)
        error.status_code = error.status_code or info.status_code
        error.headers = error.headers if error.headers is not None else (info.headers or None)
        secrets = self.plan.secrets(self.last_key_sent)
        if self.signature is not None:
            secrets.append(self.signature.reveal())
        redact_in_place(error, secrets)
        redact_in_place(info, secrets)
        message = error.message
        offset = self.clock_offset(error)
        if offset is not None:
            from ..sigv4 import clock_note  # noqa: PLC0415 (few programs sign requests)

            message = f"{message} ({clock_note(offset, info.headers.first('date') or '')})"
        elif isinstance(error, AuthenticationError) and self.plan.key_source_note:
            message = f"{message} ({self.plan.key_source_note})"
        elif error.phase == "total" and self.plan.timeout.total is not None:
            # The errors of a total timeout all have this text; their seconds are added here, where they are known.
            total = f"the total timeout of {self.plan.timeout.total:g} s"
            message = message.replace("the total timeout ran out", f"{total} ran out")
        if message != error.message:
            error.message, error.args = message, (message,)
        return error.with_traceback(None)

    def clock_offset(self, error: CompletionError) -> float | None:
        """Seconds by which the server's clock is ahead, where it refused the time of the request's signature.

        None where the signature had the server's time already, unless the error itself is about the time.
        """
        if self.signature is None or not isinstance(error, APIStatusError):
            return None
        from ..sigv4 import clock_offset  # noqa: PLC0415 (few programs sign requests)

        server_time = parse_date(self.info.headers.first("date"))
        found = clock_offset(error.code, error.message, server_time, time.time() + self.signed_offset)
        return None if found is None else self.signed_offset + found

    def log(self, level: int, event: str, text: str, **details: object) -> None:
        """Logs one event of the call, without anything that the request or the reply contains."""
        if not log.isEnabledFor(level):
            return
        # A model's name comes from the caller; it must not add lines to the log.
        info, provider, model = self.info, self.plan.target.provider, printable(self.plan.target.model)
        extra = {"provider": provider, "model": model, "attempt": info.attempts, "status": info.status_code}
        extra |= {"request_id": info.request_id, "elapsed": self.elapsed(), **details}
        if self.plan.tags:
            extra["tags"] = self.plan.tags
        log_event(level, event, "%s %s: %s", provider, model, text, stacklevel=2, **extra)

    def log_finished(self, usage: Usage | None, info: ReplyInfo | None = None) -> None:
        """Logs that the logical call has its whole reply; `info` is that of all its parts, where it has several."""
        if (self.is_part and info is None) or not log.isEnabledFor(self.plan.log_level):
            return
        self.end_logged = True
        attempts, usage = (info or self.info).attempts, usage or Usage()
        details = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
        tokens = f"{usage.prompt_tokens} prompt and {usage.completion_tokens} completion tokens"
        text = f"finished in {self.elapsed():.2f} s, {tokens}, attempts: {attempts}"
        self.log(self.plan.log_level, "finished", text, attempts=attempts, **details)

    def log_left(self) -> None:
        """Logs that the reader of a stream closed it before its end, unless the stream had failed."""
        if not (self.end_logged or self.is_part) and log.isEnabledFor(self.plan.log_level):
            self.end_logged = True
            self.log(self.plan.log_level, "closed", "closed by its reader before its end")

    def log_failure(self, error: CompletionError) -> None:
        """Logs once that the call failed: at WARNING after retries, else at INFO."""
        if self.end_logged:
            return
        self.end_logged = True
        kind, attempts = type(error).__name__, self.info.attempts
        if attempts > 1:
            self.log(logging.WARNING, "gave_up", f"given up after {attempts} attempts: {kind}", error=kind)
        else:
            self.log(logging.INFO, "failed", f"failed: {kind}", error=kind)
