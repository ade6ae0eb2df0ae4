"""Reports of scored adapters, to ship beside them: `python -m benchmarks.ship_reports --scores runs/scores`.

What `benchmarks.score_adapters` left there becomes `report.html`, `report.zh.html` and the model card of each
adapter: of several scores the first one in its list. Texts of rows and paths of this machine stay here.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.score_adapters import BUNDLED, SCORES, Score
from core import store
from core.adapters.registry import REPORT, REPORT_ZH
from finetune.report import render
from finetune.report.results import Results

_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/'\",]+/)*(?P<end>[^\s/'\",]+/[^\s/'\",]+)")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, default=Path("runs/scores"))
    parser.add_argument("--output", type=Path, default=store.SHIPPED / "adapters")
    known = parser.parse_args()
    for score, results in first_scores(known.scores):
        folder = known.output / score.backbone / score.task
        if folder.is_dir():
            ship(results, folder)
            sys.stdout.write(f"{folder}: {results.verdict.sentence}\n")
    return 0


def first_scores(scores: Path) -> Iterator[tuple[Score, Results]]:
    """Of each adapter one score: public data before the bundled rows."""
    done = set()
    for score in (*SCORES, *BUNDLED):
        path = scores / score.name / "results.json"
        if path.is_file() and (score.backbone, score.task) not in done:
            done.add((score.backbone, score.task))
            yield score, Results.model_validate_json(path.read_bytes())


def ship(results: Results, folder: Path) -> None:
    """Write the report in both languages and the card into the folder of an adapter."""
    public = without_rows(results)
    store.write_text(folder / REPORT, render.html(public))
    store.write_text(folder / REPORT_ZH, render.html(public, "zh"))
    store.write_text(folder / "README.md", render.card(public))


def without_rows(results: Results) -> Results:
    """Without the texts of rows, which belong to their data sets, and with paths of two parts."""
    values = results.model_dump(mode="json")
    values["mistakes"] = ()
    values["data_card"]["problems"] = ()
    if values["leaks"]:
        values["leaks"]["pairs"] = ()
    return Results.model_validate(_shortened(values))


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return _PATH.sub(r"\g<end>", value)
    if isinstance(value, dict):
        return {_shortened(key): _shortened(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(one) for one in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
