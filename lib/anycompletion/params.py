"""How a dialect or a provider states its support of request parameters: `ParamSupport`, and tables of it by name.

The parameters themselves are fields of `records/request.py` and are checked in `validation/param_checks.py`. Support is
applied to a request in `providers/param_support.py`. No provider's data is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from ._value import Declaration

Support: TypeAlias = Literal["native", "mapped", "fanned_out", "unsupported"]
"""How a provider supports a parameter: as it is, translated, by several requests, or not at all."""


@attrs.frozen(eq=False, repr=False)
class ParamSupport(Declaration):
    """Support for one parameter by a dialect or a provider.

    Requests are checked against it before they are encoded; `supported_params` and the documentation's tables show it.
    """

    support: Support
    """As it is, under another name or form, by several requests, or not at all."""
    minimum: float | None = None
    """Smallest number the provider accepts."""
    maximum: float | None = None
    """Largest number the provider accepts."""
    max_items: int | None = None
    """Longest list the provider accepts."""
    values: tuple[str, ...] | None = None
    """The only texts the provider accepts."""
    own_forms: bool = False
    """True where the provider has forms of its own for the parameter, which are sent unchecked."""
    takes_no_op: bool = False
    """True where a value of `NO_OP_VALUES` is sent as it is, although the parameter is otherwise unsupported."""
    note: str = ""
    """For a mapped parameter the provider's own name; for an unsupported one the reason and an alternative."""


ParamTable: TypeAlias = Mapping[str, ParamSupport]
"""Parameter name → support. A parameter without an entry passes as it is."""

NATIVE = ParamSupport("native")


def unsupported(note: str = "the provider has no such parameter") -> ParamSupport:
    """Support for a parameter that the provider does not have."""
    return ParamSupport("unsupported", note=note)


TOOL_CHOICES = ("none", "auto", "required")
FUNCTION_CALLS = ("none", "auto")
"""OpenAI's values that choose no particular tool or function; an object names one."""

NO_OP_VALUES: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "tool_choice": ("auto",),
    "function_call": ("auto",),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "metadata": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto",),
    "tools": ([],),
    "functions": ([],),
}
"""Parameter → values that change nothing: accepted everywhere, and not sent where the parameter is unsupported."""
