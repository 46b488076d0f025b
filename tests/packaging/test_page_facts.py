"""Tests that the tables of the pages have what the code has: error classes, defaults, bounds, options."""

from __future__ import annotations

import inspect
import re

import attrs

import anycompletion
from anycompletion import PROVIDERS, AsyncCompletion, CallOptions, CompletionError, Timeout
from anycompletion.batch import UnwrittenError
from anycompletion.batch.run import _MAX_UNDELIVERED as MAX_UNDELIVERED
from anycompletion.batch.run import _MIN_BACKLOG as MIN_BACKLOG
from anycompletion.calls.endpoint_state import RetryBudget
from anycompletion.codecs.sse import MAX_EVENT, MAX_MEDIA_EVENT
from anycompletion.errors import BODY_LIMIT
from anycompletion.http import MAX_RESPONSE_BYTES
from anycompletion.ratelimit.adaptive_concurrency import AdaptiveConcurrency
from anycompletion.records.file_parts import MAX_FILE_BYTES
from anycompletion.retry_policy import MAX_HINT, Backoff
from anycompletion.streaming.accumulator import MAX_TEXT
from anycompletion.transport import KEEP_ALIVE, MAX_CONNECTING
from anycompletion.transport.response import MAX_ERROR_BODY
from support.pages import DOCS

ERRORS = {
    value.__name__: value
    for value in (*(getattr(anycompletion, name) for name in anycompletion.__all__), UnwrittenError)
    if isinstance(value, type) and issubclass(value, CompletionError)
}
BASES = ("CompletionError", "ReplyError", "APIError", "APIStatusError")
"""Classes that are only raised as one of their subclasses, or for a status that is not of HTTP."""

MIB = 1024 * 1024


def text_of(page: str) -> str:
    """The text of a page with every run of white space as one space."""
    return " ".join((DOCS / page).read_text("utf-8").split())


def rows(page: str) -> list[list[str]]:
    """The fields of all lines of tables of a page."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    return [[field.strip() for field in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]


def names_in(texts: list[str]) -> set[str]:
    """What is written as code in texts."""
    return {name for text in texts for name in re.findall(r"`([^`]+)`", text)}


def test_the_table_of_errors_has_every_class_and_whether_it_is_retried() -> None:
    """Readers would miss an error, or write retries that the client makes itself."""
    stated = {row[0].strip("`"): row[2] for row in rows("errors.md") if row[0].strip("`") in ERRORS}
    assert stated.keys() == ERRORS.keys() - set(BASES)
    assert {name: ERRORS[name].retryable for name in stated} == {
        name: text.startswith("yes") for name, text in stated.items()
    }


def test_the_tree_of_errors_is_that_of_the_classes() -> None:
    """Readers would catch less or more than they mean to."""
    tree = (DOCS / "errors.md").read_text("utf-8").partition("```text\nCompletionError\n")[2].partition("```")[0]
    above = {0: "CompletionError"}
    for line in tree.splitlines():
        indent, name = re.match(r"([│├└─ ]+)([\w.]+)", line).groups()  # type: ignore[union-attr]
        depth = len(indent) // 4
        above[depth] = name.rpartition(".")[2]
        assert above[depth - 1] == ERRORS[above[depth]].__bases__[0].__name__
    assert tree.count("─ ") == len(ERRORS) - 1


def test_the_table_of_attributes_has_every_attribute_of_an_error() -> None:
    """Readers would not find what an error knows."""
    assert vars(CompletionError()).keys() | {"retryable"} <= names_in([row[0] for row in rows("errors.md")])


def test_the_number_of_kept_characters_of_an_error_body_is_right() -> None:
    """Readers would expect more or less of a response than an error keeps."""
    assert f"{BODY_LIMIT:,} characters" in text_of("errors.md")
    assert f"`error.body` has {BODY_LIMIT:,} characters" in text_of("limits.md")


def test_the_defaults_of_timeouts_and_retries_are_right() -> None:
    """Readers would choose timeouts by wrong defaults."""
    defaults = {row[0].strip("`"): row[1] for row in rows("timeouts-and-retries.md") if len(row) == 3}
    fields = {f"Timeout.{field.name}": f"{field.default:g} s" for field in attrs.fields(Timeout)}
    retries = inspect.signature(AsyncCompletion.__init__).parameters["max_retries"].default
    wait, budget = Backoff(), RetryBudget()
    waits = [wait.delay(tried, None, lambda: 0.0) for tried in (1, 2, 3, 99)]
    assert defaults == {
        "option": "default",
        "---": "---",
        **fields,
        "max_retries": str(retries),
        "backoff": "{:g} s, {:g} s, {:g} s … {:g} s".format(*waits),
        "longest hint": f"{MAX_HINT:g} s",
        "retry budget": f"{budget.tokens:g} at first, {budget.cap:g} at most",
    }
    assert f"each call adds {budget.per_call:g}" in text_of("timeouts-and-retries.md")


def test_the_figures_of_connections_are_right() -> None:
    """Readers would size a service by wrong figures."""
    assert f"kept open for {KEEP_ALIVE:g} s" in text_of("timeouts-and-retries.md")
    for page in ("timeouts-and-retries.md", "limits.md"):
        assert f"At most {MAX_CONNECTING} " in text_of(page)


def test_the_bounds_on_sizes_are_right() -> None:
    """Readers would expect replies that the client refuses."""
    text = text_of("limits.md")
    whole = f"{MAX_RESPONSE_BYTES // MIB} MiB, decompressed; {MAX_MEDIA_EVENT // MIB} MiB in Gemini's format"
    assert f"| a whole reply | {whole} |" in text
    assert f"{MAX_EVENT // MIB} MiB; {MAX_MEDIA_EVENT // MIB} MiB in the formats of OpenAI and Gemini" in text
    assert f"keeps for its reply | {MAX_TEXT // MIB} MiB" in text
    assert f"{MAX_ERROR_BODY // 1024} KiB are read" in text
    assert f"`file_part` | {MAX_FILE_BYTES // MIB} MiB" in text
    assert f"{MAX_TEXT // MIB} MiB at most" in text_of("streaming.md")


def test_the_concurrency_of_batches_is_right() -> None:
    """Readers would expect another load than a batch puts on a provider."""
    adaptive = inspect.signature(AdaptiveConcurrency).parameters
    start, most = adaptive["start"].default, adaptive["most"].default
    assert f"{start} requests at a time at first, {most} at most" in text_of("batch.md")


def test_every_call_option_is_in_the_table_of_options() -> None:
    """Readers would not find an option."""
    assert CallOptions.__annotations__.keys() <= names_in([row[0] for row in rows("parameters.md")])


def test_the_number_of_results_that_wait_for_a_slow_item_is_right() -> None:
    """Readers would expect a batch to go on for longer, or for less long, than it does."""
    assert f"{MAX_UNDELIVERED:,} at most, or with a fixed `concurrency` {MIN_BACKLOG}" in text_of("batch.md")


def test_the_servers_that_may_use_plain_http_are_right() -> None:
    """Readers would get an error for a server of their own, or expect plain http where it is refused."""
    text = text_of("providers.md").partition("## Your own servers")[2].partition(" are servers that you run")[0]
    assert names_in([text]) == {name for name, row in PROVIDERS.items() if row.allow_http == "private"}


def test_the_number_of_providers_is_right() -> None:
    """Readers would choose the package for providers that it does not have."""
    assert "More than 50 providers" in text_of("providers.md")
    assert len(PROVIDERS) > 50


def test_the_variables_of_litellm_that_are_not_read_are_right() -> None:
    """Readers would move a URL that works, or lose one that they rely on."""
    text = text_of("migrating.md").partition("**These are not read**:")[2].partition(". Pass the URL")[0]
    names = names_in([text])
    assert "COHERE_API_BASE" in names
    assert names.isdisjoint(name for row in PROVIDERS.values() for name in row.base_url_env)
