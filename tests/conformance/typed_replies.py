"""The recorded replies of structured output: the types that were written for them, and the values that they are.

The ids are those of the folder that `expected` knows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
from pydantic import BaseModel, Field

from anycompletion.testing import Recording
from conformance import traffic

# --- the types --------------------------------------------------------------------------------------------------------


@attrs.frozen
class BookSummary:
    """A book in a library's catalogue."""

    title: str
    author: str
    pages: Annotated[int, msgspec.Meta(ge=1)]
    publication_year: int


class Author(NamedTuple):
    name: str
    nationality: str


@dataclass(frozen=True)
class Novel:
    title: str
    author: Author
    genres: list[str]
    published_year: int


class City(TypedDict):
    city: str
    country: str


@dataclass(frozen=True)
class CityWithPopulation:
    city: str
    country: str
    population: int


@attrs.frozen
class Dog:
    name: str
    age: int
    bio: Annotated[str, msgspec.Meta(min_length=100)]


class Addition(msgspec.Struct, frozen=True):
    integer_a: int
    integer_b: int
    answer: int


@dataclass(frozen=True)
class Person:
    """A person; most of the recorded prompts have no more than a name and an age."""

    name: str
    age: Annotated[int, msgspec.Meta(ge=1, description="Age in years")]
    occupation: str | None = None
    city: str | None = None
    email: str | None = None


class Translation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    translation: str


@dataclass(frozen=True)
class Fruit:
    is_fruit: bool


@attrs.frozen
class Guess:
    answer: str
    confidence: int


@dataclass(frozen=True)
class Analysis:
    sentiment: Literal["POSITIVE", "NEUTRAL", "NEGATIVE"]
    key_phrases: tuple[str, ...]
    entities: list[dict[str, str]]


@attrs.frozen
class Conditions:
    temperature_f: float
    humidity_pct: Annotated[int, msgspec.Meta(ge=0, le=100)]
    description: str


@attrs.frozen
class Forecast:
    city: str
    current: Conditions


class Weather(BaseModel):
    city: str
    weather: str = Field(min_length=1)


class Resume(BaseModel):
    name: str = Field(min_length=2)
    email: str
    phone: str
    education: str
    experience: str


class Page(TypedDict):
    title: str
    author: str


class Summary(NamedTuple):
    title: str
    summary: str


@dataclass(frozen=True)
class Joke:
    rating: int
    joke: str


class Number(TypedDict, total=False):
    result: float


class Solution(TypedDict):
    answer: str


# --- the replies ------------------------------------------------------------------------------------------------------


class TypedReply(NamedTuple):
    """A recorded reply as a value."""

    into: Any
    value: Any
    ids: tuple[str, ...]
    """The recordings of it."""


class _RecordedText:
    """Equals the text with a digest, so that long texts of recordings stand in the recordings only."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and hashlib.sha256(other.encode()).hexdigest().startswith(self._digest)

    __hash__ = None  # type: ignore[assignment]  # it equals another type


def recorded_text(digest: str) -> Any:
    """A text of a recording, by the first digits of its SHA-256."""
    return _RecordedText(digest)


_MISTBORN = BookSummary("Mistborn: The Final Empire", "Brandon Sanderson", 544, 2006)
_COLOURS = ["red", "blue", "yellow"]

REPLIES = (
    TypedReply(
        BookSummary,
        _MISTBORN,
        (
            "anthropic-messages-anthropic-claude-sonnet-4-5-anthropic-claude-son-3b77e8c3",
            "anthropic-messages-anthropic-claude-sonnet-4-5-anthropic-claude-son-7be027e3",
            "openai-chatcompletions-openai-gpt-4o-completions-async-stream-2440206f",
            "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-1da75441",
            "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-8941f05b",
            "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-8a5b2d20",
        ),
    ),
    TypedReply(
        Novel,
        Novel("The Lord of the Rings", Author("J.R.R. Tolkien", "British"), ["fantasy", "adventure"], 1954),
        ("openai-chatcompletions-openai-o4-mini-complex-object-streaming-fc9fa944",),
    ),
    TypedReply(
        City,
        City(city="Paris", country="France"),
        (
            "anthropic-messages-anthropic-instrumentation-async-beta-messages-pa-2c286125",
            "anthropic-messages-anthropic-instrumentation-async-messages-parse-3b720825",
            "bedrock-responses-native-output-734c935d",
            "ollama-chatcompletions-ollama-local-native-output-uses-json-schema-f01bcf9f",
        ),
    ),
    TypedReply(
        City,
        City(city="Mexico City", country="Mexico"),
        (
            "gemini-generateContent-native-output-with-function-and-builtin-1-baa50981",
            "gemini-streamGenerateContent-native-output-with-builtin-tools-stream-833a36ec",
            "groq-chatcompletions-groq-prompted-output-c0152f43",
        ),
    ),
    TypedReply(
        CityWithPopulation,
        CityWithPopulation("Paris", "France", 2161000),
        ("bedrock-converse-stream-bedrock-native-output-stream-ee5d983c",),
    ),
    TypedReply(
        Dog,
        Dog(
            "Biscuit",
            4,
            recorded_text("305609a1e999dd61"),
        ),
        ("anthropic-messages-opus-46-schema-e6536dad",),
    ),
    TypedReply(
        Addition,
        Addition(2, 2, 4),
        ("anthropic-messages-strict-mode-with-streamed-thinking-anthropic-cla-28124410",),
    ),
    TypedReply(
        Addition,
        Addition(2, 3, 13),
        (
            "gemini-generateContent-google-gemini-3-pro-preview-1-08222b8a",
            "gemini-streamGenerateContent-strict-mode-with-tools-streamed-google-gemini-3-2a5d3c1f",
        ),
    ),
    TypedReply(
        Person,
        Person("John", 30),
        (
            "cohere-v2chat-chat-with-schema-with-cohere-command-a-03-2025-a-98a589bc",
            "cohere-v2chat-cohere-with-structured-output-person-json-mode-e-19bb489c",
            "cohere-v2chat-cohere-with-structured-output-person-json-schema-62f7e3f7",
            "cohere-v2chat-cohere-with-structured-output-schema4-json-schem-85d03134",
            "gemini-generateContent-chat-with-schema-with-gemini-gemini-3-flash-prev-36430e7a",
            "xai-responses-chat-with-schema-with-xai-grok-4-1-fast-non-reasonin-40a4e41f",
        ),
    ),
    TypedReply(
        Person,
        Person("Bob", 30),
        (
            "azure-chatcompletions-chat-with-schema-with-azure-grok-4-1-fast-non-re-5f327fd6",
            "xai-responses-chat-with-schema-with-xai-grok-4-1-fast-non-0-697682e3",
        ),
    ),
    TypedReply(
        Person,
        Person("John Doe", 30, "Software Engineer"),
        (
            "gemini-streamGenerateContent-gemini-2-0-flash-lite-object-streaming-a12c6a7f",
            "xai-chatcompletions-grok-2-1212-object-streaming-auto-45c0826d",
            "xai-chatcompletions-grok-2-latest-object-streaming-b5ec275e",
            "xai-chatcompletions-grok-2-vision-latest-object-basic-e10665da",
            "xai-chatcompletions-grok-3-mini-fast-latest-object-streaming-0baa54e3",
        ),
    ),
    TypedReply(
        Person,
        Person("John Smith", 28, "Software Engineer"),
        (
            "xai-chatcompletions-grok-3-fast-latest-object-streaming-78eb195a",
            "xai-chatcompletions-grok-3-object-streaming-0f7e20c7",
        ),
    ),
    TypedReply(
        Person,
        Person("Alice Johnson", 28, "Software Engineer"),
        (
            "xai-chatcompletions-grok-4-fast-object-streaming-518fbdfb",
            "xai-chatcompletions-grok-4-fast-reasoning-object-streaming-968e2b47",
        ),
    ),
    TypedReply(
        Person,
        Person("Alex Johnson", 28, "Software Engineer"),
        ("openai-chatcompletions-gpt-4o-mini-object-streaming-69c78e81",),
    ),
    TypedReply(
        Person,
        Person("Alice Smith", 30, "Software Engineer"),
        ("vertex-streamGenerateContent-gemini-2-0-flash-object-streaming-e2050866",),
    ),
    TypedReply(
        Person,
        Person("Alice", 30, city="Paris"),
        ("gemini-streamGenerateContent-gemini-2-5-pro-simple-object-streaming-59ab2a5e",),
    ),
    TypedReply(
        Person,
        Person("Bob", 40, email="xxx@xxxx.xxx"),
        ("openrouter-chatcompletions-openrouter-json-object-69d362a9",),
    ),
    TypedReply(
        Fruit,
        Fruit(is_fruit=True),
        (
            "alibaba-chatcompletions-qwen3-8-max-thinking-gensync-json-53e18c67",
            "baseten-chatcompletions-gpt-oss-120b-thinking-gensync-json-09ab9bac",
            "cerebras-chatcompletions-gpt-oss-120b-thinking-genstream-jsonschema-2040be87",
            "gemini-streamGenerateContent-gemini-flash-latest-thinki-genstream-jsonschema-ca3f8cb1",
            "groq-chatcompletions-compound-mini-thinking-gensync-json-3e472aea",
            "huggingface-chatcompletions-qwen3-4b-thinking-genstream-jsonschema-2810cb88",
            "llamacpp-chatcompletions-gemma-4-e2b-it-ud-q4-k-xl-gensync-json-288e0f68",
            "llamacpp-chatcompletions-qwen3-asr-0-6b-q8-0-gguf-genstream-jsonschema-cd8b4d90",
            "mistral-chatcompletions-ministral-14b-2512-genstream-jsonschema-8ab86bb2",
            "mistral-chatcompletions-ministral-3b-2512-genstream-json-f4a8d9f5",
            "ollama-apichat-gemma4-e2b-gensync-json-97046188",
            "ollama-apichat-qwen3-5-2b-thinking-gensync-jsonschema-1e7246fe",
            "perplexity-chatcompletions-sonar-pro-genstream-jsonschema-78dbdcd3",
            "perplexity-chatcompletions-sonar-reasoning-thinking-gensync-jsonschema-7d626985",
            "together-chatcompletions-gpt-oss-120b-thinking-gensync-jsonschema-dcb80053",
        ),
    ),
    TypedReply(
        Number,
        Number(result=8.0),
        (
            "deepseek-chatcompletions-chat-with-params-deepseek-deepseek-chat-supports-8dbf0b4b",
            "gemini-generateContent-chat-with-params-gemini-gemini-2-5-flash-support-af678f1c",
            "ollama-chatcompletions-chat-with-params-ollama-qwen3-supports-response-d8bcae3a",
            "perplexity-chatcompletions-chat-with-params-perplexity-sonar-supports-json-aaf330d3",
            "vertex-generateContent-chat-with-params-vertexai-gemini-2-5-flash-suppo-f99b9d58",
        ),
    ),
    TypedReply(Guess, Guess("Mount Everest", 100), ("gemini-generateContent-generatejson-344486eb",)),
    TypedReply(Solution, Solution(answer="600"), ("ollama-apichat-testwithformat-5b769cd8",)),
    TypedReply(
        Translation,
        Translation("hola"),
        ("gemini-generateContent-testdelegation-03-chattosingleturn-1-5728169c",),
    ),
    # A root that is no object: its schema is an object with one member, `value`.
    TypedReply(int, 173, ("gemini-streamGenerateContent-google-gemini-2-5-flash-google-gemini-2-5-flash-8be982d7",)),
    TypedReply(
        dict[str, int],
        {"probability": 0},
        ("llamacpp-chatcompletions-llm-schema-object-1544eb84", "ollama-apichat-llm-schema-object-8dffe311"),
    ),
    TypedReply(dict[str, int], {"probability": 100}, ("xai-chatcompletions-llm-schema-object-900ae230",)),
    TypedReply(
        dict[str, list[int]],
        {"answers": [10, 12]},
        ("llamacpp-chatcompletions-llm-schema-array-2eaeb77f",),
    ),
    TypedReply(
        dict[str, list[str]],
        {"colors": _COLOURS},
        (
            "openai-chatcompletions-agent-response-json-object-7fee00a8",
            "openrouter-chatcompletions-agent-response-json-schema-inline-57ba17d3",
        ),
    ),
    TypedReply(
        dict[str, set[str]],
        {"colors": {"Red", "Blue", "Yellow"}},
        ("ollama-chatcompletions-agent-response-json-object-bc5f520e",),
    ),
    TypedReply(
        Analysis,
        Analysis("NEUTRAL", ("Apple Inc.", "Cupertino"), [{}, {}, {}]),
        ("ollama-chatcompletions-structured-fallback-9d58c4de",),
    ),
    TypedReply(
        Forecast,
        Forecast("New York City", Conditions(75.0, 60, "Mostly sunny")),
        ("copilot-chatcompletions-structured-output-prompt-typed-and-output-sc-0-af1d35e9",),
    ),
    TypedReply(
        Weather,
        Weather(city="London", weather="all fire and brimstone"),
        (
            "doubleword-chatcompletions-typed-prompt-tools-prompt-typed-with-tool-ca-1-caedc886",
            "venice-chatcompletions-typed-prompt-tools-prompt-typed-with-tool-ca-1-5517d1cb",
        ),
    ),
    TypedReply(
        Resume,
        Resume.model_construct(  # not checked, because one of its texts stands in the recording only
            name="John Doe",
            email="john.doe@example.com",
            phone="(555) 123-4567",
            education="BS Computer Science, Stanford University (2016-2020)",
            experience=recorded_text("0f2e3afde5a41cf1"),
        ),
        ("openai-responses-model-generated-schema-35925ec7",),
    ),
    TypedReply(
        Page,
        Page(title="Apples are tasty", author="xxxxxx xxxxxxx"),
        (
            "cloudflare-chatcompletions-cloudflare-data-extraction-0-d3e32b18",
            "databricks-chatcompletions-databricks-data-extraction-0-b5663f0c",
        ),
    ),
    TypedReply(
        Summary,
        Summary(
            "Memory-Safe Systems Programming",
            recorded_text("87dbca61e3c65fc0"),
        ),
        ("ollama-apichat-structured-output-raw-with-thinking-1032770c",),
    ),
)
"""Every recorded reply that answers with data."""

VALUES: Mapping[str, TypedReply] = {name: reply for reply in REPLIES for name in reply.ids}
"""Id → the type and the value of its reply."""

REFUSALS: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "openai-chatcompletions-async-parsed-refused-completion-2685a9c1",
            "openai-chatcompletions-async-parsed-refused-completion-with-events-with-0a033926",
            "openai-chatcompletions-parsed-refused-completion-3ee97e56",
            "openai-chatcompletions-parsed-refused-completion-with-events-with-conte-1b44f083",
        ),
        Joke,
    ),
    "openai-responses-openai-gpt-4o-responses-async-57c2463a": dict[str, str],
    "openai-responses-refusal-matrix-responses-streaming-refusal-delta-sur-fe79d561": Solution,
    "openrouter-chatcompletions-refusal-matrix-blocking-gpt-4-1-refusal-b2186498": Solution,
}
"""Id of a reply in which the model refuses → the type that it was asked for."""

CALLS: Mapping[str, Any] = {
    "anthropic-messages-anthropic-claude-sonnet-4-5-async-stream-495f7cf2": BookSummary,
    "anthropic-messages-mixed-tools-native-output-9a518317": CityWithPopulation,
    "copilot-responses-typed-prompt-tools-prompt-typed-with-tool-ca-0-82ee9967": Weather,
    "openai-chatcompletions-openai-gpt-4o-completions-async-stream-07708d34": BookSummary,
    "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-08cc516f": BookSummary,
    "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-1d214e3b": BookSummary,
    "openai-chatcompletions-openai-gpt-4o-completions-openai-gpt-4o-completi-4da20c57": BookSummary,
    "openai-responses-parallel-chat-structured-with-tools-0-32c5c6f7": Forecast,
}
"""Id of a reply that calls another tool of its request first → the type that it was asked for."""

SCHEMA_IGNORED = {"huggingface-chatcompletions-qwen3-4b-thinking-genstream-jsonschema-2810cb88"}
"""Ids of replies whose server did not keep to the schema: there is other text before the JSON."""

# --- which recordings ask for structured output -----------------------------------------------------------------------

_SCHEMA_MEMBERS = (
    ("response_format", "json_schema"),
    ("response_format", "schema"),
    ("text", "format", "schema"),
    ("output_config", "format", "schema"),
    ("output_format", "schema"),
    ("outputConfig", "textFormat", "structure"),
    ("generationConfig", "responseJsonSchema"),
    ("generationConfig", "responseSchema"),
    ("format", "type"),
)
_MARKS = {"json_schema", "json_object", "req:format_schema"}
"""Features of recordings with structured output."""


def asks_with_schema(body: Mapping[str, Any]) -> bool:
    """Whether a request's body, in any format, has a schema for the reply."""
    return any(_member(body, path) is not None for path in _SCHEMA_MEMBERS)


def asks_for_data(recording: Recording) -> bool:
    """Whether a recorded request asks for JSON, with a schema or without."""
    return bool(_MARKS.intersection(recording.features)) or asks_with_schema(traffic.request_of(recording))


def _member(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body
