"""What lies on disk is whole or not there, and the adapter that is served is the one meant."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from core import store
from core.adapters.passport import PASSPORT, Passport, read_passport, seal_of
from core.errors import BadSetting, Damaged, Mismatch, MissingAdapter


def passport(**changes) -> Passport:
    fields = {
        "task": "spam",
        "backbone": "quintet-nano",
        "fingerprint": "f" * 16,
        "prompt_hash": "p" * 16,
        "weights_hash": "w" * 64,
        "configuration_hash": "c" * 16,
        "data_hash": "d" * 16,
        "data": "rows.csv",
        "metrics": {"accuracy": 0.9},
        "rows": 10,
        "seed": 0,
        "versions": {},
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Passport(**{**fields, **changes})


def adapter(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True)
    made = passport(**changes).sealed()
    (folder / PASSPORT).write_text(made.model_dump_json(), encoding="utf-8")
    (folder / "weights").write_text(made.data)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_written_whole_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "说明.txt"
    store.write_text(path, "你好\n")
    store.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == [path.name]


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o077)
    try:
        store.write_text(tmp_path / "own", "text")
        with store.new_folder(tmp_path / "folder") as folder:
            (folder / "file").write_text("text")
    finally:
        os.umask(before)
    for path in (tmp_path / "own", tmp_path / "folder", tmp_path / "folder" / "file"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "text"
    store.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        store.write_text(path, "long " * 10_000 + "\ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["text"]


def test_json_is_written_for_people(tmp_path):
    store.write_json(tmp_path / "x.json", {"b": "你好", "a": [1]})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "b": "你好"') and text.endswith("}\n")
    assert json.loads(text) == {"b": "你好", "a": [1]}


def test_a_new_folder_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "deep" / "folder"
    with store.new_folder(path) as new:
        (new / "file").write_text("whole")
        assert not path.exists() and new.parent == path.parent
    assert (path / "file").read_text() == "whole"
    assert path.stat().st_mode & 0o777 == 0o755
    assert names(path.parent) == ["folder"]


def test_a_new_folder_replaces_the_old_one(tmp_path):
    for content in ("one", "two"):
        with store.new_folder(tmp_path / "folder") as new:
            (new / content).write_text(content)
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["two"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_an_error_inside_the_block_leaves_what_was_there(tmp_path, kind, existed):
    path = tmp_path / "folder"
    if existed:
        path.mkdir()
        (path / "old").write_text("old")
    with pytest.raises(kind), store.new_folder(path) as new:
        (new / "half").write_text("half")
        raise kind
    assert names(tmp_path) == (["folder"] if existed else [])
    assert not existed or names(path) == ["old"]


def test_a_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert store.file_hash(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_passport_lets_its_own_backbone_and_prompt_pass():
    passport().check(
        fingerprint="f" * 16, prompt_hash="p" * 16, tokenizer_hash="", folder=Path("x")
    )


@pytest.mark.parametrize(
    ("fingerprint", "prompt", "named", "unnamed"),
    [("0" * 16, "p" * 16, "backbone", "prompt ("), ("f" * 16, "0" * 16, "prompt (", "backbone or")],
)
def test_a_passport_names_what_differs(fingerprint, prompt, named, unnamed):
    with pytest.raises(Mismatch) as caught:
        passport().check(
            fingerprint=fingerprint, prompt_hash=prompt, tokenizer_hash="", folder=Path("runs/x")
        )
    said = str(caught.value)
    assert named in said and unnamed not in said
    assert "runs/x" in said and "0000000000000000 here" in said and "quintet finetune spam" in said


def test_a_passport_names_everything_that_differs():
    with pytest.raises(Mismatch, match=r"backbone.* and prompt|prompt.* and backbone"):
        passport().check(fingerprint="0", prompt_hash="0", tokenizer_hash="", folder=Path("x"))


def test_a_passport_is_read_as_it_was_written(tmp_path):
    folder = adapter(tmp_path / "adapter", metrics={"f1_spam": 0.5})
    assert read_passport(folder) == passport(metrics={"f1_spam": 0.5}).sealed()


def test_a_folder_without_passport_is_no_adapter(tmp_path):
    with pytest.raises(MissingAdapter, match=r"passport\.json is missing"):
        read_passport(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"task": "spam"}', None],
    ids=["empty", "half", "list", "no keys", "no UTF-8", "one key", "an unknown key"],
)
def test_a_damaged_passport_is_one_line(tmp_path, content):
    if content is None:
        values = {**passport().model_dump(mode="json"), "colour": 1}
        content = json.dumps({**values, "seal": seal_of(values)}).encode()
    (tmp_path / PASSPORT).write_bytes(content)
    with pytest.raises(Damaged, match=r"passport\.json (is damaged|was altered)") as caught:
        read_passport(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"seal": ""}, {"metrics": {"accuracy": 1.0}}, {"rows": 11}])
def test_an_empty_seal_is_no_seal_and_an_edit_breaks_it(tmp_path, change):
    values = {**passport().sealed().model_dump(mode="json"), **change}
    (tmp_path / PASSPORT).write_text(json.dumps(values))
    with pytest.raises(Damaged, match="was altered after it was written, or was never sealed"):
        read_passport(tmp_path)


def test_a_passport_of_an_earlier_version_names_the_command_that_renews_it(tmp_path):
    values = passport().model_dump(mode="json")
    del values["configuration_hash"], values["weights_hash"]
    (tmp_path / PASSPORT).write_text(json.dumps({**values, "seal": seal_of(values)}))
    with pytest.raises(Damaged, match=r"lacks weights_hash and conf.*quintet adapters renew /"):
        read_passport(tmp_path)


def test_a_run_never_takes_a_folder_that_is_there(tmp_path):
    runs = [store.new_run(tmp_path, "spam", "first try/№ 1") for _ in range(5)]
    assert len(set(runs)) == 5
    for run in runs:
        assert run.is_dir() and run.parent == tmp_path / "spam"
        assert "-first-try-1" in run.name


def test_the_home_is_where_the_environment_says(tmp_path, monkeypatch):
    assert store.home() == Path(os.environ["QUINTET_HOME"])
    monkeypatch.delenv("QUINTET_HOME")
    assert store.home().name == "quintet"


def test_versions_name_the_libraries_that_are_here():
    found = store.library_versions()
    assert {"torch", "transformers", "peft"} <= found.keys()
    assert all(version[0].isdigit() for version in found.values())


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with (
        pytest.raises(BadSetting, match="is a file where a folder is meant"),
        store.new_folder(tmp_path / "notes"),
    ):
        pass
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("name", ["file/run", "file", "file/a/b"])
def test_where_nothing_can_be_written_is_known_before(tmp_path, name):
    (tmp_path / "file").write_text("")
    store.check_writable(tmp_path / "new" / "folder")
    assert names(tmp_path) == ["file"]
    with pytest.raises(BadSetting, match="is a file where a folder is meant"):
        store.check_writable(tmp_path / name)


def half(path: Path) -> None:
    """What a process that was killed has written of a folder."""
    path.mkdir()
    (path / "half").write_text("half")


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path):
    half(tmp_path / ".a.0123456789ab")
    half(tmp_path / ".b.0123456789ab")
    (tmp_path / ".a.txt").write_text("hidden, and nobody's leftover")
    store.write_text(tmp_path / "a", "new")
    assert ".a.0123456789ab" in names(tmp_path)  # its writer may still be there
    store.sweep(tmp_path, name="a", older=0)
    assert names(tmp_path) == [".a.txt", ".b.0123456789ab", "a"]
    store.sweep(tmp_path, older=0)
    assert names(tmp_path) == [".a.txt", "a"]


def test_leftovers_of_hours_ago_are_swept_by_whoever_writes_there(tmp_path, monkeypatch):
    half(tmp_path / ".a.0123456789ab")
    now = time.time()
    monkeypatch.setattr("core.store.time.time", lambda: now + 4000)
    store.write_text(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"]


def test_a_folder_whose_replacement_was_killed_comes_back(tmp_path):
    half(tmp_path / ".a.0123456789ab.old")
    half(tmp_path / ".a.ba9876543210")
    store.sweep(tmp_path, older=0)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "half").is_file()


def test_the_newest_run_is_the_last_begun_whatever_the_clock_says(tmp_path, monkeypatch):
    class Clock(datetime):
        hours = 12

        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, cls.hours, tzinfo=tz)

    monkeypatch.setattr(store, "datetime", Clock)
    store.new_run(tmp_path, "spam", "finetune")
    Clock.hours = 11  # winter time
    second = store.new_run(tmp_path, "spam", "finetune")
    assert store.newest_run(tmp_path, "spam") == second
    assert store.newest_run(tmp_path, "qa") is None
