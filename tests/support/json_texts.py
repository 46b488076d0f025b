"""JSON texts for property tests: objects of all kinds of values, in the styles in which models write them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

TEXTS = st.text(st.sampled_from('aé"\\\n\t/😀\u2028{}[],:1'), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


@st.composite
def objects(draw: st.DrawFn) -> str:
    """JSON objects, with escapes or without, on one line or on many."""
    value = draw(st.dictionaries(TEXTS, VALUES, max_size=4))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, 0, 2))))
