"""The dialect `gemini_generate`, assembled from the functions of this folder."""

from __future__ import annotations

import functools

from ...codecs.sse import MAX_MEDIA_EVENT, SSEParser
from ..base import Dialect, ModelListing
from .decode import decode
from .encode import encode
from .errors import error
from .gemini_quirks import GeminiQuirks, quirks_of
from .model_families import model_params
from .params import NAME, PARAMS
from .resource_urls import PATH, models_url
from .stream import decoder

_MODELS = ModelListing(
    models_url,
    query={"pageSize": "1000"},
    items="models",
    name=("name",),
    name_prefix="models/",
    cursor=("nextPageToken", "pageToken"),
)

_PUBLISHED_MODELS = ModelListing(
    models_url,
    items="publisherModels",
    name=("name",),
    name_prefix="publishers/google/models/",
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
    models=lambda target: _PUBLISHED_MODELS if quirks_of(target).vertex else _MODELS,
    framing=functools.partial(SSEParser, MAX_MEDIA_EVENT),
    quirks_type=GeminiQuirks,
    model_params=model_params,
)
