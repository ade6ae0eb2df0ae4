"""transformers' own decision pipeline gives the probabilities of the application."""

from __future__ import annotations

import copy
import dataclasses
import warnings

import pytest
import torch
from peft import PeftModel
from transformers import DecisionConfig, pipeline

import apps
from core import backbone as backbones
from core.adapters.decision import write_decision
from core.adapters.lora import AdapterStack
from core.application import Application
from core.engine.engine import Engine
from core.task import Choice

TEXTS = (
    "I love this film.",
    "  spaces around \n",
    "今天的天气很好！",
    'braces {{ state }} {% if %} and "quotes" and \\n',
    "<|endoftext|> typed by a person <|mark|>",
)


@pytest.mark.parametrize("name", ["sentiment", "spam"])
def test_the_pipeline_agrees_with_the_application(tokenizer, backbone, tmp_path, name):
    stack = AdapterStack(backbone)
    stack.create(name, seed=0)
    with torch.no_grad():
        for parameter in stack.parameters(name):
            parameter.copy_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.2
            )
    stack.save(name, tmp_path / "adapter")
    task = apps.load(name)
    assert write_decision(task, tokenizer, tmp_path / "adapter")

    fresh = backbones.create("nano", tokenizer, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = PeftModel.from_pretrained(fresh.model, tmp_path / "adapter")
    decide = pipeline(
        "decision",
        model=model.base_model.model,
        tokenizer=copy.deepcopy(tokenizer),
        decision_config=DecisionConfig.from_pretrained(tmp_path / "adapter"),
    )
    application = Application(task, Engine(backbone, stack), name)
    question = {"type": "choice", "criteria": dict.fromkeys(task.answer.labels)}
    for text in TEXTS:
        answer = decide({"state": text, "questions": {"answer": question}})["answer"]
        found = application(text)
        assert answer["probabilities"] == pytest.approx(found.probabilities, abs=1e-4)
        assert answer["choice"] == found.text


@pytest.mark.parametrize("name", ["qa", "translation", "generation"])
def test_tasks_that_write_have_no_decision(tokenizer, tmp_path, name):
    assert not write_decision(apps.load(name), tokenizer, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_changes_its_text_has_no_decision(tokenizer, tmp_path):
    task = apps.load("spam")
    upper = dataclasses.replace(task, prompt=lambda message: f"{message.text.upper()}\n?")
    assert not write_decision(upper, tokenizer, tmp_path)
    twice = dataclasses.replace(task, prompt=lambda message: f"{message.text}{message.text}")
    assert not write_decision(twice, tokenizer, tmp_path)


def test_labels_without_words_of_their_own_are_written_as_letters(tokenizer, tmp_path):
    task = dataclasses.replace(apps.load("spam"), answer=Choice(labels=("好评", "差评")))
    assert write_decision(task, tokenizer, tmp_path)
    assert [mark.strip() for mark in DecisionConfig.from_pretrained(tmp_path).labels["choice"]] == [
        "A",
        "B",
    ]
