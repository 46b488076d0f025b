"""What each provider is sent for each parameter, written down by hand from what the providers document.

A row is one call. Its columns are OpenAI and Azure (one column, unless `azure=` says otherwise), OpenRouter, Anthropic,
Cohere, and on Replicate a Llama whose input has prompt, system_prompt, max_tokens, temperature, top_p, top_k, the
penalties, seed and stop_sequences. See `cells` for the notation.
"""

from __future__ import annotations

from typing import Any

from support.params_notation import (
    GIVEN,
    INVALID,
    REFUSED,
    UNSENT,
    USER,
    Branches,
    Invalid,
    Row,
    Unsupported,
    everywhere,
)

NAN, INF = float("nan"), float("inf")


def only_openai(params: dict[str, Any]) -> Row:
    """A parameter that goes to OpenAI's format as it is, and that nobody else has."""
    return Row(params, GIVEN, GIVEN, REFUSED, REFUSED, REFUSED)


def neutral(params: dict[str, Any]) -> Row:
    """A value that asks for nothing: OpenAI's format has a word for it, the others are not told."""
    return Row(params, GIVEN, GIVEN, UNSENT, UNSENT, UNSENT)


def wrong(name: str, *values: Any) -> list[Row]:
    """Values nobody can mean."""
    return [everywhere({name: value}, INVALID) for value in values]


def of_anthropic(params: dict[str, Any], cell: Any, *, model: str | None = None) -> Row:
    """A call that means something to Anthropic only, or means it for one of its models."""
    return Row(params, None, None, cell, None, None, models={} if model is None else {"anthropic": model})


# --- sampling -------------------------------------------------------------------------------------------------------

SAMPLING = [
    everywhere({"temperature": None}, UNSENT),
    everywhere({"temperature": 0}, GIVEN),
    everywhere({"temperature": 0.7}, GIVEN),
    everywhere({"temperature": 1}, GIVEN),
    Row({"temperature": 1.01}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    Row({"temperature": 2}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    Row({"temperature": 2.5}, REFUSED, GIVEN, REFUSED, GIVEN, GIVEN, denied=("openrouter", "cohere")),
    Row({"temperature": 5.5}, REFUSED, GIVEN, REFUSED, GIVEN, REFUSED, denied=("openrouter", "cohere")),
    everywhere({"temperature": -0.1}, REFUSED),
    *wrong("temperature", "1", True, NAN, INF, [1]),
    everywhere({"top_p": None}, UNSENT),
    Row({"top_p": 0.5}, GIVEN, GIVEN, GIVEN, {"p": 0.5}, GIVEN),
    Row({"top_p": 0.01}, GIVEN, GIVEN, GIVEN, {"p": 0.01}, GIVEN),
    Row({"top_p": 0.99}, GIVEN, GIVEN, GIVEN, {"p": 0.99}, GIVEN),
    Row({"top_p": 0}, GIVEN, GIVEN, GIVEN, REFUSED, GIVEN),
    Row({"top_p": 1}, GIVEN, GIVEN, GIVEN, REFUSED, GIVEN),
    everywhere({"top_p": 1.01}, REFUSED),
    everywhere({"top_p": -0.01}, REFUSED),
    *wrong("top_p", "0.5", False, NAN),
    Row(
        {"temperature": 0.2, "top_p": 0.9},
        GIVEN,
        GIVEN,
        GIVEN,
        {"temperature": 0.2, "p": 0.9},
        GIVEN,
    ),
    # A newer version of Anthropic's API has no sampling parameters any more.
    of_anthropic({"temperature": 0.5, "api_version": "2026-10-21"}, Unsupported("temperature")),
    of_anthropic({"top_p": 0.5, "api_version": "2026-10-21"}, Unsupported("top_p")),
    of_anthropic({"temperature": 0.5, "api_version": "2023-06-01"}, {"temperature": 0.5}),
    Row({"seed": 0}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    Row({"seed": 7}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
    Row({"seed": -1}, GIVEN, GIVEN, REFUSED, GIVEN, REFUSED, denied=("cohere",)),
    *wrong("seed", 1.5, "7", True, 2**63),
]

PENALTIES = [
    row
    for name in ("presence_penalty", "frequency_penalty")
    for row in (
        # Zero is what Cohere assumes, and some of its models take one of the two only.
        Row({name: 0}, GIVEN, GIVEN, UNSENT, UNSENT, GIVEN),
        Row({name: 0.0}, GIVEN, GIVEN, UNSENT, UNSENT, GIVEN),
        Row({name: 0.5}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
        Row({name: 1}, GIVEN, GIVEN, REFUSED, GIVEN, GIVEN),
        Row({name: 1.5}, GIVEN, GIVEN, REFUSED, REFUSED, GIVEN),
        Row({name: -0.5}, GIVEN, GIVEN, REFUSED, REFUSED, GIVEN),
        Row({name: 2}, GIVEN, GIVEN, REFUSED, REFUSED, GIVEN),
        Row({name: -2}, GIVEN, GIVEN, REFUSED, REFUSED, GIVEN),
        everywhere({name: 2.1}, REFUSED),
        everywhere({name: -2.1}, REFUSED),
        *wrong(name, "high", True, NAN),
    )
]

BIAS = [
    neutral({"logit_bias": {}}),
    only_openai({"logit_bias": {"50256": -100}}),
    only_openai({"logit_bias": {"50256": 0}}),
    Row({"logit_bias": {50256: 100}}, {"logit_bias": {"50256": 100}}, {"logit_bias": {"50256": 100}}, *[REFUSED] * 3),
    everywhere({"logit_bias": {"5": 101}}, Invalid("logit_bias.5")),
    *wrong("logit_bias", [], "x", {"word": 1}),
]

# --- how many, how long, until when ---------------------------------------------------------------------------------

LENGTH = [
    everywhere({"n": None}, UNSENT),
    Row({"n": 1}, GIVEN, GIVEN, *[UNSENT] * 3),
    Row({"n": 3}, GIVEN, *[Branches(3)] * 4),
    Row({"n": 128}, GIVEN, None, None, None, None),
    Row({"n": 129}, REFUSED, None, None, None, None),
    *wrong("n", 0, -1, 2.0, "2", True, 1025),
    everywhere({"max_tokens": 5}, GIVEN),
    everywhere({"max_tokens": 1}, GIVEN),
    # Anthropic only reads the prompt into its cache then.
    Row({"max_tokens": 0}, REFUSED, REFUSED, GIVEN, GIVEN, REFUSED, denied=("cohere",)),
    *wrong("max_tokens", -1, 1.5, "5", True, 2**63),
    Row({"max_completion_tokens": 5}, GIVEN, GIVEN, *[{"max_tokens": 5}] * 3),
    Row({"max_completion_tokens": 1}, GIVEN, GIVEN, *[{"max_tokens": 1}] * 3),
    Row(
        {"max_completion_tokens": 0},
        REFUSED,
        REFUSED,
        {"max_tokens": 0},
        {"max_tokens": 0},
        REFUSED,
        denied=("cohere",),
    ),
    *wrong("max_completion_tokens", -1, 1.5, "5"),
    Row({"max_tokens": 9, "max_completion_tokens": 5}, GIVEN, GIVEN, *[{"max_tokens": 5}] * 3),
]

ABC = ["a", "b", "c", "d", "e", "f"]

STOPS = [
    everywhere({"stop": None}, UNSENT),
    Row({"stop": "END"}, GIVEN, GIVEN, *[{"stop_sequences": ["END"]}] * 2, {"stop_sequences": "END"}),
    Row({"stop": ["a", "b"]}, GIVEN, GIVEN, *[{"stop_sequences": ["a", "b"]}] * 2, {"stop_sequences": "a,b"}),
    Row(
        {"stop": ("a", "b")},
        {"stop": ["a", "b"]},
        {"stop": ["a", "b"]},
        *[{"stop_sequences": ["a", "b"]}] * 2,
        {"stop_sequences": "a,b"},
    ),
    Row({"stop": ABC[:4]}, GIVEN, GIVEN, *[{"stop_sequences": ABC[:4]}] * 2, {"stop_sequences": "a,b,c,d"}),
    Row({"stop": ABC[:5]}, REFUSED, REFUSED, *[{"stop_sequences": ABC[:5]}] * 2, {"stop_sequences": "a,b,c,d,e"}),
    Row({"stop": ABC}, REFUSED, REFUSED, {"stop_sequences": ABC}, REFUSED, {"stop_sequences": "a,b,c,d,e,f"}),
    # A model that wants its stops joined with commas cannot be told of one that holds a comma.
    Row({"stop": "a,b"}, GIVEN, GIVEN, *[{"stop_sequences": ["a,b"]}] * 2, REFUSED),
    Row({"stop": ["a", "b,c"]}, GIVEN, GIVEN, *[{"stop_sequences": ["a", "b,c"]}] * 2, REFUSED),
    # Anthropic refuses stop sequences of white space only.
    Row({"stop": "\n\n"}, GIVEN, GIVEN, REFUSED, {"stop_sequences": ["\n\n"]}, {"stop_sequences": "\n\n"}),
    Row({"stop": ["a", " "]}, GIVEN, GIVEN, REFUSED, {"stop_sequences": ["a", " "]}, {"stop_sequences": "a, "}),
    *wrong("stop", "", [], ["a", ""], 5, {"a": 1}),
    everywhere({"stop": ["a", 1]}, Invalid("stop[1]")),
]

# --- tools ----------------------------------------------------------------------------------------------------------

ADDING = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
NOTHING = {"type": "object", "properties": {}}
ADD = {"name": "add", "description": "Adds.", "parameters": ADDING}
NOW = {"name": "now"}

ADD_TOOL = {"type": "function", "function": ADD}
NOW_TOOL = {"type": "function", "function": NOW}
FULL_NOW_TOOL = {"type": "function", "function": {"name": "now", "parameters": NOTHING}}
"""Cohere requires a schema."""
ADD_NATIVE = {"name": "add", "description": "Adds.", "input_schema": ADDING}
NOW_NATIVE = {"name": "now", "input_schema": NOTHING}

ONE_AT_A_TIME = {"disable_parallel_tool_use": True}
"""The legacy form has room for one call."""
NAMED_ADD = {"type": "function", "function": {"name": "add"}}

NO_FUNCTIONS = Unsupported("functions")
NO_TOOLS = Unsupported("tools")

FUNCTIONS = [
    Row({"functions": []}, GIVEN, *[UNSENT] * 4),
    Row(
        {"functions": [ADD]},
        GIVEN,
        {"tools": [ADD_TOOL]},
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "auto"} | ONE_AT_A_TIME},
        {"tools": [ADD_TOOL]},
        REFUSED,
    ),
    Row(
        {"functions": [NOW]},
        GIVEN,
        {"tools": [NOW_TOOL]},
        {"tools": [NOW_NATIVE], "tool_choice": {"type": "auto"} | ONE_AT_A_TIME},
        {"tools": [FULL_NOW_TOOL]},
        REFUSED,
    ),
    Row(
        {"functions": [ADD], "function_call": "auto"},
        GIVEN,
        {"tools": [ADD_TOOL], "tool_choice": "auto"},
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "auto"} | ONE_AT_A_TIME},
        {"tools": [ADD_TOOL]},
        NO_FUNCTIONS,
    ),
    Row(
        {"functions": [ADD], "function_call": "none"},
        GIVEN,
        {"tools": [ADD_TOOL], "tool_choice": "none"},
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
        {"tools": [ADD_TOOL], "tool_choice": "NONE"},
        NO_FUNCTIONS,
    ),
    Row(
        {"functions": [ADD], "function_call": {"name": "add"}},
        GIVEN,
        {"tools": [ADD_TOOL], "tool_choice": NAMED_ADD},
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "tool", "name": "add"} | ONE_AT_A_TIME},
        {"tools": [ADD_TOOL], "tool_choice": "REQUIRED"},
        NO_FUNCTIONS,
    ),
    # Cohere cannot be told which one, but the only one it knows of is the one it calls.
    Row(
        {"functions": [ADD, NOW], "function_call": {"name": "now"}},
        GIVEN,
        {
            "tools": [ADD_TOOL, NOW_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "now"}},
        },
        {"tools": [ADD_NATIVE, NOW_NATIVE], "tool_choice": {"type": "tool", "name": "now"} | ONE_AT_A_TIME},
        {"tools": [FULL_NOW_TOOL], "tool_choice": "REQUIRED"},
        NO_FUNCTIONS,
    ),
    Row(
        {"functions": [NOW], "tools": [ADD_TOOL]},
        GIVEN,
        {"tools": [ADD_TOOL, NOW_TOOL]},
        {"tools": [ADD_NATIVE, NOW_NATIVE]},
        {"tools": [ADD_TOOL, FULL_NOW_TOOL]},
        NO_FUNCTIONS,
    ),
    # Nothing to choose from, and nothing is chosen.
    everywhere({"function_call": "auto"}, UNSENT),
    Row(
        {"function_call": "none"},
        GIVEN,
        {"tool_choice": "none"},
        UNSENT,
        UNSENT,
        REFUSED,
        denied=("openai", "azure", "openrouter"),
    ),
    everywhere({"function_call": "required"}, REFUSED),
    *wrong("function_call", 5, {"name": "add"}, {}),
    *wrong("functions", "add", {"name": "add"}),
    everywhere({"functions": [5]}, Invalid("functions[0]")),
    everywhere({"functions": [{"name": "two words"}]}, Invalid("functions[0].name")),
    everywhere({"functions": [NOW, NOW]}, Invalid("functions[1].name")),
    everywhere(
        {"functions": [{"name": "f", "parameters": {"type": "array"}}]}, Invalid("functions[0].parameters.type")
    ),
]


def strictly(tool: dict[str, Any], strict: bool) -> dict[str, Any]:
    """An OpenAI tool that says whether it is strict."""
    return {"type": "function", "function": {**tool["function"], "strict": strict}}


GRAMMAR = {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED_ADD]}}

TOOLS = [
    neutral({"tools": []}),
    Row({"tools": [ADD_TOOL]}, GIVEN, GIVEN, {"tools": [ADD_NATIVE]}, GIVEN, REFUSED),
    Row(
        {"tools": [ADD_TOOL, NOW_TOOL]},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE, NOW_NATIVE]},
        {"tools": [ADD_TOOL, FULL_NOW_TOOL]},
        REFUSED,
    ),
    Row(
        {"tools": [strictly(ADD_TOOL, True)]},
        GIVEN,
        GIVEN,
        {"tools": [{**ADD_NATIVE, "strict": True}]},
        {"tools": [ADD_TOOL], "strict_tools": True},
        REFUSED,
    ),
    Row(
        {"tools": [strictly(ADD_TOOL, False)]},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE]},
        {"tools": [ADD_TOOL]},
        REFUSED,
    ),
    Row(
        {"tools": [FULL_NOW_TOOL, strictly(ADD_TOOL, True)]},
        GIVEN,
        GIVEN,
        {"tools": [NOW_NATIVE, {**ADD_NATIVE, "strict": True}]},
        Unsupported("tools[1].function.strict", {"tools": [FULL_NOW_TOOL, ADD_TOOL]}),
        REFUSED,
    ),
    Row(
        {"tools": [GRAMMAR, ADD_TOOL]},
        GIVEN,
        GIVEN,
        Unsupported("tools[0]", {"tools": [ADD_NATIVE]}),
        Unsupported("tools[0]", {"tools": [ADD_TOOL]}),
        REFUSED,
    ),
    # A tool of the provider's own goes as it is, wherever that may lead.
    Row({"tools": [SEARCH]}, GIVEN, GIVEN, GIVEN, GIVEN, REFUSED, denied=("openai", "azure", "openrouter", "cohere")),
    *wrong("tools", "add", ADD_TOOL),
    everywhere({"tools": [5]}, Invalid("tools[0]")),
    everywhere({"tools": [{"type": "function"}]}, Invalid("tools[0].function")),
    everywhere({"tools": [NOW_TOOL, NOW_TOOL]}, Invalid("tools[1].function.name")),
]

CHOICES = [
    Row(
        {"tools": [ADD_TOOL], "tool_choice": "auto"},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "auto"}},
        {"tools": [ADD_TOOL]},
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL], "tool_choice": "none"},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
        {"tools": [ADD_TOOL], "tool_choice": "NONE"},
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL, FULL_NOW_TOOL], "tool_choice": "required"},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE, NOW_NATIVE], "tool_choice": {"type": "any"}},
        {"tools": [ADD_TOOL, FULL_NOW_TOOL], "tool_choice": "REQUIRED"},
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL, NOW_TOOL], "tool_choice": NAMED_ADD},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE, NOW_NATIVE], "tool_choice": {"type": "tool", "name": "add"}},
        {"tools": [ADD_TOOL], "tool_choice": "REQUIRED"},
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL], "tool_choice": ALLOWED},
        GIVEN,
        GIVEN,
        Unsupported("tool_choice", {"tools": [ADD_NATIVE]}),
        Unsupported("tool_choice", {"tools": [ADD_TOOL]}),
        NO_TOOLS,
    ),
    everywhere({"tool_choice": "auto"}, UNSENT),
    Row({"tool_choice": "none"}, GIVEN, GIVEN, UNSENT, UNSENT, REFUSED, denied=("openai", "azure", "openrouter")),
    everywhere({"tool_choice": "maybe"}, REFUSED),
    # Some servers' own word, which is nobody else's.
    everywhere({"tool_choice": "any"}, REFUSED),
    # Some servers' own form: a function is the only thing it can mean.
    Row(
        {"tools": [ADD_TOOL, NOW_TOOL], "tool_choice": {"function": {"name": "add"}}},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE, NOW_NATIVE], "tool_choice": {"type": "tool", "name": "add"}},
        {"tools": [ADD_TOOL], "tool_choice": "REQUIRED"},
        NO_TOOLS,
    ),
    *wrong("tool_choice", 5, NAMED_ADD),
    everywhere({"tool_choice": {}}, Invalid("tool_choice.type")),
    everywhere({"tool_choice": {"type": "function"}}, INVALID),
    neutral({"parallel_tool_calls": True}),
    Row({"parallel_tool_calls": False}, GIVEN, GIVEN, UNSENT, REFUSED, REFUSED),
    Row(
        {"tools": [ADD_TOOL], "parallel_tool_calls": True},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE]},
        {"tools": [ADD_TOOL]},
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL], "parallel_tool_calls": False},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "auto"} | ONE_AT_A_TIME},
        Unsupported("parallel_tool_calls", {"tools": [ADD_TOOL]}),
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "any"} | ONE_AT_A_TIME},
        Unsupported("parallel_tool_calls", {"tools": [ADD_TOOL], "tool_choice": "REQUIRED"}),
        NO_TOOLS,
    ),
    Row(
        {"tools": [ADD_TOOL], "tool_choice": "none", "parallel_tool_calls": False},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE], "tool_choice": {"type": "none"}},
        Unsupported("parallel_tool_calls", {"tools": [ADD_TOOL], "tool_choice": "NONE"}),
        NO_TOOLS,
    ),
    *wrong("parallel_tool_calls", "no", 0),
]

# --- the form of the answer -----------------------------------------------------------------------------------------

JSON = {"type": "json_object"}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY}}
CITY_FORMAT = {"format": {"type": "json_schema", "schema": CITY}}
CITY_OBJECT = {"type": "json_object", "json_schema": CITY}

FORMATS = [
    neutral({"response_format": {"type": "text"}}),
    Row({"response_format": JSON}, GIVEN, GIVEN, REFUSED, GIVEN, REFUSED),
    Row(
        {"response_format": SCHEMA},
        GIVEN,
        GIVEN,
        {"output_config": CITY_FORMAT},
        {"response_format": CITY_OBJECT},
        REFUSED,
    ),
    Row(
        {"response_format": SCHEMA, "tools": [ADD_TOOL]},
        GIVEN,
        GIVEN,
        {"output_config": CITY_FORMAT, "tools": [ADD_NATIVE]},
        Unsupported("response_format", {"tools": [ADD_TOOL]}),
        Unsupported("response_format"),
    ),
    Row(
        {"response_format": {"type": "text"}, "tools": [ADD_TOOL]},
        GIVEN,
        GIVEN,
        {"tools": [ADD_NATIVE]},
        {"tools": [ADD_TOOL]},
        NO_TOOLS,
    ),
    only_openai({"response_format": {"type": "grammar", "grammar": "root ::= 'a'"}}),
    *wrong("response_format", "json", []),
    everywhere({"response_format": {}}, Invalid("response_format.type")),
    everywhere({"response_format": {"type": "json_schema"}}, Invalid("response_format.json_schema")),
    everywhere(
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        Invalid("response_format.json_schema.schema"),
    ),
    neutral({"logprobs": False}),
    Row({"logprobs": True}, GIVEN, GIVEN, REFUSED, GIVEN, REFUSED),
    *wrong("logprobs", 1, "yes"),
    neutral({"top_logprobs": 0}),
    only_openai({"top_logprobs": 20}),
    Row({"top_logprobs": 21}, REFUSED, GIVEN, *[REFUSED] * 3, denied=("openrouter",)),
    Row(
        {"logprobs": True, "top_logprobs": 5},
        GIVEN,
        GIVEN,
        Unsupported("logprobs"),
        Unsupported("top_logprobs", {"logprobs": True}),
        Unsupported("logprobs"),
    ),
    *wrong("top_logprobs", -1, 1.0, True),
    neutral({"modalities": ["text"]}),
    only_openai({"modalities": ["text", "audio"]}),
    Row(
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        GIVEN,
        Unsupported("audio", {"modalities": ["text", "audio"]}),
        *[Unsupported("modalities")] * 3,
    ),
    *wrong("modalities", "text", {}),
    everywhere({"modalities": [1]}, Invalid("modalities[0]")),
    Row({"audio": {"voice": "alloy", "format": "wav"}}, GIVEN, *[REFUSED] * 4),
    *wrong("audio", "alloy"),
    only_openai({"verbosity": "low"}),
    *wrong("verbosity", 1),
    only_openai({"prediction": {"type": "content", "content": "Hi."}}),
    *wrong("prediction", "Hi."),
]

# --- thinking -------------------------------------------------------------------------------------------------------


def effort(word: str, budget: int) -> Row:
    """An effort, on Anthropic for a model that thinks by budget; its limit of 4096 tokens comes on top."""
    return Row(
        {"reasoning_effort": word},
        GIVEN,
        GIVEN,
        {"thinking": {"type": "enabled", "budget_tokens": budget}, "max_tokens": 4096 + budget},
        {"thinking": {"type": "enabled"}},
        REFUSED,
    )


def of_claude(model: str, params: dict[str, Any], cell: Any) -> Row:
    """The same parameter is said in another way to another model of Anthropic's."""
    return of_anthropic(params, cell, model=model)


ADAPTIVE = {"type": "adaptive"}
BUDGET = {"type": "enabled", "budget_tokens": 2048}

THINKING = [
    everywhere({"reasoning_effort": None}, UNSENT),
    Row({"reasoning_effort": "none"}, GIVEN, GIVEN, *[{"thinking": {"type": "disabled"}}] * 2, REFUSED),
    effort("minimal", 1024),
    effort("low", 1024),
    effort("medium", 2048),
    effort("high", 4096),
    effort("xhigh", 8192),
    effort("max", 16384),
    Row({"reasoning_effort": "ultra"}, GIVEN, GIVEN, *[REFUSED] * 3, denied=("openrouter",)),
    *wrong("reasoning_effort", 5, ["low"]),
    Row(
        {"reasoning_effort": "high", "max_tokens": 4097},
        GIVEN,
        GIVEN,
        {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 4097},
        {"thinking": {"type": "enabled"}, "max_tokens": 4097},
        Unsupported("reasoning_effort", {"max_tokens": 4097}),
    ),
    # The budget has to be smaller than the limit.
    Row(
        {"reasoning_effort": "high", "max_tokens": 4096},
        GIVEN,
        GIVEN,
        Invalid("reasoning_effort"),
        {"thinking": {"type": "enabled"}, "max_tokens": 4096},
        Unsupported("reasoning_effort", {"max_tokens": 4096}),
    ),
    of_claude(
        "claude-opus-4-7", {"reasoning_effort": "high"}, {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}
    ),
    of_claude(
        "claude-opus-4-7", {"reasoning_effort": "minimal"}, {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}
    ),
    of_claude("claude-opus-4-7", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    of_claude("claude-next-9", {"reasoning_effort": "max"}, {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
    of_claude(
        "claude-opus-4-7",
        {"reasoning_effort": "low", "response_format": SCHEMA},
        {"thinking": ADAPTIVE, "output_config": {"effort": "low", **CITY_FORMAT}},
    ),
    of_claude("claude-3-5-haiku-20241022", {"reasoning_effort": "high"}, REFUSED),
    of_claude("claude-3-5-haiku-20241022", {"reasoning_effort": "none"}, UNSENT),
    Row(
        {"thinking": BUDGET},
        REFUSED,
        REFUSED,
        {"thinking": BUDGET, "max_tokens": 6144},
        {"thinking": {"type": "enabled", "token_budget": 2048}},
        REFUSED,
    ),
    Row({"thinking": {"type": "disabled"}}, REFUSED, REFUSED, GIVEN, GIVEN, REFUSED),
    Row({"thinking": ADAPTIVE}, REFUSED, REFUSED, GIVEN, Unsupported("thinking.type"), REFUSED),
    # What is said in the provider's own words wins.
    Row(
        {"thinking": BUDGET, "reasoning_effort": "low"},
        Unsupported("thinking", {"reasoning_effort": "low"}),
        Unsupported("thinking", {"reasoning_effort": "low"}),
        {"thinking": BUDGET, "max_tokens": 6144},
        {"thinking": {"type": "enabled", "token_budget": 2048}},
        Unsupported("thinking", UNSENT),
    ),
    *wrong("thinking", True, "on"),
]

# --- streams --------------------------------------------------------------------------------------------------------

STREAMS = [
    everywhere({}, UNSENT, stream=True),
    everywhere({"stream_options": {"include_usage": True}}, INVALID),
    Row({"stream_options": {"include_usage": True}}, GIVEN, GIVEN, *[UNSENT] * 3, stream=True),
    Row({"stream_options": {"include_usage": False}}, GIVEN, GIVEN, *[UNSENT] * 3, stream=True),
    Row({"stream_options": {"include_obfuscation": False}}, GIVEN, GIVEN, *[UNSENT] * 3, stream=True),
    Row(
        {"stream_options": {"include_obfuscation": True}},
        GIVEN,
        GIVEN,
        *[Unsupported("stream_options.include_obfuscation")] * 3,
        stream=True,
    ),
    everywhere({"stream_options": True}, INVALID, stream=True),
    Row({"max_completion_tokens": 5}, GIVEN, GIVEN, *[{"max_tokens": 5}] * 3, stream=True),
]

# --- accounts, caches and the rest ----------------------------------------------------------------------------------

REST = [
    Row({"user": "u-1"}, GIVEN, GIVEN, {"metadata": {"user_id": "u-1"}}, REFUSED, REFUSED),
    *wrong("user", 5),
    Row({"service_tier": "auto"}, GIVEN, GIVEN, GIVEN, UNSENT, UNSENT),
    Row({"service_tier": "default"}, GIVEN, GIVEN, {"service_tier": "standard_only"}, REFUSED, REFUSED),
    Row({"service_tier": "standard"}, GIVEN, GIVEN, {"service_tier": "standard_only"}, REFUSED, REFUSED),
    Row({"service_tier": "standard_only"}, GIVEN, GIVEN, GIVEN, REFUSED, REFUSED),
    only_openai({"service_tier": "flex"}),
    *wrong("service_tier", 1),
    Row({"store": False}, GIVEN, *[UNSENT] * 4),
    Row({"store": True}, GIVEN, *[REFUSED] * 4),
    *wrong("store", "yes", 1),
    neutral({"metadata": {}}),
    only_openai({"metadata": {"job": "7"}}),
    *wrong("metadata", "job", ["job"]),
    only_openai({"prompt_cache_key": "k"}),
    *wrong("prompt_cache_key", 5),
    only_openai({"prompt_cache_retention": "24h"}),
    *wrong("prompt_cache_retention", 24),
    only_openai({"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}),
    *wrong("prompt_cache_options", "explicit"),
    only_openai({"safety_identifier": "s-1"}),
    *wrong("safety_identifier", 5),
    only_openai({"web_search_options": {"search_context_size": "low"}}),
    *wrong("web_search_options", True),
    only_openai({"moderation": {"model": "omni-moderation-latest"}}),
    *wrong("moderation", True),
    # Each asks for nothing; together they do so, too.
    Row(
        {
            "n": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "logit_bias": {},
            "logprobs": False,
            "store": False,
            "response_format": {"type": "text"},
            "parallel_tool_calls": True,
        },
        GIVEN,
        {
            "n": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "logit_bias": {},
            "logprobs": False,
            "response_format": {"type": "text"},
            "parallel_tool_calls": True,
        },
        UNSENT,
        UNSENT,
        {"presence_penalty": 0, "frequency_penalty": 0},
    ),
    # A field that only one provider has goes to it as it is.
    everywhere({"extra_body": {"top_k": 5}}, {"top_k": 5}, denied=("cohere",)),
    everywhere({"extra_body": {"model": "another"}}, Invalid("extra_body.model")),
]

# --- messages -------------------------------------------------------------------------------------------------------

BRIEF = {"role": "system", "content": "Be brief."}
KIND = {"role": "system", "content": "Be kind."}
TEXT = {"type": "text", "text": "Hi."}
PIXEL = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{PIXEL}"


def chat(*messages: Any, cells: tuple[Any, Any, Any, Any, Any], **options: Any) -> Row:
    """A row of messages and no parameter."""
    return Row({}, *cells, messages=list(messages), **options)


def image(url: Any) -> dict[str, Any]:
    """A question with an image."""
    return {"role": "user", "content": [TEXT, {"type": "image_url", "image_url": url}]}


def shown(source: dict[str, Any]) -> dict[str, Any]:
    """The same as Anthropic has it."""
    return {"messages": [{"role": "user", "content": [TEXT, {"type": "image", "source": source}]}]}


def file(**ref: Any) -> dict[str, Any]:
    """A question with a file."""
    return {"role": "user", "content": [TEXT, {"type": "file", "file": ref}]}


ONLY_TEXT = {"messages": [{"role": "user", "content": [TEXT]}]}
ASKED = {"role": "user", "content": "1+1?"}
FUNCTION = {"name": "add", "arguments": '{"a":1}'}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": FUNCTION}]}
TOLD = {"role": "tool", "tool_call_id": "c1", "content": "2"}
LEGACY_CALLED = {"role": "assistant", "content": None, "function_call": FUNCTION}
LEGACY_TOLD = {"role": "function", "name": "add", "content": "2"}
AUDIO = {"role": "user", "content": [TEXT, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}
NO_PART = Unsupported("messages[0].content[1]")


def tool_use(call_id: str) -> dict[str, Any]:
    """A call and its result as Anthropic has them."""
    return {
        "messages": [
            ASKED,
            {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "2"}]},
        ]
    }


def tool_calls(call_id: str, **said: Any) -> dict[str, Any]:
    """A call and its result in OpenAI's and Cohere's form."""
    call = {"id": call_id, "type": "function", "function": FUNCTION}
    return {
        "messages": [
            ASKED,
            {"role": "assistant", **said, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": "2"},
        ]
    }


MESSAGES = [
    chat(USER, cells=(GIVEN, GIVEN, GIVEN, GIVEN, UNSENT)),
    chat(
        BRIEF,
        USER,
        cells=(GIVEN, GIVEN, {"system": "Be brief.", "messages": [USER]}, GIVEN, {"system_prompt": "Be brief."}),
    ),
    chat(
        {"role": "developer", "content": "Be brief."},
        USER,
        cells=(
            GIVEN,
            GIVEN,
            {"system": "Be brief."},
            {"messages": [BRIEF, USER]},
            {"system_prompt": "Be brief."},
        ),
    ),
    chat(
        BRIEF,
        KIND,
        USER,
        cells=(
            GIVEN,
            GIVEN,
            {"system": "Be brief.\n\nBe kind."},
            {"messages": [{"role": "system", "content": "Be brief.\n\nBe kind."}, USER]},
            {"system_prompt": "Be brief.\n\nBe kind."},
        ),
    ),
    chat(USER, BRIEF, cells=(GIVEN, GIVEN, *[Unsupported("messages[1].role")] * 3)),
    chat(
        USER,
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye."},
        cells=(
            GIVEN,
            GIVEN,
            GIVEN,
            GIVEN,
            {"prompt": "User: Hi.\n\nAssistant: Hello.\n\nUser: Bye.\n\nAssistant:"},
        ),
    ),
    # A name has a place in OpenAI's format only.
    chat(USER | {"name": "ann"}, cells=(GIVEN, GIVEN, *[Unsupported("messages[0].name")] * 3)),
    chat(
        BRIEF | {"name": "rules"},
        USER,
        cells=(
            GIVEN,
            GIVEN,
            Unsupported("messages[0].name", {"system": "Be brief."}),
            Unsupported("messages[0].name", {"messages": [BRIEF, USER]}),
            Unsupported("messages[0].name", {"system_prompt": "Be brief."}),
        ),
    ),
    chat({"role": "user", "content": [TEXT]}, cells=(GIVEN, GIVEN, GIVEN, GIVEN, UNSENT)),
    chat(
        image({"url": "https://example.com/a.png"}),
        cells=(
            GIVEN,
            GIVEN,
            shown({"type": "url", "url": "https://example.com/a.png"}),
            GIVEN,
            NO_PART,
        ),
    ),
    chat(
        image({"url": PNG}),
        cells=(GIVEN, GIVEN, shown({"type": "base64", "media_type": "image/png", "data": PIXEL}), GIVEN, NO_PART),
    ),
    # Nothing is fetched here, and Anthropic fetches https only.
    chat(
        image({"url": "http://example.com/a.png"}),
        cells=(GIVEN, GIVEN, Unsupported("messages[0].content[1].image_url.url", ONLY_TEXT), GIVEN, NO_PART),
    ),
    chat(
        image({"url": "https://example.com/a.png", "detail": "auto"}),
        cells=(GIVEN, GIVEN, shown({"type": "url", "url": "https://example.com/a.png"}), GIVEN, NO_PART),
    ),
    chat(
        image({"url": "https://example.com/a.png", "detail": "high"}),
        cells=(
            GIVEN,
            GIVEN,
            Unsupported(
                "messages[0].content[1].image_url.detail", shown({"type": "url", "url": "https://example.com/a.png"})
            ),
            GIVEN,
            NO_PART,
        ),
    ),
    chat(
        image("https://example.com/a.png"),
        cells=(
            GIVEN,
            GIVEN,
            shown({"type": "url", "url": "https://example.com/a.png"}),
            {"messages": [image({"url": "https://example.com/a.png"})]},
            NO_PART,
        ),
    ),
    chat(
        AUDIO,
        cells=(
            GIVEN,
            GIVEN,
            Unsupported("messages[0].content[1]", ONLY_TEXT),
            Unsupported("messages[0].content[1]", ONLY_TEXT),
            NO_PART,
        ),
    ),
    chat(
        file(file_data="data:application/pdf;base64,JVBERg==", filename="a.pdf"),
        cells=(
            GIVEN,
            GIVEN,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            TEXT,
                            {
                                "type": "document",
                                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                                "title": "a.pdf",
                            },
                        ],
                    }
                ]
            },
            Unsupported("messages[0].content[1]", ONLY_TEXT),
            NO_PART,
        ),
    ),
    chat(
        file(file_id="file-1"),
        cells=(
            GIVEN,
            GIVEN,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [TEXT, {"type": "document", "source": {"type": "file", "file_id": "file-1"}}],
                    }
                ]
            },
            Unsupported("messages[0].content[1]", ONLY_TEXT),
            NO_PART,
        ),
    ),
    chat(
        ASKED,
        CALLED,
        TOLD,
        cells=(
            GIVEN,
            GIVEN,
            tool_use("c1"),
            tool_calls("c1"),
            Unsupported("messages[1].tool_calls", {"prompt": "1+1?"}),
        ),
    ),
    # The legacy form has no ids; a call and its result get one of their own, the same for both.
    chat(
        ASKED,
        LEGACY_CALLED,
        LEGACY_TOLD,
        cells=(
            GIVEN,
            tool_calls("call_1_add", content=None),
            tool_use("function_call_1"),
            tool_calls("function_call_1"),
            Unsupported("messages[1].function_call", {"prompt": "1+1?"}),
        ),
    ),
    # A result that answers nothing.
    chat(
        ASKED,
        LEGACY_TOLD,
        cells=(
            GIVEN,
            {"messages": [ASKED, {"role": "tool", "tool_call_id": "call_1_add", "content": "2"}]},
            Invalid("messages[1].name"),
            Invalid("messages[1].name"),
            Unsupported("messages[1].role", {"prompt": "1+1?"}),
        ),
        denied=("openrouter",),
    ),
    # Members that nobody here knows go along; Anthropic's cache marks stand on blocks.
    chat(
        USER | {"cache_control": {"type": "ephemeral"}},
        cells=(
            GIVEN,
            GIVEN,
            {"messages": [{"role": "user", "content": [TEXT | {"cache_control": {"type": "ephemeral"}}]}]},
            GIVEN,
            UNSENT,
        ),
        denied=("cohere",),
    ),
    chat(
        {"role": "user"},
        cells=(*[Invalid("messages[0].content")] * 5,),
    ),
    chat({"content": "Hi."}, cells=(*[Invalid("messages[0].role")] * 5,)),
    chat({"role": "user", "content": 5}, cells=(*[Invalid("messages[0].content")] * 5,)),
    chat({"role": "user", "content": [{"text": "Hi."}]}, cells=(*[Invalid("messages[0].content[0].type")] * 5,)),
    chat(image({}), cells=(*[Invalid("messages[0].content[1].image_url.url")] * 5,)),
    chat(USER, 5, cells=(*[Invalid("messages[1]")] * 5,)),
    chat(cells=(*[Invalid("messages")] * 5,)),
]

ROWS: list[Row] = [
    *SAMPLING,
    *PENALTIES,
    *BIAS,
    *LENGTH,
    *STOPS,
    *FUNCTIONS,
    *TOOLS,
    *CHOICES,
    *FORMATS,
    *THINKING,
    *STREAMS,
    *REST,
    *MESSAGES,
]
