"""Typed replies: the types of `client.parse`."""

from ..providers.structured_support import ParseMode, StructuredSupport
from .parsed_completion import ParsedCompletion
from .parsed_result import ParsedResult
from .parsed_stream import ParsedStream
from .partial import Partial
from .sent_schema import SupportsValidateJSON, response_schema

__all__ = [
    "ParseMode",
    "ParsedCompletion",
    "ParsedResult",
    "ParsedStream",
    "Partial",
    "StructuredSupport",
    "SupportsValidateJSON",
    "response_schema",
]
