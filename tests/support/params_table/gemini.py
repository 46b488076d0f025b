"""Gemini's column, written by hand after https://ai.google.dev/api/generate-content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.legacy_params_calls import NON_ASCII_TEXT
from support.params_calls import (
    ADAPTIVE_THINKING,
    ADD_PARAMETERS,
    ADD_TOOL,
    ALLOWED_TOOLS,
    CITY_FORMAT,
    CITY_SCHEMA,
    JSON_OBJECT,
    NAMED_ADD,
    NO_PARAMETERS,
    NOW_TOOL,
    PIXEL,
    SIX_STOPS,
    THINKING_BUDGET,
)
from support.params_notation import (
    REFUSED,
    UNSENT,
    Branches,
    Expectation,
    Invalid,
    ParamsCall,
    ProviderColumn,
    Unsupported,
    call,
)

ADD_DECLARED = {"name": "add", "description": "Adds.", "parametersJsonSchema": ADD_PARAMETERS}
NOW_DECLARED: dict[str, Any] = {"name": "now"}
NOW_WITH_SCHEMA = {"name": "now", "parametersJsonSchema": NO_PARAMETERS}
ANY_TOOL = {"functionCallingConfig": {"mode": "ANY"}}
NO_TOOL = {"functionCallingConfig": {"mode": "NONE"}}
ONLY_ADD = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}}
VALIDATED = {"functionCallingConfig": {"mode": "VALIDATED"}}
SEARCH = {"tools": [{"googleSearch": {}}]}
HI = {"text": "Hi."}
PNG = {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}
PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""The signature with which Google takes calls that it did not make."""


def config(**fields: Any) -> dict[str, Any]:
    """A body's generation config."""
    return {"generationConfig": fields}


def thinking(**fields: Any) -> dict[str, Any]:
    """A body's thinking config, with thoughts."""
    return config(thinkingConfig={**fields, "includeThoughts": True})


def tools(*declared: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A body's functions and other fields."""
    return {"tools": [{"functionDeclarations": list(declared)}], **others}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """A body's contents with one turn of the user."""
    return {"contents": [{"role": "user", "parts": list(parts)}]}


def instructed(text: str) -> dict[str, Any]:
    """A body's instruction."""
    return {"systemInstruction": {"parts": [{"text": text}]}}


def called(*, args: dict[str, Any], text: str = "") -> dict[str, Any]:
    """A body's contents with a call of another model, which gets the placeholder, and its result."""
    function = {"functionCall": {"name": "add", "args": args}, "thoughtSignature": PLACEHOLDER}
    result = {"functionResponse": {"name": "add", "response": {"output": "2"}}}
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "1+1?"}]},
            {"role": "model", "parts": [{"text": text}, function] if text else [function]},
            {"role": "user", "parts": [result]},
        ]
    }


def body(model: str, stream: bool) -> dict[str, Any]:
    """The body for one question; the model and the stream are in the path."""
    return user(HI)


EXPECTATIONS: Mapping[str, Expectation] = {
    # sampling
    "temperature=None": UNSENT,
    "temperature=0": config(temperature=0),
    "temperature=0.7": config(temperature=0.7),
    "temperature=1": config(temperature=1),
    "temperature=1.01": config(temperature=1.01),
    "temperature=2": config(temperature=2),
    "temperature=2.5": REFUSED,
    "temperature=5.5": REFUSED,
    "temperature=-0.1": REFUSED,
    "top_p=None": UNSENT,
    "top_p=0.5": config(topP=0.5),
    "top_p=0.01": config(topP=0.01),
    "top_p=0.99": config(topP=0.99),
    "top_p=0": config(topP=0),
    "top_p=1": config(topP=1),
    "top_p=1.01": REFUSED,
    "top_p=-0.01": REFUSED,
    "temperature=0.2, top_p=0.9": config(temperature=0.2, topP=0.9),
    "seed=0": config(seed=0),
    "seed=7": config(seed=7),
    "seed=-1": config(seed=-1),
    # penalties and biases
    "presence_penalty=0": UNSENT,
    "presence_penalty=0.0": UNSENT,
    "presence_penalty=0.5": REFUSED,
    "presence_penalty=1": REFUSED,
    "presence_penalty=1.5": REFUSED,
    "presence_penalty=-0.5": REFUSED,
    "presence_penalty=2": REFUSED,
    "presence_penalty=-2": REFUSED,
    "presence_penalty=2.1": REFUSED,
    "presence_penalty=-2.1": REFUSED,
    "frequency_penalty=0": UNSENT,
    "frequency_penalty=0.0": UNSENT,
    "frequency_penalty=0.5": REFUSED,
    "frequency_penalty=1": REFUSED,
    "frequency_penalty=1.5": REFUSED,
    "frequency_penalty=-0.5": REFUSED,
    "frequency_penalty=2": REFUSED,
    "frequency_penalty=-2": REFUSED,
    "frequency_penalty=2.1": REFUSED,
    "frequency_penalty=-2.1": REFUSED,
    "logit_bias={}": UNSENT,
    "logit_bias={'50256': -100}": REFUSED,
    "logit_bias={'50256': 0}": REFUSED,
    "logit_bias={50256: 100}": REFUSED,
    # length and stop sequences
    "n=None": UNSENT,
    "n=1": UNSENT,
    "n=3": Branches(3),
    "max_tokens=5": config(maxOutputTokens=5),
    "max_tokens=1": config(maxOutputTokens=1),
    "max_tokens=0": config(maxOutputTokens=0),
    "max_completion_tokens=5": config(maxOutputTokens=5),
    "max_completion_tokens=1": config(maxOutputTokens=1),
    "max_completion_tokens=0": config(maxOutputTokens=0),
    "max_tokens=9, max_completion_tokens=5": config(maxOutputTokens=5),
    "stop=None": UNSENT,
    "stop='END'": config(stopSequences=["END"]),
    "stop=['a', 'b']": config(stopSequences=["a", "b"]),
    "stop=('a', 'b')": config(stopSequences=["a", "b"]),
    "stop=['a', 'b', 'c', 'd']": config(stopSequences=SIX_STOPS[:4]),
    "stop=['a', 'b', 'c', 'd', 'e']": config(stopSequences=SIX_STOPS[:5]),
    "stop=['a', 'b', 'c', 'd', 'e', 'f']": REFUSED,
    "stop='a,b'": config(stopSequences=["a,b"]),
    "stop=['a', 'b,c']": config(stopSequences=["a", "b,c"]),
    "stop='\\n\\n'": config(stopSequences=["\n\n"]),
    "stop=['a', ' ']": config(stopSequences=["a", " "]),
    # tools
    "functions=[]": UNSENT,
    "functions: add": tools(ADD_DECLARED),
    "functions: now": tools(NOW_DECLARED),
    "functions: add, function_call=auto": tools(ADD_DECLARED),
    "functions: add, function_call=none": tools(ADD_DECLARED, toolConfig=NO_TOOL),
    "functions: add, function_call: add": tools(ADD_DECLARED, toolConfig=ONLY_ADD),
    "functions: add and now, function_call: now": tools(
        ADD_DECLARED,
        NOW_DECLARED,
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}},
    ),
    "functions: now, tools: add": tools(ADD_DECLARED, NOW_DECLARED),
    "function_call='auto'": UNSENT,
    "function_call='none'": UNSENT,
    "function_call='required'": REFUSED,
    "tools=[]": UNSENT,
    "tools: add": tools(ADD_DECLARED),
    "tools: add and now": tools(ADD_DECLARED, NOW_DECLARED),
    "tools: strict": tools(ADD_DECLARED, toolConfig=VALIDATED),
    "tools: not strict": tools(ADD_DECLARED),
    "tools: one of two strict": tools(NOW_WITH_SCHEMA, ADD_DECLARED, toolConfig=VALIDATED),
    "tools: custom and function": Unsupported("tools[0]"),
    "tools: web search": Unsupported("tools[0]"),
    "tools: add, tool_choice=auto": tools(ADD_DECLARED),
    "tools: add, tool_choice=none": tools(ADD_DECLARED, toolConfig=NO_TOOL),
    "tools: add and now, tool_choice=required": tools(ADD_DECLARED, NOW_WITH_SCHEMA, toolConfig=ANY_TOOL),
    "tools: add and now, tool_choice: add": tools(ADD_DECLARED, NOW_DECLARED, toolConfig=ONLY_ADD),
    "tools: add, tool_choice: allowed_tools": tools(ADD_DECLARED),
    "tool_choice='auto'": UNSENT,
    "tool_choice='none'": UNSENT,
    "tool_choice='maybe'": REFUSED,
    "tool_choice='any'": REFUSED,
    "tools: add and now, tool_choice without type": tools(ADD_DECLARED, NOW_DECLARED, toolConfig=ONLY_ADD),
    "parallel_tool_calls=True": UNSENT,
    "parallel_tool_calls=False": REFUSED,
    "tools: add, parallel_tool_calls=True": tools(ADD_DECLARED),
    "tools: add, parallel_tool_calls=False": Unsupported("parallel_tool_calls", tools(ADD_DECLARED)),
    "tools: add, tool_choice=required, parallel_tool_calls=False": Unsupported(
        "parallel_tool_calls", tools(ADD_DECLARED, toolConfig=ANY_TOOL)
    ),
    "tools: add, tool_choice=none, parallel_tool_calls=False": Unsupported(
        "parallel_tool_calls", tools(ADD_DECLARED, toolConfig=NO_TOOL)
    ),
    # form of the reply
    "response_format={'type': 'text'}": UNSENT,
    "response_format={'type': 'json_object'}": config(responseMimeType="application/json"),
    "response_format: json_schema": config(responseMimeType="application/json", responseJsonSchema=CITY_SCHEMA),
    "response_format: json_schema, tools: add": tools(
        ADD_DECLARED, **config(responseMimeType="application/json", responseJsonSchema=CITY_SCHEMA)
    ),
    "response_format: text, tools: add": tools(ADD_DECLARED),
    "response_format: grammar": REFUSED,
    "logprobs=False": UNSENT,
    "logprobs=True": config(responseLogprobs=True),
    "logprobs=5": REFUSED,
    "top_logprobs=0": UNSENT,
    "top_logprobs=20": config(responseLogprobs=True, logprobs=20),
    "top_logprobs=21": REFUSED,
    "logprobs=True, top_logprobs=5": config(responseLogprobs=True, logprobs=5),
    "modalities=['text']": config(responseModalities=["TEXT"]),
    "modalities=['text', 'audio']": config(responseModalities=["TEXT", "AUDIO"]),
    "modalities=['text', 'audio'], audio={'voice': 'alloy', 'format': 'wav'}": Unsupported(
        "audio.format",
        config(
            responseModalities=["TEXT", "AUDIO"],
            speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}},
        ),
    ),
    "audio={'voice': 'alloy', 'format': 'wav'}": Unsupported(
        "audio.format", config(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "alloy"}}})
    ),
    "verbosity='low'": REFUSED,
    "prediction={'type': 'content', 'content': 'Hi.'}": REFUSED,
    # thinking
    "reasoning_effort=None": UNSENT,
    # Gemini 3 always thinks.
    "reasoning_effort='none'": REFUSED,
    "reasoning_effort='minimal'": thinking(thinkingLevel="minimal"),
    "reasoning_effort='low'": thinking(thinkingLevel="low"),
    "reasoning_effort='medium'": thinking(thinkingLevel="medium"),
    "reasoning_effort='high'": thinking(thinkingLevel="high"),
    "reasoning_effort='xhigh'": REFUSED,
    "reasoning_effort='max'": REFUSED,
    "reasoning_effort='ultra'": REFUSED,
    "reasoning_effort='high', max_tokens=4097": config(
        maxOutputTokens=4097, thinkingConfig={"thinkingLevel": "high", "includeThoughts": True}
    ),
    "reasoning_effort='high', max_tokens=4096": config(
        maxOutputTokens=4096, thinkingConfig={"thinkingLevel": "high", "includeThoughts": True}
    ),
    "thinking={'type': 'enabled', 'budget_tokens': 2048}": thinking(thinkingBudget=2048),
    "thinking={'type': 'disabled'}": Unsupported("thinking.type"),
    "thinking={'type': 'adaptive'}": thinking(),
    "thinking and reasoning_effort": thinking(thinkingBudget=2048),
    # streams
    "stream": UNSENT,
    "stream_options={'include_usage': True}": UNSENT,
    "stream_options={'include_usage': True}, stream": UNSENT,
    "stream_options={'include_usage': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': False}, stream": UNSENT,
    "stream_options={'include_obfuscation': True}, stream": Unsupported("stream_options.include_obfuscation"),
    "max_completion_tokens=5, stream": config(maxOutputTokens=5),
    # accounts, caches and others
    "user='u-1'": REFUSED,
    "service_tier='auto'": UNSENT,
    "service_tier='default'": {"serviceTier": "standard"},
    "service_tier='standard'": {"serviceTier": "standard"},
    "service_tier='standard_only'": REFUSED,
    "service_tier='flex'": {"serviceTier": "flex"},
    "store=False": UNSENT,
    "store=True": REFUSED,
    "metadata={}": UNSENT,
    "metadata={'job': '7'}": REFUSED,
    "prompt_cache_key='k'": REFUSED,
    "prompt_cache_retention='24h'": REFUSED,
    "prompt_cache_options={'mode': 'explicit', 'ttl': '30m'}": REFUSED,
    "safety_identifier='s-1'": REFUSED,
    "web_search_options={'search_context_size': 'low'}": Unsupported("web_search_options.search_context_size", SEARCH),
    "moderation={'model': 'omni-moderation-latest'}": REFUSED,
    "no-op values": UNSENT,
    "extra_body={'top_k': 5}": {"top_k": 5},
    # messages
    "messages: user": UNSENT,
    "messages: system, user": instructed("Be brief."),
    "messages: developer, user": instructed("Be brief."),
    "messages: two systems, user": instructed("Be brief.\n\nBe kind."),
    "messages: user, system": Unsupported("messages[1].role"),
    "messages: three turns": {
        "contents": [
            {"role": "user", "parts": [HI]},
            {"role": "model", "parts": [{"text": "Hello."}]},
            {"role": "user", "parts": [{"text": "Bye."}]},
        ]
    },
    "messages: user with a name": Unsupported("messages[0].name"),
    "messages: system with a name": Unsupported("messages[0].name", instructed("Be brief.")),
    "messages: user with a text part": UNSENT,
    "image: https": user(HI, PNG),
    "image: data URL": user(HI, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}),
    "image: http": Unsupported("messages[0].content[1].image_url.url"),
    "image: detail auto": user(HI, PNG),
    "image: detail high": user(HI, {**PNG, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
    "image: bare URL": user(HI, PNG),
    "audio part": user(HI, {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
    "file part: data": user(HI, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}}),
    "file part: id": Unsupported("messages[0].content[1].file.file_id"),
    "messages: tool result": called(args={"a": 1}),
    "messages: function result": called(args={"a": 1}),
    "messages: function result without a call": Invalid("messages[1].name"),
    "messages: unknown member": {"contents": [{"role": "user", "parts": [HI], "cache_control": {"type": "ephemeral"}}]},
}

FLASH_25, PRO_25 = "gemini-2.5-flash", "gemini-2.5-pro"
NATIVE_SEARCH = {"googleSearch": {}}
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]

OWN_EXPECTATIONS: tuple[tuple[ParamsCall, Expectation], ...] = (
    (call(service_tier="priority"), {"serviceTier": "priority"}),
    (call(web_search_options={}), SEARCH),
    (
        call(audio={"voice": "Kore", "format": "pcm16"}),
        config(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}),
    ),
    (call("extra_body: safety settings", extra_body={"safetySettings": SAFETY}), {"safetySettings": SAFETY}),
    (
        call("extra_body: generationConfig", temperature=0, extra_body={"generationConfig": {"topK": 5}}),
        config(temperature=0, topK=5),
    ),
    (
        call("extra_body: generation_config", temperature=0, extra_body={"generation_config": {"topK": 5}}),
        config(temperature=0, topK=5),
    ),
    (call("tools: Google's search", tools=[{"type": "googleSearch"}]), SEARCH),
    (
        call("tools: add, extra_body: search", tools=[ADD_TOOL], extra_body={"tools": [NATIVE_SEARCH]}),
        {
            "tools": [{"functionDeclarations": [ADD_DECLARED]}, NATIVE_SEARCH],
            "toolConfig": {"includeServerSideToolInvocations": True},
        },
    ),
    (
        call(
            "tools: add and now, tool_choice: allowed_tools, required",
            tools=[ADD_TOOL, NOW_TOOL],
            tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED_ADD]}},
        ),
        tools(ADD_DECLARED, NOW_DECLARED, toolConfig=ONLY_ADD),
    ),
    (
        call("tools: add and now, tool_choice: allowed_tools", tools=[ADD_TOOL, NOW_TOOL], tool_choice=ALLOWED_TOOLS),
        tools(ADD_DECLARED),
    ),
    # Gemini 2.5 returns several candidates, has penalties, and thinks by a budget.
    (call("2.5: n=3", model=FLASH_25, n=3), config(candidateCount=3)),
    (call("2.5: presence_penalty", model=FLASH_25, presence_penalty=-2), config(presencePenalty=-2)),
    (call("2.5: frequency_penalty", model=FLASH_25, frequency_penalty=2), config(frequencyPenalty=2)),
    (call("2.5: frequency_penalty=2.1", model=FLASH_25, frequency_penalty=2.1), Unsupported()),
    (call("2.5: none", model=FLASH_25, reasoning_effort="none"), config(thinkingConfig={"thinkingBudget": 0})),
    (call("2.5: low", model=FLASH_25, reasoning_effort="low"), thinking(thinkingBudget=1024)),
    (call("2.5: medium", model=FLASH_25, reasoning_effort="medium"), thinking(thinkingBudget=8192)),
    (call("2.5: high", model=FLASH_25, reasoning_effort="high"), thinking(thinkingBudget=24576)),
    (call("2.5: xhigh", model=FLASH_25, reasoning_effort="xhigh"), Unsupported()),
    (
        call("2.5: thinking disabled", model=FLASH_25, thinking={"type": "disabled"}),
        config(thinkingConfig={"thinkingBudget": 0}),
    ),
    (call("2.5: thinking adaptive", model=FLASH_25, thinking=ADAPTIVE_THINKING), thinking(thinkingBudget=-1)),
    (call("2.5 pro: none", model=PRO_25, reasoning_effort="none"), Unsupported()),
    (
        call("2.5: json_schema, tools", model=FLASH_25, response_format=CITY_FORMAT, tools=[ADD_TOOL]),
        Unsupported("response_format", tools(ADD_DECLARED)),
    ),
    (call("2.0: low", model="gemini-2.0-flash", reasoning_effort="low"), Unsupported()),
    (call("2.0: thinking", model="gemini-2.0-flash", thinking=THINKING_BUDGET), Unsupported()),
    (
        call("2.0: json_object", model="gemini-2.0-flash", response_format=JSON_OBJECT),
        config(responseMimeType="application/json"),
    ),
    (call("3 pro: medium", model="gemini-3-pro-preview", reasoning_effort="medium"), Unsupported()),
    (call("3.6: temperature", model="gemini-3.6-flash", temperature=0.5), Unsupported()),
    (call("newest: xhigh", model="gemini-9-flash", reasoning_effort="xhigh"), thinking(thinkingLevel="xhigh")),
    (
        call("thinking: Gemini's own", thinking={"thinkingLevel": "low", "includeThoughts": False}),
        config(thinkingConfig={"thinkingLevel": "low", "includeThoughts": False}),
    ),
)

LEGACY_EXPECTATIONS: Mapping[str, Expectation] = {
    "messages: role system": instructed("Be brief."),
    "messages: role user": UNSENT,
    "messages: role assistant": EXPECTATIONS["messages: three turns"],
    "messages: role function": called(args={"a": 1}),
    "messages: role tool": called(args={"a": 1}),
    "messages: content": user({"text": NON_ASCII_TEXT}),
    "messages: name": Unsupported("messages[0].name"),
    "messages: function_call": called(args={}, text="Let me add."),
    "functions: name": tools(NOW_DECLARED),
    "functions: description": tools({"name": "now", "description": "The time."}),
    "functions: parameters": tools({"name": "add", "parametersJsonSchema": ADD_PARAMETERS}),
    "function_call": tools(ADD_DECLARED, toolConfig=ONLY_ADD),
    "temperature": config(temperature=0.5),
    "top_p": config(topP=0.5),
    "n": Branches(2),
    "stream": UNSENT,
    "stop": config(stopSequences=["END"]),
    "max_tokens": config(maxOutputTokens=9),
    "presence_penalty": REFUSED,
    "frequency_penalty": REFUSED,
    "logit_bias": REFUSED,
    "user": REFUSED,
    "forceTimeout": UNSENT,
    "force_timeout": UNSENT,
    "azure=False": UNSENT,
    "logger_fn": UNSENT,
    "verbose": UNSENT,
    "organization": REFUSED,
}

COLUMN = ProviderColumn(
    model="gemini-3-flash-preview",
    path="/gemini/v1beta/models/gemini-3-flash-preview:generateContent",
    stream_path="/gemini/v1beta/models/gemini-3-flash-preview:streamGenerateContent",
    key_header=("x-goog-api-key", "the-key"),
    key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    url_variables=("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"),
    body=body,
    expectations=EXPECTATIONS,
    own_expectations=OWN_EXPECTATIONS,
    legacy_expectations=LEGACY_EXPECTATIONS,
    unknown_parts=False,
    denied=frozenset(
        ("max_tokens=0", "max_completion_tokens=0", "extra_body={'top_k': 5}", "messages: unknown member")
    ),
)
