"""Constrained copying: an answer is always a part of the passage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.constrained_copying import Passage, _Decoded
from core.engine.prompting import encode_text

TEXT = "The old mill was built in 1820.\nIt is cold there. 茶馆在老城的南门旁边😀。"


def walk(passage: Passage, choices: list[int], end: int) -> list[int]:
    """What an engine would write that takes any allowed token."""
    written: list[int] = []
    for choice in choices:
        allowed = passage.allowed(written)
        token = allowed[choice % len(allowed)]
        if token == end:
            break
        written.append(token)
    return written


@settings(max_examples=150, deadline=None)
@given(choices=st.lists(st.integers(0, 10_000), max_size=12))
def test_whatever_is_chosen_the_answer_stands_in_the_passage(tokenizer, choices):
    passage = Passage(TEXT, tokenizer)
    written = walk(passage, choices, tokenizer.eos_token_id)
    start, end = passage.place(written)
    said = tokenizer.decode(written).strip().rstrip("\ufffd")
    assert TEXT[start:end] == said.strip()


@pytest.mark.parametrize(
    "answer", ["1820", "The old mill", "老城的南门", "😀", "It is cold", "茶馆"]
)
@pytest.mark.parametrize("space", ["", " "])
def test_every_span_can_be_written_with_or_without_the_space(tokenizer, answer, space):
    passage = Passage(TEXT, tokenizer)
    written: list[int] = []
    for token in encode_text(space + answer, tokenizer):
        assert token in passage.allowed(written)
        written.append(token)
    assert tokenizer.eos_token_id in passage.allowed(written)
    start, end = passage.place(written)
    assert TEXT[start:end] == answer


def test_nothing_is_no_answer(tokenizer):
    passage = Passage(TEXT, tokenizer)
    assert tokenizer.eos_token_id not in passage.allowed([])
    space = encode_text(" ", tokenizer)
    assert tokenizer.eos_token_id not in passage.allowed(space)


def test_an_answer_does_not_end_within_a_character_or_a_word(tokenizer):
    passage = Passage("茶 mill", tokenizer)
    first_byte = tokenizer.convert_tokens_to_ids("è")
    assert first_byte in passage.allowed([])
    assert tokenizer.eos_token_id not in passage.allowed([first_byte])
    assert passage.place([first_byte]) == (0, 0)
    m = tokenizer.convert_tokens_to_ids("m")
    assert tokenizer.eos_token_id not in passage.allowed([m])
    assert tokenizer.convert_tokens_to_ids("i") not in passage.allowed([])


def test_the_place_of_a_repeated_word_is_its_first_whole_one(tokenizer):
    passage = Passage("a cold house was old", tokenizer)
    assert passage.place(encode_text(" old", tokenizer)) == (17, 20)


def test_tokenizers_without_bytes_are_matched_by_their_text(tokenizer):
    copier = _Decoded(TEXT, tokenizer)
    written: tuple[int, ...] = ()
    for token in encode_text("The old mill", tokenizer):
        assert token in copier.next(written)
        written = (*written, token)
    assert copier.complete(written)
    assert copier.place(written) == (0, "The old mill")
    assert all(copier.place((*written, token))[1] in TEXT for token in copier.next(written))
