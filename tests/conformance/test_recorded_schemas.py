"""Tests that recorded requests agree with what is known of providers' schemas: the simulator's checks, and the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from anycompletion import PROVIDERS
from anycompletion.testing import Recording
from anycompletion.testing.formats.json_access import as_dict
from anycompletion.testing.formats.schema_checks import (
    CLAUDE_SCHEMA,
    COHERE_SCHEMA,
    GEMINI_SCHEMA,
    GRAMMAR_SCHEMA,
    JSON_SCHEMA,
    OPENAI_STRICT,
    SchemaChecks,
)
from conformance import traffic


def _of_chat(body: dict[str, Any]) -> Any:
    form = as_dict(body.get("response_format"))
    return as_dict(form.get("json_schema")).get("schema") if form.get("type") == "json_schema" else None


def _of_responses(body: dict[str, Any]) -> Any:
    return as_dict(as_dict(body.get("text")).get("format")).get("schema")


def _of_anthropic(body: dict[str, Any]) -> Any:
    return as_dict(as_dict(body.get("output_config")).get("format") or body.get("output_format")).get("schema")


def _of_gemini(body: dict[str, Any]) -> Any:
    return as_dict(body.get("generationConfig")).get("responseJsonSchema")


def _of_cohere(body: dict[str, Any]) -> Any:
    form = as_dict(body.get("response_format"))
    return form.get("json_schema") or form.get("schema")


def _of_ollama(body: dict[str, Any]) -> Any:
    return body["format"] if isinstance(body.get("format"), dict) else None


def _of_bedrock(body: dict[str, Any]) -> Any:
    form = as_dict(as_dict(body.get("outputConfig")).get("textFormat"))
    text = as_dict(as_dict(form.get("structure")).get("jsonSchema")).get("schema")
    return json.loads(text) if isinstance(text, str) else None


SCHEMA_OF: Mapping[str, tuple[Callable[[dict[str, Any]], Any], SchemaChecks]] = {
    "openai_chat": (_of_chat, JSON_SCHEMA),
    "openai_responses": (_of_responses, JSON_SCHEMA),
    "anthropic_messages": (_of_anthropic, CLAUDE_SCHEMA),
    "gemini_generate": (_of_gemini, GEMINI_SCHEMA),
    "cohere_chat": (_of_cohere, COHERE_SCHEMA),
    "ollama_chat": (_of_ollama, GRAMMAR_SCHEMA),
    "bedrock_converse": (_of_bedrock, CLAUDE_SCHEMA),
}
"""Format → where its requests have the schema of the reply, and what is checked."""


def schema_of(recording: Recording) -> Any:
    """The schema of the reply that was asked for; None without one."""
    found = SCHEMA_OF.get(traffic.format_of(recording))
    body = as_dict(recording.request.body) if recording.request is not None else {}
    return found[0](body) if found is not None else None


def checks_of(recording: Recording) -> SchemaChecks:
    """What the simulator checks; OpenAI checks its own strict schemas only."""
    body = as_dict(recording.request.body) if recording.request is not None else {}
    form = as_dict(as_dict(body.get("response_format")).get("json_schema")) or as_dict(
        as_dict(body.get("text")).get("format")
    )
    if recording.provider == "openai" and form.get("strict") is True:
        return OPENAI_STRICT
    return SCHEMA_OF[traffic.format_of(recording)][1]


ASKED = [recording for recording in traffic.recorded(*SCHEMA_OF) if schema_of(recording) is not None]
REFUSED = [recording for recording in ASKED if recording.status == 400 and b".schema: For " in recording.body]
"""Those whose schema has a keyword that the provider does not have."""

DOUBTS = ("schema", "no recorded traffic", "everything but", "all of it")
"""Words of a row's `unverified` that cover schemas."""


@pytest.mark.parametrize("recording", traffic.each([each for each in ASKED if each.status < 400]))
def test_the_simulator_accepts_what_a_provider_accepted(recording: Recording) -> None:
    """An app's schema would be refused in its tests, and work with the provider."""
    assert checks_of(recording).problem(schema_of(recording)) is None


@pytest.mark.parametrize("recording", traffic.each(REFUSED))
def test_the_simulator_refuses_what_a_provider_refused(recording: Recording) -> None:
    """An app's schema would pass its tests, and be refused by the provider."""
    assert checks_of(recording).problem(schema_of(recording)) is not None


@pytest.mark.skipif(not traffic.is_reference_folder(), reason="the folder of another recorder")
def test_rows_mark_what_no_recording_confirms() -> None:
    """A row's mode would be a guess that looks like a fact."""
    confirmed = {traffic.row_of(each).name for each in ASKED if not traffic.is_error(each)}
    guesses = {
        name
        for name, row in PROVIDERS.items()
        if row.structured.mode == "schema"
        and name not in confirmed
        and not any(word in row.unverified for word in DOUBTS)
    }
    assert guesses == set()
