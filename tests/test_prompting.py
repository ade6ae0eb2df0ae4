"""Inputs and answers as token ids, and how they are fitted into the context."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

import apps
from core.engine.prompting import (
    answer_budget,
    encode_answer,
    encode_example,
    encode_prompt,
    encode_text,
    label_spellings,
    label_token_ids,
)
from core.errors import BadInput, BadSetting
from core.task import Choice, Criterion, Example, Input, Row, Task, Text


class Note(Input):
    text: str = ""
    turns: tuple[str, ...] = ()


def read(row: Row) -> Iterable[Example[Note]]:
    yield Example(input=Note(text=row["text"]), answers=(row["answer"],))


def framed(note: Note) -> str:
    return "".join(f"Turn: {turn}\n" for turn in note.turns) + f"{note.text}\nAnswer:"


def bare(note: Note) -> str:
    return note.text


def made(prompt=framed, answer=None) -> Task[Note]:
    return Task(
        title="Notes",
        description="",
        input=Note,
        columns=(("text", "answer"),),
        sources=(),
        read=read,
        prompt=prompt,
        answer=answer or Text(max_new_tokens=20),
        metrics=("completion",),
        select_by=Criterion(metric="f1"),
        samples=(),
    )


def test_a_prompt_begins_with_end_of_text_once_and_decodes_to_itself(tokenizer):
    prompt = encode_prompt(made(), Note(text="The old mill"), tokenizer, 100)
    assert prompt.ids[0] == tokenizer.bos_token_id
    assert prompt.ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(prompt.ids[1:]) == "The old mill\nAnswer:"
    assert prompt.dropped == 0


def test_an_empty_prompt_is_just_the_beginning(tokenizer):
    assert encode_prompt(made(bare), Note(), tokenizer, 10).ids == [tokenizer.bos_token_id]


def test_special_tokens_typed_by_a_person_are_plain_text(tokenizer):
    ids = encode_text("a <|endoftext|> b", tokenizer)
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == "a <|endoftext|> b"


def test_half_a_surrogate_pair_is_refused_and_a_zero_byte_is_not(tokenizer):
    with pytest.raises(BadInput, match="surrogate"):
        encode_text("\ud800", tokenizer)
    assert tokenizer.decode(encode_text("a\0b", tokenizer)) == "a\0b"


@pytest.mark.parametrize("text", ["The weather was cold. " * 60, "今天的天气很好。" * 60])
def test_a_framed_text_keeps_its_beginning_and_says_what_was_dropped(tokenizer, text):
    prompt = encode_prompt(made(), Note(text=text), tokenizer, 50)
    seen = tokenizer.decode(prompt.ids[1:])
    assert len(prompt.ids) <= 50
    assert seen.endswith("\nAnswer:")
    assert text.startswith(seen.removesuffix("\nAnswer:"))
    assert prompt.dropped == len(text) - len(seen.removesuffix("\nAnswer:"))


def test_nearly_all_the_room_is_used(tokenizer):
    text = "The weather in the small town was cold. " * 60
    assert len(encode_prompt(made(), Note(text=text), tokenizer, 50).ids) >= 48


def test_a_text_that_is_continued_keeps_its_end(tokenizer):
    text = " ".join(f"number {number}" for number in range(200))
    prompt = encode_prompt(made(bare), Note(text=text), tokenizer, 50)
    seen = tokenizer.decode(prompt.ids[1:])
    assert len(prompt.ids) <= 50
    assert text.endswith(seen)
    assert prompt.dropped == len(text) - len(seen)


def test_the_oldest_turns_are_forgotten_first(tokenizer):
    turns = tuple(f"what was said as number {number}" for number in range(20))
    prompt = encode_prompt(made(), Note(text="And now?", turns=turns), tokenizer, 60)
    seen = tokenizer.decode(prompt.ids)
    assert len(prompt.ids) <= 60
    assert "number 0\n" not in seen
    assert "number 19\n" in seen
    assert seen.endswith("And now?\nAnswer:")
    assert prompt.dropped > 0


def test_where_nothing_can_be_cut_the_input_is_refused(tokenizer):
    with pytest.raises(BadInput, match="too long"):
        encode_prompt(made(), Note(text=""), tokenizer, 2)


def test_megabytes_are_fitted_quickly(tokenizer):
    prompt = encode_prompt(made(), Note(text="a long story " * 600_000), tokenizer, 50)
    assert len(prompt.ids) <= 50
    assert prompt.dropped > 7_000_000


def test_marks_are_single_distinct_tokens(tokenizer):
    labels = ("negative", "positive")
    spellings, ids = label_spellings(labels, tokenizer), label_token_ids(labels, tokenizer)
    assert [encode_text(one, tokenizer) for one in spellings] == [[token] for token in ids]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("labels", [("好评", "差评"), ("x1", "x2"), ("apple tree", "apple pie")])
def test_labels_that_begin_alike_get_letters(tokenizer, labels):
    spellings = label_spellings(labels, tokenizer)
    assert [one.strip() for one in spellings] == ["A", "B"]


def test_too_many_labels_are_refused(tokenizer):
    with pytest.raises(BadSetting, match="at most 62"):
        label_spellings(tuple(f"x{number}" for number in range(63)), tokenizer)


def test_an_answer_is_a_space_its_tokens_and_end_of_text(tokenizer):
    ids = encode_answer(made(), "near the river", tokenizer)
    assert tokenizer.decode(ids[:-1]) == " near the river"
    assert ids[-1] == tokenizer.eos_token_id


def test_a_chosen_answer_is_its_mark(tokenizer):
    task = made(answer=Choice(labels=("ham", "spam")))
    assert encode_answer(task, "spam", tokenizer) == [
        label_token_ids(("ham", "spam"), tokenizer)[1]
    ]
    with pytest.raises(BadInput, match="no label"):
        encode_answer(task, "eggs", tokenizer)


def test_an_example_is_prompt_and_answer_with_nothing_between(tokenizer):
    example = Example(input=Note(text="Where is the mill?"), answers=("near the river", "there"))
    row = encode_example(made(), example, tokenizer, 256)
    assert tokenizer.decode(row.input_ids[1:-1]) == "Where is the mill?\nAnswer: near the river"
    assert tokenizer.decode(row.input_ids[row.answer_start :][:-1]) == " near the river"
    prompt = encode_prompt(made(), example.input, tokenizer, 256)
    assert row.input_ids[: row.answer_start] == prompt.ids


def test_a_long_example_loses_its_prompt_before_its_answer(tokenizer):
    example = Example(input=Note(text="The weather was cold. " * 60), answers=("near the river",))
    row = encode_example(made(), example, tokenizer, 64)
    assert len(row.input_ids) <= 64
    assert row.dropped > 0
    assert row.input_ids[-1] == tokenizer.eos_token_id


def test_an_answer_beyond_the_context_is_cut_without_end_of_text(tokenizer):
    example = Example(input=Note(text="Once"), answers=("a long story " * 60,))
    row = encode_example(made(), example, tokenizer, 64)
    assert len(row.input_ids) == 64
    assert row.dropped == 0
    assert row.input_ids[-1] != tokenizer.eos_token_id


@pytest.mark.parametrize(("answer", "budget"), [(Choice(labels=("a", "b")), 1), (Text(), 32)])
def test_the_answer_never_takes_more_than_half_the_context(answer, budget):
    assert answer_budget(made(answer=answer), 64) == budget


@pytest.mark.parametrize("place", [0, 40, 79])
def test_a_passage_is_cut_around_its_answer_to_be_learned(tokenizer, place):
    sentences = [f"In year {1500 + n} the town built a bridge." for n in range(80)]
    sentences[place] = "The tower is violet."
    asked = apps.load("qa").input(question="Which colour?", passage=" ".join(sentences))
    example = Example(input=asked, answers=("violet",))
    task = apps.load("qa")
    plain = encode_example(task, example, tokenizer, 200)
    around = encode_example(task, example, tokenizer, 200, around_answer=True)
    assert plain.behind == around.behind == (place > 0)
    assert "violet" in tokenizer.decode(around.input_ids[: around.answer_start])
    assert len(around.input_ids) <= 200 and around.dropped > 0
    assert around.answer_start > 100
