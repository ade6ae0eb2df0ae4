"""From files to examples: every format gives the same rows, and what is wrong is named by line."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import apps
from core.errors import BadColumns, BadData, QuintetError
from finetune import data
from finetune.data import Located, Problem
from finetune.data.examples import read_examples
from finetune.data.reading.files import File
from finetune.data.reading.formats import READERS

ROWS = [
    {"text": "I love this film.", "label": "positive"},
    {"text": 'She said "no", twice', "label": "negative"},
    {"text": "今天的天气很好。", "label": "positive"},
    {"text": "NA", "label": "negative"},
]


def rows_of(path: Path | str, **options) -> list[Located | Problem]:
    return list(data.read_rows(str(path), **options))


def values(path: Path, **options) -> list[dict]:
    return [dict(found.row) for found in rows_of(path, **options)]


def jsonl(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def separated(rows, delimiter: str = ",", end: str = "\n") -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def written(path: Path, kind: str) -> Path:
    path = path / f"rows.{kind}"
    content = {
        "csv": lambda: separated(ROWS),
        "tsv": lambda: separated(ROWS, "\t"),
        "json": lambda: json.dumps({"data": ROWS}).encode(),
        "jsonl": lambda: "\n\n".join(map(json.dumps, ROWS)).encode(),
    }
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(content[kind]())
    return path


def sentiment(*sources: Path, **options):
    return read_examples(apps.load("sentiment"), [str(source) for source in sources], **options)


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, kind):
    assert values(written(tmp_path, kind)) == ROWS
    examples = sentiment(written(tmp_path, kind)).examples
    assert [found.answers[0] for found in examples] == [row["label"] for row in ROWS]
    assert examples[3].input.text == "NA"


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "txt"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    content = b"a text" if kind == "txt" else written(tmp_path, kind).read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert values(path) == ([{"text": "a text"}] if kind == "txt" else ROWS)


def test_windows_line_ends_are_no_part_of_a_cell(tmp_path):
    (tmp_path / "a.csv").write_bytes(separated(ROWS, end="\r\n"))
    (tmp_path / "b.jsonl").write_bytes("\r\n".join(map(json.dumps, ROWS)).encode())
    assert values(tmp_path / "a.csv") == values(tmp_path / "b.jsonl") == ROWS


def test_a_folder_of_texts_is_one_document_a_file(tmp_path):
    for name, text in (("b/two.txt", "second\n\nline"), ("a.txt", "第一篇")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read")
    assert values(tmp_path) == [{"text": "第一篇"}, {"text": "second\n\nline"}]


def test_a_row_knows_its_line_past_blank_and_broken_lines(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text,label\n"one\ntwo",0\n\nthree\nfour,1,2\nfive,1\n')
    places = [found.place.partition(", ")[2] for found in rows_of(path)]
    assert places == ["line 2", "line 5", "line 6", "line 7"]
    ragged = [str(found) for found in rows_of(path) if isinstance(found, Problem)]
    assert ragged == [
        f"{path}, line 5: 1 cells under 2 columns",
        f"{path}, line 6: 3 cells under 2 columns",
    ]


BROKEN = {
    "JSON": ("x.jsonl", b'{"a": 1}\n' * 16 + b'{"a": \n{"a": 2}\n', "line 17: broken JSON"),
    "a deep list": ("x.jsonl", b"[" * 100_000, "line 1: broken JSON: nested too deeply"),
    "a long number": ("x.jsonl", b'{"a": ' + b"9" * 5000 + b"}", "line 1: broken JSON: a number"),
    "UTF-8": ("x.csv", "a,b\né,2\n3,4".encode() + b"\xff\n", "line 3: not valid UTF-8 at byte 4"),
    "an open quote": ("x.csv", b'a,b\n1,2\n"3,4\n5,6\n', "line 3: unexpected end"),
    "an object of no rows": ("x.json", b'{"rows": []}', "must hold a list of rows"),
    "no parquet": ("x.parquet", b"PAR1" * 9, "no readable parquet file"),
    "an empty parquet": ("x.parquet", b"", "no readable parquet file"),
    "an empty csv": ("x.csv", b"", "holds no rows"),
    "a header alone": ("x.csv", b"a,b\n", "holds no rows"),
    "blank lines": ("x.jsonl", b"\n \n", "holds no rows"),
    "an empty list": ("x.json", b"[]", "holds no rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_by_its_line(tmp_path, name):
    file, content, words = BROKEN[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(BadData, match=words) as caught:
        rows_of(tmp_path / file)
    assert one_line(caught).startswith(str(tmp_path / file))


def test_invalid_text_in_a_parquet_file_is_bad_data(tmp_path):
    bytes_ = pa.py_buffer(b"\xff\xfe")
    column = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), bytes_)
    pq.write_table(pa.table({"text": column}), tmp_path / "x.parquet")
    with pytest.raises(BadData, match="no readable parquet"):
        rows_of(tmp_path / "x.parquet")


def repeated(text: str, rows: int) -> pa.DictionaryArray:
    """A column that takes the room of one text in the file, however many rows it has."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


@pytest.mark.parametrize("nested", [False, True])
def test_a_small_parquet_file_does_not_fill_the_memory(tmp_path, nested):
    path = tmp_path / "rows.parquet"
    text = repeated("x" * 40_000_000, 300)
    column = pa.ListArray.from_arrays(pa.array([0, 4, *range(5, 301)]), text) if nested else text
    pq.write_table(pa.table({"text": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    found = list(data.read_rows(str(path), limit=2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(found[0]).startswith(f"{path}, row 1: a row of ") and peak < 400_000_000


def test_texts_that_repeat_are_read_as_they_stand(tmp_path):
    path = tmp_path / "rows.parquet"
    texts = ["a", "b", None, "a"] * 200
    lists = [{"text": [text or "", "c"]} for text in texts]
    pq.write_table(pa.table({"text": texts, "answers": lists}), path)
    rows = [one.row for one in data.read_rows(str(path))]
    assert [row["text"] for row in rows] == texts and [row["answers"] for row in rows] == lists


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_line_of_a_megabyte_is_one_bad_row(tmp_path, kind):
    rows = [ROWS[0], {"text": "x" * 2**20, "label": "positive"}, *[ROWS[2]] * 200]
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(separated(rows) if kind == "csv" else b"")
    path = jsonl(path, rows) if kind == "jsonl" else path
    reading = sentiment(path)
    assert len(reading.examples) == 201
    assert [problem.place for problem in reading.problems] == [
        f"{path}, line {3 if kind == 'csv' else 2}"
    ]
    assert "at most 500,000" in reading.problems[0].reason


def test_a_long_text_is_read(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"text,label\n" + b"x" * 400_000 + b",1\n")
    assert len(sentiment(tmp_path / "x.csv").examples[0].input.text) == 400_000


def test_half_a_surrogate_pair_is_a_bad_row(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "\\ud83d"}\n{"text": "\\ud83d\\ude00"}\n')
    bad, good = rows_of(tmp_path / "x.jsonl")
    assert isinstance(bad, Problem) and "line 1" in bad.place and "surrogate" in bad.reason
    assert good.row == {"text": "😀"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
BYTES = (
    st.binary(max_size=80)
    | st.text(max_size=40).map(str.encode)
    | st.lists(JSON.map(json.dumps).map(str.encode), max_size=4).map(b"\n".join)
)


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet", "txt"])
@settings(max_examples=40, deadline=None)
@given(content=BYTES)
@example(content=b'{"a": "\\ud800"}')
@example(content=b"[1e999, -0, NaN]")
def test_no_content_raises_anything_but_our_own_errors(tmp_path_factory, kind, content):
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_bytes(content)
    try:
        found = list(READERS[kind](File(path)))
    except QuintetError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(row, Located | Problem) for row in found)


def test_a_wrong_column_gets_the_nearest_and_the_way_out(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"txt": "hello", "label": 0}])
    with pytest.raises(BadColumns, match=r"no column 'text'.*Did you mean 'txt'.*--map text="):
        sentiment(path)
    reading = sentiment(path, columns_map={"text": "txt"})
    assert reading.examples[0].input.text == "hello"


def test_columns_can_change_places(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"text": "positive", "label": "warm", "id": 7}])
    swapped = {"text": "label", "label": "text"}
    assert values(path, columns_map=swapped) == [{"id": 7, "text": "warm", "label": "positive"}]
    found = sentiment(path, columns_map=swapped).examples[0]
    assert (found.input.text, found.answers) == ("warm", ("positive",))


def test_a_mapped_column_wins_over_one_of_our_name(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"text": "id-1", "body": "warm", "label": 1}])
    assert sentiment(path, columns_map={"text": "body"}).examples[0].input.text == "warm"


def test_only_the_source_that_needs_it_is_renamed(tmp_path):
    ours = jsonl(tmp_path / "ours.jsonl", ROWS)
    theirs = jsonl(tmp_path / "theirs.jsonl", [{"body": "cold", "label": 0}])
    assert len(sentiment(ours, theirs, columns_map={"text": "body"}).examples) == 5
    with pytest.raises(BadColumns, match=r"'bodi', which is not among body, label.*'body'"):
        sentiment(theirs, columns_map={"text": "bodi"})


def test_labels_may_be_names_or_numbers(tmp_path):
    rows = [{"text": "a", "label": label} for label in ("Positive", 1, "1", 1.0, True, " 0 ")]
    found = sentiment(jsonl(tmp_path / "x.jsonl", rows)).examples
    assert [one.answers[0] for one in found] == ["positive"] * 5 + ["negative"]


def test_more_than_one_bad_row_in_a_hundred_is_an_error_that_names_them(tmp_path):
    good = [ROWS[0]] * 98
    path = jsonl(tmp_path / "x.jsonl", [*good, {"text": " ", "label": 0}])
    with pytest.raises(BadData, match=r"1 of 99 rows .*1\.0%.*line 99: Column 'text' is empty"):
        sentiment(path)
    assert len(sentiment(path, tolerate=0.02).problems) == 1
    assert len(sentiment(jsonl(path, [*good, ROWS[0], {"text": "x"}])).problems) == 1
    bad = [{"text": "a", "label": "glad"}] * 5
    with pytest.raises(
        BadData, match=r"line 1: .*'glad'; allowed: negative or 0.*2 more"
    ) as caught:
        sentiment(jsonl(path, bad))
    assert one_line(caught)
