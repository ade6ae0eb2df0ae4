"""Constrained copying: which tokens continue a span of the passage, and where the span lies.

A span is made of whole characters and, in scripts with spaces, of whole words.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from core.engine.prompting import encode_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = "a B 9, é 你好\n\t😀"
_LONGEST = 32
"""Bytes of a token that are looked up; longer tokens are spelled by shorter ones."""


class Passage:
    """A passage to copy from. `allowed` is the rule for the engine, `place` reads the result."""

    def __init__(self, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self.text = text
        self._tokenizer = tokenizer
        self._end = int(tokenizer.eos_token_id)
        self._copier = (
            _Bytes(text, tokenizer) if _by_bytes(tokenizer) else _Decoded(text, tokenizer)
        )

    def allowed(self, written: list[int]) -> list[int]:
        """Tokens that keep the answer a part of the passage; end-of-text once it says something."""
        tokens = sorted(self._copier.next(tuple(written)))
        complete = self._copier.complete(tuple(written))
        return [*tokens, self._end] if complete or not tokens else tokens

    def place(self, written: list[int]) -> tuple[int, int]:
        """Where in the passage the first occurrence of the answer starts and ends, in characters."""
        start, answer = self._copier.place(tuple(written))
        return start, start + len(answer)


class _Bytes:
    """For byte-level tokenizers: positions in the passage's bytes that fit what was written."""

    def __init__(self, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self._data = text.encode("utf-8")
        self._table = _token_table(tokenizer)
        self._spelling = _spellings(tokenizer)
        self._starts = frozenset(
            place
            for place, byte in enumerate(self._data)
            if byte & 0xC0 != 0x80
            and not self._data[place : place + 1].isspace()
            and self._at_edge(place)
        )
        self._places: dict[tuple[int, ...], frozenset[int]] = {(): self._starts}

    def next(self, written: tuple[int, ...]) -> set[int]:
        places, data = self._fitting(written), self._data
        # The separator's space comes first or not at all, and is no part of the span.
        openings = ("", " ") if not written else ("",)
        found = {
            token
            for opening in openings
            for place in places
            for piece in self._pieces(place, opening.encode())
            for token in self._table.get(piece, ())
        }
        return found | set(self._table.get(b" ", ())) if not written and data else found

    def _pieces(self, place: int, opening: bytes) -> Iterator[bytes]:
        rest = self._data[place : place + _LONGEST]
        return (opening + rest[:size] for size in range(1, len(rest) + 1))

    def _fitting(self, written: tuple[int, ...]) -> frozenset[int]:
        """Where the passage goes on after what was written; each step narrows the last one."""
        if written not in self._places:
            before, last = self._fitting(written[:-1]), self._spelling.get(written[-1], b"\xff")
            if len(written) == 1 and last.startswith(b" "):
                last = last[1:]
            self._places[written] = frozenset(
                place + len(last) for place in before if self._data.startswith(last, place)
            )
        return self._places[written]

    def _at_edge(self, place: int) -> bool:
        """No ASCII word or number goes on across this place."""
        around = self._data[max(place - 1, 0) : place + 1]
        return place == 0 or len(around) < 2 or not around.isalnum()

    def complete(self, written: tuple[int, ...]) -> bool:
        try:
            said = self._said(written).decode("utf-8")
        except UnicodeDecodeError:
            return False
        return bool(said.strip()) and any(map(self._at_edge, self._fitting(written)))

    def place(self, written: tuple[int, ...]) -> tuple[int, str]:
        """The first place that fits, in characters, and the text there without an open end."""
        said = self._said(written).removeprefix(b" ")
        ends = sorted(self._fitting(written), key=lambda end: (not self._at_edge(end), end))
        start = ends[0] - len(said) if ends else 0
        before = self._data[:start].decode("utf-8", errors="ignore")
        return len(before), said.decode("utf-8", errors="ignore").rstrip() if ends else ""

    def _said(self, written: tuple[int, ...]) -> bytes:
        return b"".join(self._spelling.get(token, b"") for token in written)


class _Decoded:
    """For other tokenizers: tries the tokens of the passage and looks at the decoded text."""

    def __init__(self, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self._passage = text
        self._tokenizer = tokenizer
        pieces = {text, *text.split(), *text}
        self._candidates = sorted(
            {token for piece in pieces for token in encode_text(piece, tokenizer)}
        )

    def next(self, written: tuple[int, ...]) -> set[int]:
        return {token for token in self._candidates if self._fits((*written, token))}

    def _fits(self, written: tuple[int, ...]) -> bool:
        text = self._said(written)
        grown = len(text) > len(self._said(written[:-1])) or "\ufffd" in text
        return grown and text.lstrip().rstrip("\ufffd") in self._passage

    def complete(self, written: tuple[int, ...]) -> bool:
        text = self._said(written).strip()
        return bool(text) and "\ufffd" not in text

    def place(self, written: tuple[int, ...]) -> tuple[int, str]:
        answer = self._said(written).strip().rstrip("\ufffd")
        return max(self._passage.find(answer), 0), answer

    def _said(self, written: tuple[int, ...]) -> str:
        return str(self._tokenizer.decode(list(written), clean_up_tokenization_spaces=False))


@functools.lru_cache(maxsize=4)
def _spellings(tokenizer: PreTrainedTokenizerBase) -> Mapping[int, bytes]:
    """The bytes of every ordinary token of a byte-level tokenizer."""
    values = {character: value for value, character in enumerate(_byte_characters())}
    special = set(tokenizer.all_special_ids) | set(getattr(tokenizer, "added_tokens_decoder", {}))
    return {
        token: bytes(values[character] for character in text)
        for text, token in tokenizer.get_vocab().items()
        if token not in special and all(character in values for character in text)
    }


@functools.lru_cache(maxsize=4)
def _token_table(tokenizer: PreTrainedTokenizerBase) -> Mapping[bytes, tuple[int, ...]]:
    table: dict[bytes, tuple[int, ...]] = {}
    for token, spelling in _spellings(tokenizer).items():
        table[spelling] = (*table.get(spelling, ()), token)
    return table


@functools.lru_cache(maxsize=4)
def _by_bytes(tokenizer: PreTrainedTokenizerBase) -> bool:
    spelling: Any = _spellings(tokenizer)
    spelled = b"".join(spelling.get(token, b"") for token in encode_text(_PROBE, tokenizer))
    return spelled == _PROBE.encode("utf-8")


def _byte_characters() -> list[str]:
    """The character that stands for each byte in GPT-2's vocabulary (Radford et al. 2019, 2.2)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
