"""Options: clocks, secrets and the cells of the parameter table."""

import copy
import json
import math
import pickle
import pprint
import traceback
from typing import Any

import attrs
import pytest

from anycompletion.options import CallOptions, Secret, Timeout
from anycompletion.params import NATIVE, NO_OP_VALUES, ParamSupport, unsupported
from anycompletion.records import PARAM_NAMES
from anycompletion.records.request import CreateParams, Params

KEY = "sk-very-secret-0123456789"


def test_the_default_clocks():
    """The documented defaults would not hold."""
    timeout = Timeout()
    assert (timeout.total, timeout.connect, timeout.first_chunk, timeout.idle) == (600, 10, 300, 60)


@pytest.mark.parametrize("total", [600.0, 600, 1, math.inf, None])
def test_an_asked_for_total_is_told_from_the_default(total: float | None):
    """An explicit limit of 600 s would end at a stream's first chunk as the default does."""
    assert Timeout(total=total).total_is_explicit
    assert not Timeout(connect=1).total_is_explicit
    assert not attrs.evolve(Timeout(), idle=5).total_is_explicit
    assert attrs.evolve(Timeout(), total=total).total_is_explicit


def test_clocks_survive_pickling_as_what_they_were():
    """A client that was sent to a worker would take its default total for an explicit one."""
    for timeout in (Timeout(), Timeout(total=5, idle=None)):
        for twin in (pickle.loads(pickle.dumps(timeout)), copy.deepcopy(timeout), copy.copy(timeout)):  # noqa: S301
            assert twin == timeout
            assert twin.total_is_explicit == timeout.total_is_explicit


def test_clocks_cannot_be_changed_in_place():
    """One call could change the clocks of all others."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Timeout().idle = 1  # type: ignore[misc]


def _traceback_with_locals(secret: Secret) -> str:
    def fail(key: Secret) -> None:
        held = {"key": key, "list": [key]}
        raise RuntimeError(len(held))

    try:
        fail(secret)
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    raise AssertionError


@pytest.mark.parametrize(
    "outlet",
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
def test_a_secret_stays_one(outlet: Any):
    """A key would stand in a log, a dump or a traceback."""
    shown = outlet(Secret(KEY))
    assert KEY not in shown
    assert KEY[3:12] not in shown


def test_a_secret_reveals_itself_only_when_asked():
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


def test_secrets_compare_by_what_they_hold():
    """Clients with the same key would be told apart."""
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2


def test_parameters_and_options_are_two_things():
    """A request would hold how it is sent, keys included, or a wire field would never be sent."""
    assert set(Params.__annotations__) == set(PARAM_NAMES)
    assert not set(Params.__annotations__) & set(CallOptions.__annotations__)
    assert set(CreateParams.__annotations__) == {*Params.__annotations__, *CallOptions.__annotations__}
    assert not CreateParams.__required_keys__


def test_cells():
    """The parameter table would say something else than it was told."""
    assert ParamSupport("native") == NATIVE
    assert unsupported() == ParamSupport("unsupported", note="the provider has no such parameter")
    assert unsupported("no").note == "no"
    assert NATIVE.minimum is NATIVE.maximum is NATIVE.max_items is NATIVE.values is None


def test_neutral_values_belong_to_parameters():
    """A misspelt row would make a value that asks for nothing an error."""
    assert set(NO_OP_VALUES) <= set(PARAM_NAMES)
    expected = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "logprobs": False}
    expected |= {
        "store": False,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
    }
    assert {name: values[0] for name, values in NO_OP_VALUES.items() if name in expected} == expected
