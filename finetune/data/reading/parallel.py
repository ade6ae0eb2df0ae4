"""Line-parallel files: `train.en.txt` and `train.zh.txt`, or `train.en` and `train.zh`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from core.errors import BadData
from finetune.data.reading.files import File
from finetune.data.reading.layout import Tell
from finetune.data.reading.rows import Located, Problem, sized

_SIDE = re.compile(r"(?P<base>.+)\.(?P<language>en|zh)([-_]\w+)?(?P<rest>(\.txt)?(\.\w{2,4})?)")


def side_of(path: Path) -> tuple[str, str]:
    """What both files of a pair are called, and the language of this one; empty for neither."""
    found = _SIDE.fullmatch(path.name)
    return (f"{found['base']}{found['rest']}", found["language"]) if found else ("", "")


def partner(path: Path) -> Path | None:
    """The same text in the other language, where it lies beside."""
    base, language = side_of(path)
    if not base or path.suffix in (".json", ".jsonl", ".csv", ".tsv"):
        return None
    for other in sorted(path.parent.iterdir()):
        there, spoken = side_of(other)
        if there == base and spoken != language and other.is_file():
            return other
    return None


def read_pair(
    path: Path, other: Path, encoding: str | None, tell: Tell
) -> Iterator[Located | Problem]:
    """A row a line: what both files hold there."""
    tell(f"{path} and {other.name}: line-parallel, a pair a line")
    sides = {side_of(one)[1]: File(one, encoding, tell) for one in (path, other)}
    lines = (file.lines() for file in sides.values())
    for number, found in enumerate(zip_longest(*lines), 1):
        if None in found:
            raise BadData(
                f"{path} and {other.name} differ in length: one ends at line {number - 1}. "
                "Line-parallel files need as many lines."
            )
        row = {language: text.strip() for language, (_, text) in zip(sides, found, strict=True)}
        if any(row.values()):
            yield sized(row, f"{path}, line {number}")
