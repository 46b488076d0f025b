"""Validation of caller input: arguments and options are checked and converted to records, each error names its place.

`parse_call` validates the arguments of `create` and `stream`, `validate_request` a `ChatRequest` that a caller made.
Each request passes one of the two once; a request that middleware passes on is validated again. Ranges that differ
between providers are not checked here: they are in the parameter tables (`params.py`).
"""

from .call_arguments import (
    check_client_arguments,
    is_keyword,
    parse_call,
    parse_options,
    split_keywords,
    unknown_keyword,
)
from .message_input import with_call_ids
from .option_checks import check_headers, check_option_values, check_options, check_timeout, parse_keys
from .request_checks import request_from_arguments, validate_request
from .serializability import require_serializable, unserializable_error
from .values import check_flag, check_string

__all__ = [
    "check_client_arguments",
    "check_flag",
    "check_headers",
    "check_options",
    "check_option_values",
    "check_string",
    "check_timeout",
    "unserializable_error",
    "is_keyword",
    "parse_call",
    "parse_keys",
    "parse_options",
    "request_from_arguments",
    "require_serializable",
    "split_keywords",
    "unknown_keyword",
    "validate_request",
    "with_call_ids",
]
