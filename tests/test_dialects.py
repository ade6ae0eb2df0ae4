"""Files as other programs write them: encodings, separators, quotes, line ends, compressions."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from openpyxl import Workbook

from core.errors import BadColumns, BadData, BadSetting
from demos.files import tables
from finetune import data
from finetune.data import Layout, Problem

ROWS = [
    {"text": "明天下午三点开会，请带上地图。", "label": "ham"},
    {"text": "恭喜您中奖，请立即点击链接领取。", "label": "spam"},
] * 5
CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)


def values(path: Path, **options) -> list[dict]:
    return [dict(found.row) for found in data.read_rows(str(path), **options)]


def told(path: Path, **options) -> list[str]:
    lines: list[str] = []
    list(data.read_rows(str(path), tell=lines.append, **options))
    return lines


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-16", "utf-16-le", "utf-32"])
def test_the_encoding_is_told_from_the_file_and_said(tmp_path, encoding):
    path = written(tmp_path / "x.csv", CSV.encode(encoding))
    assert values(path) == ROWS
    assert any("read as" in line and "--encoding" in line for line in told(path))


def test_western_and_traditional_texts_are_told_apart(tmp_path):
    west = written(tmp_path / "w.csv", "text\nDas Café wäre schöner\n".encode("cp1252"))
    assert values(west) == [{"text": "Das Café wäre schöner"}]
    taiwan = "text\n" + "茶館在老城的南門旁邊，每天早上六點開門。\n" * 3
    assert values(written(tmp_path / "t.csv", taiwan.encode("big5")))[0]["text"][:2] == "茶館"


def test_the_encoding_can_be_given(tmp_path):
    path = written(tmp_path / "x.csv", "text\nпривет\n".encode("koi8-r"))
    assert values(path, columns_map=Layout(encoding="koi8-r")) == [{"text": "привет"}]
    with pytest.raises(BadSetting, match="Unknown encoding 'klingon'"):
        values(path, columns_map=Layout(encoding="klingon"))
    with pytest.raises(BadData, match=r"line 2: not valid UTF-8.*--encoding"):
        values(path, columns_map=Layout(encoding="utf-8"))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_separator_is_told_from_the_header(tmp_path, delimiter, suffix):
    lines = [("text", "label"), ("one, two", "ham"), ("three; four", "spam")]
    quoted = [[f'"{cell}"' if delimiter in cell else cell for cell in line] for line in lines]
    path = tmp_path / f"x.{suffix}"
    written(path, "\n".join(delimiter.join(cells) for cells in quoted) + "\n")
    assert [row["text"] for row in values(path)] == ["one, two", "three; four"]
    usual = {"csv": ",", "tsv": "\t"}[suffix]
    assert bool(told(path)) == (delimiter != usual)


def test_excels_own_line_about_the_separator_is_no_row(tmp_path):
    path = written(tmp_path / "x.csv", "sep=;\ntext;label\na,b;ham\n")
    assert values(path) == [{"text": "a,b", "label": "ham"}]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_any_line_end_ends_a_row(tmp_path, end):
    path = written(tmp_path / "x.csv", CSV.replace("\n", end))
    assert values(path) == ROWS


def test_a_stray_quote_swallows_no_row_of_a_tab_separated_file(tmp_path):
    lines = ["text\tlabel", '"Bring the tent\tham', "in between\tspam", 'on time"\tham']
    path = written(tmp_path / "x.tsv", "\n".join(lines) + "\n")
    assert [row["text"] for row in values(path)] == ['"Bring the tent', "in between", 'on time"']


def test_quotes_that_are_meant_are_read_from_a_tab_separated_file(tmp_path):
    content = 'text\tlabel\n"she said ""no"""\tham\n"two\nlines"\tspam\n"a\ttab"\tham\n"open\tx\n'
    found = values(written(tmp_path / "x.tsv", content))
    assert [row["text"] for row in found] == ['she said "no"', "two\nlines", "a\ttab", '"open']


def test_a_row_of_tabs_too_few_is_a_problem_and_costs_no_other(tmp_path):
    path = written(tmp_path / "x.tsv", 'text\tlabel\n"alone\none\tham\ntwo\tham\n')
    found = list(data.read_rows(str(path)))
    assert isinstance(found[0], Problem) and "line 2: 1 cells under 2" in str(found[0])
    assert [row.row["text"] for row in found[1:]] == ["one", "two"]


def test_a_quote_that_swallows_rows_of_a_csv_is_said_with_its_line(tmp_path):
    path = written(tmp_path / "x.csv", 'text,label\na,ham\n"b,ham\nc,spam\nd",ham\n')
    assert any("line 3: a quote opens here" in line for line in told(path))


def test_names_of_columns_are_bare_and_there_once(tmp_path):
    path = written(tmp_path / "x.csv", " text, label \na,ham\n")
    assert values(path) == [{"text": "a", "label": "ham"}]
    with pytest.raises(BadColumns, match="several columns are named 'label'"):
        values(written(tmp_path / "y.csv", "text,label,label\na,ham,spam\n"))


def zipped(content: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("rows.csv", content)
    return path.read_bytes()


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: zstandard.ZstdCompressor().compress(content),
}


@pytest.mark.parametrize("suffix", [*PACKED, "zip"])
def test_compressed_files_are_read_alone_and_in_folders(tmp_path, suffix):
    path = tmp_path / f"rows.csv.{suffix}"
    content = CSV.encode()
    written(path, zipped(content, path) if suffix == "zip" else PACKED[suffix](content))
    assert values(path) == values(tmp_path) == ROWS


@pytest.mark.parametrize("suffix", [*PACKED, "zip"])
def test_a_broken_archive_is_one_line(tmp_path, suffix):
    packed = written(tmp_path / f"rows.jsonl.{suffix}", b"no archive at all")
    with pytest.raises(BadData, match=r"Cannot read .*rows\.jsonl") as caught:
        values(packed)
    assert "\n" not in str(caught.value)
    if suffix in PACKED:
        cut = PACKED[suffix](json.dumps({"text": "x" * 9999}).encode())[:-9]
        with pytest.raises(BadData):
            values(written(packed, cut))


def test_lines_of_json_are_read_under_the_name_of_json(tmp_path):
    path = written(tmp_path / "x.json", "".join(json.dumps(row) + "\n" for row in ROWS))
    assert values(path) == ROWS
    assert any("a row a line" in line for line in told(path))


def test_the_names_of_classes_decide_over_their_numbers(tmp_path):
    about = {
        "label": {"names": ["spam", "ham"], "_type": "ClassLabel"},
        "text": {"dtype": "string"},
    }
    table = pa.table({"text": ["a", "b", "c"], "label": [0, 1, -1]})
    meta = {b"huggingface": json.dumps({"info": {"features": about}}).encode()}
    pq.write_table(table.replace_schema_metadata(meta), tmp_path / "x.parquet")
    assert [row["label"] for row in values(tmp_path / "x.parquet")] == ["spam", "ham", None]


def test_the_names_of_classes_come_from_data_sets_too():
    import datasets

    from finetune.data.reading.hub import class_names

    features = datasets.Features({"label": datasets.ClassLabel(names=["spam", "ham"])})
    found = datasets.Dataset.from_dict({"label": [0, 1]}, features=features)
    assert class_names(found) == {"label": ["spam", "ham"]}


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "."), content)
        packed.writestr("__MACOSX/._a.csv", b"\0\1")
        packed.writestr("folder/", "")
    return path


def test_a_zip_is_named_after_anything(tmp_path):
    assert values(archive(tmp_path / "sms.data.zip", a__csv=CSV)) == ROWS
    assert values(archive(tmp_path / "b.csv.zip", unnamed=CSV)) == ROWS


@pytest.mark.parametrize("name", ["two.zip", "two.csv.zip"])
def test_of_several_files_in_a_zip_none_is_lost_silently(name, tmp_path):
    path = archive(tmp_path / name, train__csv=CSV, test__csv=CSV)
    with pytest.raises(BadData, match=r"holds 2 files: train\.csv, test\.csv\. Unpack it"):
        values(path)


@pytest.mark.parametrize(
    ("packed", "kind"), [(gzip.compress, "gz"), (lzma.compress, "xz"), (bz2.compress, "bz2")]
)
def test_a_packed_file_under_a_plain_name_is_told(packed, kind, tmp_path):
    path = written(tmp_path / "a.csv", packed(CSV.encode()))
    with pytest.raises(BadData, match=rf"a name that ends in \.{kind}"):
        values(path)


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(BadData, match="leads nowhere"):
        values(tmp_path / "a.csv")


def workbook(path: Path, **sheets: list[list]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_with_its_types(tmp_path):
    day = datetime(2026, 3, 1)
    rows = [["text", "label", "n", "day", None], [], ["hi", None, 3, day], ["you", "ham", 4.5, day]]
    found = values(workbook(tmp_path / "a.xlsx", Empty=[], Data=rows))
    assert found == [
        {"text": "hi", "label": None, "n": 3, "day": "2026-03-01 00:00:00"},
        {"text": "you", "label": "ham", "n": 4.5, "day": "2026-03-01 00:00:00"},
    ]


def test_of_several_sheets_none_is_lost_silently(tmp_path):
    path = workbook(tmp_path / "a.xlsx", one=[["text"], ["a"]], two=[["text"], ["b"]])
    for read in (values, tables.head):
        with pytest.raises(BadData, match="rows in 2 sheets: 'one', 'two'"):
            read(path)


def test_cells_beside_the_columns_and_broken_workbooks_are_told(tmp_path):
    rows = [["text", "label"], ["a", "ham", "lost"], ["b", "spam"]]
    bad, good = data.read_rows(str(workbook(tmp_path / "a.xlsx", one=rows)))
    assert isinstance(bad, Problem) and "row 2" in str(bad) and good.row["text"] == "b"
    with pytest.raises(BadData, match="no readable xlsx"):
        values(written(tmp_path / "b.xlsx", b"nothing"))
