"""The report as people read it: whole, harmless, in two languages, on a telephone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import report_fixtures
import yaml
from report_fixtures import ALL, HOSTILE

from finetune.report import render
from finetune.report.figures import canvas
from finetune.report.results import Results
from finetune.report.words import LANGUAGES

CHROMIUM = shutil.which("chromium")
_CUT = """[...document.querySelectorAll('.scroll')].filter(
  one => innerWidth < 640 && one.scrollWidth > one.clientWidth + 1).map(one => one.textContent.slice(0, 80))"""
"""Tables that a telephone shows only a part of."""
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, what is left open, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module", params=ALL)
def results(request) -> Results:
    return ALL[request.param]()


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request) -> Any:
    return request.param


@pytest.fixture(scope="module")
def folder(results, language, tmp_path_factory) -> Path:
    """What `write` leaves."""
    folder: Path = tmp_path_factory.mktemp("report")
    assert render.write(results, folder, language) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def markdown(folder) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full_page() -> str:
    return render.html(report_fixtures.sentiment())


def test_a_page_is_well_formed_and_names_its_language(page, language):
    read = Page(page)
    assert not read.open
    assert dict(read.tags)["html"]["lang"] == {"en": "en", "zh": "zh-CN"}[language]
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_page_asks_for_nothing_outside_of_itself_and_runs_nothing(page):
    read = Page(page)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in read.tags}
    for _, attributes in read.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "href", "xlink:href") or str(value).startswith("#")
    styles = re.findall(r"<style>(.*?)</style>|style=\"(.*?)\"", page, re.DOTALL)
    assert all(place.startswith("#") for place in re.findall(r"url\((.*?)\)", str(styles)))
    assert "@import" not in page


def test_every_table_has_a_caption_and_its_headings_a_scope(page):
    read = Page(page)
    tags = [tag for tag, _ in read.tags]
    assert tags.count("caption") == tags.count("table") > 0
    assert all(
        attributes["scope"] in ("row", "col") for tag, attributes in read.tags if tag == "th"
    )


def test_every_section_says_how_to_read_it(page):
    assert page.count('<p class="how">') == page.count("<section ") >= 4
    assert '<p class="how"></p>' not in page


def test_the_banner_stands_there_where_nothing_was_gained_and_only_there(
    results, language, page, markdown
):
    banners = {
        "en": ("NOT BETTER THAN BASELINE", "BESIDE NO BASELINE"),
        "zh": ("不优于基线", "没有基线可比"),
    }[language]
    shown = [banner in page for banner in banners]
    assert shown == [banner in markdown for banner in banners]
    beside = bool(results.verdict.baseline)
    assert shown == [beside and not results.verdict.better, not beside]


@pytest.mark.parametrize("draw", [render.html, render.markdown])
def test_hostile_text_stands_there_as_text(draw, language):
    text = draw(report_fixtures.qa(), language)
    assert "&lt;script&gt;window.hacked=1" in text
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "<img" not in outside


def test_a_fence_is_longer_than_any_in_the_text():
    text = render.markdown(report_fixtures.qa())
    assert f"`````\n{HOSTILE}\n```\n{HOSTILE}\n````\n`````" in text


def test_cells_of_markdown_tables_are_as_many_as_their_columns(markdown):
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert tables
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1


def test_a_long_text_is_folded_and_an_endless_one_is_cut():
    page = render.html(report_fixtures.qa())
    assert '<details class="long">' in page
    assert "more characters in results.json" in page


def test_baselines_stand_first_and_the_judged_entry_last():
    page = render.html(report_fixtures.sentiment())
    names = [
        "majority",
        "TF-IDF + logistic regression",
        "base",
        "sentiment@2",
        "▸\u00a0sentiment@3",
    ]
    table = page.split("<tbody>")[1].split("</tbody>")[0]
    assert re.findall(r'<th scope="row"><span[^>]*>(.*?)</span>', table) == names


def without(results: Results, *names: str) -> Results:
    """Results as they were without these entries."""
    entries = [one for one in results.entries if one.name not in names]
    compared = [one for one in results.comparisons if one.against not in names]
    return results.model_copy(update={"entries": entries, "comparisons": compared})


def marked(results: Results) -> list[str]:
    """The entries whose values are called the best, once for each value."""
    table = render.html(results).split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    names = [re.findall(r'class="q">(.*?)</span>', row)[0] for row in rows]
    return [
        name
        for name, row in zip(names, rows, strict=True)
        for _ in range(row.count('class="mark"'))
    ]


def test_the_best_value_of_a_column_is_marked():
    found = without(report_fixtures.sentiment(), "sentiment@2")
    assert marked(found) == ["▸\u00a0sentiment@3"] * 3


def test_nothing_is_the_best_where_another_may_be_as_good():
    assert marked(report_fixtures.sentiment()) == []  # sentiment@2 is not told apart
    assert marked(report_fixtures.minimal()) == []


def test_the_verdict_the_main_figure_and_what_to_do_next_come_first(full_page):
    places = [
        full_page.index(part)
        for part in ('class="verdict"', 'id="figure-entries"', 'class="steps"', 'id="scores"')
    ]
    assert places == sorted(places)


def test_what_to_do_next_follows_from_the_results():
    good, bad = (render.markdown(one()) for one in (ALL["sentiment"], ALL["translation"]))
    assert "Calibrate it" in good and "`quintet calibrate sentiment" in good
    assert "Train on more rows" not in good and "Calibrate it" not in bad
    assert "weakest by source on" in good and "weakest" not in bad  # chrF of two languages
    assert "Train on more rows" in bad and "Score more rows: 72" in bad
    assert "Compare it with baselines" in render.markdown(report_fixtures.minimal())


def test_comparisons_are_told_in_a_sentence_and_folded(full_page):
    section = full_page.split('<section id="comparisons"')[1].split("</section>")[0]
    said = "better than majority, TF-IDF + logistic regression, base; no proven difference from"
    assert said in section.split("<details>")[0]
    assert "<table>" not in section.split("<details>")[0] and "<table>" in section


def test_how_it_was_trained_is_told(full_page):
    section = Page(full_page.split('<section id="training"')[1].split("</section>")[0]).text
    for said in (
        "589,824 (LoRA, rank 8)",
        "the same 18,204 rows",
        "Optimiser steps1,000",
        "0.001",
        "4 min",
    ):
        assert said in section


def test_terms_are_explained_once_and_folded(full_page):
    section = full_page.split('<section id="glossary"')[1].split("</section>")[0]
    assert section.count("<dt>") > 10 and "<details>" in section.split("<dt>")[0]


def test_a_chinese_report_names_the_task_its_entries_and_its_metrics_in_chinese():
    text = Page(render.html(report_fixtures.sentiment(), "zh")).text
    for said in (
        "情感分析：评测报告",
        "判断一条评论",
        "多数类",
        "适配器档案",
        "数据指纹",
        "随机猜测",
        "主指标",
    ):
        assert said in text
    assert not re.search("护照|摘要|瞎猜|决定性指标", text)


def test_rows_of_no_part_have_a_name_and_columns_one_number_of_decimals():
    page = render.html(report_fixtures.qa())
    section = page.split('<section id="slices"')[1].split("</section>")[0]
    assert "other rows" in section
    values = re.findall(r'data-title="Answer F1" class="n"><div>([\d.]+)', section)
    assert len(values) == 3 and len({len(one.partition(".")[2]) for one in values}) == 1


def test_the_chinese_verdict_holds_values_and_the_baseline():
    page = render.html(report_fixtures.translation(), "zh")
    said = "chrF（平均）：4.20（95% 区间 3.25–5.15）；未能证明优于最佳基线“照抄原文”的 4.80。"
    assert said in Page(page).text


@pytest.mark.parametrize(
    ("than", "said"),
    [
        ("worse than the trivial baseline", "，不如最佳基线“照抄原文”的 4.90。"),
        ("not told apart from the trivial baseline", "；未能证明优于最佳基线“照抄原文”的 4.90。"),
    ],
)
def test_the_chinese_verdict_has_the_figures_and_the_outcome_of_the_english_one(than, said):
    results = report_fixtures.translation()
    sentence = (
        "On 1,117 rows that had not been seen before, 'adapter' reached chrF (mean) 3.70 (3.20 to 4.40): "
        f"{than} 'copy the source' at 4.90 (p = 0.046)."
    )
    verdict = results.verdict.model_copy(update={"sentence": sentence})
    page = render.html(results.model_copy(update={"verdict": verdict}), "zh")
    told = f"在未见过的 1,117 个样本上，chrF（平均）：3.70（95% 区间 3.20–4.40）{said}"
    assert told in Page(page).text


@pytest.mark.parametrize("rule", ["chrf_*", "-chrf_*", "chrf"])
def test_results_of_earlier_versions_that_hold_a_rule_are_drawn(rule):
    found = report_fixtures.translation()
    old = found.model_dump(exclude={"title_zh", "description_zh", "training"})
    old["verdict"]["metric"] = rule
    page = render.html(Results.model_validate(old))
    assert 'id="figure-entries"' in page and "chrF (mean) of every entry" in page


def test_a_folder_holds_the_drawings_and_the_results(folder, results, markdown):
    drawings = {f"figures/{path.name}" for path in folder.glob("figures/*")}
    assert set(re.findall(r"\]\((figures/.*?)\)", markdown)) == drawings
    for path in drawings:
        ElementTree.fromstring((folder / path).read_text(encoding="utf-8"))
    read = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert Results.model_validate(read) == results


def test_what_is_written_is_what_is_returned_and_the_same_every_time(tmp_path):
    found = report_fixtures.translation()
    page = render.write(found, tmp_path, "zh").read_text(encoding="utf-8")
    assert page == render.html(found, "zh")
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == render.markdown(found, "zh")


def test_every_drawing_is_made_where_its_data_exist(full_page):
    assert set(re.findall(r'<figure id="figure-(.*?)"', full_page)) == {
        "entries", "differences", "confusion", "reliability", "precision-recall", "roc", "loss",
        "value", "slices-length", "slices-language", "slices-source",
    }  # fmt: skip
    assert "<figure" not in render.html(report_fixtures.minimal())


def test_drawings_take_their_colour_from_the_page(full_page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", full_page, re.DOTALL))
    assert "currentColor" in drawings
    assert "var(--accent" in drawings
    assert "<metadata" not in drawings
    assert not re.findall(rf"{canvas.INK}|{canvas.FAINT}", drawings)


def test_many_labels_are_drawn_too():
    found = report_fixtures.sentiment()
    labels = tuple(f"标签 {n} $x" for n in range(14))
    curves = {
        "labels": labels, "confusion": [[n + m for n in range(14)] for m in range(14)],
        "precision_recall": dict.fromkeys(labels, ((0, 1), (1, 0))),
        "roc": {}, "average_precision": {}, "roc_auc": {},
    }  # fmt: skip
    many = Results.model_validate(found.model_dump() | {"curves": curves})
    page = render.html(many)
    assert "figure-confusion" in page
    assert "figure-roc" not in page


def _front(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_front_matter_of_a_card_is_what_the_hub_reads(results):
    from huggingface_hub.repocard_data import model_index_to_eval_results

    front = _front(render.card(results))
    assert front["library_name"] == "peft"
    name, found = model_index_to_eval_results(front["model-index"])
    assert name == f"quintet-{results.task}"
    values = next(e for e in results.entries if e.name == results.subject).metrics
    for one in found:
        assert one.task_type == front["pipeline_tag"]
        assert any(abs(one.metric_value - m.value) < 0.5 for m in values.values())


def test_a_card_says_what_the_adapter_is_worth_and_what_to_mind():
    card = render.card(report_fixtures.translation())
    assert "NOT BETTER THAN BASELINE" in card
    assert "| copy the source" in card
    assert "Measured on 72 examples only" in card
    assert _front(card)["model-index"][0]["results"][1]["dataset"]["config"] == "en_zh"
    assert "<script" not in re.sub(
        r"```.*?```", "", render.card(report_fixtures.qa()), flags=re.DOTALL
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on the PATH.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_a_page_is_no_wider_than_the_window_and_stays_at_home(browser, folder, width):
    asked: list[str] = []
    window = browser.new_page(viewport={"width": width, "height": 800})
    window.on("request", lambda sent: asked.append(sent.url))
    window.goto((folder / "report.html").as_uri())
    window.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    assert window.evaluate(_CUT) == []
    assert window.evaluate("window.hacked") is None
    assert asked == [(folder / "report.html").as_uri()]
    window.close()


@pytest.mark.parametrize(
    ("backbone", "line"),
    [("gemma3", "license: gemma"), ("smollm2", "license: apache-2.0"), ("somebody/s-own", None)],
)
def test_a_card_states_the_licence_of_what_the_adapter_derives_from(backbone, line):
    results = report_fixtures.sentiment()
    passport = {**(results.passport or {}), "backbone": backbone}
    card = render.card(results.model_copy(update={"passport": passport}))
    found = [text for text in card.splitlines() if text.startswith("license:")]
    assert found == ([line] if line else [])
