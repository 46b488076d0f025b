"""The dialect `anthropic_messages`, assembled from the functions of this folder."""

from __future__ import annotations

from ...codecs.sse import SSEParser
from ..base import Dialect, ModelListing
from .anthropic_quirks import AnthropicQuirks
from .decode import decode
from .encode import PATH, VERSION, encode
from .errors import error
from .params import NAME, PARAMS
from .stream import decoder

_MODELS = ModelListing(
    lambda target: f"{target.base_url}/v1/models",
    query={"limit": "1000"},
    headers={"anthropic-version": VERSION},
    cursor=("last_id", "after_id"),
)

DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=decoder,
    error=error,
    models=_MODELS,
    framing=SSEParser,
    quirks_type=AnthropicQuirks,
)
