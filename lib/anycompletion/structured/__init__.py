"""Typed replies: the types of `client.parse`."""

from .parsed_completion import ParsedCompletion
from .reply_type import ParseMode, SupportsValidateJSON

__all__ = ["ParseMode", "ParsedCompletion", "SupportsValidateJSON"]
