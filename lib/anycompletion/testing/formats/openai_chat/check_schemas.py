"""Validates the schemas of a request as OpenAI does, for both of its APIs; never makes a reply.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

import re
from typing import Any

from ..json_access import as_dict, as_text
from ..schema_checks import JSON_SCHEMA, OPENAI_STRICT
from ..wire_format import ErrorSpec

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def reply_schema_error(form: dict[str, Any], param: str, *, code: str | None = None) -> ErrorSpec | None:
    """The error that rejects the schema of a reply: its name, or what a strict one may not have.

    Args:
        form: the object with name, schema and strict.
        param: the parameter that the error names.
        code: the error's code.
    """
    name = form.get("name")
    if name is None:
        text = f"Missing required parameter: '{param}.name'."
        return ErrorSpec(400, "invalid_request_error", text, "missing_required_parameter", f"{param}.name")
    if not _NAME.fullmatch(as_text(name)):
        text = f"Invalid '{param}.name': string does not match pattern. Expected a string that matches the pattern "
        return ErrorSpec(400, "invalid_request_error", f"{text}'^[a-zA-Z0-9_-]+$'.", "invalid_value", f"{param}.name")
    if form.get("schema") is None and not form.get("strict"):
        return None
    return _schema_error(form, f"response_format '{name}'", param.partition(".json_schema")[0], code)


def tool_schema_error(function: dict[str, Any], param: str) -> ErrorSpec | None:
    """The error that rejects a tool's parameters: what those of a strict tool may not have."""
    if function.get("parameters") is None:
        return None
    shown = {"schema": function["parameters"], "strict": function.get("strict")}
    return _schema_error(shown, f"function '{function.get('name')}'", param, "invalid_function_parameters")


def _schema_error(form: dict[str, Any], owner: str, param: str, code: str | None) -> ErrorSpec | None:
    checks = OPENAI_STRICT if form.get("strict") is True else JSON_SCHEMA
    problem = checks.problem(form.get("schema"))
    if problem is None:
        return None
    place = f"In context={problem.path}, {problem.text}" if problem.path or form.get("strict") else problem.text
    return ErrorSpec(400, "invalid_request_error", f"Invalid schema for {owner}: {place}", code, param)


def format_error(response_format: Any) -> ErrorSpec | None:
    """The error that rejects the `response_format` of a chat completion."""
    wanted = as_dict(response_format)
    kind = wanted.get("type")
    if response_format is None or kind in ("text", "json_object"):
        return None
    if kind != "json_schema":
        text = f"Invalid value: {kind!r}. Supported values are: 'json_object', 'json_schema', and 'text'."
        return ErrorSpec(400, "invalid_request_error", text, "invalid_value", "response_format.type")
    if not isinstance(wanted.get("json_schema"), dict):
        text = "Missing required parameter: 'response_format.json_schema'."
        param = "response_format.json_schema"
        return ErrorSpec(400, "invalid_request_error", text, "missing_required_parameter", param)
    return reply_schema_error(as_dict(wanted["json_schema"]), "response_format.json_schema")


def mentions_json(texts: str) -> ErrorSpec | None:
    """The error that rejects JSON mode where no message speaks of JSON."""
    if "json" in texts.lower():
        return None
    text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    return ErrorSpec(400, "invalid_request_error", text, None, "messages")
