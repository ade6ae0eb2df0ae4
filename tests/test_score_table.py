"""What a terminal shows of an evaluation."""

from __future__ import annotations

import io

from report_fixtures import sentiment
from rich.console import Console

from finetune.report.score_table import table


def test_the_table_has_a_row_a_system_and_the_interval_of_what_decides() -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    results = sentiment()
    console.print(table(results))
    lines = console.export_text().splitlines()
    value = results.entries[-1].metrics[results.verdict.metric]
    assert f"{value.value:.3f}  {value.low:.3f}-{value.high:.3f}" in lines[-2]
    assert [line.split()[1] for line in lines[3:-1]] == [e.name.split()[0] for e in results.entries]
    assert "precision" not in " ".join(lines) and max(map(len, lines)) <= 80
