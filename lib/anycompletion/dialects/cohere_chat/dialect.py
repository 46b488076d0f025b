"""The dialect `cohere_chat`, assembled from the functions of this folder."""

from __future__ import annotations

from ...codecs.sse import SSEParser
from ..base import Dialect, ModelListing
from .decode import decode
from .encode import PATH, encode
from .errors import error
from .params import NAME, PARAMS
from .stream import decoder

_MODELS = ModelListing(
    lambda target: f"{target.base_url}/v1/models",
    query={"endpoint": "chat", "page_size": "1000"},
    items="models",
    name=("name",),
    cursor=("next_page_token", "page_token"),
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
)
