"""A small package that follows the plan, and imports that do not, for the tests of the architecture check."""

from __future__ import annotations

CLEAN = {
    "__init__.py": (
        '"""Doc."""\nfrom __future__ import annotations\nfrom .client import AsyncCompletion\n'
        'from .errors import CompletionError\n__version__ = "1"\n__all__ = ["AsyncCompletion"]\n'
    ),
    "__main__.py": "from .cli import main\n",
    "_async.py": "import asyncio\n",
    "auth.py": "from .http import HttpRequest\n",
    "batch/__init__.py": "from .run import BatchRun\n",
    "batch/items.py": "from ..records import ChatRequest\n",
    "batch/journal/__init__.py": "from .writer import Journal\n",
    "batch/journal/writer.py": "from ...records import Usage\n",
    "batch/native/engine.py": "from ..items import BatchItem\n",
    "batch/run.py": "from .journal import Journal\nfrom .items import BatchItem\n",
    "calls/__init__.py": "from .call import Call\n",
    "calls/call.py": "from .. import retry_policy, transport\nfrom ..providers import PROVIDERS\n",
    "cli/__init__.py": "from .commands import main\n",
    "cli/commands.py": (
        "from .. import AsyncCompletion\nfrom ..testing import SimulatorServer\n"
        "def main():\n    import rich.live\n    from cyclopts import App\n"
    ),
    "client/__init__.py": "from .client import AsyncCompletion\n",
    "client/client.py": (
        "from typing import TYPE_CHECKING\nfrom ..streaming import CompletionStream\n"
        "if TYPE_CHECKING:\n    import aiohttp\n    from ..batch import BatchRun\n"
        "class AsyncCompletion:\n    def batch(self):\n        from ..batch import BatchRun\n"
    ),
    "codecs/__init__.py": "",
    "codecs/converters.py": "from cattrs.gen import override\nfrom ..records import Usage\n",
    "codecs/json.py": "import msgspec\nfrom .lenient import as_object\n",
    "codecs/lenient.py": "from ..errors import CompletionError\n",
    "codecs/sse.py": "from ..http import Event\n",
    "dialects/__init__.py": "",
    "dialects/base.py": "from ..records import ChatRequest\n",
    "dialects/cohere_chat/__init__.py": "from .encode import encode\n",
    "dialects/cohere_chat/encode.py": (
        "from .. import Dialect\nfrom . import tool_plan\nfrom ...codecs.json import dumps\n"
    ),
    "dialects/cohere_chat/stream.py": (
        "from ..base import Decoder\nclass CohereStreamDecoder: pass\nclass _Part: pass\n"
    ),
    "dialects/cohere_chat/tool_plan.py": "",
    "dialects/openai_chat/__init__.py": "from .encode import encode\n",
    "dialects/openai_chat/encode.py": "from ...codecs import sse\nfrom .params import PARAMS\n",
    "dialects/openai_chat/params.py": "from ...params import ParamTable\n",
    "errors.py": "import asyncio\nclass CompletionError(Exception): pass\n",
    "http.py": "from attrs import define\nfrom .errors import CompletionError\n",
    "integrations/otel.py": "from opentelemetry.trace import Span\nfrom .. import ChatCompletion\n",
    "options.py": "import attrs\nfrom .errors import CompletionError\n",
    "params.py": "",
    "providers/__init__.py": "from .provider import PROVIDERS\n",
    "providers/provider.py": (
        "import importlib\nfrom ..dialects import Dialect\n"
        "def load(name):\n    return importlib.import_module(f'anycompletion.dialects.{name}')\n"
    ),
    "ratelimit/limiter.py": "from ..errors import CompletionError\n",
    "records/__init__.py": "from .messages import Message\nfrom .base import Record\n",
    "records/base.py": "class Record: pass\n",
    "records/chunks.py": "import msgspec\n",
    "records/messages.py": (
        "from ..codecs.lenient import as_text\nfrom .base import Record\nclass Message(Record): pass\n"
    ),
    "redaction.py": "from .http import Headers\n",
    "retry_policy.py": "",
    "streaming/__init__.py": "from .stream import CompletionStream\n",
    "streaming/accumulator.py": "from ..codecs.json import dumps\n",
    "streaming/fanout.py": "from .stream import CompletionStream\n",
    "streaming/stream.py": "from ..calls import Call\n",
    "testing/__init__.py": "from .fake import Fake\n",
    "testing/fake.py": (
        "from aiohttp import web\nfrom .. import AsyncCompletion\nfrom ..http import Event\n"
        "from ..streaming.accumulator import Accumulator\nclass Fake: pass\n"
    ),
    "testing/formats/openai_chat/encode.py": "from ....records import Usage\n",
    "transport/__init__.py": "",
    "transport/body.py": "from aiohttp import StreamReader\nfrom aiohttp.streams import EMPTY_PAYLOAD\n",
    "transport/connector.py": "import aiohttp\ndef f(x):\n    x._conns\n",
    "transport/errors.py": "",
    "web/__init__.py": "from .sse_relay import relay\n",
    "web/sse_relay.py": (
        "from aiohttp import web\nfrom .. import CompletionStream\nfrom ..errors import CompletionError\n"
    ),
    "workers.py": "from . import AsyncCompletion\n",
}
"""File → source."""

PURE = "a dialect is pure: it neither sends, retries, signs nor chooses a provider"
BYTES = "the transport carries bytes and does not know chat completions"
CLI_MAY = "it may import the package itself, batch, testing"
WEB_MAY = "it may import the package itself, codecs, errors, logs, records, tools"
TESTING_MAY = (
    "it may import the package itself, codecs, errors, http, records, redaction, streaming.accumulator, structured, "
    "transport"
)
AIOHTTP = "which only testing, transport, web may import"

IMPORTS: dict[str, tuple[str, str, str]] = {
    "up": ("errors.py", "from .options import Timeout", "errors imports options, which is in a higher layer"),
    "up among values": ("http.py", "from .records import Usage", "http imports records, which is in a higher layer"),
    "same lowest layer": ("logs.py", "from .errors import X", "logs imports errors, which is in the same layer"),
    "same layer the other way": (
        "params.py",
        "from .options import X",
        "params imports options, which is in the same layer",
    ),
    "up to the client": (
        "streaming/fanout.py",
        "from ..client import X",
        "streaming.fanout imports client, which is in a higher layer",
    ),
    "batch to the client": (
        "batch/items.py",
        "from ..client import X",
        "batch.items imports client, which is in a higher layer",
    ),
    "up to a public user": (
        "batch/items.py",
        "from ..testing import X",
        "batch.items imports testing, which is in a higher layer",
    ),
    "workers to another public user": (
        "workers.py",
        "from .testing import X",
        "workers imports testing; it may import the package itself, _async, batch",
    ),
    "package to a public user": (
        "__init__.py",
        "from .cli import main",
        "__init__ imports cli, which is in a higher layer",
    ),
    "up to the package": (
        "ratelimit/limiter.py",
        "from .. import AsyncCompletion",
        "ratelimit.limiter imports __init__, which is in a higher layer",
    ),
    "decision to the limiter": (
        "retry_policy.py",
        "from .ratelimit import admit",
        "retry_policy imports ratelimit, which is in a higher layer",
    ),
    "decisions": ("retry_policy.py", "from .auth import sign", "retry_policy imports auth, which is in the same layer"),
    "limiter to transport": (
        "ratelimit/limiter.py",
        "from ..transport import Pool",
        "ratelimit.limiter imports transport, which is in the same layer",
    ),
    "stream to middleware": (
        "streaming/stream.py",
        "from ..middleware import Middleware",
        "streaming.stream imports middleware, which is in a higher layer",
    ),
    "journal to batch": (
        "batch/journal/writer.py",
        "from ..items import BatchItem",
        "batch.journal.writer imports batch.items, which is in a higher layer",
    ),
    "lower part of a package to its rest": (
        "codecs/lenient.py",
        "from .sse import SSEParser",
        "codecs.lenient imports codecs.sse, which is in a higher layer",
    ),
    "sibling dialect": (
        "dialects/a/encode.py",
        "from ..cohere_chat import encode",
        "dialects.a.encode imports dialects.cohere_chat.encode, which is in the same layer",
    ),
    "sibling dialect's module": (
        "dialects/a/encode.py",
        "from ..cohere_chat.encode import encode",
        "dialects.a.encode imports dialects.cohere_chat.encode, which is in the same layer",
    ),
    "dialects' own package": (
        "dialects/__init__.py",
        "from . import openai_chat",
        "dialects imports dialects.openai_chat, which is in a higher layer",
    ),
    "seam to a dialect": (
        "dialects/base.py",
        "from .openai_chat import encode",
        "dialects.base imports dialects.openai_chat.encode, which is in a higher layer",
    ),
    "dialect sends": (
        "dialects/cohere_chat/encode.py",
        "from ...transport import Pool",
        f"dialects.cohere_chat.encode imports transport: {PURE}",
    ),
    "dialect calls": (
        "dialects/cohere_chat/encode.py",
        "from ...calls import Call",
        f"dialects.cohere_chat.encode imports calls: {PURE}",
    ),
    "dialect retries": (
        "dialects/cohere_chat/encode.py",
        "from ...retry_policy import delay",
        f"dialects.cohere_chat.encode imports retry_policy: {PURE}",
    ),
    "dialect limits": (
        "dialects/cohere_chat/encode.py",
        "from ...ratelimit import admit",
        f"dialects.cohere_chat.encode imports ratelimit: {PURE}",
    ),
    "dialect signs": (
        "dialects/cohere_chat/encode.py",
        "from ...auth import sign",
        f"dialects.cohere_chat.encode imports auth: {PURE}",
    ),
    "dialect looks up providers": (
        "dialects/cohere_chat/encode.py",
        "from ...providers import PROVIDERS",
        f"dialects.cohere_chat.encode imports providers: {PURE}",
    ),
    "transport uses records": (
        "transport/errors.py",
        "from ..records import ChatRequest",
        f"transport.errors imports records: {BYTES}",
    ),
    "transport uses dialects": (
        "transport/errors.py",
        "from ..dialects import Dialect",
        f"transport.errors imports dialects: {BYTES}",
    ),
    "public user to public user": ("web/a.py", "from ..cli import main", f"web.a imports cli; {WEB_MAY}"),
    "public user past the public surface": (
        "cli/commands.py",
        "from ..calls import Call",
        f"cli.commands imports calls; {CLI_MAY}",
    ),
    "testing to a public user": ("testing/fake.py", "from ..web import X", f"testing.fake imports web; {TESTING_MAY}"),
    "testing to the rest of a package": (
        "testing/fake.py",
        "from ..streaming import X",
        f"testing.fake imports streaming; {TESTING_MAY}",
    ),
    "aiohttp": ("calls/call.py", "import aiohttp", f"calls.call imports aiohttp, {AIOHTTP}"),
    "aiohttp in the client": (
        "client/client.py",
        "from aiohttp import ClientSession",
        "client.client imports aiohttp, which it may import under TYPE_CHECKING only",
    ),
    "yarl": ("http.py", "from yarl import URL", "http imports yarl, which only transport may import"),
    "cattrs": (
        "codecs/json.py",
        "from cattrs.gen import override",
        "codecs.json imports cattrs, which only codecs.converters, validation.structure may import",
    ),
    "msgspec": (
        "records/base.py",
        "import msgspec.json",
        "records.base imports msgspec, which only caching, client.configuration, client.key_binding, codecs, dialects, "
        "http, providers.placeholders, rate_limit_headers, records.chunks, records.reply_info, redaction, structured, "
        "tools, transport.timeouts may import",
    ),
    "anyio": (
        "transport/errors.py",
        "import anyio",
        "transport.errors imports anyio, which only testing, tools may import",
    ),
    "cyclopts": ("workers.py", "import cyclopts", "workers imports cyclopts, which only cli may import"),
    "rich": ("web/a.py", "from rich import print", "web.a imports rich, which only cli may import"),
    "pytest": ("cli/commands.py", "import pytest", "cli.commands imports pytest, which only testing may import"),
    "unknown library": ("auth.py", "import httpx", "auth imports httpx, which is no library of the plan"),
    "unknown package": ("auth.py", "from .helpers import x", "auth imports helpers, which is in no layer"),
    "absolute from": (
        "errors.py",
        "from anycompletion.http import X",
        "errors imports http, which is in a higher layer",
    ),
    "absolute import": ("logs.py", "import anycompletion.http", "logs imports http, which is in a higher layer"),
    "absolute member": ("logs.py", "from anycompletion import http", "logs imports http, which is in a higher layer"),
    "absolute alias": ("logs.py", "import anycompletion.http as h", "logs imports http, which is in a higher layer"),
    "relative member": ("logs.py", "from . import http", "logs imports http, which is in a higher layer"),
    "deep relative": (
        "records/base.py",
        "from ..codecs.sse import X",
        "records.base imports codecs.sse, which is in a higher layer",
    ),
    "second of two": ("logs.py", "import os, anycompletion.http", "logs imports http, which is in a higher layer"),
    "computed name": (
        "auth.py",
        "import importlib; importlib.import_module('anycompletion.client')",
        "auth imports by a computed name, which this check cannot follow",
    ),
    "computed name of the builtin": (
        "auth.py",
        "__import__('anycompletion.client')",
        "auth imports by a computed name, which this check cannot follow",
    ),
    "in a function": (
        "auth.py",
        "def f():\n    if f: from .records import Usage",
        "auth imports records inside a function",
    ),
    "library in a method": (
        "auth.py",
        "class A:\n    async def f(self):\n        import difflib",
        "auth imports difflib inside a function",
    ),
    "for type checkers": (
        "auth.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .calls import Call",
        "auth imports calls, which is in a higher layer",
    ),
    "for type checkers only": (
        "errors.py",
        "from .records.completion import C",
        "errors imports records.completion, which is in a higher layer",
    ),
    "library for type checkers": (
        "auth.py",
        "import typing\nif typing.TYPE_CHECKING:\n    import aiohttp",
        f"auth imports aiohttp, {AIOHTTP}",
    ),
    "not for type checkers": (
        "client/client.py",
        "if TYPE_CHECKING:\n    X = 1\nelse:\n    import aiohttp",
        "client.client imports aiohttp, which it may import under TYPE_CHECKING only",
    ),
}
"""Case → file, source that is appended to it, what the check reports for its last line and nothing else."""
