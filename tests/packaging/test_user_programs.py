"""Tests that the programs of tests/typing/programs run: what people write who come from other libraries.

They are type-checked in test_typing.py, without a cast or an ignored error.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.programs import run_program

PROGRAMS = Path(__file__).parents[1] / "typing" / "programs"

EXPECTED: dict[str, tuple[str, ...]] = {
    "aiohttp_service": (
        *("/reply 200 application/json 0", "/stream 200 text/event-stream 1", "/text 200 text/plain 0"),
        "/agent 200 text/event-stream 1",
    ),
    "ask_and_chat": (
        "answer: You said: Why is the sky blue?",
        "turns: 5 tokens: True",
        "follow-up: You said: Where is it?",
    ),
    "batch_into": ("invoices: 2 ['float', 'float']", "totals: True"),
    "batch_rows": (
        "answered: ['1', '2'] failed: {'3': 'UnsupportedParameterError'}",
        "ordered: ['q0', 'q1']",
        "gathered: 2",
        "journal: 3",
    ),
    "cache_replies": ("the same: 1 hits: 2", "streamed: True hits: 3", "kept of a stream: 4"),
    "call_tools": (
        "called: ['weather'] text: The tool says: 20 °C in some city",
        "streamed: weather ['city']",
        "message: ['weather'] None",
    ),
    "routes_of_a_client": ("Hello! default groq/llama-3.3-70b", "errors: ['RateLimitError', 'RateLimitError'"),
    "streams_that_begin_anew": (
        "begins anew after StreamInterruptedError and Because",
        "The air scatters blue light. 1 True",
    ),
    "fallbacks_of_a_call": ("anthropic/claude-sonnet-4-5 2", "Once upon a time. move"),
    "router_of_litellm": ("Hello!",),
    "fallback_models": (
        "fallback: groq/llama RateLimitError",
        "answered by: anthropic ['seed dropped: Anthropic has no seed'",
        "streamed by: anthropic claude-haiku-4-5",
        "this call: cohere",
    ),
    "fastapi_service": (
        "reply: 200 assistant",
        "answer: ['reply', 'seconds', 'usage'] ['completion_tokens']",
        "stream: data: [DONE]",
        "agent: data: [DONE] 3",
        "refused: 400",
        "health: ['openai']",
        "models: ['openai/gpt-4o-mini']",
    ),
    "handle_errors": (
        "answer: again in 0.2 s",
        "answer: wrong key: openai",
        "answer: 400 bad_value invalid_request_error req_",
        "answer: the network failed: connect, billed: False",
        "answer: invalid: max_tokens",
        "partial: ('Once upon ', False)",
        "none: None",
        "raised: openai/gpt-4o-mini: odd True",
    ),
    "images_and_files": (
        "pictures: You said: What is in these pictures?",
        "document: You said: Summarize this.",
        "with a provider's field: {'type': 'ephemeral'}",
        "too large: path",
    ),
    "limits_and_budget": (
        "limited: 1",
        "spent after 1 call",
        "counted: ['anthropic/claude-haiku-4-5', 'openai/gpt-4o-mini'] True",
    ),
    "log_calls": (
        "event: request openai",
        "event: reply openai",
        '"event": "finished"',
        "measured: [('openai', True), ('anthropic', True)]",
    ),
    "mcp_tools_and_own": (
        "read: the text of some path finished",
        """denied: {"error":"denied","reason":"only reading is allowed"}""",
        "paused: paused ['fs_remove']",
        "in process: the text of some path",
    ),
    "network_settings": (
        "reads of the key: 1",
        "ready: acme",
        "not ready: groq",
        "tenant: 200",
        "traced: ['POST']",
        "seed of Anthropic: unsupported",
    ),
    "openai_sdk_in_front": (
        "models: ['anthropic/claude-haiku-4-5', 'openai/gpt-4o-mini']",
        "anthropic/claude-haiku-4-5 [0, 1] You said: Hello!",
        "streamed: You said: Hello!",
        "parsed: Event",
        "taken: You said: Bye!",
        "refused: 401 invalid_api_key",
    ),
    "own_tool_loop": (
        "answer: The tool says: ",
        "called: [('add', '",
        "plain function: 4 5",
        "of a schema: FOUR",
    ),
    "own_library": ("app: True", "warnings: ['seed dropped: Anthropic has no seed']", "both: True"),
    "parse_errors": (
        "asked twice: Split(shares=[0.5, 0.5])",
        "misses: $ value the shares must add up to 1 True 1",
        "as far as it came: {'shares': [0.25]}",
        "refused: I cannot divide.",
        "openai/gpt-4o: the reply does not fit: ",
    ),
    "parse_forms": (
        *("class: Recipe True", "choices: 3", "word: yes") * 3,
        "schema: ['value']",
    ),
    "reply_cache": (
        "cached: False False False",
        "cached: True True True",
        "refreshed: False",
        "samples: 3 True",
        "streamed: You said: Hello! (choice 0) True",
        "missed: openai/gpt-4o: there is no stored reply to this request",
        "asked anew: True",
    ),
    "several_choices": (
        "anthropic/claude-haiku-4-5 True 1",
        "best: 0 alternatives: 2",
        "side by side: [0, 1]",
        "requests: [1, 1]",
    ),
    "spread_over_processes": (
        "processes: ['0', '1', '2', '3', '4', '5']",
        "actor: ['0', '1', '2', '3', '4', '5']",
    ),
    "store_conversations": (
        "roles: ['user', 'assistant', 'user', 'assistant']",
        "dict: True",
        "JSON: True",
        "pickle: openai",
        "entry: True",
    ),
    "stream_to_terminal": (
        "chunks: ('You said: Tell me a story in three words.",
        "text: You said: Tell me a story.",
        "usage: 11",
        "thoughts: True",
    ),
    "parse_stream": (
        *("form: {'title': ", " None", "trip: Trip(title=", "item: some ") * 2,
        "guide: ",
    ),
    "structured_replies": ("cohere/command-a ['day', 'guests', 'name']", "turn: assistant True", "object: {"),
    "testing_own_code": ("3 passed",),
    "testing_typed_code": ("requests: 4", "turns: 4"),
    "tool_approvals": (
        "yes: The tool says: deleted",
        '{"error":"denied","reason":"the user says: not today"}',
        "pending: ['delete_file'] 1",
        "resumed: The tool says: deleted (choice 0) 2",
    ),
    "tool_run_into_a_type": (
        "in time: Offer(article='some article', pieces=1)",
        "max_turns ['stock']",
        "too late: None",
    ),
    "tool_turns_and_events": (
        "0 ['book'] [None]",
        "1 [] []",
        "[book …]",
        "[book: done, ",
        "The tool says: table 1 is booked (choice 0) finished True",
        "text: The tool says: table 1 is booked",
    ),
    "tools_of_functions": ('finished True 2 The tool says: {"temperature":21.0}', "called: ['weather']"),
}
"""Program → parts of its output, in their order."""

NEEDED = {"mcp_tools_and_own": "mcp"}
"""Program → the library without which it is skipped."""


def test_every_program_has_its_expected_output() -> None:
    """A program would not be run."""
    assert sorted(EXPECTED) == sorted(path.stem for path in PROGRAMS.glob("*.py"))


@pytest.mark.parametrize("name", EXPECTED)
async def test_the_program_runs(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """A program that a user of another library writes for this one would fail, or print something else."""
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    output = await run_program(PROGRAMS / f"{name}.py", environment, tmp_path)
    rest = output
    for part in EXPECTED[name]:
        assert part in rest, output
        rest = rest.partition(part)[2]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_program_needs_no_help_for_its_types(name: str) -> None:
    """The types would be such that users have to write casts, or to ignore errors."""
    assert re.findall(r"\bcast\(|# (?:type|pyright): ?.*", (PROGRAMS / f"{name}.py").read_text("utf-8")) == []
