"""The dialect `anthropic_messages`, assembled from the functions of this folder."""

from __future__ import annotations

from ...codecs.sse import SSEParser
from ..base import Dialect, ModelListing
from .anthropic_quirks import AnthropicQuirks, published_models_url, quirks_of
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

_PUBLISHED_MODELS = ModelListing(
    published_models_url,
    items="publisherModels",
    name=("name",),
    name_prefix="publishers/anthropic/models/",
    cursor=("nextPageToken", "pageToken"),
)
"""Vertex AI's list: https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list"""

DIALECT = Dialect(
    NAME,
    PARAMS,
    path=PATH,
    encode=encode,
    decode=decode,
    decoder=decoder,
    error=error,
    models=lambda target: _PUBLISHED_MODELS if quirks_of(target).publisher_models else _MODELS,
    framing=SSEParser,
    quirks_type=AnthropicQuirks,
)
