"""Which files of a folder are data, and which split each belongs to: the rules of `datasets`.

A folder's name decides (`test/0.csv`), else the file's (`sms-test.csv`, `train-00000-of-00002`).
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from core.errors import BadData, nearest
from finetune.data.reading import parallel
from finetune.data.reading.files import kind_of, stem_of
from finetune.data.reading.formats import READERS
from finetune.data.reading.layout import Tell, silent

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""As `datasets.data_files.SPLITKEYWORDS`; a test holds them equal."""
_SPLIT_OF = {word: split for split, words in KEYWORDS.items() for word in words}
_EITHER = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
_WORD = re.compile(rf"(?:^|(?<=[-._ 0-9]))({_EITHER})(?=$|[-._ 0-9])", re.IGNORECASE)
_PLAIN = re.compile(rf"(.+[-._ ])?({_EITHER})([-._ ]?\d+)*([-._]of[-._]\d+)?(\.(en|zh)([-_]\w+)?)?")
_SHOWN = 5
_IGNORED = {
    "readme.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
}


def files(folder: Path) -> list[Path]:
    """Its files of data; hidden ones, half-written ones and descriptions are none."""
    return sorted(path for path in folder.rglob("*") if _is_data(folder, path))


def files_of(folder: Path, split: str, tell: Tell = silent) -> list[Path]:
    """Those of a split; where no file is named after any split, all are the training split.

    `tell` hears of files that belong to no split beside others that do.
    """
    found = files(folder)
    if not found:
        raise BadData(f"No data in {folder}; read are files that end in {', '.join(READERS)}.")
    taken = matching(folder, found, split)
    if not taken:
        names = sorted({name for path in found for name in splits_of(folder, path, found)})
        raise BadData(
            f"No split {split!r} in {folder}; there: {', '.join(names) or 'train'}."
            f"{nearest(split, names)}"
        )
    lost = [path.name for path in found if not splits_of(folder, path, found)]
    if lost and len(lost) < len(found):
        tell(
            f"{folder}: named after no split, and left out beside files that are: "
            f"{', '.join(lost[:_SHOWN])}{' …' if len(lost) > _SHOWN else ''}"
        )
    return taken


def class_of(folder: Path, path: Path) -> str:
    """The class that the folder of a text is named after, as in `train/pos/0_9.txt`; '' without any."""
    inner = path.relative_to(folder)
    named = kind_of(path) == "txt" and len(inner.parts) > 1 and not _last_word(inner.parts[-2])
    return inner.parts[-2] if named else ""


def by_turns(folder: Path, found: list[Path]) -> list[Path]:
    """A text of each class after another, so that the first so many are of all classes."""
    classes: dict[str, list[Path]] = {}
    for path in found:
        classes.setdefault(class_of(folder, path), []).append(path)
    turns = itertools.zip_longest(*classes.values())
    return [path for turn in turns for path in turn if path]


def matching(folder: Path, found: list[Path], split: str) -> list[Path]:
    """The files of a split, or all of them for training where none is named after a split."""
    wanted = _SPLIT_OF.get(split, split)
    splits = {path: splits_of(folder, path, found) for path in found}
    if not any(splits.values()):
        return found if split == "train" else []
    return [path for path in found if wanted in splits[path] or split in splits[path]]


def splits_of(folder: Path, path: Path, found: list[Path]) -> tuple[str, ...]:
    """The split a file belongs to, if any.

    Beside a file named after nothing but the split, a longer name (`train_human`) is one of its
    own.
    """
    inner = path.relative_to(folder)
    for part in reversed(inner.parts[:-1]):
        if word := _last_word(part):
            return (word,)
    stem = stem_of(inner)
    word = _last_word(stem)
    if word and not _PLAIN.fullmatch(stem.lower()) and _has_plain(path, word, found):
        return (stem,)
    return (word,) if word else ()


def _has_plain(path: Path, word: str, found: list[Path]) -> bool:
    beside = [other for other in found if other.parent == path.parent and other != path]
    return any(
        _PLAIN.fullmatch(stem_of(other).lower()) and _last_word(stem_of(other)) == word
        for other in beside
    )


def _last_word(name: str) -> str:
    words = _WORD.findall(name)
    return _SPLIT_OF[words[-1].lower()] if words else ""


def _is_data(folder: Path, path: Path) -> bool:
    inner = path.relative_to(folder)
    if any(part.startswith((".", "__")) for part in inner.parts) or ".partial" in path.name:
        return False
    if path.name.lower() in _IGNORED or not path.is_file():
        return False
    return kind_of(path) in READERS or parallel.partner(path) is not None
