"""The dialect `ollama_chat`, assembled from the functions of this folder."""

from __future__ import annotations

from ...codecs.ndjson import NDJSONParser
from ..base import Dialect, ModelListing
from .decode import decode
from .encode import PATH, encode
from .errors import error
from .params import NAME, PARAMS
from .stream import decoder

DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=decoder,
    error=error,
    models=ModelListing(lambda target: f"{target.base_url}/api/tags", items="models", name=("name",)),
    other_bases={"v1": "has OpenAI's format; leave it out, or use the provider ollama-openai"},
    framing=NDJSONParser,
)
