"""Options: timeouts and secrets."""

from __future__ import annotations

import copy
import json
import math
import pickle
import pprint
import traceback
from typing import Any

import attrs
import pytest

from anycompletion.options import Secret, Timeout

KEY = "sk-very-secret-0123456789"


def test_default_timeouts():
    """The defaults would not be the documented ones."""
    timeout = Timeout()
    assert (timeout.total, timeout.connect, timeout.first_chunk, timeout.idle) == (600, 10, 300, 60)


@pytest.mark.parametrize("total", [600.0, 600, 1, math.inf, None])
def test_an_explicit_total_differs_from_the_default(total: float | None):
    """An explicit limit of 600 s would end at a stream's first chunk, as the default does."""
    assert Timeout(total=total).total_is_explicit
    assert not Timeout(connect=1).total_is_explicit
    assert not attrs.evolve(Timeout(), idle=5).total_is_explicit
    assert attrs.evolve(Timeout(), total=total).total_is_explicit


def test_timeouts_pickle_and_copy():
    """In a worker process the default total would become an explicit one."""
    for timeout in (Timeout(), Timeout(total=5, idle=None)):
        for copied in (pickle.loads(pickle.dumps(timeout)), copy.deepcopy(timeout), copy.copy(timeout)):  # noqa: S301
            assert copied == timeout
            assert copied.total_is_explicit == timeout.total_is_explicit


def test_timeouts_are_immutable():
    """One call could change the timeouts of all others."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Timeout().idle = 1  # type: ignore[misc]


def _traceback_with_locals(secret: Secret) -> str:
    def fail(key: Secret) -> None:
        local = {"key": key, "list": [key]}
        raise RuntimeError(len(local))

    try:
        fail(secret)
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    raise AssertionError


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{:>40}".format,
        lambda s: f"{s} {s!r} {s!s}",
        lambda s: "%s" % s,  # noqa: UP031
        lambda s: repr([s, {"k": s}]),
        lambda s: json.dumps({"k": s}, default=str),
        lambda s: pprint.pformat({"k": s, "d": dir(s)}),
        lambda s: repr({name: getattr(s, name, None) for name in s.__slots__}),
        _traceback_with_locals,
    ],
)
def test_nothing_shows_a_secret(show: Any):
    """A key would be in a log, a dump or a traceback."""
    shown = show(Secret(KEY))
    assert KEY not in shown
    assert KEY[3:12] not in shown


def test_a_secret_can_be_revealed():
    """A call could not be signed."""
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        secret + "x"  # type: ignore[operator]


def test_a_secret_is_copied_but_never_pickled():
    """A key would be written into a queue, or a configuration could not be copied."""
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"k": secret})["k"] is secret
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="environment") as caught:
            pickle.dumps(secret, protocol)
        assert KEY not in str(caught.value)


def test_secrets_compare_by_value():
    """Clients with the same key would share no state."""
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2
