"""The tokenizer: train a byte-level BPE over English and Chinese, or load one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadSetting, MissingBackbone

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
PADDING = "<|padding|>"
RESERVED = tuple(f"<|reserved_{number}|>" for number in range(14))
SMALLEST_VOCABULARY = 2 + len(RESERVED) + 256


def train(texts: Iterable[str], vocab_size: int = 16_384) -> PreTrainedTokenizerFast:
    """A byte-level BPE: every Unicode string round-trips, digits stand singly.

    End-of-text opens every encoded text: it is what stands between packed documents.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < SMALLEST_VOCABULARY:
        raise BadSetting(
            f"vocab_size {vocab_size} is too small: 256 bytes and {2 + len(RESERVED)} special "
            f"tokens need at least {SMALLEST_VOCABULARY}."
        )
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        _han_split(texts),
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END_OF_TEXT, PADDING, *RESERVED],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=32,
            show_progress=False,
        ),
    )
    core.post_processor = _end_of_text_in_front(int(core.token_to_id(END_OF_TEXT) or 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        additional_special_tokens=list(RESERVED),
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _end_of_text_in_front(token: int) -> Any:
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, token)]
    )


def _han_split(texts: Iterable[str]) -> Iterator[str]:
    """Texts in pieces of a paragraph: a whole book is one 'word' too many for the trainer."""
    for text in texts:
        yield from text.splitlines(keepends=True)


def load(folder: str | Path, *, gguf_file: str = "", **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id, or of a GGUF file in the folder; `options` are transformers'.

    One without padding pads with end-of-text; truncation and padding that were saved with it are off.
    """
    from transformers import AutoTokenizer

    if gguf_file:
        options["gguf_file"] = gguf_file
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, **options)
    except Exception as error:  # damaged files make transformers raise of every kind
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise MissingBackbone(
            f"No tokenizer in {str(Path(folder, gguf_file))!r}: {first}"
        ) from error
    if tokenizer.eos_token_id is None:
        raise MissingBackbone(f"The tokenizer of {str(folder)!r} has no end-of-text token.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    if backend := getattr(tokenizer, "backend_tokenizer", None):
        backend.no_truncation()
        backend.no_padding()
        _drop_copies(tokenizer)
    return tokenizer


def _drop_copies(tokenizer: PreTrainedTokenizerBase) -> None:
    """Vocabulary and merges that transformers keeps beside those of the backend: 200 MiB of Gemma's.

    Nothing reads them once the backend is made, but what some tokenizers write of their own.
    """
    from core import hardware

    if "save_vocabulary" in vars(type(tokenizer)):
        return
    for name in ("_vocab", "_merges"):
        if name in vars(tokenizer):
            setattr(tokenizer, name, type(vars(tokenizer)[name])())
    hardware.return_memory()


def bytes_per_token(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> dict[str, float]:
    """Compression per language ('en', 'zh'): UTF-8 bytes over tokens; higher is better."""
    from core.language import language_of

    sizes: dict[str, list[int]] = {}
    for text in texts:
        bytes_, tokens = sizes.setdefault(language_of(text), [0, 0])
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        sizes[language_of(text)] = [bytes_ + len(text.encode()), tokens + len(ids)]
    return {language: size[0] / max(size[1], 1) for language, size in sorted(sizes.items())}
