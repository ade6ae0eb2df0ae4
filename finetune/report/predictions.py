"""Every prediction of every system, one row an example, as a parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import store
from core.language import language_of
from finetune.evaluation.answers import Answers
from finetune.evaluation.comparison import Evaluation

NAME = "predictions.parquet"


def write(found: Evaluation[Any], folder: Path) -> Path:
    """Columns: row, source, part, language, the fields of the input, answers, and of each system
    the prediction, probabilities, what was not read, and the nats of the right answer.

    The file appears whole or not at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with store.new_file(folder / NAME) as new:
        pq.write_table(pa.Table.from_pylist(rows(found)), new)
    return folder / NAME


def rows(found: Evaluation[Any]) -> list[dict[str, Any]]:
    """As they stand in the file; systems by their name, in front of a dot."""
    made = []
    for row, (example, source) in enumerate(
        zip(found.examples, found.reading.origins, strict=True)
    ):
        asked = example.input.model_dump(mode="json")
        said: dict[str, Any] = {}
        for answers in found.answers:
            said |= {f"{answers.name}.{key}": value for key, value in _said(answers, row).items()}
        made.append(
            {
                "row": row,
                "source": source,
                "part": example.part,
                "language": language_of(found.task.prompt(example.input)),
                **{f"input.{key}": value for key, value in asked.items()},
                "answers": list(example.answers),
                **said,
            }
        )
    return made


def _said(answers: Answers, row: int) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    if answers.predictions:
        one = answers.predictions[row]
        shares = {f"probability.{label}": share for label, share in one.probabilities.items()}
        found |= {"prediction": one.text, "not_read": one.dropped, **shares}
    if answers.likelihoods:
        found["nats"] = answers.likelihoods[row].nats
    return found
