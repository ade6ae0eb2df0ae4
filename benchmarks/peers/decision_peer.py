"""transformers' decision pipeline: closed answers, one prompt after another."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.contract import DTYPES, Answered, Precision
from core import backbone as backbones
from core.backbone.loading import load_tokenizer
from core.engine.prompting import first_token
from core.engine.sequences import Request


class Decisions:
    """One pipeline an adapter; its prompts are those of the requests."""

    def __init__(self, folder: str, adapters: Mapping[str, Path], precision: Precision) -> None:
        self._pipelines = {
            name: _pipeline(folder, path, precision) for name, path in adapters.items()
        }
        self._tokenizer = load_tokenizer(folder)[0]

    def answer(self, requests: Sequence[Request]) -> Answered:
        ids: list[tuple[int, ...]] = [(self._decide(request),) for request in requests]
        return Answered(ids=ids, tokens=len(ids))

    def _decide(self, request: Request) -> int:
        text = self._tokenizer.decode(list(request.prompt[1:]), clean_up_tokenization_spaces=False)
        options = [str(place) for place in range(len(request.label_tokens))]
        question = {"type": "choice", "criteria": dict.fromkeys(options)}
        decide = self._pipelines[str(request.adapter)]
        return int(decide({"state": text, "questions": {"answer": question}})["answer"]["choice"])


def _pipeline(folder: str, adapter: Path, precision: Precision) -> Any:
    from peft import PeftModel
    from transformers import DecisionConfig, pipeline

    make: Any = pipeline
    loaded = backbones.load(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = PeftModel.from_pretrained(loaded.model, adapter)
        config = DecisionConfig.from_pretrained(adapter)
        opening = loaded.tokenizer.convert_ids_to_tokens(first_token(loaded.tokenizer))
        config.chat_template = f"{opening}{{{{- state -}}}}"
        return make(
            "decision",
            model=model.merge_and_unload().to(DTYPES[precision]).eval(),
            tokenizer=copy.deepcopy(loaded.tokenizer),
            decision_config=config,
        )
