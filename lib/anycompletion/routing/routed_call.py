"""One logical call over a route: which target it visits next, what a failure means, and when it gives up.

Nothing is multiplied: all targets together get as many requests as the call may make, within its one deadline, and a
further visit to a target waits and is paid from the retry budget, as a retry is. `routed_reply` makes whole replies of
it, `routed_chunks` streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import random

import attrs

from .._async import running_loop
from ..calls import Call
from ..errors import APIError, APITimeoutError, CompletionError
from ..options import Timeout
from ..records import ChatRequest, ReplyInfo
from ..records.reply_info import Tried
from ..retry_policy import MAX_HINT, Backoff, has_wait_hint, work_may_have_begun, worth_retrying
from ..validation import validate_request
from .call_loads import CallLoads
from .call_time import CallTime
from .failed_route import all_failed, given_up, is_overload, none_available
from .flat_route import FlatRoute
from .move_rules import move_rule
from .planned import EncodedVisit, PlannedRoute, PlannedTarget, RouteClient, max_requests
from .preferred_target import pick_for
from .target_choice import NextStep, choose, is_ready
from .visit import Visit
from .visit_log import VisitLog

_BACKOFF = Backoff()


class RoutedCall:
    """The state of one logical call over a route."""

    __slots__ = (
        "_client",
        "_encoded",
        "_larger_than",
        "_loads",
        "_max_requests",
        "_on_load_refusal",
        "_planned",
        "_request",
        "_visits",
        "route",
        "time",
    )

    def __init__(
        self,
        route: FlatRoute,
        planned: PlannedRoute,
        request: ChatRequest,
        client: RouteClient,
        *,
        max_retries: int,
        timeout: Timeout,
        started: float = 0.0,
        on_load_refusal: Callable[[], None] | None = None,
    ) -> None:
        self.route = route
        self._client = client
        self.time = CallTime(timeout, started)
        self._planned = planned
        self._request = request
        self._on_load_refusal = on_load_refusal
        """Called when each target refused the call for its load or rate; batches set it."""
        self._max_requests = max_requests(route, max_retries)
        self._loads = CallLoads(request, planned)
        self._encoded: tuple[PlannedTarget, EncodedVisit] | None = None
        """The first visit of a stream, which is encoded when the stream is made."""
        self._visits = VisitLog()
        self._larger_than = 0
        """Tokens of the largest context window that the prompt did not fit into."""
        for target, error in planned.refused:
            self._visits.pass_over(target, error)
        if route.settings.hedge_after is not None:
            route.hedges.deposit()

    # --- the next visit ---

    def first_visit(self) -> Visit | None:
        """The first visit, if one can begin at once; else `next_visit` waits for it, or raises.

        Raises:
            CompletionError: the request is invalid.
        """
        now = asyncio.get_running_loop().time()
        self.time.start(now)
        while True:
            step = self._next_step(now)
            planned = step.planned
            if planned is None or step.wait or planned.health.cooling_until > now:
                return None
            visit = self._begin(planned, now)
            if visit is not None:
                return visit

    async def next_visit(self) -> Visit:
        """The next visit; returns when it has begun.

        Raises:
            CompletionError: the call has failed.
        """
        while True:
            now = asyncio.get_running_loop().time()
            self.time.start(now)
            left = self.time.left(now)
            if self._visits.used and not self._may_begin(left):
                raise self._failure(None)
            step = self._next_step(now)
            if step.probe_of is not None:
                await self._wait_for_probe(step.probe_of, left)
                continue
            planned = step.planned
            if planned is None or (left is not None and step.wait >= left):
                raise self._failure(step.retry_after if planned is None else step.wait)
            if step.wait and self._visits.counts and self._on_load_refusal is not None:
                self._on_load_refusal()  # no other target took the call
            is_paid = planned.target in self._visits.counts and await self._wait_to_repeat(planned, left)
            await self._wait_for_pause(planned)
            if planned.health.probing and not is_paid:
                continue  # another call that waited for the same is the probe
            visit = self._begin(planned, asyncio.get_running_loop().time(), waits=step.wait > 0)
            if visit is not None:
                visit.retry_paid = is_paid
                return visit

    def next_target(self) -> PlannedTarget:
        """The target that the call would visit now; nothing is sent.

        Raises:
            CompletionError: no target can be called.
        """
        candidates = self._candidates()
        if not candidates:
            raise self._failure(None)
        loop = running_loop()
        if loop is None:  # nothing has been called yet
            targets = {each.target for each in candidates}
            return self._planned.by_target[pick_for(self._request, self.route.group, targets, self._loads, random)]
        step = self._next_step(loop.time())
        return step.planned or step.probe_of or candidates[0]

    def encode_first(self) -> PlannedTarget:
        """Encodes the request for the target that the call would visit now; nothing is sent, and no visit begins.

        Raises:
            CompletionError: the request can be sent to no target.
        """
        while True:
            planned = self.next_target()
            encoded = self._encode(planned, self.time.timeout.total)
            if encoded is not None:
                self._encoded = (planned, encoded)
                return planned

    def _next_step(self, now: float, hedged: Visit | None = None) -> NextStep:
        """What the call does next; or what a hedge does, at another target than that of the visit that is `hedged`."""
        targets = self._candidates()
        if hedged is not None:
            others = (each for each in targets if each.health is not hedged.planned.health)
            targets = tuple(each for each in others if is_ready(each, now, self._loads.limit_tokens))
        return choose(
            targets,
            now,
            pick=lambda candidates: pick_for(self._request, self.route.group, candidates, self._loads, random),
            tokens=self._loads.limit_tokens,
            counts=self._visits.counts,
            attempts_per_target=self.route.settings.attempts_per_target,
        )

    def _candidates(self) -> tuple[PlannedTarget, ...]:
        """The targets that may answer the call."""
        targets = self._planned.targets
        if self._visits.excluded:
            targets = tuple(each for each in targets if each.target not in self._visits.excluded)
        if not self.route.has_windows or not targets:
            return targets
        least = self._larger_than + 1 if self._larger_than else self._loads.fewest_prompt_tokens()
        fitting = tuple(each for each in targets if (each.target.context_window or least) >= least)
        if fitting or self._larger_than:
            return fitting
        return (max(targets, key=lambda each: each.target.context_window or 0),)

    def _may_begin(self, left: float | None) -> bool:
        """Whether another visit is within the call's requests and its time."""
        return self._visits.used < self._max_requests and self.time.allows_visit(left, len(self.route.targets))

    async def _wait_for_probe(self, planned: PlannedTarget, left: float | None) -> None:
        """Waits for the outcome of another call's probe.

        Raises:
            CompletionError: the probe failed, or the call's total timeout ran out.
        """
        health, failed = planned.health, planned.health.failed_probes
        timer = asyncio.timeout(left)
        try:
            async with timer:
                await health.wait_for_probe()
        except TimeoutError:
            if not timer.expired():
                raise
        if timer.expired():
            text = f"the total timeout of {self.time.timeout.total:g} s ran out while another call probed the target"
            raise self._final(APITimeoutError(text, phase="total", provider=planned.plan.target.provider))
        if health.failed_probes > failed:
            raise self._failure(health.retry_in(asyncio.get_running_loop().time()))

    async def _wait_to_repeat(self, planned: PlannedTarget, left: float | None) -> bool:
        """Waits before a further visit to a target; returns whether it took a token of the retry budget.

        Raises:
            CompletionError: there is no time or no token for it.
        """
        (error, transport), plan = self._visits.failed[planned.target], planned.plan
        if has_wait_hint(error):
            return False  # it waits for the cooldown instead
        delay = _BACKOFF.delay(self._visits.counts[planned.target], error.retry_after, random)
        if (left is not None and delay >= left) or not plan.endpoint.retry_budget.spend():
            raise self._failure(None)
        plan.provider_state.retries += 1
        await transport.pause(delay)
        return True

    async def _wait_for_pause(self, planned: PlannedTarget) -> None:
        now = asyncio.get_running_loop().time()
        pause, left = planned.health.cooling_until - now, self.time.left(now)
        if pause > MAX_HINT or (left is not None and 0 < pause >= left):  # of an open circuit, or asked for meanwhile
            raise self._failure(pause)
        if pause > 0:
            error, transport = self._visits.failed.get(planned.target, (None, planned.plan.transport))
            is_own = error is not None and error.retry_after is None  # a wait as between attempts, which fakes skip
            await (transport if is_own else planned.plan.transport).pause(pause)

    # --- a visit ---

    def _begin(self, planned: PlannedTarget, now: float, *, waits: bool = False) -> Visit | None:
        """Begins a visit; None where the request cannot be sent to this target, which is passed over.

        Raises:
            CompletionError: the request is invalid.
        """
        first, self._encoded = self._encoded, None
        encoded = first[1] if first is not None and first[0] is planned else self._encode(planned, self.time.left(now))
        if encoded is None:
            return None
        visit = Visit(planned, encoded, now)
        self._prepare(visit, waits=waits)
        return visit

    def _encode(self, planned: PlannedTarget, left: float | None) -> EncodedVisit | None:
        """The calls of a visit; None where the request cannot be sent to this target, which is passed over."""
        target = planned.target
        try:
            request = self._request
            if target.params:
                request = validate_request(attrs.evolve(request, **target.params))
            return self._client.encode(planned, request, left, self.time.started)
        except CompletionError as error:
            if move_rule(error, self.route.settings).move != "past":
                raise
            self._visits.pass_over(target, error)
            return None

    def _prepare(self, visit: Visit, *, waits: bool) -> None:
        """Has the calls of a visit leave retries, and what they would wait for, to the route."""
        others = len(self._planned.targets) - len(self._visits.counts) - 1
        repeats = max(0, self._max_requests - self._visits.used - 1 - max(0, others))
        for call in visit.calls:
            call.max_repeats, call.started = repeats, self.time.started
            call.may_wait_for_cooldown = waits or visit.planned.target in self._visits.deferred
            call.total_started = visit.began if visit.has_own_total else self.time.total_began
            if self._on_load_refusal is not None:
                call.on_load_refusal = _absorbed

    def succeed(self, visit: Visit, info: ReplyInfo, *, is_whole: bool) -> None:
        """Records that a visit's target answered, in its health and in the info of the reply."""
        now = asyncio.get_running_loop().time()
        visit.succeed(now, is_whole=is_whole)
        target = visit.planned.target
        tried = Tried(target.name, info.provider, info.model, None, now - visit.began, info.attempts, visit.is_hedge)
        info.route, info.target, info.tried = self.route.name, target.name, (*self._visits.tried, tried)
        if self._visits.attempts or self._visits.warnings:
            visit.earlier_attempts = self._visits.attempts
            first = visit.calls[0].info  # of which a stream of several branches makes its info anew
            for each in (info,) if first is info else (info, first):
                each.attempts += self._visits.attempts
                each.warnings[:0] = self._visits.warnings

    def fail_first(self, planned: PlannedTarget, calls: list[Call], error: CompletionError) -> CompletionError | None:
        """The same for a first visit that was made without this object; it is not in flight any more."""
        encoded = EncodedVisit(calls, planned.has_own_total)
        visit = Visit(planned, encoded, self.time.started, is_counted=False)
        return self.fail(visit, error)

    def fail(self, visit: Visit, error: CompletionError) -> CompletionError | None:
        """Records that a visit failed; returns the error of the call, or None if it may go on to another target."""
        now = asyncio.get_running_loop().time()
        # The time that a batch's item queued does not count.
        self.time.started = max(self.time.started, visit.calls[0].started)
        try:
            return self._after(visit, error, now)
        finally:
            visit.end()

    def fail_stream(self, visit: Visit, error: CompletionError) -> CompletionError | None:
        """The same for a stream that failed after its first content, and may begin anew."""
        self.time.renew_default_total(asyncio.get_running_loop().time())
        visit.is_cut = True
        return self.fail(visit, error)

    def _after(self, visit: Visit, error: CompletionError, now: float) -> CompletionError | None:
        left = self.time.left(now)
        target, settings = visit.planned.target, self.route.settings
        if error.phase == "total" and not (visit.has_own_total and (left is None or left > 0)):
            self._visits.note(visit, error, now)
            return self._final(error)
        rule = move_rule(error, settings)
        if rule.move == "past":
            self._visits.pass_over(target, error)
            return None
        visit.fail(error, rule.health, now, self.route.name)
        self._visits.note(visit, error, now)
        if rule.move == "no" or not isinstance(error, APIError):
            return self._final(error)
        self._visits.counts[target] = self._visits.counts.get(target, 0) + 1
        self._visits.failed[target] = error, visit.calls[0].plan.transport
        if rule.health == "rejected":
            self._visits.warnings.append(f"{target.name} refused the call: {type(error).__name__}")
        if rule.move == "to_larger_window":
            self._larger_than = max(self._larger_than, target.context_window or 0)
            self._visits.excluded.add(target)
            return None if self._candidates() else self._final(error)
        if not worth_retrying(error) or (
            work_may_have_begun(error) and not visit.planned.plan.provider_state.provider.retry_safe
        ):
            self._visits.excluded.add(target)
        visit.log_move(error, self.route.name)
        return None

    # --- hedges ---

    def hedge_delay(self, visit: Visit) -> float | None:
        """Seconds after which a hedge may begin; None if none may."""
        delay = self.route.settings.hedge_after
        is_single = len(visit.calls) == 1 and (visit.calls[0].request.n or 1) == 1
        if delay is None or not is_single or self._request.store or self._visits.used + 2 > self._max_requests:
            return None
        return delay if visit.planned.plan.provider_state.provider.retry_safe else None

    def begin_hedge(self, first: Visit) -> Visit | None:
        """A visit to another target than that of `first`, if one can begin at once and the budget allows it."""
        now, hedges = asyncio.get_running_loop().time(), self.route.hedges
        if not hedges.allows_hedge or not self._may_begin(self.time.left(now)):
            return None
        while True:
            step = self._next_step(now, first)
            planned = step.planned
            if planned is None or planned.health.blocked_until:
                return None
            visit = self._begin(planned, now)
            if visit is not None:
                hedges.spend()
                visit.hedge_budget = hedges
                return visit

    def give_up(self, visit: Visit) -> None:
        """Records a visit that is closed because another one was answered."""
        self._visits.note(visit, given_up(visit), asyncio.get_running_loop().time())
        visit.end()

    # --- giving up ---

    def _failure(self, retry_after: float | None) -> CompletionError:
        """The error of a call that has no further target."""
        if self._visits.tried:
            return self._final(all_failed(self.route, self._visits.tried, retry_after))
        if self._visits.refused and len(self._visits.excluded) == len(self.route.targets):
            return self._visits.refused[min(self._visits.refused, key=lambda target: target.index)]
        return self._final(none_available(self.route, self._planned, retry_after))

    def _final(self, error: CompletionError) -> CompletionError:
        """The error of the call, as a batch has to know of it."""
        if self._visits.attempts:
            error.attempts = self._visits.attempts
        if self._on_load_refusal is not None and is_overload(error):
            self._on_load_refusal()
        return error


def _absorbed() -> None:
    """Does nothing: a refusal that another target makes up for is not one of the whole route."""
