"""The metrics agree with scikit-learn, sacrebleu and cases counted by hand."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.errors import BadData
from core.metrics import (
    Classification,
    Completion,
    LanguageModel,
    LocalMetric,
    Squad,
    Translation,
)
from core.metrics.answers import chinese_segments, english_segments, exact_match, f1
from core.metrics.texts import distinct, repetition
from core.task import Language

LABELS = ("negative", "positive", "mixed")
ENGLISH = ["The cat sat on the mat today.", "Nobody wanted to leave the warm house at night."]
CHINESE = ["今天的天气很好，我们去公园。", "这本书非常有意思，推荐给大家。"]
WORDS = st.lists(
    st.sampled_from(["the", "a", "cat", "Cat!", "mill", "老", "磨坊", "。"]), max_size=8
)
TEXT = WORDS.map(" ".join)
ROWS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=6)


def classify(predictions: list[str], references: list[str]) -> dict[str, float]:
    return dict(Classification(LABELS).compute(predictions=predictions, references=references))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=20)
)
def test_classification_agrees_with_scikit_learn(rows: list[tuple[str, str]]) -> None:
    predictions, references = map(list, zip(*rows, strict=True))
    values = classify(predictions, references)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(references, predictions))
    assert values["macro_f1"] == pytest.approx(
        sk.f1_score(references, predictions, labels=LABELS, average="macro", zero_division=0)
    )
    if len({*predictions, *references}) > 1:
        assert values["mcc"] == pytest.approx(sk.matthews_corrcoef(references, predictions))
    assert -1 <= values.pop("mcc") <= 1
    assert all(0 <= value <= 1 for value in values.values())


def test_precision_recall_and_f1_are_given_for_each_label() -> None:
    values = classify(["negative", "negative", "positive"], ["negative", "positive", "positive"])
    assert values["precision_negative"] == 0.5
    assert values["recall_negative"] == 1.0
    assert values["precision_positive"] == 1.0
    assert values["recall_positive"] == 0.5
    assert values["f1_negative"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("predicted", ["negative", "positive"])
def test_a_label_never_predicted_counts_as_zero_without_a_warning(predicted: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = classify([predicted] * 3, ["negative"] * 3)
    assert values["mcc"] == 0
    assert values["f1_mixed"] == 0
    assert values["accuracy"] == float(predicted == "negative")


def test_a_reference_outside_the_labels_is_named_with_the_nearest_label() -> None:
    with pytest.raises(BadData, match=r"'positiv' is no label.*mean 'positive'"):
        classify(["positive"], ["positiv"])


@pytest.mark.parametrize(("target", "texts"), [("en", ENGLISH), ("zh", CHINESE)])
def test_identical_texts_score_100(target: Language, texts: list[str]) -> None:
    values = Translation(target).compute(predictions=texts, references=[[text] for text in texts])
    assert values["bleu"] == pytest.approx(100)
    assert values["chrf"] == pytest.approx(100)
    assert max(values["bleu"], values["chrf"]) <= 100


@pytest.mark.parametrize(
    ("target", "tokenize", "right"), [("en", "13a", ENGLISH), ("zh", "zh", CHINESE)]
)
def test_translation_agrees_with_sacrebleu(
    target: Language, tokenize: str, right: list[str]
) -> None:
    given_texts = [right[0][:-4], right[1][2:]]
    values = Translation(target).compute(
        predictions=given_texts, references=[[text] for text in right]
    )
    bleu = sacrebleu.corpus_bleu(given_texts, [right], tokenize=tokenize)
    assert 0 < values["bleu"] < 100
    assert values["bleu"] == pytest.approx(bleu.score)
    assert values["chrf"] == pytest.approx(sacrebleu.corpus_chrf(given_texts, [right]).score)
    assert f"tok:{tokenize}|" in values["signatures"]["bleu"]
    assert "nc:6|nw:0" in values["signatures"]["chrf"]


def test_all_references_of_a_row_count_even_if_rows_have_different_numbers() -> None:
    references = [["Something else entirely, I think.", ENGLISH[0]], [ENGLISH[1]]]
    values = Translation("en").compute(predictions=ENGLISH, references=references)
    assert values["bleu"] == pytest.approx(100)
    assert "nrefs:var" in values["signatures"]["bleu"]


@pytest.mark.parametrize(
    ("prediction", "reference", "match", "overlap"),
    [
        ("The old mill.", "old mill", 1, 1),
        ("An  apple", "the apple!", 1, 1),
        ("theatre", "atre", 0, 0),
        ("in the old mill", "old mill", 0, 0.8),
        ("mill mill", "mill", 0, 2 / 3),
        ("state-of-the-art", "stateoftheart", 1, 1),
        ("", "mill", 0, 0),
        ("the", "a", 1, 1),
        ("在河边。", "在河边", 1, 1),
        ("在 河边", "“在河边”", 1, 1),
        ("在河边上", "在河边", 0, 6 / 7),
        ("边河在", "在河边", 0, 1 / 3),
        ("使用iPhone 手机", "使用 iphone手机", 1, 1),
        ("约3.5米", "约35米", 0, 1 / 3),
        ("", "河边", 0, 0),
    ],
)
def test_short_answers_count_as_by_hand(
    prediction: str, reference: str, match: float, overlap: float
) -> None:
    assert exact_match(prediction, reference) == match
    assert f1(prediction, reference) == pytest.approx(overlap)


def test_english_answers_lose_case_punctuation_articles_and_spaces() -> None:
    assert english_segments(" The  Quick, brown a-fox's ") == ["quick", "brown", "afoxs"]


def test_chinese_answers_split_into_characters_and_whole_latin_words() -> None:
    assert chinese_segments("《GPT 模型》在2023年，约50%。") == [
        *("gpt", "模", "型", "在", "2023", "年", "约", "50%")
    ]


def test_the_best_right_answer_counts_in_percent() -> None:
    values = Squad().compute(
        predictions=["near the river", "在河边"],
        references=[["a mill", "Near River"], ["老磨坊", "河边"]],
    )
    assert values == {"exact_match": 50.0, "f1": pytest.approx(90.0)}


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_squad_stays_in_range_and_ignores_the_order_of_rows(
    rows: list[tuple[str, list[str]]],
) -> None:
    values = compute(Squad(), rows)
    assert 0 <= values["exact_match"] <= values["f1"] <= 100
    assert compute(Squad(), rows[::-1]) == pytest.approx(values)


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_texts_stay_in_range_and_ignore_the_order_of_rows(
    rows: list[tuple[str, list[str]]],
) -> None:
    for metric in (Translation("zh"), Completion()):
        values = compute(metric, rows)
        again = compute(metric, rows[::-1])
        assert values.pop("signatures") == again.pop("signatures")
        assert again == pytest.approx(values)
        assert all(0 <= value <= 100 for value in values.values())
        assert 0 <= values.get("distinct_2", 0) <= 1
        assert 0 <= values.get("repetition", 0) <= 1


def compute(metric: LocalMetric, rows: list[tuple[str, list[str]]]) -> dict[str, float]:
    predictions, references = map(list, zip(*rows, strict=True))
    return dict(metric.compute(predictions=predictions, references=references))


def test_distinct_bigrams_are_words_in_english_and_characters_in_chinese() -> None:
    assert distinct(["the cat sat", "the cat ran"]) == 3 / 4
    assert distinct(["好好好"]) == 1 / 2
    assert distinct(["word", ""]) == 0


def test_repetition_is_the_share_of_four_grams_seen_before() -> None:
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)
    assert repetition("好" * 7) == pytest.approx(3 / 4)
    assert repetition("too short") == 0


def test_completion_without_references_has_no_bleu() -> None:
    values = Completion().compute(predictions=["the cat sat"], references=[[]])
    assert values == {"distinct_2": 1.0, "repetition": 0.0}


@pytest.mark.parametrize(
    ("texts", "tokenize"),
    [(ENGLISH, "13a"), (CHINESE, "zh"), ([*ENGLISH, *ENGLISH, CHINESE[0]], "zh")],
)
def test_completion_takes_a_tokenizer_that_splits_its_references(
    texts: list[str], tokenize: str
) -> None:
    references = [[text, "Another one."] for text in texts]
    values = Completion().compute(predictions=texts, references=references)
    assert values["bleu"] == pytest.approx(100)
    assert f"tok:{tokenize}|" in values["signatures"]["bleu"]


def test_english_scores_the_same_beside_chinese(texts: tuple[str, ...]) -> None:
    english = [text for text in texts if text.isascii()]
    changed = [text.replace("the", "that") for text in english]
    both = [sacrebleu.corpus_bleu(changed, [english], tokenize=name) for name in ("13a", "zh")]
    assert both[0].score == pytest.approx(both[1].score)


def test_perplexity_is_per_token_and_bits_are_per_byte() -> None:
    nats = [4 * math.log(8), 2 * math.log(8)]
    values = LanguageModel().compute(nats=nats, tokens=[4, 2], bytes=[10, 8])
    assert values == {"perplexity": pytest.approx(8), "bits_per_byte": pytest.approx(1)}


def test_an_absurd_likelihood_is_still_a_number() -> None:
    values = LanguageModel().compute(nats=[1e9], tokens=[1], bytes=[1])
    assert math.isfinite(values["perplexity"])


@pytest.mark.parametrize(
    "metric", [Classification(LABELS), Translation("en"), Squad(), Completion()]
)
def test_no_rows_are_an_error(metric: LocalMetric) -> None:
    with pytest.raises(BadData, match="Nothing to score"):
        metric.compute(predictions=[], references=[])


def test_a_row_without_a_right_answer_is_an_error() -> None:
    with pytest.raises(BadData, match="no right answer"):
        Squad().compute(predictions=["x"], references=[[]])
    with pytest.raises(BadData, match="no reference"):
        Translation("en").compute(predictions=["x"], references=[[]])


def test_empty_answers_have_no_bits_per_byte() -> None:
    with pytest.raises(BadData, match="empty"):
        LanguageModel().compute(nats=[0.0], tokens=[0], bytes=[0])


def test_metrics_leave_nothing_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(cache))
    Squad().compute(predictions=["a mill"], references=[["mill"]])
    assert not cache.exists()
