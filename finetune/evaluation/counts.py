"""Metrics as sums over rows: the same values as `scoring`, in the form that intervals and tests need.

A metric is a matrix with a row for each scored row, and a function of its column sums. Whoever
draws rows anew draws sums anew, and the function gives the metric of that draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import sparse

from core.metrics.answers import best, exact_match, f1
from core.metrics.texts import grams, language_to_split, repetition, sacrebleu_metric, streams
from core.task import Language, Task
from finetune.evaluation.answers import Answers
from finetune.evaluation.clusters import Groups, groups_of
from finetune.evaluation.label_counts import classification
from finetune.evaluation.scoring import Pair, by_part, completions, key_of_input, target_language
from finetune.evaluation.tally import Counts, Matrix, share

__all__ = ["Counts", "Matrix", "count", "deciding", "defined"]


def count(
    task: Task[Any],
    examples: Sequence[Any],
    answers: Answers,
    groups: Groups | None = None,
) -> dict[str, Counts]:
    """Every metric of the task that this contestant can be measured by.

    `groups` says which examples belong together; without it, those of one input or passage do.
    """
    found: list[Counts] = []
    texts = [prediction.text for prediction in answers.predictions]
    pairs = list(zip(examples, texts, strict=True)) if texts else []
    together = groups_of(task, examples) if groups is None else groups
    for name in task.metrics:
        if name == "language_model" and answers.likelihoods:
            found += _grouped(_language_model(answers), together)
        elif name == "completion" and pairs:
            found += _grouped(_completion(task, pairs), _by_prompt(examples, together))
        elif name != "language_model" and pairs:
            found += _grouped(_COUNTS[name](task, pairs), together)
    return {one.name: one for one in found}


def _grouped(counts: Sequence[Counts], groups: Groups) -> list[Counts]:
    return [replace(one, groups=groups) for one in counts]


def _by_prompt(examples: Sequence[Any], groups: Groups) -> Groups:
    """The group of each prompt, in the order in which they come first."""
    first: dict[str, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(key_of_input(example.input), place)
    return groups[list(first.values())]


def defined(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """Those that these rows give a value."""
    return {name: one for name, one in counts.items() if not one.undefined}


def deciding(task: Task[Any], counts: dict[str, Counts]) -> Counts | None:
    """The metric that `task.select_by` names; a mean where it names several."""
    name = task.select_by.removeprefix("-")
    if name in counts:
        return counts[name]
    opening = name[:-1] if name.endswith("*") else f"{name}_"
    several = [one for key, one in counts.items() if key.startswith(opening)]
    if len(several) < 2:
        return several[0] if several else None
    return _mean(f"{opening}mean", several)


def _mean(name: str, several: Sequence[Counts]) -> Counts:
    widths = np.cumsum([0, *(one.rows.shape[1] for one in several)])

    def value(sums: Matrix) -> Matrix:
        parts = [
            one.value(sums[:, start:end])
            for one, start, end in zip(several, widths, widths[1:], strict=False)
        ]
        return np.asarray(np.mean(parts, axis=0))

    rows = np.hstack([one.rows for one in several])
    return Counts(
        name=name,
        rows=rows,
        value=value,
        measured=sum(one.measured for one in several),
        groups=several[0].groups,
        bounds=several[0].bounds,
        undefined=next((one.undefined for one in several if one.undefined), ""),
    )


def _translation(task: Task[Any], pairs: Sequence[Pair]) -> list[Counts]:
    found = []
    for part, places, rows in _parts(pairs):
        language = target_language(part, rows)
        texts = [text for _, text in rows]
        references = [list(example.answers) for example, _ in rows]
        for name in ("bleu", "chrf"):
            counted = _sacrebleu(name, language, texts, references)
            found.append(_placed(counted, part, places, len(pairs)))
    return found


def _sacrebleu(
    name: Literal["bleu", "chrf"],
    language: Language,
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
) -> Counts:
    """sacreBLEU's own sums, and its own score from them."""
    metric: BLEU | CHRF = sacrebleu_metric(name, language)
    sums = metric._extract_corpus_statistics(list(texts), streams(references))  # type: ignore[arg-type]

    def value(drawn: Matrix) -> Matrix:
        # Identical texts come out a rounding error above 100.
        scores = [metric._compute_score_from_stats(_whole(row)).score for row in drawn]
        return np.minimum(np.array(scores, dtype=np.float64), 100.0)

    rows = np.array(sums, dtype=np.float64)
    return Counts(name=name, rows=rows, value=value, measured=len(rows), bounds=(0.0, 100.0))


def _whole(row: Matrix) -> list[int]:
    return [round(value) for value in row]


def _squad(task: Task[Any], pairs: Sequence[Pair]) -> list[Counts]:
    found = []
    for part, places, rows in _parts(pairs):
        for name, measure in (("exact_match", exact_match), ("f1", f1)):
            values = [best(measure, text, example.answers) for example, text in rows]
            found.append(_placed(_averaged(name, values, 100.0), part, places, len(pairs)))
    return found


def _averaged(name: str, values: Sequence[float], factor: float = 1.0) -> Counts:
    rows = np.column_stack([values, np.ones(len(values))])
    return Counts(
        name=name,
        rows=rows,
        value=lambda sums: factor * share(sums[:, 0], sums[:, 1]),
        measured=len(rows),
        proportion=name == "exact_match",
        bounds=(0.0, factor),
    )


def _completion(task: Task[Any], pairs: Sequence[Pair]) -> list[Counts]:
    """A row is a prompt."""
    texts, references = completions(pairs)
    found = [
        _distinct(texts),
        _averaged("repetition", [repetition(text) for text in texts]),
    ]
    known = [place for place, right in enumerate(references) if right]
    if known:
        right = [references[place] for place in known]
        language = language_to_split(right)
        counted = _sacrebleu("bleu", language, [texts[place] for place in known], right)
        found.append(_placed(counted, "", known, len(texts)))
    return found


def _distinct(texts: Sequence[str]) -> Counts:
    """A column for each bigram: how often each text holds it."""
    columns: dict[tuple[str, ...], int] = {}
    cells = [
        (number, columns.setdefault(pair, len(columns)))
        for number, text in enumerate(texts)
        for pair in grams(text, 2)
    ]
    places = np.array(cells, dtype=np.int64).reshape(-1, 2)
    shape = (len(texts), max(len(columns), 1))
    rows = sparse.coo_array((np.ones(len(places)), (places[:, 0], places[:, 1])), shape).tocsr()
    return Counts(
        name="distinct_2",
        rows=rows,
        value=lambda sums: share((sums > 0).sum(1).astype(np.float64), sums.sum(1)),
        measured=len(texts),
        counts_kinds=True,
        bounds=(0.0, 1.0),
        keys=columns,
    )


def _language_model(answers: Answers) -> list[Counts]:
    rows = np.array([(one.nats, one.tokens, one.bytes) for one in answers.likelihoods], float)
    bits = Counts(
        name="bits_per_byte",
        rows=rows,
        value=lambda sums: share(sums[:, 0], sums[:, 2]) / math.log(2),
        measured=len(rows),
    )
    if answers.kind == "baseline":  # their tokens are bytes: the perplexities do not compare
        return [bits]
    perplexity = replace(
        bits, name="perplexity", value=lambda s: np.exp(np.minimum(share(s[:, 0], s[:, 1]), 700))
    )
    return [perplexity, bits]


_COUNTS: dict[str, Callable[[Task[Any], Sequence[Pair]], list[Counts]]] = {
    "classification": classification,
    "translation": _translation,
    "squad": _squad,
    "completion": _completion,
}


def _parts(pairs: Sequence[Pair]) -> list[tuple[str, list[int], list[Pair]]]:
    """Each part with the places of its rows among all."""
    places: dict[str, list[int]] = {}
    for place, (example, _) in enumerate(pairs):
        places.setdefault(example.part, []).append(place)
    return [(part, places[part], rows) for part, rows in by_part(pairs)]


def _placed(counts: Counts, part: str, places: Sequence[int], rows: int) -> Counts:
    """The same among all rows: those of other parts are zero."""
    full = np.zeros((rows, counts.rows.shape[1]))
    full[list(places)] = counts.rows
    return replace(counts, name=f"{counts.name}_{part}" if part else counts.name, rows=full)
