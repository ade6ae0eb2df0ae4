"""What the pages compute before anything is drawn: summaries, tables, verdicts, turns, listings."""

from __future__ import annotations

import datetime
import json
import math
import shlex

import openpyxl
import pandas as pd
import pytest
from report_fixtures import comparison

import apps
from commands.naming import naming
from core.adapters.passport import OperatingPoint
from core.application import Prediction
from core.engine.sampling import Sample
from core.errors import BadData, BadSetting
from demos.answers.bars import bars
from demos.answers.occlusion import log_odds, pieces
from demos.answers.programs import Door, command, curl
from demos.answers.reached import verdict
from demos.files import tables
from demos.files.charts import charts
from demos.files.summary import date_columns, source_columns, summarize
from demos.naming import PLAIN, Naming, deciding
from demos.said import Said, html
from demos.tasks import options
from demos.tasks.asking import Writing
from demos.tasks.newest import Newest

LABELS = ("negative", "positive")


@pytest.fixture
def scored() -> pd.DataFrame:
    """Forty rows over eight weeks; the forum is happier than the shop."""
    rows = []
    for place in range(40):
        happy = place % 4 != 0 if place % 2 else place % 8 == 0
        day = datetime.date(2026, 1, 5) + datetime.timedelta(days=place * 2)
        share = 0.5 + place / 100
        rows.append(
            {
                "text": f"row {place} about {'tea' if place < 10 else 'coffee'}",
                "date": day.isoformat(),
                "source": "forum" if place % 2 else "shop",
                "prediction": LABELS[happy],
                "probability_negative": str(1 - share if happy else share),
                "probability_positive": str(share if happy else 1 - share),
            }
        )
    return pd.DataFrame(rows)


def summary(table, **more):
    return summarize(table, text="text", labels=LABELS, date="date", source="source", **more)


def test_shares_have_wilson_intervals(scored):
    found = summary(scored).shares[1]
    assert (found.count, found.rows) == ((scored.prediction == "positive").sum(), 40)
    # Wilson 1927 by hand: centre and half width of 25 of 40 at z = 1.959964.
    assert found.count == 25
    assert (found.low, found.high) == pytest.approx((0.4703, 0.7578), abs=1e-3)


def test_shares_are_followed_over_time_and_by_source(scored):
    found = summary(scored)
    assert [part.name for part in found.sources] == ["forum", "shop"]
    assert found.sources[0].share > found.sources[1].share
    assert sum(part.rows for part in found.times) == 40
    assert 2 <= len(found.times) <= 24
    assert summary(scored, label="negative").sources[0].name == "shop"


def test_the_surest_and_the_least_sure_rows_are_named(scored):
    found = summary(scored)
    assert found.surest[0].text == "row 39 about coffee"
    assert found.least_sure[0].text == "row 0 about tea"
    assert found.surest[0].share == pytest.approx(0.89)


def test_only_rows_that_mention_something_are_counted(scored):
    assert summary(scored, about="TEA").rows == 10
    nothing = summary(scored, about="x)(")
    assert nothing.rows == 0
    assert "No row is left." in charts(nothing)


def test_columns_of_dates_and_sources_are_found(scored):
    assert date_columns(scored.drop(columns="probability_negative")) == ["date"]
    assert source_columns(scored[["text", "date", "source"]], without="text") == ["source"]


def test_charts_show_what_is_in_the_file_as_text(scored):
    scored.loc[39, "text"] = "<img src=x>"
    scored["source"] = "<b>"
    drawn = charts(summary(scored))
    assert "<img" not in drawn
    assert "<b>" not in drawn
    assert "&lt;img src=x&gt;" in drawn


def test_an_xlsx_is_read_and_written_without_formulas(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["date", "review"])
    book.active.append([datetime.date(2026, 1, 5), "=1+1 is good"])
    book.active.cell(2, 2).data_type = "s"
    book.save(tmp_path / "in.xlsx")
    read = tables.readable(tmp_path / "in.xlsx", tmp_path)
    assert read.read_text("utf-8").splitlines() == ["date,review", "2026-01-05,=1+1 is good"]
    back = tables.finished(read, tmp_path / "in.xlsx")
    cell = openpyxl.load_workbook(back).worksheets[0].cell(2, 2)
    assert (cell.value, cell.data_type) == ("=1+1 is good", "s")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.exe", b"x"), ("a.xlsx", b"no zip"), ("a.parquet", b"no parquet"), ("a.jsonl", b"{")],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, name, content):
    (path := tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=name) as caught:
        tables.head(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_head_of_a_csv_is_read_in_its_encoding(tmp_path, encoding):
    (path := tmp_path / "a.csv").write_text("文本;日期\n很好;2026-01-05\n差;2026-01-06\n", encoding)
    assert list(tables.head(path)) == ["文本", "日期"]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "clearly better than the best trivial baseline, 'TF-IDF' at 0.787 (p ≤ 0.001).",
            "better than TF-IDF, p ≤ 0.001",
        ),
        (
            "not told apart from the trivial baseline 'TF-IDF' at 0.941 (p = 1).",
            "not told apart from TF-IDF, p = 1",
        ),
        (
            "worse than the trivial baseline 'best overlap' at 22.9 (p = 0.002).",
            "worse than best overlap, p = 0.002",
        ),
        (
            "no better is claimed than '5-gram' at 0.5 (p = 0.01): it had other or fewer rows.",
            "nothing better than 5-gram is claimed, p = 0.01",
        ),
    ],
)
def test_a_verdict_is_read_from_the_sentence_of_a_card(sentence, said):
    found = verdict(f"**On 1,003 scored rows, 'adapter' reached f1 8.2 (6.8 to 9.6): {sentence}**")
    assert found is not None
    assert found.said(PLAIN).en == said
    assert found.score(apps.load("qa"), PLAIN).en.startswith("f1 8.2 (6.8 to 9.6), ")
    assert found.good == said.startswith("better")


def test_metrics_and_baselines_are_named_as_in_a_report_in_both_languages():
    spam, translation = apps.load("spam"), apps.load("translation")
    assert deciding(translation) == "chrf_mean"
    assert naming().value(translation, "chrf_mean") == ("chrF (mean)", "chrF（平均）")
    assert naming().value(spam, "recall_spam").en == "Recall (spam)"
    assert naming().baseline("word by word").zh == "逐词翻译"
    assert naming().baseline("of another version") == ("of another version",) * 2
    assert Naming().value(spam, "recall_spam").zh == "recall spam"


@pytest.mark.parametrize("outcome", ["win", "tie", "loss", "starved"])
def test_every_outcome_that_a_report_words_is_understood(outcome):
    from finetune.report.results import Comparison
    from finetune.report.verdict import _than

    test = Comparison.model_validate(comparison("f1", "TF-IDF", 2.0, 1.0, outcome, 0.0001))
    sentence = f"**On 72 scored rows, 'a' reached f1 8.2 (6.8 to 9.6): {_than(test, 'TF-IDF', '6.2', 1000)}**"
    found = verdict(sentence)
    assert found is not None
    assert found.baseline == "TF-IDF"
    assert found.good == (outcome == "win")


def test_every_shipped_card_gives_a_verdict():
    from core.store import SHIPPED

    cards = sorted((SHIPPED / "adapters").glob("*/*/README.md"))
    assert cards
    assert all(verdict(card.read_text("utf-8")) for card in cards)


def test_a_newer_turn_cancels_the_older_one_of_its_browser_alone():
    class Running:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    newest, first, late = Newest(), Running(), Running()
    other = newest.begin("other browser")
    turn = newest.begin("browser")
    turn.watch(first)
    again = newest.begin("browser")
    turn.watch(late)
    assert (first.cancelled, late.cancelled) == (True, True)
    assert (turn.stale, again.stale, other.stale) == (True, False, False)
    newest.leave("browser", turn)
    newest.stop("browser")
    assert (again.stopped, again.stale) == (True, False)


def test_a_word_counts_where_the_probability_is_all_but_1():
    sure, surer = ({"ham": rest, "spam": 1.0} for rest in (1e-8, 1e-9))
    assert log_odds(surer, "spam") - log_odds(sure, "spam") == pytest.approx(math.log(10))
    assert log_odds({"ham": 0.0, "spam": 1.0}, "spam") > log_odds(surer, "spam")


def test_a_blank_that_a_name_leaves_in_a_chinese_sentence_is_taken_out():
    said = Said("better than {name}, {p}", "优于 {name}，{p}")
    assert (
        said.filled(name="五元模型（Kneser–Ney）", p="p = 1").zh
        == "优于五元模型（Kneser–Ney），p = 1"
    )
    assert said.filled(name="TF-IDF", p="p = 1") == (
        "better than TF-IDF, p = 1",
        "优于 TF-IDF，p = 1",
    )


def test_pieces_are_words_marks_and_pairs_of_chinese_characters():
    text = "Don't miss it!!! 质量很差。"
    assert [text[a:b] for a, b in pieces(text)] == [
        "Don't",
        "miss",
        "it",
        "!!!",
        "质量",
        "很差",
        "。",
    ]
    assert len(pieces("a b " * 300)) <= 40


def test_a_threshold_stands_on_the_bar_of_its_label_alone():
    found = Prediction(text="ham", probabilities={"ham": 0.4, "spam": 0.6})
    drawn = bars(found, OperatingPoint(label="spam", threshold=0.73))
    assert drawn.count("threshold") == 2  # the mark, and the sentence on it
    assert "left:73.00%" in drawn
    assert bars(found, OperatingPoint()).count('class="threshold"') == 2


def test_listings_survive_quotes():
    fields = {"text": 'It\'s <b>\n"new" $HOME', "mode": "continue"}
    words = shlex.split(
        curl(Door("http://127.0.0.1:7860/"), "generation", fields, {}).replace("\\\n", "")
    )
    assert json.loads(words[-1]) == {"data": [*fields.values(), {}]}
    said = [fields["text"], "--mode", "continue"]
    assert shlex.split(command("generation@2", fields, {}))[2:] == ["generation@2", *said]
    writing = Writing(sampling=Sample(temperature=0.8, seed=3), max_new_tokens=12, stop=("\n",))
    assert options.read(options.written(writing)).writing == writing
    assert shlex.split(command("generation", fields, options.written(writing)))[2:] == [
        "generation", *said, "--max-new-tokens", "12", "--temperature", "0.8", "--top-p", "0.95",
        "--top-k", "0", "--repetition-penalty", "1.0", "--seed", "3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temprature": 1}, "'temprature': Extra inputs"),
        ({"seed": 3}, "'seed' has no effect without 'temperature'"),
        ({"temperature": "hot"}, "'temperature': Input should be a valid number"),
        ({"temperature": 0}, "temperature is 0"),
    ],
)
def test_options_of_a_program_are_checked(given, message):
    with pytest.raises(BadSetting, match=message):
        assert options.read(given).writing


def test_words_are_escaped_and_filled_in_both_languages():
    said = Said("{name} of {count}", "{count} 个{name}").filled(name=Said("<a>", "甲"), count=3)
    assert said == ("<a> of 3", "3 个甲")
    assert html(said) == (
        '<span><span class="said" lang="en">&lt;a&gt; of 3</span>'
        '<span class="said" lang="zh">3 个甲</span></span>'
    )
