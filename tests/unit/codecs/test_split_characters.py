"""Characters that a stream cuts in two."""

from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.split_characters import SplitCharacters


def halves(text: str) -> list[str]:
    """The text as UTF-16 code units, in which characters beyond U+FFFF are two surrogates."""
    units = text.encode("utf-16-le")
    return [units[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(units), 2)]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(st.sampled_from("aé😀😁𝄞"), max_size=8))
def test_halves_become_the_text_again(text: str) -> None:
    """A character whose halves come in two pieces would be lost."""
    found = SplitCharacters()
    assert "".join(found.join(0, unit) for unit in halves(text)) == text
    assert not found


def test_a_half_waits_for_its_own_text() -> None:
    """The half of one text would complete the character of another."""
    found = SplitCharacters()
    assert found.join("a", "x\ud83d") == "x"
    assert found
    assert found.waiting() == ("a",)
    assert found.join("b", "\ude00") == "\ufffd"
    assert found.join("a", "\ude00") == "😀"
    assert not found


def test_a_half_whose_text_has_ended() -> None:
    """Half a character would be left out without a trace, or added to each text."""
    found = SplitCharacters()
    found.join("a", "\ud83d")
    assert (found.give_up("b"), found.give_up("a"), found.give_up("a")) == ("", "\ufffd", "")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.text(st.sampled_from("a\ud83d\ude00"), max_size=3)), max_size=6))
def test_every_piece_can_be_encoded(pieces: list[tuple[int, str]]) -> None:
    """A relay could not write a piece, because UTF-8 has no surrogates."""
    found = SplitCharacters()
    for text_id, piece in pieces:
        found.join(text_id, piece).encode()
