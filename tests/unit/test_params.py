"""Parameter support: defaults, and values that change nothing."""

from __future__ import annotations

from anycompletion.params import NATIVE, NO_OP_VALUES, ParamSupport, unsupported
from anycompletion.records import PARAM_NAMES


def test_support_defaults() -> None:
    """Support for a parameter would have limits that were not set."""
    assert ParamSupport("native") == NATIVE
    assert unsupported() == ParamSupport("unsupported", note="the provider has no such parameter")
    assert unsupported("no").note == "no"
    assert NATIVE.minimum is NATIVE.maximum is NATIVE.max_items is NATIVE.values is None


def test_no_op_values_belong_to_parameters() -> None:
    """A misspelled name would make a value that changes nothing an error."""
    assert set(NO_OP_VALUES) <= set(PARAM_NAMES)
    expected = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "logprobs": False}
    expected |= {
        "store": False,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
    }
    assert {name: values[0] for name, values in NO_OP_VALUES.items() if name in expected} == expected
