"""The tokenizer loses nothing: every text comes back, and no text can name a special token."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.backbone import tokenizer as tokenizers
from core.errors import BadSetting, MissingBackbone

SPECIAL = (tokenizers.END_OF_TEXT, tokenizers.PADDING, *tokenizers.RESERVED)


def ids_of(tokenizer, text: str) -> list[int]:
    """As everywhere in Quintet: the text alone, special tokens in it being plain text."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@example(text="")
@example(text=" \n\t\r\n  a\u3000b\u00a0 ")
@example(text="don ' t stop , now .")  # what clean-up would join
@example(text="\0\ufeff\u202e\U0001f469\u200d\U0001f52c e\u0301 é ９ ٣ ½")
@example(text="Ġ Ċ <|endoftext|>")
def test_every_unicode_string_round_trips(tokenizer, text):
    assert tokenizer.decode(ids_of(tokenizer, text)) == text


def test_digits_stand_singly(tokenizer):
    texts = ["2024 " * 400, "1 20 300 4,000.5"]
    trained = tokenizers.train(texts, vocab_size=300)
    for found in (tokenizer, trained):
        pieces = found.convert_ids_to_tokens(ids_of(found, "In 2024: 3.75"))
        assert [piece for piece in pieces if any(map(str.isdigit, piece))] == list("2024375")


def test_the_special_tokens_come_first_and_once(tokenizer):
    assert tokenizer.convert_ids_to_tokens(list(range(16))) == list(SPECIAL)
    assert len(tokenizers.RESERVED) == 14
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert tokenizer.pad_token_id == 1 and tokenizer.padding_side == "left"
    assert len(tokenizer) == 600


def test_end_of_text_opens_an_encoded_text(tokenizer):
    ids = tokenizer("warm house")["input_ids"]
    assert ids == [tokenizer.eos_token_id, *ids_of(tokenizer, "warm house")]


@pytest.mark.parametrize("special", [*SPECIAL[:3], SPECIAL[-1]])
def test_a_typed_special_token_is_plain_text(tokenizer, special):
    ids = ids_of(tokenizer, f"a{special}b")
    assert min(ids) >= len(SPECIAL)
    assert tokenizer.decode(ids) == f"a{special}b"


def test_a_vocabulary_of_the_bytes_alone_is_the_smallest(texts):
    smallest = tokenizers.train(texts, vocab_size=tokenizers.SMALLEST_VOCABULARY)
    assert len(smallest) == 272
    assert len(ids_of(smallest, "你好")) == 6
    with pytest.raises(BadSetting, match=r"vocab_size 271 is too small.*at least 272"):
        tokenizers.train(texts, vocab_size=271)


def test_the_same_texts_train_the_same_tokenizer(texts, tokenizer):
    again = tokenizers.train(texts * 3, vocab_size=600)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_what_is_saved_and_loaded_gives_the_same_ids(texts, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    loaded = tokenizers.load(tmp_path / "tokenizer")
    for text in (*texts, "a<|endoftext|>b", "  2 + 2\n", ""):
        assert ids_of(loaded, text) == ids_of(tokenizer, text)
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
        assert loaded.decode(ids_of(loaded, text)) == text
    assert loaded.pad_token_id == 1 and loaded.padding_side == "left"


def test_a_tokenizer_without_padding_pads_with_end_of_text(tokenizer, tmp_path):
    bare = type(tokenizer)(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token=tokenizers.END_OF_TEXT
    )
    bare.save_pretrained(tmp_path / "bare")
    loaded = tokenizers.load(tmp_path / "bare")
    assert loaded.pad_token_id == loaded.eos_token_id == 0


def test_a_tokenizer_without_end_of_text_is_refused(tokenizer, tmp_path):
    type(tokenizer)(tokenizer_object=tokenizer.backend_tokenizer).save_pretrained(tmp_path / "x")
    with pytest.raises(MissingBackbone, match="no end-of-text token"):
        tokenizers.load(tmp_path / "x")


@pytest.mark.parametrize("content", [None, {}, {"tokenizer.json": "{}"}, {"config.json": "[]"}])
def test_a_folder_without_a_tokenizer_is_one_line(tmp_path, content):
    folder = tmp_path / "nowhere"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    with pytest.raises(MissingBackbone, match="nowhere") as caught:
        tokenizers.load(folder)
    assert "\n" not in str(caught.value)


def test_bytes_per_token_are_counted_per_language(tokenizer):
    texts = ["warm house", "12", "公园"]
    found = tokenizers.bytes_per_token(tokenizer, texts)
    english = len(ids_of(tokenizer, "warm house")) + len(ids_of(tokenizer, "12"))
    assert found == {
        "en": pytest.approx(12 / english),
        "zh": pytest.approx(6 / len(ids_of(tokenizer, "公园"))),
    }
    assert tokenizers.bytes_per_token(tokenizer, []) == {}
    assert tokenizers.bytes_per_token(tokenizer, [""]) == {"en": 0.0}


def test_copies_in_python_of_what_the_backend_holds_are_dropped(tmp_path):
    from transformers import GemmaTokenizer

    vocabulary = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "▁": 4, "a": 5, "b": 6, "ab": 7}
    made = GemmaTokenizer(vocab=vocabulary, merges=[("a", "b")])
    made.save_pretrained(tmp_path / "one")
    found = tokenizers.load(tmp_path / "one")
    assert not found._vocab and not found._merges
    assert found.get_vocab() == made.get_vocab()
    assert ids_of(found, "ab b") == ids_of(made, "ab b")
    found.save_pretrained(tmp_path / "two")
    again = tokenizers.load(tmp_path / "two")
    assert again.backend_tokenizer.to_str() == found.backend_tokenizer.to_str()
