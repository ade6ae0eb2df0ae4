"""The table of scores that README opens with."""

from report_fixtures import sentiment, translation

from benchmarks import score_table
from benchmarks.score_adapters import SCORES


def scored():
    return [
        ("smollm2", "sentiment", "SST-2", 600, ("accuracy",), sentiment()),
        ("gemma3", "translation", "Tatoeba", 0, ("bleu_zh_en",), translation()),
    ]


def test_a_line_a_metric_with_the_best_baseline_and_what_a_test_says():
    results = sentiment()
    subject = next(one for one in results.entries if one.name == results.subject)
    text = score_table.table(scored(), "en")
    head, _, first, second = text.strip().split("\n")
    assert first.count("|") == second.count("|") == head.count("|")
    assert f"**{subject.metrics['accuracy'].value:.3f}**" in first and "TF-IDF" in first
    assert "| SST-2, first 600 |" in first and "| Tatoeba |" in second
    assert "p ≤ 0.001" in first or "p = " in first
    assert "Chinese → English" in second


def test_the_chinese_table_names_tasks_metrics_and_outcomes_in_chinese():
    text = score_table.table(scored(), "zh")
    assert "情感分析" in text and "准确率" in text and "翻译" in text
    assert not any(word in text for word in ("better", "sentiment", "accuracy"))


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{score_table.MARKS[0]}\nold\n{score_table.MARKS[1]}\nafter\n")
    score_table.insert("| new |\n", page)
    assert page.read_text() == (
        f"before\n{score_table.MARKS[0]}\n| new |\n{score_table.MARKS[1]}\nafter\n"
    )


def test_every_score_of_the_list_has_a_task_that_the_table_names():
    assert {score.task for score in SCORES} <= set(score_table.TASKS)
