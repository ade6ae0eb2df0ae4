"""transformers' decision pipeline beside an adapter: `decision.json` and its template.

`pipeline("decision")` then gives the probabilities that the application gives.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from core.engine.prompting import first_token, label_spellings
from core.task import Choice, In, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DECISION = "decision.json"
_SENTINEL = "\ue000text\ue001"


def write_decision(task: Task[In], tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Write both files for a choice whose prompt only frames its text; False for other tasks."""
    framed = _frame(task)
    if framed is None or not isinstance(task.answer, Choice):
        return False
    from transformers import DecisionConfig

    before, after = framed
    opening = f"{tokenizer.convert_ids_to_tokens(first_token(tokenizer))}{before}"
    config = DecisionConfig(
        labels={"choice": list(label_spellings(task.answer.labels, tokenizer))},
        temperature={"choice": 1.0},
        chat_template=f"{_literal(opening)}{{{{- state -}}}}{_literal(after)}",
    )
    config.save_pretrained(folder)
    return True


def _frame(task: Task[In]) -> tuple[str, str] | None:
    """What stands before and after the text in every prompt, if the prompt is made so."""
    first, *others = task.input.model_fields
    if any(task.input.model_fields[name].is_required() for name in others):
        return None
    parts = task.prompt(task.input(**{first: _SENTINEL})).split(_SENTINEL)
    if len(parts) != 2:
        return None
    before, after = parts
    for sample in task.samples:
        if task.prompt(sample) != f"{before}{getattr(sample, first)}{after}":
            return None
    return before, after


def _literal(text: str) -> str:
    """A Jinja expression that prints `text`: braces and line breaks in it stay as they are."""
    return f"{{{{- {json.dumps(text, ensure_ascii=False)} -}}}}" if text else ""
