"""CTranslate2 has no adapters: it holds a merged model for each, and answers a task at a time."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.peers.contract import Answered, Precision, until
from benchmarks.peers.peft_peers import adapter_and_kind, by
from core import backbone as backbones
from core.backbone.loading import load_tokenizer
from core.engine.sequences import Request


class Merged:
    """One generator an adapter, in fp32. It cannot keep to the tokens that a request allows."""

    def __init__(self, folder: str, adapters: Mapping[str, Path], precision: Precision) -> None:
        self._generators = {name: _merged(folder, path) for name, path in adapters.items()}
        self._tokenizer = load_tokenizer(folder)[0]

    def answer(self, requests: Sequence[Request]) -> Answered:
        found: dict[int, tuple[tuple[int, ...], int]] = {}
        for places in by(requests, adapter_and_kind):
            given = self._answers([requests[place] for place in places])
            found.update(zip(places, given, strict=True))
        rows = [found[place] for place in range(len(requests))]
        return Answered(ids=[ids for ids, _ in rows], tokens=sum(tokens for _, tokens in rows))

    def _answers(self, requests: Sequence[Request]) -> list[tuple[tuple[int, ...], int]]:
        closed = bool(requests[0].label_tokens)
        prompts = [self._tokenizer.convert_ids_to_tokens(list(one.prompt)) for one in requests]
        rows = self._generators[str(requests[0].adapter)].generate_batch(
            prompts,
            max_length=1 if closed else max(one.max_new_tokens for one in requests),
            sampling_topk=1,
            include_prompt_in_result=False,
            return_end_token=True,
            return_logits_vocab=closed,
            # 4.8.5 returns the logits of an earlier place for the longer prompts of a batch.
            max_batch_size=1 if closed else 0,
        )
        return [self._answer(row, one) for row, one in zip(rows, requests, strict=True)]

    def _answer(self, row: Any, request: Request) -> tuple[tuple[int, ...], int]:
        if request.label_tokens:
            logits = numpy.asarray(row.logits[0]).ravel()[list(request.label_tokens)]
            return (int(logits.argmax()),), 1
        ids = row.sequences_ids[0][: request.max_new_tokens]
        return until(ids, self._tokenizer.eos_token_id)


def _merged(folder: str, adapter: Path) -> Any:
    import ctranslate2  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from peft import PeftModel

    loaded = backbones.load(folder)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = PeftModel.from_pretrained(loaded.model, adapter)
        model.merge_and_unload().save_pretrained(temporary)
        loaded.tokenizer.save_pretrained(temporary)
        converted = str(Path(temporary) / "converted")
        with contextlib.redirect_stderr(io.StringIO()):
            ctranslate2.converters.TransformersConverter(temporary).convert(converted)
        threads = torch.get_num_threads()
        return ctranslate2.Generator(
            converted, intra_threads=threads, inter_threads=1, compute_type="float32"
        )
