"""From an input to token ids: fitting into the context, answers and the tokens of labels."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput, BadSetting, TooLong
from core.task import Choice, Example, In, Span, Task, separator

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Prompt:
    """What the backbone continues; `dropped` counts the characters that did not fit."""

    ids: list[int]
    dropped: int = 0


@dataclass(frozen=True)
class Encoded:
    """A training row: `input_ids[answer_start:]` is learned."""

    input_ids: list[int]
    answer_start: int
    dropped: int = 0
    behind: bool = False
    """Whether the answer stands where the passage was cut off from its end."""


def encode_text(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of a text as typed: `<|endoftext|>` in it is plain text, and nothing is added."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput("The text holds half a surrogate pair, which is no character.") from error
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
    return list(encoded["input_ids"])


def first_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """What opens every prompt; a tokenizer without a beginning uses its end-of-text."""
    token = tokenizer.bos_token_id
    return int(tokenizer.eos_token_id if token is None else token)


def answer_budget(task: Task[In], context: int) -> int:
    """Tokens kept free for the answer: never more than half the context."""
    if isinstance(task.answer, Choice):
        return 1
    return min(task.answer.max_new_tokens, context // 2)


def encode_prompt(
    task: Task[In], input: In, tokenizer: PreTrainedTokenizerBase, room: int
) -> Prompt:
    """The prompt in at most `room` tokens: turns are forgotten, then `task.shorten` is cut."""

    def encode(candidate: In) -> list[int]:
        return [first_token(tokenizer), *encode_text(task.prompt(candidate), tokenizer)]

    # A token spells a bounded number of characters: longer texts need not be encoded to know.
    most = room * _longest_token(tokenizer)
    if len(task.prompt(input)) <= most and len(ids := encode(input)) <= room:
        return Prompt(ids)
    full = len(task.prompt(input))
    shorter = _forget(input, lambda candidate: len(encode(candidate)) <= room)
    fitted = encode(shorter) if len(task.prompt(shorter)) <= most else None
    if fitted is None or len(fitted) > room:
        shorter, fitted = _cut(task, shorter, encode, room, most)
    return Prompt(fitted, full - len(task.prompt(shorter)))


def _forget(input: In, fits: Callable[[In], bool]) -> In:
    """Without the oldest items of its tuples, such as the turns of a conversation."""
    for name, value in input:
        if not isinstance(value, tuple) or not value:
            continue
        copies = [input.model_copy(update={name: value[kept:]}) for kept in range(len(value) + 1)]
        kept = _least(len(value), lambda index, copies=copies: fits(copies[index]))  # type: ignore[misc]
        input = copies[kept]
    return input


def _least(high: int, holds: Callable[[int], bool]) -> int:
    """The least index in [0, high] where `holds`, taking it to hold from there on; else `high`."""
    low = 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _cut(
    task: Task[In], input: In, encode: Callable[[In], list[int]], room: int, most: int
) -> tuple[In, list[int]]:
    """The longest part of the field `task.shorten` that fits, and its ids."""
    text = getattr(input, task.shorten, None)
    if not isinstance(text, str) or not text:
        raise TooLong(_too_long(task, len(task.prompt(input)), room))
    # What is continued keeps its end; what is read keeps its beginning.
    continued = task.prompt(input) == text

    def keep(characters: int) -> In:
        part = text[len(text) - characters :] if continued else text[:characters]
        return input.model_copy(update={task.shorten: part})

    longest = min(len(text), most)
    cut = _least(longest - 1, lambda index: len(encode(keep(longest - index))) <= room)
    ids = encode(shorter := keep(longest - cut))
    if len(ids) > room:
        raise TooLong(_too_long(task, len(task.prompt(input)), room))
    return shorter, ids


def _too_long(task: Task[In], length: int, room: int) -> str:
    return (
        f"The input is too long: {length} characters do not fit into {room} tokens, even with "
        f"{task.shorten!r} cut. Shorten it, or use a backbone with a longer context."
    )


@functools.lru_cache(maxsize=8)
def _longest_token(tokenizer: PreTrainedTokenizerBase) -> int:
    return max(map(len, tokenizer.get_vocab()))


@functools.lru_cache(maxsize=64)
def label_spellings(labels: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """One distinct single-token text a label: the label, how it begins, or else a letter."""

    def ids(text: str) -> list[int]:
        return encode_text(text, tokenizer)

    def usable(spellings: tuple[str, ...]) -> bool:
        tokens = [ids(one) for one in spellings]
        single = all(len(token) == 1 for token in tokens)
        return single and len({token[0] for token in tokens}) == len(labels)

    words = tuple(f" {label}" for label in labels)
    openings = tuple(str(tokenizer.decode(ids(word)[:1])) for word in words)
    letters = tuple(_LETTERS[: len(labels)])
    for spellings in (words, openings, tuple(f" {letter}" for letter in letters), letters):
        if len(spellings) == len(labels) and usable(spellings):
            return spellings
    raise BadSetting(
        f"The tokenizer has no single tokens to tell {len(labels)} labels apart; "
        f"at most {len(_LETTERS)} are possible."
    )


def label_token_ids(labels: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The token of each spelling, in the order of the labels."""
    return [encode_text(one, tokenizer)[0] for one in label_spellings(labels, tokenizer)]


def encode_answer(
    task: Task[In], answer: str, tokenizer: PreTrainedTokenizerBase, *, space: str = " "
) -> list[int]:
    """A choice is the one token of its label; a text is `space` (the separator), its tokens, and end-of-text."""
    if isinstance(task.answer, Choice):
        labels = task.answer.labels
        if answer not in labels:
            raise BadInput(f"{answer!r} is no label; labels: {', '.join(labels)}.")
        return [label_token_ids(labels, tokenizer)[labels.index(answer)]]
    return [*encode_text(space + answer, tokenizer), int(tokenizer.eos_token_id)]


def encode_example(
    task: Task[In],
    example: Example[In],
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    *,
    around_answer: bool = False,
) -> Encoded:
    """Prompt and first answer in at most `context` tokens.

    The prompt has at least the room it has in serving. An answer cut there has no end-of-text.
    `around_answer` cuts a passage around the answer that would be cut off with its end.
    """
    space = separator(task.prompt(example.input))
    answer = encode_answer(task, example.answers[0], tokenizer, space=space)
    room = context - min(len(answer), answer_budget(task, context))
    prompt = encode_prompt(task, example.input, tokenizer, room)
    behind = _is_behind(task, example, prompt.dropped)
    if behind and around_answer:
        prompt = _around(task, example, tokenizer, room, prompt)
    ids = [*prompt.ids, *answer][:context]
    return Encoded(ids, len(prompt.ids), prompt.dropped, behind)


def _is_behind(task: Task[In], example: Example[In], dropped: int) -> bool:
    """Whether what was cut from the passage held the answer."""
    if not dropped or not isinstance(task.answer, Span):
        return False
    passage = getattr(example.input, task.shorten)
    return example.answers[0] not in passage[: max(0, len(passage) - dropped)]


def _around(
    task: Task[In],
    example: Example[In],
    tokenizer: PreTrainedTokenizerBase,
    room: int,
    cut: Prompt,
) -> Prompt:
    """The prompt with the part of the passage that has the answer in its middle, or `cut`."""
    passage, answer = getattr(example.input, task.shorten), example.answers[0]
    place, size = passage.find(answer), len(passage) - cut.dropped
    for before in (max(0, size - len(answer)) // 2, 0):
        start = max(0, min(place - before, len(passage) - size))
        if start and (blank := passage.find(" ", start, place)) >= 0:
            start = blank + 1
        window = example.input.model_copy(update={task.shorten: passage[start : start + size]})
        found = encode_prompt(task, window, tokenizer, room)
        if place + len(answer) <= start + size - found.dropped:
            left = len(task.prompt(example.input)) - len(task.prompt(window))
            return Prompt(found.ids, left + found.dropped)
    return cut
