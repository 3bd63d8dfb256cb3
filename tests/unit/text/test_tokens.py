"""The tokenizer of the built-in tier: what a token is, and what is remembered of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.text.tokens import Kind, Tokenizer


def spelt(text: str) -> list[str]:
    """The words and marks of a text, without the spaces behind them."""
    return [token.word for token in Tokenizer()(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the old mill", "the|old|mill"),
        ("(Ann, Bob)!", "(|Ann|,|Bob|)|!"),
        ("he'll can't it\u2019s I'm we've", "he|'ll|ca|n't|it|\u2019s|I|'m|we|'ve"),
        ("I'D you're", "I|'D|you|'re"),
        ("Dr. Smith met J.K. and friends.", "Dr.|Smith|met|J.K.|and|friends|."),
        ("wait... end.. go.", "wait|...|end|..|go|."),
        ("two-hour a--b c---d x~y", "two|-|hour|a|--|b|c|---|d|x|~|y"),
        ("ends.Starts one,two 1,000", "ends|.|Starts|one|,|two|1,000"),
        ("tea/coffee a:b a<b>c a=b", "tea|/|coffee|a|:|b|a|<|b|>|c|a|=|b"),
        ("fox\U0001f98aden \u2192", "fox|\U0001f98a|den|\u2192"),
        ("one\ntwo", "one||two"),
    ],
)  # fmt: skip
def test_text_is_words_and_marks(text, expected):
    assert spelt(text) == expected.split("|")


@given(st.text())
def test_tokens_are_all_of_a_text(text):
    assert "".join(token.spelt for token in Tokenizer()(text)) == f"{text} "


def test_token_knows_whether_it_is_a_capital_or_a_connector():
    tokens = Tokenizer()("The Lord OF rings")
    assert [token.is_capital for token in tokens] == [True, True, True, False]
    assert [token.connects for token in tokens] == [True, False, True, False]


def test_kind_of_a_token_is_asked_once_for_each_new_chunk():
    asked = []

    def classify(*token: str) -> Kind:
        asked.append(token)
        return Kind(token[2][:1])

    tokenize = Tokenizer(classify)
    for _ in range(2):
        classes = [token.kind.word_class for token in tokenize("Old mill, Old")]
        assert classes == ["o", "m", ",", "o"]
    assert asked == [("Old ", "Old", "old"), ("mill", "mill", "mill"), (", ", ",", ",")]


def test_tokenizers_share_nothing():
    one, other = Tokenizer(lambda *_: Kind("one")), Tokenizer(lambda *_: Kind("other"))
    assert {tokenize("mill")[0].kind.word_class for tokenize in (one, other)} == {"one", "other"}


def test_memory_of_chunks_is_bounded_and_can_be_cleared():
    tokenize = Tokenizer()
    tokenize(" ".join(f"w{i}" for i in range(4096)))
    assert len(tokenize) == 4096
    tokenize("once more")
    assert len(tokenize) == 2
    tokenize.clear()
    assert len(tokenize) == 0


def test_what_is_hardly_a_word_is_not_remembered():
    tokenize = Tokenizer()
    tokenize(f"{'w' * 81} {'(' * 17}")
    assert len(tokenize) == 0
    tokenize(f"{'w' * 80} {'(' * 16}")
    assert len(tokenize) == 2


def test_long_run_without_a_space_is_one_token():
    assert spelt(f"{'a,' * 40}b") == [f"{'a,' * 40}b"]
    assert spelt(f"{'a,' * 39}b") == [*"a," * 39, "b"]
