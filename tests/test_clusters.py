"""What belongs together is one group: references, questions on a passage, directions of a pair."""

from __future__ import annotations

import apps
from core.application import Prediction
from core.task import Example
from finetune.evaluation.answers import Answers
from finetune.evaluation.clusters import groups_of, rows_of
from finetune.evaluation.metrics.counts import count


def test_references_of_one_prompt_belong_together():
    task = apps.load("generation")
    examples = [
        Example(input=task.input(text=text, mode="complete"), answers=(answer,))
        for text, answer in (("a", "one"), ("b", "two"), ("a", "three"))
    ]
    assert groups_of(task, examples).tolist() == [0, 1, 0]
    said = Answers(
        name="m", kind="adapter", predictions=tuple(Prediction(text="x y z") for _ in examples)
    )
    found = count(task, examples, said)["distinct_2"]
    assert found.groups is not None and len(found.groups) == found.rows.shape[0] == 2


def test_questions_on_one_passage_belong_together_and_chats_do_not():
    task = apps.load("qa")
    asked = [("q1", "mill"), ("q2", "tea"), ("q3", "mill"), ("q4", ""), ("q5", "")]
    examples = [
        Example(input=task.input(question=question, passage=passage), answers=("x",))
        for question, passage in asked
    ]
    assert groups_of(task, examples).tolist() == [0, 1, 0, 2, 3]


def test_both_directions_of_a_pair_belong_together():
    task = apps.load("translation")
    rows = [
        tuple(task.read({"en": en, "zh": zh})) for en, zh in (("Tea.", "茶。"), ("Mill.", "磨坊。"))
    ]
    examples = [example for row in rows for example in row]
    assert groups_of(task, examples, rows_of(rows)).tolist() == [0, 0, 1, 1]


def test_what_is_joined_by_a_third_is_one_group():
    task = apps.load("qa")
    examples = [
        Example(input=task.input(question=question, passage=passage), answers=("x",))
        for question, passage in (("q1", "mill"), ("q2", "tea"), ("q3", "mill"), ("q4", "tea"))
    ]
    assert groups_of(task, examples, [0, 1, 1, 2]).tolist() == [0, 0, 0, 0]
