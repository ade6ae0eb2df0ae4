"""The model card: front matter as the Hugging Face hub defines it, and what to be careful about.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from core.backbone import catalogue
from finetune.evaluation.metrics.registry import MEAN, Metric
from finetune.report.results import Results
from finetune.report.sections import overview
from finetune.report.sections.edition import Edition

_PIPELINES: Final = {
    "classification": ("text-classification", "Text Classification"),
    "squad": ("question-answering", "Question Answering"),
    "translation": ("translation", "Translation"),
}
"""The hub's task by the module of the first metric; else text generation."""
_FEW_ROWS: Final = 200


def front_matter(edition: Edition) -> str:
    """YAML for the top of README.md, without the dashes."""
    results = edition.results
    passport = results.passport or {}
    pipeline, name = _pipeline(edition)
    languages = [code for code in ("en", "zh") if results.data_card.languages.get(code)]
    values: dict[str, Any] = {
        **({"language": languages} if languages else {}),
        **_licence(str(passport.get("backbone", ""))),
        "library_name": "peft",
        **({"base_model": passport["backbone"]} if "backbone" in passport else {}),
        "pipeline_tag": pipeline,
        "tags": ["lora", "peft", "quintet", results.task],
        "metrics": list(dict.fromkeys(_type(of) for of in edition.main)),
        "model-index": [
            {"name": f"quintet-{results.task}", "results": _results(edition, pipeline, name)}
        ],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def _licence(backbone: str) -> dict[str, str]:
    """That of the weights it derives from; of a backbone that is not known nothing is claimed."""
    known = catalogue.KNOWN.get(backbone)
    return {"license": known.licence_id} if known else {}


def origin(results: Results) -> dict[str, Any]:
    """What the passport says that the card repeats; empty where it does not."""
    unknown = {"backbone": "", "fingerprint": "", "data": "", "seed": ""}
    return unknown | (results.passport or {})


def limits(edition: Edition) -> list[str]:
    """What a careful reader wants to know before using the adapter."""
    results = edition.results
    verdict = results.verdict
    beaten = (
        f"Not shown to beat “{verdict.baseline}”." if verdict.baseline else "No baseline beside it."
    )
    found = [] if verdict.better else [beaten]
    if results.rows < _FEW_ROWS:
        found.append(f"Measured on {results.rows} examples only; mind the width of the intervals.")
    if leaks := results.leaks:
        found.append(
            f"{leaks.exact} exact and {leaks.near} near duplicates of texts seen before are among "
            "the scored examples."
        )
    if results.data_card.cut:
        found.append(f"{results.data_card.cut} inputs did not fit into the context and were cut.")
    if weakest := _weakest(edition):
        found.append(weakest)
    return found


def _weakest(edition: Edition) -> str:
    of, worst = edition.deciding, overview.weakest(edition)
    if worst is None:
        return ""
    said = edition.say(
        "interval_of",
        value=edition.value(of, worst.measured),
        interval=edition.interval(of, worst.measured),
    )
    part = edition.part(worst.name)
    return f"Weakest by {worst.by}: {part}, {edition.label(of)} {said} on {worst.measured.rows} examples."


def _pipeline(edition: Edition) -> tuple[str, str]:
    modules = [of.spec.module for of in edition.main if of.spec]
    found = [_PIPELINES[module] for module in modules if module in _PIPELINES]
    return found[0] if found else ("text-generation", "Text Generation")


def _results(edition: Edition, pipeline: str, name: str) -> list[dict[str, Any]]:
    """One for each part of the data, such as a direction of translation."""
    parts: dict[str, list[Metric]] = {}
    for of in edition.main:
        parts.setdefault("" if of.suffix == MEAN else of.suffix, []).append(of)
    return [
        {
            "task": {"type": pipeline, "name": name},
            "dataset": _dataset(edition.results, part),
            "metrics": [
                _metric(edition, of) for of in metrics if of.name in edition.subject.metrics
            ],
        }
        for part, metrics in parts.items()
    ]


def _dataset(results: Results, part: str) -> dict[str, str]:
    slug = re.sub(r"[^a-z0-9]+", "-", results.data.lower()).strip("-") or results.task
    return {
        "name": results.data,
        "type": slug,
        "split": "validation" if results.picked_checkpoint else "test",
        **({"config": part} if part else {}),
    }


def _metric(edition: Edition, of: Metric) -> dict[str, Any]:
    found = edition.subject.metrics[of.name]
    return {
        "type": _type(of),
        "name": edition.label(of),
        "value": round(found.value, edition.decimals(of)),
    }


def _type(of: Metric) -> str:
    return (of.spec.hub if of.spec else "") or of.family
