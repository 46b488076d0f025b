"""OpenAI's chat-completions format, spoken by OpenAI and everyone compatible; knows no host and no provider by name.

https://platform.openai.com/docs/api-reference/chat

Where a compatible server differs, a quirk of its row says so; what the format itself leaves open is read leniently.
"""

from .faults import error
from .params import DEFAULTS, NAME, PARAMS, PATH, TOOL_DEFAULTS
from .reply import decode
from .request import encode
from .stream import Decoder, decoder

__all__ = ["DEFAULTS", "NAME", "PARAMS", "PATH", "TOOL_DEFAULTS", "Decoder", "decode", "decoder", "encode", "error"]
