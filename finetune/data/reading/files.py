"""One file as lines of text: compression by its name, encoding from its bytes or as given."""

from __future__ import annotations

import codecs
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from core.errors import BadData, BadSetting, QuintetError
from finetune.data.reading.layout import Tell, silent

COMPRESSIONS = ("gz", "bz2", "xz", "lzma", "zst", "zip")
"""As `fsspec` tells them by the last suffix."""
_SAMPLE = 2**20
"""Bytes that the encoding is told from."""
_LONGEST_LINE = 2**26
_LONGEST_TEXT = 2**31
_ENCODINGS = ["gb18030", "big5", "cp1252", "cp932", "euc_kr", "cp1251", "utf_16_le", "utf_16_be"]
"""What files that are no UTF-8 are taken for: neighbours such as cp1250 are told apart by luck."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_PACKED = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip, or .xlsx",
}
"""How files begin that are packed."""


@dataclass(frozen=True)
class File:
    """A file of rows; `tell` hears what was found in it that is not the usual."""

    path: Path
    given: str | None = None
    """The encoding, where a person has named it."""
    tell: Tell = silent

    @property
    def kind(self) -> str:
        """Its suffix beneath that of the compression, such as 'csv'."""
        return kind_of(self.path)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked; every failure is a `BadData`."""
        try:
            with self.path.open("rb") as raw, _unpacked(self.path, raw) as file:
                yield file
        except (QuintetError, UnicodeError):
            raise
        except Exception as error:  # each library of compression has errors of its own
            raise BadData(f"Cannot read {self.path}: {_reason(error)}.") from error

    @cached_property
    def encoding(self) -> str:
        """As given, else told from the first megabyte; `BadData` where it can't be told."""
        if self.given:
            return _known(self.given)
        with self.opened() as file:
            sample = file.read(_SAMPLE)
        if kind := next((k for mark, k in _PACKED.items() if sample.startswith(mark)), ""):
            raise BadData(f"{self.path} is packed: give it a name that ends in .{kind}.")
        found = _encoding(sample)
        if found not in ("utf-8", "utf-8-sig"):
            self.tell(f"{self.path}: read as {found}; if that is wrong, give --encoding")
        return found

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbered lines, ended by any of \\n, \\r and \\r\\n; line ends are kept."""
        number = 0
        try:
            with self.opened() as file:
                text = io.TextIOWrapper(file, self.encoding, newline="")
                while line := text.readline(_LONGEST_LINE):
                    number += 1
                    if len(line) == _LONGEST_LINE:
                        raise BadData(f"{self.path}, line {number}: longer than 64 MiB.")
                    yield number, line
        except UnicodeError as error:
            raise BadData(self._undecodable()) from error

    def text(self) -> str:
        """All of it; `BadData` for a file that unpacks to more than a document or a list of rows is."""
        pieces: list[str] = []
        size = 0
        for _, line in self.lines():
            size += len(line)
            if size > _LONGEST_TEXT:
                raise BadData(
                    f"{self.path} holds more than {_LONGEST_TEXT >> 30} GiB of text, too much to be read "
                    "at once. Save it as jsonl, a row a line."
                )
            pieces.append(line)
        return "".join(pieces)

    def _undecodable(self) -> str:
        """Which line it is: text is decoded in blocks, so the reader itself does not know."""
        name = "UTF-8" if self.encoding.startswith("utf-8") else self.encoding
        with self.opened() as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    return (
                        f"{self.path}, line {number}: not valid {name} at byte {error.start + 1}. "
                        "Save the file as UTF-8, or name its encoding: --encoding gb18030"
                    )
                except UnicodeError:
                    break
        return f"{self.path}: not valid {name}. Name its encoding with --encoding."


def kind_of(path: Path) -> str:
    """'csv' for `a.csv`, `a.csv.gz`, and `a.zip` that holds `b.csv`."""
    suffixes = [suffix[1:].lower() for suffix in path.suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    inner = _members(path) if packed == "zip" else []
    if inner and (suffix := Path(inner[0]).suffix):
        return suffix[1:].lower()
    return suffixes[-1] if suffixes else ""


def stem_of(path: Path) -> str:
    """'a' for `a.csv` and `a.csv.gz`."""
    bare = path.with_suffix("") if path.suffix[1:].lower() in COMPRESSIONS else path
    return bare.stem


def _members(path: Path) -> list[str]:
    """What lies in a zip file, without what systems put beside it; nothing where it is broken."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = [one.filename for one in packed.infolist() if not one.is_dir()]
    except (OSError, zipfile.BadZipFile):
        return []
    hidden = (".", "__MACOSX")
    return [n for n in names if not any(part.startswith(hidden) for part in n.split("/"))]


def _from_zip(path: Path, raw: IO[bytes]) -> IO[bytes]:
    packed = zipfile.ZipFile(raw)
    found = _members(path)
    if len(found) == 1:
        return packed.open(found[0])
    names = f"{', '.join(found[:5])}{' …' if len(found) > 5 else ''}"
    raise BadData(
        f"{path} holds {len(found)} files: {names}. Unpack it, and give the folder."
        if found
        else f"{path} holds no file."
    )


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    packed = path.suffix[1:].lower()
    if packed not in COMPRESSIONS:
        return raw
    if packed == "zip":
        return _from_zip(path, raw)
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    return cast("IO[bytes]", compr[infer_compression(path.name)](raw))


def _known(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except LookupError as error:
        raise BadSetting(f"Unknown encoding {name!r}; such are utf-8, gb18030, cp1252.") from error
    return "utf-8-sig" if found == "utf-8" else found


def _encoding(sample: bytes) -> str:
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return name
    if _mostly_utf8(sample):
        return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_ENCODINGS).best()
    return best.encoding if best else "utf-8"


def _mostly_utf8(sample: bytes) -> bool:
    """Where characters of several bytes outnumber the bytes that fit into none."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd") - sample.count("\ufffd".encode())
    if b"\0" in sample[:4]:
        return False  # UTF-16 without a mark
    return broken <= sum(character > "\x7f" for character in text) - text.count("\ufffd")


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0].rstrip(".")
