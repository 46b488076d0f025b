"""Encoding of requests for Replicate: a chat request and a model's schema → the exact URL and body."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion.dialects.base import Dialect, Prerequisite, Target
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.errors import InvalidRequestError, UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.options import OnUnsupported
from anycompletion.records import PARAM_NAMES, AssistantMessage, ChatRequest, CustomMessage, UserMessage
from anycompletion.validation.request_checks import build_request

BASE = "https://api.replicate.com"
MODEL = "meta/llama"
HEX = "0123456789abcdef" * 4
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
UNKNOWN = "the model's input schema is not known: only prompt, system_prompt and max_tokens are sent"

LLAMA: dict[str, Any] = {
    "prompt": {"type": "string", "title": "Prompt"},
    "system_prompt": {"type": "string", "default": "You are a helpful assistant."},
    "min_tokens": {"type": "integer"},
    "max_tokens": {"type": "integer", "default": 512},
    "temperature": {"type": "number", "minimum": 0, "maximum": 5},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "top_k": {"type": "integer"},
    "presence_penalty": {"type": "number"},
    "frequency_penalty": {"type": "number"},
    "seed": {"type": "integer", "nullable": True},
    "stop_sequences": {"type": "string"},
}
GPT: dict[str, Any] = {
    "prompt": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "messages": {"type": "array", "items": {"type": "object"}},
    "system_prompt": {"type": "string"},
    "image_input": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "verbosity": {"allOf": [{"$ref": "#/components/schemas/verbosity"}], "default": "medium"},
    "reasoning_effort": {"$ref": "#/components/schemas/reasoning_effort"},
    "max_completion_tokens": {"type": "integer", "nullable": True},
}
CLAUDE: dict[str, Any] = {
    "prompt": {"type": "string"},
    "system_prompt": {"type": "string"},
    "image": {"type": "string", "format": "uri", "nullable": True},
    "max_tokens": {"type": "integer", "minimum": 1024, "maximum": 64000},
    "extended_thinking": {"type": "boolean"},
}
SEER: dict[str, Any] = {"prompt": {"type": "string"}, "image_input": {"type": "array"}}
BARE: dict[str, Any] = {"prompt": {"type": "string"}}


def schema(fields: Any) -> dict[str, Any]:
    """The members of a version's description that are read."""
    words = {
        "verbosity": {"enum": ["low", "medium", "high"], "type": "string"},
        "reasoning_effort": {"enum": ["none", "low", "medium", "high"], "type": "string"},
        "circle": {"allOf": [{"$ref": "#/components/schemas/circle"}]},
    }
    schemas = {"Input": {"type": "object", "title": "Input", "properties": fields}, **words}
    return {"id": HEX, "openapi_schema": {"openapi": "3.0.2", "components": {"schemas": schemas}}}


def described(fields: Any, **members: Any) -> dict[str, Any]:
    return {"owner": "meta", "name": "llama", "latest_version": schema(fields), **members}


def send(
    messages: Any,
    fields: Any = LLAMA,
    *,
    model: str = MODEL,
    known: dict[str, Any] | None = None,
    policy: OnUnsupported = "raise",
    stream: bool = False,
    path: str | None = None,
    extra_body: dict[str, Any] | None = None,
    **params: Any,
) -> HttpRequest:
    request = build_request(model, messages, params)
    request.extra_body = extra_body
    target = Target(provider="replicate", model=model, base_url=BASE, stream=stream, on_unsupported=policy, path=path)
    known = {f"schema:{model}": described(fields)} if known is None else known
    sent = DIALECT.encode(request, target, known)
    assert isinstance(sent, HttpRequest)
    return sent


def values(messages: Any = "Hi", fields: Any = LLAMA, **options: Any) -> dict[str, Any]:
    """The model's input."""
    sent = send(messages, fields, **options)
    assert sent.body is not None
    found: dict[str, Any] = sent.body["input"]
    return found


def parameters(fields: Any, **params: Any) -> dict[str, Any]:
    """The model's input without the question that all tests ask."""
    found = values("Hi", fields, **params)
    assert found.pop("messages", [USER]) == [USER]
    assert found.pop("prompt", "Hi") == "Hi"
    return found


def ask(model: str, known: dict[str, Any]) -> HttpRequest | Prerequisite:
    target = Target(provider="replicate", model=model, base_url=BASE)
    return DIALECT.encode(ChatRequest(model, [UserMessage("Hi")]), target, known)


def refused(*args: Any, **options: Any) -> str:
    """The parameter that a refusal names; it is dropped with a warning under "warn" and silently under "drop".

    Content is refused under each policy, and late instructions are moved to the front.
    """
    with pytest.raises(UnsupportedParameterError) as caught:
        send(*args, **options)
    param = caught.value.param
    assert param is not None
    if "first message only" in caught.value.message:
        for policy in ("warn", "drop"):
            warnings = send(*args, policy=policy, **options).warnings
            assert any(text.startswith(f"{param} moved to the front") for text in warnings)
        return param
    if param.startswith("messages[") and not param.endswith((".name", ".detail")):
        for policy in ("warn", "drop"):
            with pytest.raises(UnsupportedParameterError):
                send(*args, policy=policy, **options)
        return param
    assert any(text.startswith(f"{param} dropped") for text in send(*args, policy="warn", **options).warnings)
    assert not any("dropped" in text for text in send(*args, policy="drop", **options).warnings)
    return param


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_complete_request():
    """A plain question would be sent to the wrong URL, with a wrong body, or without ``Prefer: wait``."""
    request = send([SYSTEM, USER], max_tokens=5)
    assert request.method == "POST"
    assert request.url == "https://api.replicate.com/v1/models/meta/llama/predictions"
    assert request.headers == {"Prefer": "wait=60"}
    assert request.body == {"input": {"system_prompt": "Be brief.", "prompt": "Hi", "max_tokens": 5}}
    assert request.authenticated
    assert request.warnings == []


def test_a_stream_is_requested_outside_the_input():
    """`stream` would be sent to the model, or the response would wait for the end of the stream."""
    request = send("Hi", stream=True, stream_options={"include_usage": True})
    assert request.body == {"stream": True, "input": {"prompt": "Hi"}}
    assert request.headers == {}


def test_unsupported_stream_options():
    """An option of OpenAI's streams would be ignored silently."""
    assert refused("Hi", stream=True, stream_options={"include_obfuscation": True}) == (
        "stream_options.include_obfuscation"
    )


def test_the_path_of_a_row():
    """A gateway's own path would be ignored."""
    assert send("Hi", path="/replicate/run").url == "https://api.replicate.com/replicate/run"


def test_the_module_is_a_dialect():
    """A missing function would be found only in a call to Replicate."""
    as_dialect: Dialect = DIALECT
    assert as_dialect.name == "replicate_predictions"
    assert callable(as_dialect.decoder)
    assert callable(as_dialect.error)


def test_every_parameter_has_support():
    """A parameter without an entry would be sent unchanged, to models that do not have it."""
    assert set(DIALECT.params) == set(PARAM_NAMES)


def test_unsupported_parameters_have_a_reason():
    """A refusal would not contain its reason."""
    assert all(cell.note for cell in DIALECT.params.values() if cell.support == "unsupported")


def test_parameters_that_no_model_has_are_refused():
    """Tools would be accepted and never called."""
    by_support = {name for name, cell in DIALECT.params.items() if cell.support == "unsupported"}
    assert by_support >= {
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "response_format",
        "logprobs",
        "logit_bias",
        "user",
    }
    assert DIALECT.params["n"].support == "fanned_out"
    assert DIALECT.params["stream_options"].support == "mapped"


def test_a_text_as_messages():
    """A request record with a text for messages would raise an internal error."""
    target = Target(provider="replicate", model=MODEL, base_url=BASE)
    request = DIALECT.encode(ChatRequest(MODEL, "Hi"), target, {f"schema:{MODEL}": None})
    assert isinstance(request, HttpRequest)
    assert request.body == {"input": {"prompt": "Hi"}}


# --- references -------------------------------------------------------------------------------------------------------

DEPLOYED = {"owner": "acme", "name": "chat", "current_release": {"model": "meta/llama", "version": HEX}}
UNOFFICIAL = described(LLAMA, is_official=False)

REFERENCES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("meta/llama", {"schema:meta/llama": described(LLAMA)}, "/v1/models/meta/llama/predictions", None),
    (
        "meta/llama",
        {"schema:meta/llama": described(LLAMA, is_official=True)},
        "/v1/models/meta/llama/predictions",
        None,
    ),
    ("meta/llama", {"schema:meta/llama": UNOFFICIAL}, "/v1/predictions", HEX),
    (
        "meta/llama",
        {"schema:meta/llama": {"is_official": False, "latest_version": None}},
        "/v1/models/meta/llama/predictions",
        None,
    ),
    ("meta/llama", {"schema:meta/llama": None}, "/v1/models/meta/llama/predictions", None),
    (f"meta/llama-2.1_x:{HEX}", {f"schema:meta/llama-2.1_x:{HEX}": schema(LLAMA)}, "/v1/predictions", HEX),
    (HEX, {}, "/v1/predictions", HEX),
    (HEX.upper(), {}, "/v1/predictions", HEX.upper()),
    (
        "deployments/acme/chat",
        {"schema:deployments/acme/chat": DEPLOYED, f"schema:meta/llama:{HEX}": schema(LLAMA)},
        "/v1/deployments/acme/chat/predictions",
        None,
    ),
    ("deployments/acme/chat", {"schema:deployments/acme/chat": None}, "/v1/deployments/acme/chat/predictions", None),
    ("deployments/acme", {"schema:deployments/acme": None}, "/v1/models/deployments/acme/predictions", None),
]


@pytest.mark.parametrize(("model", "known", "path", "version"), REFERENCES)
def test_references(model: str, known: dict[str, Any], path: str, version: str | None):
    """A model would be run at an endpoint that it does not have, or in another version."""
    request = ask(model, known)
    assert isinstance(request, HttpRequest)
    assert request.url == BASE + path
    assert request.body == {"input": {"prompt": "Hi"}} | ({} if version is None else {"version": version})


NEEDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("meta/llama", {}, "schema:meta/llama", "/v1/models/meta/llama"),
    (f"meta/llama:{HEX}", {}, f"schema:meta/llama:{HEX}", f"/v1/models/meta/llama/versions/{HEX}"),
    ("deployments/acme/chat", {}, "schema:deployments/acme/chat", "/v1/deployments/acme/chat"),
    (
        "deployments/acme/chat",
        {"schema:deployments/acme/chat": DEPLOYED},
        f"schema:meta/llama:{HEX}",
        f"/v1/models/meta/llama/versions/{HEX}",
    ),
]


@pytest.mark.parametrize(("model", "known", "key", "path"), NEEDS)
def test_the_description_is_fetched_first(model: str, known: dict[str, Any], key: str, path: str):
    """The wrong description would be fetched, or cached under another model's name."""
    need = ask(model, known)
    assert isinstance(need, Prerequisite)
    assert need.key == key
    assert (need.request.method, need.request.url, need.request.body) == ("GET", BASE + path, None)
    assert need.request.authenticated


BAD_REFERENCES = [
    "",
    "llama",
    "/",
    "meta/",
    "/llama",
    "meta/../llama",
    "meta/..",
    "./llama",
    "meta/llama/predictions",
    "meta/llama?x=1",
    "meta/llama#x",
    "meta/lla ma",
    "meta/llama\n",
    "meta/llamä",
    "meta%2fllama/x",
    "meta\\llama/x",
    "meta/llama:",
    "meta/llama:latest",
    f"meta/llama:{HEX}0",
    f"meta/llama:{HEX}/x",
    f"deployments/acme/chat:{HEX}",
    "deployments/acme/..",
    "deployments//chat",
    HEX[:-1],
    "@evil.com/x",
]


@pytest.mark.parametrize("model", BAD_REFERENCES)
def test_invalid_references(model: str):
    """A model's name could change the URL, and so the host that receives the key."""
    with pytest.raises(InvalidRequestError) as caught:
        ask(model, {})
    assert caught.value.param == "model"


@given(st.text(alphabet="ab/.:%?#@\\0123456789abcdef-_ \n", max_size=12))
def test_a_name_stays_in_its_path_segment(model: str):
    """Some name would change the rest of the URL."""
    try:
        need = ask(model, {})
    except InvalidRequestError:
        return
    assert isinstance(need, Prerequisite)
    assert need.request.url.startswith((f"{BASE}/v1/models/", f"{BASE}/v1/deployments/"))
    assert "/../" not in f"{need.request.url}/"
    assert not set(need.request.url.removeprefix(BASE)) & set("?#@\\% \n:")


STRANGE_DESCRIPTIONS: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"latest_version": []},
    {"latest_version": {"openapi_schema": {"components": {"schemas": {"Input": None}}}}},
    {"latest_version": {"openapi_schema": {"components": {"schemas": []}}}},
    described({}),
    described([]),
    described("prompt"),
]


@pytest.mark.parametrize("description", STRANGE_DESCRIPTIONS)
@pytest.mark.parametrize("model", [MODEL, f"meta/llama:{HEX}", "deployments/acme/chat"])
def test_descriptions_that_cannot_be_read(model: str, description: Any):
    """An invalid description would make a model unusable, or raise an undocumented exception."""
    request = send([SYSTEM, USER], model=model, known={f"schema:{model}": description}, max_tokens=3)
    assert request.body is not None
    assert request.body["input"] == {"system_prompt": "Be brief.", "prompt": "Hi", "max_tokens": 3}
    assert request.warnings == [UNKNOWN]


STRANGE_RELEASES: list[Any] = [
    None,
    [],
    {"model": "meta/llama"},
    {"model": 1, "version": HEX},
    {"model": "../x", "version": HEX},
    {"model": "meta/llama", "version": "latest"},
    {"model": "a/b", "version": "../.."},
]


@pytest.mark.parametrize("release", STRANGE_RELEASES)
def test_releases_that_cannot_be_read(release: Any):
    """Unchecked text of a deployment's description would become part of a URL."""
    known = {"schema:deployments/acme/chat": {"current_release": release}}
    assert send("Hi", model="deployments/acme/chat", known=known).warnings == [UNKNOWN]


def test_unknown_schemas_have_no_other_fields():
    """A temperature would be sent to a model that may not have one."""
    with pytest.raises(UnsupportedParameterError, match="as far as is known") as caught:
        send("Hi", known={f"schema:{MODEL}": None}, temperature=1)
    assert caught.value.param == "temperature"


def test_circular_schemas():
    """A schema that refers to itself would recurse without end."""
    circle = {"allOf": [{"$ref": "#/components/schemas/circle"}], "oneOf": [{"$ref": "#/components/schemas/gone"}, 7]}
    assert parameters({"prompt": {"type": "string"}, "seed": circle}, seed=3) == {"seed": 3}


# --- parameters -------------------------------------------------------------------------------------------------------

PARAMETERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (LLAMA, {"temperature": 0}, {"temperature": 0}),
    (LLAMA, {"temperature": 5, "top_p": 0.9}, {"temperature": 5, "top_p": 0.9}),
    (LLAMA, {"seed": 7}, {"seed": 7}),
    (LLAMA, {"presence_penalty": 0.5, "frequency_penalty": 0}, {"presence_penalty": 0.5, "frequency_penalty": 0}),
    (BARE, {"presence_penalty": 0, "frequency_penalty": 0}, {}),
    (LLAMA, {"max_tokens": 7}, {"max_tokens": 7}),
    (LLAMA, {"max_completion_tokens": 7}, {"max_tokens": 7}),
    (LLAMA, {"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}),
    (GPT, {"max_tokens": 7}, {"max_completion_tokens": 7}),
    (LLAMA | GPT, {"max_tokens": 7}, {"max_completion_tokens": 7}),
    ({**BARE, "max_new_tokens": {}, "max_length": {}}, {"max_tokens": 7}, {"max_new_tokens": 7}),
    ({**BARE, "max_length": {}}, {"max_tokens": 7}, {"max_length": 7}),
    (CLAUDE, {"max_tokens": 1024}, {"max_tokens": 1024}),
    (LLAMA, {"stop": "END"}, {"stop_sequences": "END"}),
    (LLAMA, {"stop": ["a", " b"]}, {"stop_sequences": "a, b"}),
    ({**BARE, "stop": {"type": "array"}}, {"stop": ["a", ","]}, {"stop": ["a", ","]}),
    (GPT, {"reasoning_effort": "low", "verbosity": "high"}, {"reasoning_effort": "low", "verbosity": "high"}),
    (LLAMA, {"extra_body": {"top_k": 5, "prompt_template": "{prompt}"}}, {"top_k": 5, "prompt_template": "{prompt}"}),
    (LLAMA, {"max_tokens": 7, "extra_body": {"max_tokens": 9}}, {"max_tokens": 9}),
]


@pytest.mark.parametrize(("fields", "params", "expected"), PARAMETERS)
def test_parameters(fields: dict[str, Any], params: dict[str, Any], expected: dict[str, Any]):
    """A parameter would be dropped, or sent under a name that the model does not have."""
    assert parameters(fields, **params) == expected


BOUNDS = {
    **BARE,
    "temperature": {"minimum": 0, "exclusiveMinimum": True, "maximum": 2, "exclusiveMaximum": True},
    "top_p": {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "seed": {"minimum": True, "maximum": "9"},
    "presence_penalty": {"anyOf": [{"type": "number", "maximum": 1}, {"type": "null"}]},
}
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (BARE, {"temperature": 1}, "temperature"),
    (BARE, {"top_p": 1}, "top_p"),
    (BARE, {"seed": 1}, "seed"),
    (BARE, {"presence_penalty": 0.1}, "presence_penalty"),
    (BARE, {"frequency_penalty": -1}, "frequency_penalty"),
    (BARE, {"max_tokens": 1}, "max_tokens"),
    (BARE, {"max_completion_tokens": 1}, "max_completion_tokens"),
    (BARE, {"stop": "x"}, "stop"),
    (BARE, {"reasoning_effort": "low"}, "reasoning_effort"),
    (BARE, {"verbosity": "low"}, "verbosity"),
    (LLAMA, {"stop": ["a", "b,c"]}, "stop"),
    (LLAMA, {"temperature": 5.1}, "temperature"),
    (LLAMA, {"temperature": -0.1}, "temperature"),
    (CLAUDE, {"max_tokens": 1023}, "max_tokens"),
    (CLAUDE, {"max_completion_tokens": 64001}, "max_completion_tokens"),
    (GPT, {"reasoning_effort": "minimal"}, "reasoning_effort"),
    (GPT, {"verbosity": "loud"}, "verbosity"),
    (BOUNDS, {"temperature": 0}, "temperature"),
    (BOUNDS, {"temperature": 2}, "temperature"),
    (BOUNDS, {"presence_penalty": 1.1}, "presence_penalty"),
    (BOUNDS, {"top_p": 0}, "top_p"),
    (BOUNDS, {"top_p": 1}, "top_p"),
]


@pytest.mark.parametrize(("fields", "params", "param"), REFUSED)
def test_refused_parameters(fields: dict[str, Any], params: dict[str, Any], param: str):
    """A value that the model does not accept would be sent, changed, or dropped silently."""
    assert refused("Hi", fields, **params) == param
    assert parameters(fields, policy="drop", **params) == {}


def test_bounds_that_are_not_numbers():
    """An invalid schema would refuse values that the model accepts."""
    assert parameters(BOUNDS, temperature=1, top_p=0.5, seed=10**6) == {"temperature": 1, "top_p": 0.5, "seed": 10**6}


def test_two_limits_are_reported():
    """One of two limits would be dropped silently."""
    request = send("Hi", max_completion_tokens=7, max_tokens=9)
    assert request.warnings == ["max_tokens left out: max_completion_tokens was given too, and wins"]


# --- extra_body -------------------------------------------------------------------------------------------------------


def test_members_outside_the_input():
    """A webhook would be sent to the model instead of to Replicate."""
    hooks = {"webhook": "https://x.example/hook", "webhook_events_filter": ["completed"]}
    request = send("Hi", extra_body={**hooks, "top_k": 3})
    assert request.body == {**hooks, "input": {"prompt": "Hi", "top_k": 3}}
    assert request.url == f"{BASE}/v1/models/meta/llama/predictions"


def test_a_version_in_extra_body():
    """The requested version would be sent to an endpoint that runs another one."""
    request = send("Hi", extra_body={"version": HEX})
    assert request.body == {"version": HEX, "input": {"prompt": "Hi"}}
    assert request.url == f"{BASE}/v1/predictions"
    request = send("Hi", model=f"meta/llama:{HEX}", extra_body={"version": "f" * 64})
    assert request.body == {"version": "f" * 64, "input": {"prompt": "Hi"}}


def test_a_prompt_in_extra_body():
    """A template for one model could not be used, because the messages would win."""
    assert values([SYSTEM, USER, ANSWER, USER], GPT, extra_body={"prompt": "<s>Hi"}) == {
        "system_prompt": "Be brief.",
        "prompt": "<s>Hi",
    }


def test_extra_body_is_not_changed():
    """A caller's dict would lose its members after the first call."""
    extra = {"version": HEX, "webhook": "https://x.example", "top_k": 1}
    send("Hi", extra_body=extra)
    assert extra == {"version": HEX, "webhook": "https://x.example", "top_k": 1}


# --- messages ---------------------------------------------------------------------------------------------------------

DATA_URL = "data:image/png;base64,aGk="
IMAGE = {"type": "image_url", "image_url": {"url": DATA_URL}}
WEB_IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "auto"}}
TEXT = {"type": "text", "text": "See."}


def shown(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


PROMPTS: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("raw", [USER], LLAMA, {"prompt": "Hi"}),
    ("spaces", [{"role": "user", "content": " \nUser: x "}], LLAMA, {"prompt": " \nUser: x "}),
    ("system", [SYSTEM, USER], LLAMA, {"system_prompt": "Be brief.", "prompt": "Hi"}),
    (
        "two of them",
        [SYSTEM, {"role": "developer", "content": "Be kind."}, USER],
        LLAMA,
        {"system_prompt": "Be brief.\n\nBe kind.", "prompt": "Hi"},
    ),
    ("system without a field", [SYSTEM, USER], BARE, {"prompt": "Be brief.\n\nHi"}),
    ("empty system", [{"role": "system", "content": ""}, USER], BARE, {"prompt": "Hi"}),
    ("turns", [USER, ANSWER, USER], LLAMA, {"prompt": "User: Hi\n\nAssistant: Hello\n\nUser: Hi\n\nAssistant:"}),
    ("to go on with", [USER, ANSWER], LLAMA, {"prompt": "User: Hi\n\nAssistant: Hello"}),
    ("two of a kind", [USER, USER], LLAMA, {"prompt": "User: Hi\n\nUser: Hi\n\nAssistant:"}),
    ("an answer alone", [ANSWER], LLAMA, {"prompt": "Assistant: Hello"}),
    (
        "system and turns without a field",
        [SYSTEM, USER, ANSWER, USER],
        BARE,
        {"prompt": "Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Hi\n\nAssistant:"},
    ),
    ("parts", [shown(TEXT, {"type": "text", "text": "Now."})], LLAMA, {"prompt": "See.\n\nNow."}),
    (
        "a refusal",
        [USER, shown({"type": "refusal", "refusal": "No."}, role="assistant")],
        BARE,
        {"prompt": "User: Hi\n\nAssistant: No."},
    ),
    ("one image", [shown(TEXT, IMAGE)], CLAUDE, {"prompt": "See.", "image": DATA_URL}),
    (
        "images",
        [shown(IMAGE, TEXT, WEB_IMAGE)],
        SEER,
        {"prompt": "See.", "image_input": [DATA_URL, "https://x.example/a.png"]},
    ),
    (
        "images of any field",
        [shown(IMAGE, TEXT)],
        {**BARE, "image_input": {}},
        {"prompt": "See.", "image_input": [DATA_URL]},
    ),
    (
        "images of several turns",
        [shown(TEXT, IMAGE), ANSWER, shown(TEXT, IMAGE)],
        SEER,
        {"prompt": "User: See.\n\nAssistant: Hello\n\nUser: See.\n\nAssistant:", "image_input": [DATA_URL, DATA_URL]},
    ),
    ("native", [SYSTEM, USER, ANSWER, USER], GPT, {"messages": [SYSTEM, USER, ANSWER, USER]}),
    (
        "native roles, names and members",
        [{"role": "developer", "content": "x"}, {**USER, "name": "Bo", "new": 1, "none": None}],
        GPT,
        {"messages": [{"role": "developer", "content": "x"}, {**USER, "name": "Bo", "new": 1}]},
    ),
    (
        "native parts",
        [shown(TEXT, IMAGE, {"type": "of_tomorrow", "x": 1})],
        GPT,
        {"messages": [shown(TEXT, IMAGE, {"type": "of_tomorrow", "x": 1})]},
    ),
    (
        "native refusal",
        [USER, shown({"type": "refusal", "refusal": "No."}, role="assistant")],
        GPT,
        {"messages": [USER, shown({"type": "text", "text": "No."}, role="assistant")]},
    ),
]


@pytest.mark.parametrize(("messages", "fields", "expected"), [pytest.param(*case, id=name) for name, *case in PROMPTS])
def test_messages(messages: Any, fields: dict[str, Any], expected: dict[str, Any]):
    """The model would receive other messages than the caller's."""
    request = send(messages, fields)
    assert request.body is not None
    assert request.body["input"] == expected
    assert request.warnings == []


def test_messages_as_json_text():
    """Models that accept the list as a JSON string would get a list, which they refuse."""
    fields = {"messages": {"type": "string"}}
    assert json.loads(values([SYSTEM, USER], fields)["messages"]) == [SYSTEM, USER]


def test_messages_that_are_not_json_serializable():
    """A member that is not JSON-serializable would raise an undocumented exception."""
    message = UserMessage("Hi", extra={"x": object()})
    target = Target(provider="replicate", model=MODEL, base_url=BASE)
    with pytest.raises(InvalidRequestError) as caught:
        DIALECT.encode(
            ChatRequest(MODEL, [message]), target, {f"schema:{MODEL}": described({"messages": {"type": "string"}})}
        )
    assert caught.value.param == "messages"


REFUSED_MESSAGES: list[tuple[Any, dict[str, Any], str]] = [
    ([USER, SYSTEM], LLAMA, "messages[1].role"),
    ([{**USER, "name": "Bo"}], LLAMA, "messages[0].name"),
    ([{**SYSTEM, "name": "Bo"}, USER], LLAMA, "messages[0].name"),
    ([shown(TEXT, IMAGE)], LLAMA, "messages[0].content[1]"),
    ([shown(IMAGE, TEXT, IMAGE)], CLAUDE, "messages[0].content[2]"),
    (
        [shown(TEXT, {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}})],
        SEER,
        "messages[0].content[1].image_url.detail",
    ),
    (
        [shown(TEXT, {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})],
        LLAMA,
        "messages[0].content[1]",
    ),
    ([shown(TEXT, {"type": "file", "file": {"file_id": "f"}})], GPT, "messages[0].content[1]"),
    ([shown(TEXT, {"type": "of_tomorrow", "x": 1})], LLAMA, "messages[0].content[1]"),
    ([USER, {"role": "of_tomorrow", "content": "x"}], LLAMA, "messages[1].role"),
    *[
        ([USER, {"role": "assistant", "content": "x", "tool_calls": [CALL]}], fields, "messages[1].tool_calls")
        for fields in (LLAMA, GPT)
    ],
    *[
        (
            [
                USER,
                {"role": "assistant", "content": "x", "function_call": {"name": "add", "arguments": "{}"}},
            ],
            fields,
            "messages[1].function_call",
        )
        for fields in (LLAMA, GPT)
    ],
]


@pytest.mark.parametrize(("messages", "fields", "param"), REFUSED_MESSAGES)
def test_refused_messages(messages: Any, fields: dict[str, Any], param: str):
    """Something that the model does not accept would be dropped silently."""
    assert refused(messages, fields) == param


@pytest.mark.parametrize("fields", [LLAMA, GPT])
@pytest.mark.parametrize(
    "result",
    [{"role": "tool", "tool_call_id": "1", "content": "2"}, {"role": "function", "name": "add", "content": "2"}],
)
def test_results_of_tools(result: dict[str, Any], fields: dict[str, Any]):
    """A tool's result would be sent as the user's text, or be left out."""
    calls = {"tool_calls": [CALL]} if result["role"] == "tool" else {"function_call": {"name": "add", "arguments": ""}}
    for policy, messages in itertools.product(
        ("raise", "warn", "drop"), ([USER, {"role": "assistant", "content": "x", **calls}, result], [USER, result])
    ):
        with pytest.raises(UnsupportedParameterError, match="Replicate's models take no tools"):
            send(messages, fields, policy=policy)


def test_an_unknown_role():
    """A role that OpenAI adds could not be used with models that accept OpenAI's messages."""
    message = CustomMessage("of_tomorrow", extra={"content": "x"})
    target = Target(provider="replicate", model=MODEL, base_url=BASE)
    request = DIALECT.encode(ChatRequest(MODEL, [message]), target, {f"schema:{MODEL}": described(GPT)})
    assert isinstance(request, HttpRequest)
    assert request.body == {"input": {"messages": [{"role": "of_tomorrow", "content": "x"}]}}


@pytest.mark.parametrize("fields", [LLAMA, GPT])
def test_an_earlier_reply_is_its_text(fields: dict[str, Any]):
    """A reply of another provider could not be sent, or would lose members silently."""
    answer = AssistantMessage("Hello", reasoning_content="hm", thinking_blocks=[{"type": "thinking"}], annotations=[])
    request = send([USER, answer, USER], fields)
    assert request.body is not None
    encoded = request.body["input"].get("messages", [None, ANSWER])[1]
    assert encoded == ANSWER
    assert [text.partition(" ")[0] for text in request.warnings] == [
        "messages[1].reasoning_content",
        "messages[1].thinking_blocks",
    ]


@pytest.mark.parametrize("fields", [LLAMA, GPT])
def test_an_empty_earlier_reply(fields: dict[str, Any]):
    """An empty assistant turn would be sent."""
    request = send([USER, AssistantMessage("")], fields)
    assert request.body is not None
    assert request.body["input"] in ({"prompt": "Hi"}, {"messages": [USER]})
    assert request.warnings == ["messages[1] left out: it is empty"]


@pytest.mark.parametrize("fields", [LLAMA, GPT])
def test_an_earlier_refusal(fields: dict[str, Any]):
    """An earlier refusal would be dropped."""
    encoded = values([USER, AssistantMessage(None, "No.")], fields)
    assert encoded in (
        {"prompt": "User: Hi\n\nAssistant: No."},
        {"messages": [USER, {"role": "assistant", "content": "No."}]},
    )


def test_members_that_a_prompt_cannot_express():
    """Members of messages, parts and images would be dropped silently."""
    image = {"type": "image_url", "image_url": {"url": DATA_URL, "a": 1}, "b": 2}
    request = send([{**shown({**TEXT, "c": 3}, image), "d": 4, "none": None}], SEER)
    assert request.warnings == [
        f"messages[0].{place} left out: a prompt is text only"
        for place in ("content[0].c", "content[1].b", "content[1].image_url.a", "d")
    ]


def test_system_messages_only():
    """A prompt without a question would be sent and billed."""
    with pytest.raises(InvalidRequestError) as caught:
        send([SYSTEM], LLAMA)
    assert caught.value.param == "messages"


def test_a_model_that_is_not_a_chat_model():
    """A chat would be sent to an image model."""
    with pytest.raises(InvalidRequestError, match="no chat model") as caught:
        send("Hi", {"image": {"type": "string"}, "scale": {"type": "integer"}})
    assert caught.value.param == "model"


@given(st.lists(st.sampled_from([USER, ANSWER]), min_size=1, max_size=6), st.sampled_from([LLAMA, GPT, CLAUDE, BARE]))
def test_encoding_is_deterministic(messages: list[Any], fields: dict[str, Any]):
    """A second attempt would send another body than the first."""
    known = {f"schema:{MODEL}": described(fields)}
    before = json.dumps([messages, known])
    first, second = (send(messages, known=known, stop="x", policy="warn") for _ in range(2))
    assert first == second
    assert json.dumps([messages, known]) == before


# --- requests are cleaned ---------------------------------------------------------------------------------------------


def test_nulls_and_fields_of_other_providers_are_not_sent():
    """A model would refuse fields that other providers put into their replies."""
    part = {"type": "text", "text": "Hi", "new": None}
    reply = {**ANSWER, "refusal": None, "reasoning": "hm", "new": None, "provider_specific_fields": {"x": 1}}
    sent = send([{**USER, "content": [part], "new": None}, reply, USER], GPT)
    assert sent.body is not None
    hi = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    assert sent.body["input"]["messages"] == [hi, ANSWER, USER]
    assert sent.warnings == [
        "messages[1].reasoning left out: only the provider that wrote it understands it",
    ]


@pytest.mark.parametrize(
    ("fields", "name"), [(GPT, "messages"), (SEER, "image_input"), (CLAUDE, "image")], ids=["gpt", "seer", "claude"]
)
def test_media_types_have_their_registered_names(fields: dict[str, Any], name: str):
    """An image would be refused for another name of its type."""
    image = {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}}
    found = values([{"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}], fields)
    assert "data:image/jpeg;base64,AAAA" in json.dumps(found[name])
    assert "image/jpg" not in json.dumps(found)
