"""Reports that travel with the shipped adapters: in both languages, without rows and without paths."""

from __future__ import annotations

import pytest
import report_fixtures

from benchmarks import ship_reports
from demos.answers.reached import verdict
from finetune.report.results import Results

TIE = "not told apart from the trivial baseline 'TF-IDF' at 0.801 (p = 0.2)."


def scored(**changes: object) -> Results:
    results = report_fixtures.sentiment()
    sentence = "On 1,000 scored rows, 'adapter' reached Macro F1 0.818 (0.794 to 0.842): " + TIE
    card = results.data_card.model_copy(
        update={"sources": ("/home/ann/data/sst2/validation.jsonl",)}
    )
    return results.model_copy(
        update={
            "verdict": results.verdict.model_copy(update={"sentence": sentence}),
            "data": "/home/ann/data/sst2",
            "data_card": card,
            "commands": ("quintet evaluate sentiment --data /home/ann/data/sst2 --output runs/s",),
            **changes,
        }
    )


def test_a_shipped_report_holds_neither_rows_nor_paths(tmp_path):
    results = scored()
    ship_reports.ship(results, tmp_path)
    texts = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert set(texts) == {"report.html", "report.zh.html", "README.md"}
    for text in texts.values():
        assert "/home" not in text
        assert "data/sst2" in text
        assert all(str(mistake.input["text"]) not in text for mistake in results.mistakes)
    assert '<html lang="zh' in texts["report.zh.html"]
    assert max(map(len, texts.values())) < 400_000
    assert verdict(texts["README.md"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--data /home/ann/data/sst2 -o x", "--data data/sst2 -o x"),
        ("see https://a.example/b/c/d", "see https://a.example/b/c/d"),
        ("good/bad, and 1/2/3", "good/bad, and 1/2/3"),
    ],
)
def test_paths_are_shortened_and_other_slashes_stay(text, said):
    assert ship_reports.without_rows(scored(data=text)).data == said


def test_of_several_scores_the_first_in_the_list_is_shipped(tmp_path):
    for name in ("smollm2-sentiment-imdb", "smollm2-sentiment-sst2", "smollm2-spam-sms_spam"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(scored().model_dump_json())
    found = [score.name for score, _ in ship_reports.first_scores(tmp_path)]
    assert found == ["smollm2-sentiment-sst2", "smollm2-spam-sms_spam"]
