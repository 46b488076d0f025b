"""Words, phrases and identifiers that the project does not use, with their exemptions; read by `words`."""

from __future__ import annotations

_WORDS = """
    told tells says said saying heard hear hears held
    nobody somebody anybody everybody whoever whom
    stranger strangers farewell farewells nought sulk sulks mute purse deaf hopeless
    kitchen menu menus shelf shelves porch porches door doors desk desks room rooms floor floors house houses
    lane lanes road roads lent needle needles outlet outlets tellers twin twins
"""
RETIRED_WORDS = frozenset(_WORDS.split())
"""Checked in every identifier's parts, comment, docstring and text.

Left out are words that are ordinary English or technical terms elsewhere, although one of their uses is retired: rest,
own, first, line, left, take, give, keep, known, gate, mark, turn, tell, say, hold, note, stamp, merged, change.
"""

RETIRED_PHRASES = frozenset(
    {"can be meant", "cannot be meant", "can mean", "cannot mean", "who waits", "its turn", "address book"}
)
"""Checked in comments, docstrings and texts, across line ends as well."""

ORDINARY = {
    "room for": "space, as in «no room for another connection»",
    "room to": "space, as in «no room to grow»",
    "room left": "space, as in «no room left in the buffer»",
    "lock is held": "the standard term for a lock",
    "locks are held": "the standard term for a lock",
}
"""Phrase → why it may stand everywhere although it contains a retired word."""

_NAMES = """
    Desk open_desk Core Lane Lanes Plans make_plan Plan Road roads _ROADS Source LimitedCall hurried again_or_raise
    retried stamped _is_paid_for asked_twice reconnected revealed see_off farewells _FAREWELL may_begin
    Rest Turns Mark Left Told Ticket Bucket Line let_go Slots ran_out Adaptive _deaf
    OwnSender OwnAnswer LentAnswer _Place _places Wire is_quiet give_back GATE Held Starts STARTS Clocks Watch Timer
    Exchange Answer adopted NotHTTPError is_known shut abandon
    Need Follow Report Known carries_key _look Said HoldsError obj opt_text SSEFraming Relay Whole Change Chained
    _tellers _tell_end Merged Sender news Engine Job Fixed Outlet Tally _Wants Label Labels _SEALED
    Rows StandIn stand_in find_anywhere Cell Table NEUTRAL Settings without_frames Misuse Misfit
    is_a kind_of read_call ready_request explain_unsendable speaks_legacy _Turns thought_of _SHELVES _HOMES
    PeerLeft unless_left _OURS billed _Line owe _Booking Ask Say Script Style
    outlets stepcancel cells floor_table odd_objects standin tapped
    say_anthropic say_cohere say_openai say_replicate sim_anthropic sim_azure sim_cohere sim_openai sim_openrouter
    sim_replicate checks_anthropic checks_cohere checks_openai checks_replicate
"""
RETIRED_NAMES = frozenset(_NAMES.split())
"""Identifiers that were renamed, compared as a whole and with their case.

Left out are renamed ones that are good names elsewhere: refused, begun, throttled, repeatable, leaks, Body.
"""

DATA_FILES: dict[str, str] = {}
"""Modules of `lib` whose string literals are not checked → why: they are data, not texts of ours."""

EXEMPT: dict[str, dict[tuple[str, str], str]] = {
    "lib/anycompletion/cli/chat_command.py": {
        ("Table", "rich.table"): "a class of rich",
        ("Table", "grid()"): "a class of rich",
        ("Table", "Table.grid"): "a class of rich",
    },
    "lib/anycompletion/testing/formats/simulated_reply.py": {
        ("said", "You said: "): "a reply that the simulator makes",
        ("says", "The tool says: "): "a reply that the simulator makes",
    },
    "benchmarks/report.py": {("floor", "math.floor"): "the name of the function"},
}
"""File → (word, a distinctive part of the line) → why the word may stand there."""
