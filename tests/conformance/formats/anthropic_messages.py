"""Anthropic's messages."""

from conformance import anthropic_facts
from conformance.recorded_format import RecordedFormat

FORMAT = RecordedFormat(
    apis=("messages",),
    row="anthropic",
    ends=lambda data: [0] if data.get("type") == "message_delta" and data["delta"]["stop_reason"] is not None else [],
    has_content=lambda data: data.get("type") in ("content_block_delta", "message_delta"),
    of_ours=anthropic_facts.of_ours,
)
