"""`quintet data leak`: which texts are looked for in which, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import BadSetting
from core.task import Task
from finetune import data, settings
from finetune.data import corpus
from finetune.data.examples import read_examples
from finetune.evaluation.contamination import Found, find, find_contained, texts_of


@dataclass(frozen=True, kw_only=True)
class Side:
    """The texts of a split or file: what scoring it looks for, and what learning it shows."""

    name: str
    asked: tuple[str, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Search:
    """One side looked for in another, or in documents."""

    side: Side
    source: str
    size: int
    """Texts that were looked in."""
    found: tuple[Found, ...]

    @property
    def exact(self) -> int:
        """Texts that stand there letter by letter."""
        return sum(found.exact for found in self.found)

    @property
    def near(self) -> int:
        """Texts that have only a similar one there."""
        return len(self.found) - self.exact

    def as_json(self) -> dict[str, Any]:
        """The counts."""
        return {
            "rows": self.side.name,
            "source": self.source,
            "searched": len(self.side.asked),
            "size": self.size,
            "exact": self.exact,
            "near": self.near,
        }

    def pairs(self) -> list[dict[str, Any]]:
        """What was found; `row` counts the examples of the side from 0."""
        return [
            {
                "rows": self.side.name,
                "row": found.row,
                "text": self.side.asked[found.row],
                "source": self.source,
                "other": found.other,
                "similarity": round(found.similarity, 4),
            }
            for found in self.found
        ]


Pairs = Sequence[tuple[Side, Sequence[Side]]]
"""Sides, each with those it is looked for in."""


def of_sources(
    task: Task[Any], sources: Sequence[str], against: Sequence[str], *, alone: bool
) -> Pairs:
    """What is looked for in what.

    A file is looked for, as are the validation and test splits of a folder, in the training splits
    of the folders and in `against`; and test in validation. A folder with nothing but a training
    split is looked for as well. Raises `BadSetting` where that leaves nothing to look in, unless
    the sides may stand `alone` because documents follow.
    """
    read = [_splits(task, source) for source in sources]
    learned = [sides["train"] for sides in read if "train" in sides and len(sides) > 1]
    learned += [_side(task, source, "train") for source in against]
    pairs = []
    for sides in read:
        for split in (name for name in sides if name != "train" or len(sides) == 1):
            earlier = [sides["validation"]] if split == "test" and "validation" in sides else []
            pairs.append((sides[split], [*learned, *earlier]))
    if not alone and not any(others for _, others in pairs):
        raise BadSetting(
            f"Nothing to look in: {', '.join(sources)} has no training split beside another. "
            "Give what was learned with --against or --pretraining."
        )
    return pairs


def of_samples(tasks: Mapping[str, Task[Any]], samples: Callable[[str, str], Path]) -> Pairs:
    """The test rows that come with each task, looked for in the training rows of all of them."""
    sides = {
        split: [
            _side(task, str(samples(name, split)), split, f"{name} [{split}]")
            for name, task in tasks.items()
        ]
        for split in ("train", "test")
    }
    return [(side, sides["train"]) for side in sides["test"]]


def search(
    pairs: Pairs, documents: Mapping[str, Iterable[str]], *, threshold: float
) -> list[Search]:
    """Look for every side in its others, and for all of them in the documents."""
    done = []
    for side, others in pairs:
        found = find(side.asked, {one.name: one.shown for one in others}, threshold=threshold)
        for one in others:
            mine = tuple(each for each in found if each.source == one.name)
            done.append(Search(side=side, source=one.name, size=len(one.shown), found=mine))
    for name, texts in documents.items():
        done += _in_documents([side for side, _ in pairs], name, texts, threshold)
    return done


def pretraining_texts(
    sources: Sequence[str], tasks: Mapping[str, Task[Any]]
) -> dict[str, Iterable[str]]:
    """Name → documents: of a recipe of `quintet pretrain`, or the `text` of any source."""
    found: dict[str, Iterable[str]] = {}
    for source in sources:
        if Path(source).suffix.lower() in (".yaml", ".yml"):
            recipe = settings.read(settings.PretrainSettings, Path(source), {})
            found[source] = corpus.documents(recipe.data, tasks)[0]
        else:
            found[source] = corpus.texts(source)
    return found


def _in_documents(
    sides: Sequence[Side], name: str, documents: Iterable[str], threshold: float
) -> Iterator[Search]:
    """One pass over the documents for all sides."""
    passed = Counted(documents)
    asked = [text for side in sides for text in side.asked]
    found = find_contained(asked, passed, source=name, threshold=threshold)
    start = 0
    for side in sides:
        rows = range(start, start := start + len(side.asked))
        mine = tuple(replace(one, row=one.row - rows.start) for one in found if one.row in rows)
        yield Search(side=side, source=name, size=passed.count, found=mine)


class Counted:
    """Counts what passes through: documents are streamed, and their number is known afterwards."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts, self.count = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            self.count += 1
            yield text


def _splits(task: Task[Any], source: str) -> dict[str, Side]:
    """A file is one side, its own test; a folder has up to three."""
    if not Path(source).is_dir():
        return {"file": _side(task, source, "train", source)}
    names = [name for name in ("train", "validation", "test") if data.has_split(source, name)]
    return {name: _side(task, source, name) for name in names or ["train"]}


def _side(task: Task[Any], source: str, split: str, name: str = "") -> Side:
    examples = read_examples(task, [source], split=split).examples
    texts = [texts_of(task, example) for example in examples]
    named = f"{source} [{split}]" if Path(source).is_dir() else source
    return Side(
        name=name or named,
        asked=tuple(one[0] for one in texts),
        shown=tuple(text for one in texts for text in one),
    )
