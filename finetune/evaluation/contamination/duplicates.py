"""Texts that were seen before: exact and near duplicates, and texts that stand in long documents.

`quintet data leak` and the evaluation report look for them; nothing here reads or writes a file.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_origin

from pydantic import BaseModel
from rensa import RMinHash, RMinHashLSH

from core.task import Example, In, Task, Text, separator
from finetune.evaluation.contamination.units import (
    RUN,
    Run,
    folded,
    pairs_of,
    runs_of,
    spans_of,
    units_of,
    wanted_runs,
)

_SEED = 20_261
_PERMUTATIONS = 128
LEAST_SHINGLES = 6
"""Below, that is under five units, only an exact duplicate counts."""
_ALMOST = 0.999
"""The most that two texts which are no exact duplicates are given."""
_CHUNK = 4096
Best: TypeAlias = dict[int, tuple[float, str]]
"""Row → the highest similarity so far and what has it; of equals the first in the alphabet."""


@dataclass(frozen=True)
class Found:
    """A text and the most similar one in a source."""

    row: int
    """Place among the texts that were looked for, from 0."""
    source: str
    other: str
    similarity: float
    """Jaccard of the shingles, 1.0 for exact duplicates after normalisation only; for documents
    the share of the text's runs that stand in one passage."""

    @property
    def exact(self) -> bool:
        """Letter by letter, or wholly within a document."""
        return self.similarity == 1.0


def texts_of(task: Task[In], example: Example[In]) -> tuple[str, ...]:
    """First what is looked for when the example is scored; all of them are seen when it is learned.

    - What is looked for is what a person wrote into the input: its fields of text, in their order,
      without the frame of the prompt and without closed fields (a direction, a mode). A question
      with a passage is both together, so another question about a known passage leaks only where
      the passage makes up nearly all of it.
    - Where the answer is free text, learning it shows the answers too: a sentence to translate
      leaks also where it was the translation of another.
    - Where the prompt is nothing but the input, input and answer are one text, cut in two for
      learning: it is put together again, so that an opening such as "Once upon a time" is no leak.
    """
    asked = "\n".join(text for text in _written(example.input) if text)
    if not isinstance(task.answer, Text):
        return (asked,)
    if task.prompt(example.input) == asked:
        return (f"{asked}{separator(asked)}{example.answers[0]}",)
    return (asked, *example.answers)


def leaked(
    task: Task[In],
    examples: Sequence[Example[In]],
    against: Mapping[str, Sequence[Example[In]]],
    documents: Mapping[str, Iterable[str]] | None = None,
    *,
    threshold: float = 0.8,
) -> list[Found]:
    """The scored examples that were seen before: at most one finding an example and source.

    `against` holds examples of the same task, `documents` long texts; `Found.row` is the place
    among `examples`, and the findings come in this order.
    """
    texts = [texts_of(task, example)[0] for example in examples]
    seen = {
        name: [text for example in found for text in texts_of(task, example)]
        for name, found in against.items()
    }
    findings = find(texts, seen, threshold=threshold)
    for name, one in (documents or {}).items():
        findings += find_contained(texts, one, source=name, threshold=threshold)
    return sorted(findings, key=lambda found: found.row)


def find(
    texts: Sequence[str], against: Mapping[str, Sequence[str]], *, threshold: float = 0.8
) -> list[Found]:
    """For each text the most similar one in each source, from `threshold` on; by row.

    MinHash only names candidates (at the threshold 0.8 it overlooks one pair in twenty million); the
    true Jaccard decides. The order of the rows and of the sources changes no finding.
    """
    wanted = _Wanted(texts, threshold)
    findings = [
        Found(row, source, other, similarity)
        for source, others in against.items()
        for row, (similarity, other) in wanted.best_in(others).items()
    ]
    return sorted(findings, key=lambda found: found.row)


def find_contained(
    texts: Sequence[str], documents: Iterable[str], *, source: str, threshold: float = 0.8
) -> list[Found]:
    """The texts of which a share of at least `threshold` of the runs stands in one document.

    The runs must stand together, in a passage at most twice as long as the text; `Found.other` is that
    passage, in lower case. Texts under 8 words or 13 Han characters are not looked for. The
    documents are streamed; of them only what was found stays in memory.
    """
    wanted = {row: runs for row, text in enumerate(texts) if (runs := wanted_runs(text))}
    rows_of: dict[Run, list[int]] = defaultdict(list)
    for row, runs in wanted.items():
        for run, worth in runs.items():
            rows_of[run] += [row] * worth
    best: Best = {}
    known = frozenset(rows_of)
    worth_of = {row: runs.total() for row, runs in wanted.items()}
    for document in documents:
        units = units_of(document)
        hits = known.intersection(itertools.chain(*(runs_of(units, size) for size in RUN.values())))
        counts = Counter(row for run in hits for row in rows_of[run])
        for row, count in counts.items():
            if count / worth_of[row] < threshold:  # wherever in it they stand
                continue
            width = 2 * len(units_of(texts[row]))
            _offer(best, row, *_passage(document, units, wanted[row], width), threshold)
    return [Found(row, source, other, share) for row, (share, other) in sorted(best.items())]


class _Wanted:
    """Texts that are looked for in many others, by equality and by MinHash."""

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        self.threshold = threshold
        self.exact: dict[str, list[int]] = defaultdict(list)
        alike: dict[frozenset[str], list[int]] = defaultdict(list)
        for row, text in enumerate(texts):
            units = units_of(text)
            self.exact[key_of(text, units)].append(row)
            pairs = frozenset(pairs_of(units))
            if len(pairs) >= LEAST_SHINGLES:
                alike[pairs].append(row)
        self.exact.pop("", None)
        self.alike = list(alike.items())
        self.index = RMinHashLSH(threshold, _PERMUTATIONS, _bands(threshold))
        self.index.insert_many(sketches([pairs for pairs, _ in self.alike]))

    def best_in(self, others: Iterable[str]) -> Best:
        """The most similar of the others for each row that has one."""
        best: Best = {}
        waiting = iter(dict.fromkeys(others))  # a pair shows each of its sides twice
        while chunk := list(itertools.islice(waiting, _CHUNK)):
            self._look_at(chunk, best)
        return best

    def _look_at(self, others: Sequence[str], best: Best) -> None:
        pairs = []
        for other in others:
            units = units_of(other)
            for row in self.exact.get(key_of(other, units), ()):
                _offer(best, row, 1.0, other, self.threshold)
            pairs.append(pairs_of(units))
        candidates = self.index.query_all(sketches(pairs))
        for other, theirs, near in zip(others, pairs, candidates, strict=True):
            for place in near if len(theirs) >= LEAST_SHINGLES else ():
                ours, rows = self.alike[place]
                similarity = min(_jaccard(ours, frozenset(theirs)), _ALMOST)
                for row in rows:
                    _offer(best, row, similarity, other, self.threshold)


def _offer(best: Best, row: int, similarity: float, other: str, threshold: float) -> None:
    if similarity >= threshold:
        found = (similarity, other)
        best[row] = min(best.get(row, found), found, key=lambda one: (-one[0], one[1]))


def sketches(sets: Sequence[Iterable[str]]) -> list[RMinHash]:
    return RMinHash.from_token_sets([list(one) for one in sets], _PERMUTATIONS, _SEED)


def _bands(threshold: float) -> int:
    """As few bands as overlook less than one in a million of the pairs at the threshold."""
    for rows in (8, 4, 2):
        if (1 - threshold**rows) ** (_PERMUTATIONS // rows) < 1e-6:
            return _PERMUTATIONS // rows
    return _PERMUTATIONS


def _jaccard(ours: frozenset[str], theirs: frozenset[str]) -> float:
    shared = len(ours & theirs)
    return shared / (len(ours) + len(theirs) - shared)


def key_of(text: str, units: Sequence[str]) -> str:
    """What exact duplicates have in common; a text of signs only stands for itself."""
    return "".join(units) or text.strip()


def _passage(
    document: str, units: Sequence[str], runs: Mapping[Run, int], width: int
) -> tuple[float, str]:
    """The share of the runs that stand within `width` units of the document, and these units."""
    size = len(next(iter(runs)))
    places = [(place, run) for place, run in enumerate(runs_of(units, size)) if run in runs]
    inside: Counter[Run] = Counter()
    worth, most, first, last, start = 0, 0, 0, 0, 0
    for place, run in places:
        worth += runs[run] * (not inside[run])
        inside[run] += 1
        while place + size - places[start][0] > width:
            left = places[start][1]
            inside[left] -= 1
            worth -= runs[left] * (not inside[left])
            start += 1
        if worth > most:
            most, first, last = worth, places[start][0], place + size - 1
    lower = folded(document)
    spans = spans_of(lower)
    return most / sum(runs.values()), lower[spans[first][0] : spans[last][1]]


def _written(value: Any) -> Iterator[str]:
    """The texts in an input, those of nested models and lists as well; closed fields have none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        for name in _open_fields(type(value)):
            yield from _written(getattr(value, name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _written(one)


@functools.cache
def _open_fields(kind: type[BaseModel]) -> tuple[str, ...]:
    fields = kind.model_fields.items()
    return tuple(name for name, field in fields if get_origin(field.annotation) is not Literal)
