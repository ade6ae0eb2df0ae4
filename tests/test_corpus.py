"""From documents to token windows: nothing is lost, nothing is read twice, each is seen once."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import apps
from core.errors import BadColumns, BadData, BadSetting
from finetune.data import corpus
from finetune.settings import Part
from finetune.training.language_modeling import Windows


def write(path: Path, *texts: str, **columns) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"text": text, **columns}) + "\n" for text in texts]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def parts(*sources: Path, **options) -> list[Part]:
    return [Part(path=str(source), **options) for source in sources]


def documents_of(ids, tokenizer) -> list[str]:
    """What stands between the end-of-text tokens."""
    ends = np.flatnonzero(np.asarray(ids) == tokenizer.eos_token_id)
    assert ends[0] == 0 and ends[-1] == len(ids) - 1
    return [tokenizer.decode(ids[a + 1 : b].tolist()) for a, b in itertools.pairwise(ends)]


def test_packing_loses_no_token(tmp_path, tokenizer, texts):
    odd = ("  two  spaces\n\n", "typed <|endoftext|> here", "x" * 3000, "你好\u3000！", "\ufeff.")
    train = write(tmp_path / "train.jsonl", *texts, *odd)
    held_out = write(tmp_path / "validation.jsonl", "an english text", "一篇中文", "another one")
    found = corpus.build(
        parts(train) + parts(held_out, split="validation"), tokenizer, tmp_path / "tokens", tasks={}
    )
    assert sorted(documents_of(found.train, tokenizer)) == sorted([*texts, *odd])
    assert found.documents == len(texts) + len(odd)
    assert documents_of(found.validation["en"], tokenizer) == ["an english text", "another one"]
    assert documents_of(found.validation["zh"], tokenizer) == ["一篇中文"]
    assert found.validation_bytes == {"en": 15 + 11, "zh": 12}
    assert found.train.dtype == np.uint16


def test_the_seed_shuffles_the_documents(tmp_path, tokenizer):
    source = parts(write(tmp_path / "x.jsonl", *map(str, range(200))))
    orders = [
        documents_of(corpus.build(source, tokenizer, tmp_path / name, tasks={}, seed=seed).train,
                     tokenizer)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]  # fmt: skip
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])


def test_documents_are_tokenised_once(tmp_path, tokenizer):
    source = parts(write(tmp_path / "x.jsonl", *map(str, range(10))))
    told: list[tuple[int, int]] = []

    def build() -> corpus.Corpus:
        return corpus.build(
            source, tokenizer, tmp_path / "tokens", tasks={}, progress=lambda *n: told.append(n)
        )

    first = build()
    assert told == [(9, 9)]
    second = build()
    assert told == [(9, 9)]
    assert second.digest == first.digest and np.array_equal(second.train, first.train)
    assert isinstance(second.train, np.memmap)
    write(tmp_path / "x.jsonl", *map(str, range(11)))
    assert build().digest != first.digest
    assert told == [(9, 9), (10, 10)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens", "x.jsonl"]


def test_an_interrupted_tokenisation_leaves_nothing(tmp_path, tokenizer):
    source = parts(write(tmp_path / "x.jsonl", *map(str, range(10))))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus.build(source, tokenizer, tmp_path / "tokens", tasks={}, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_every_hundredth_document_is_held_out(tmp_path):
    texts = [f"text {number}" for number in range(250)]
    train, held_out = corpus.documents(parts(write(tmp_path / "x.jsonl", *texts)), {})
    assert held_out == ["text 0", "text 100", "text 200"]
    assert sorted(train + held_out) == sorted(texts)


def test_a_validation_split_is_held_out_where_there_is_one(tmp_path):
    write(tmp_path / "x" / "train.jsonl", "a", "b")
    write(tmp_path / "x" / "dev.jsonl", "c")
    assert corpus.documents(parts(tmp_path / "x"), {}) == (["a", "b"], ["c"])


def test_only_what_is_learned_is_repeated_and_limited(tmp_path):
    one = write(tmp_path / "one.jsonl", "a", "b", "c")
    held = write(tmp_path / "held.jsonl", "d", "e")
    asked = parts(one, repeat=2, limit=2) + parts(held, split="test", limit=1, repeat=3)
    train, held_out = corpus.documents(asked, {})
    assert (sorted(train), held_out) == (["a", "a", "b", "b"], ["d"])


def test_rows_of_a_task_are_read_as_it_will_prompt_them(tmp_path):
    rows = write(tmp_path / "rows.jsonl", "I love it.", label="positive")
    held = write(tmp_path / "held.jsonl", "a text")
    tasks = {"sentiment": apps.load("sentiment")}
    train, _ = corpus.documents(
        parts(rows, task="sentiment") + parts(held, split="validation"), tasks
    )
    assert train == ["I love it.\nSentiment: positive"]


@pytest.mark.parametrize(
    ("rows", "part", "kind", "words"),
    [
        ([{"txt": "a"}], {}, BadData, r"line 1: no column 'text' among txt.*Did you mean 'txt'"),
        ([{"text": 5}], {}, BadData, "no column 'text'"),
        ([{"text": "a"}, [1]], {}, BadData, "line 2: a list where a row"),
        ([{"text": " "}], {}, BadData, "no documents to learn from"),
        ([{"text": "a"}], {"task": "sentimant"}, BadSetting, "Did you mean 'sentiment'"),
        ([{"text": "a"}], {"task": "sentiment"}, BadColumns, "no column 'label'"),
        ([{"text": "a", "label": "glad"}], {"task": "sentiment"}, BadData, "line 1: Unknown label"),
    ],
)
def test_sources_that_give_no_documents_are_one_line(tmp_path, rows, part, kind, words):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(kind, match=words) as caught:
        corpus.documents(parts(path, **part), {"sentiment": apps.load("sentiment")})
    assert "\n" not in str(caught.value)


def windows(tokens: int, length: int, rows: int, seed: int = 0) -> Windows:
    return Windows(ids=np.arange(tokens, dtype=np.uint16), length=length, rows=rows, seed=seed)


@pytest.mark.parametrize(("tokens", "length", "rows"), [(129, 8, 4), (131, 8, 4), (17, 8, 2)])
def test_one_epoch_uses_each_window_once(tokens, length, rows):
    made = windows(tokens, length, rows)
    starts = torch.cat([made.at(step)[:, 0] for step in range(made.per_epoch)])
    assert sorted(starts.tolist()) == list(range(0, made.per_epoch * rows * length, length))


def test_a_window_is_consecutive_and_its_last_token_opens_the_next():
    made = windows(129, 8, 4)
    batch = made.at(1)
    assert batch.shape == (4, 9) and batch.dtype == torch.int64
    assert torch.equal(batch - batch[:, :1], torch.arange(9).expand(4, 9))
    learned = torch.cat([made.at(step)[:, 1:].flatten() for step in range(made.per_epoch)])
    assert sorted(learned.tolist()) == list(range(1, 129))


def test_later_epochs_cut_elsewhere_and_stay_inside():
    made = windows(130, 8, 4)
    epochs = [
        torch.cat([made.at(epoch * made.per_epoch + n)[:, 0] for n in range(made.per_epoch)])
        for epoch in range(6)
    ]
    for starts in epochs:
        assert len(set(starts.tolist())) == len(starts)
        assert starts.min() >= 0 and starts.max() + 8 < 130
    assert len({int(starts[0]) % 8 for starts in epochs}) > 1


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    made, again, other = windows(500, 8, 4), windows(500, 8, 4), windows(500, 8, 4, seed=1)
    made.at(0)
    assert torch.equal(made.at(21), again.at(21))
    assert not torch.equal(made.at(21), other.at(21))
