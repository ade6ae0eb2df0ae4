"""What is installed is whole, keeps its version, and is found under its backbone."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from test_store import names, passport

from commands import adapter_table
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.passport import PASSPORT, TRAINING_ROWS, read_passport
from core.errors import Damaged, MissingAdapter

NANO = "quintet-nano"


def adapter(folder: Path, **changes) -> Path:
    """The files of an adapter; nothing here loads their weights."""
    folder.mkdir(parents=True)
    weights = changes.get("data", "rows.csv").encode()
    (folder / "adapter_config.json").write_text('{"r": 8}')
    hashes = {
        "weights_hash": hashlib.sha256(weights).hexdigest(),
        "configuration_hash": configuration_hash(folder),
    }
    made = passport(**hashes, **changes)
    (folder / PASSPORT).write_text(made.sealed().model_dump_json(), encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_installed_adapters_are_numbered_and_the_newest_is_served(tmp_path):
    folders = [adapter(tmp_path / name / "adapter", data=name) for name in ("a", "b", "c")]
    installed = [registry.install(folder.parent) for folder in folders[:2]]
    assert [path.name for path in installed] == ["1", "2"]
    assert registry.find("spam", NANO) == installed[1]
    assert registry.find("spam@1", NANO) == installed[0]
    assert read_passport(installed[0]).data == "a"
    assert registry.install(folders[2]).name == "3"  # the folder itself will do
    assert list(registry.versions("spam", NANO)) == [1, 2, 3]
    assert names(registry.root() / NANO / "spam") == ["1", "2", "3"]


def test_the_adapter_of_a_run_is_named_where_the_run_is_given(tmp_path):
    made = adapter(tmp_path / "run" / "adapter")
    with pytest.raises(MissingAdapter, match=f"is missing. Give {made}."):
        read_passport(made.parent)


def test_an_adapter_is_installed_with_the_rows_it_was_sealed_with(tmp_path):
    sealed = hashlib.sha256(b"rows").hexdigest()
    folder = adapter(tmp_path / "run", training_rows_hash=sealed)
    for content in (None, b"ro", b"rows"):
        if content is not None:
            (folder / TRAINING_ROWS).write_bytes(content)
        if content == b"rows":
            assert registry.install(folder).name == "1"
            continue
        with pytest.raises(Damaged, match="which rows the adapter has learned"):
            registry.install(folder)
    assert list(registry.versions("spam", NANO)) == [1]


def test_a_removed_version_is_not_given_again_to_an_older_one(tmp_path):
    folder = adapter(tmp_path / "run")
    for _ in range(10):
        newest = registry.install(folder)
    assert newest.name == "10"
    assert registry.find("spam", NANO) == newest  # as numbers: 10 comes after 9
    assert registry.remove("spam@4", NANO).name == "4"
    assert registry.install(folder).name == "11"
    with pytest.raises(MissingAdapter, match="spam@11"):
        registry.remove("spam", NANO)


def test_installed_comes_before_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "pretrained")
    assert not registry.served("spam", NANO)
    shipped = adapter(tmp_path / "pretrained" / "adapters" / NANO / "spam")
    assert registry.served("spam", NANO)
    assert registry.find("spam", NANO) == shipped
    installed = registry.install(shipped)
    assert registry.find("spam", NANO) == installed


def test_each_backbone_has_its_own_adapters(tmp_path):
    one = registry.install(adapter(tmp_path / "one"))
    other = registry.install(adapter(tmp_path / "other", backbone="Qwen/Qwen3-0.6B"))
    assert registry.find("spam", NANO) == one
    assert registry.find("spam", "Qwen/Qwen3-0.6B") == other
    assert other.relative_to(registry.root()) == Path("Qwen--Qwen3-0.6B/spam/1")
    with pytest.raises(MissingAdapter, match=f"There is one for: .*{NANO}"):
        registry.find("spam", "mini-of-mine")


def test_an_adapter_of_other_weights_hides_none_that_fits(tmp_path):
    fits = registry.install(adapter(tmp_path / "fits", fingerprint="a" * 16))
    newer = registry.install(adapter(tmp_path / "newer", fingerprint="b" * 16))
    assert registry.find("spam", NANO) == newer
    assert registry.find("spam", NANO, "a" * 16) == fits
    assert registry.find("spam", NANO, "c" * 16) == newer  # whose passport then says what differs


@pytest.mark.parametrize("version", ["2", "0", "-1", "x", "1.0", "²", "1@2"])
def test_an_unknown_version_is_refused_with_those_there_are(tmp_path, version):
    registry.install(adapter(tmp_path / "run"))
    with pytest.raises(MissingAdapter, match="installed versions: 1"):
        registry.find(f"spam@{version}", NANO)


def test_a_task_without_adapter_says_how_to_train_one(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHIPPED", tmp_path)
    with pytest.raises(MissingAdapter, match="quintet finetune spam --install"):
        registry.find("spam", NANO)
    with pytest.raises(MissingAdapter, match="installed versions: none"):
        registry.find("spam@1", NANO)


def test_what_is_no_adapter_is_not_installed(tmp_path):
    with pytest.raises(MissingAdapter):
        registry.install(tmp_path)
    lone = adapter(tmp_path / "lone")
    (lone / "adapter_model.safetensors").unlink()
    with pytest.raises(MissingAdapter, match="adapter_model"):
        registry.install(lone)
    cut = adapter(tmp_path / "cut")
    (cut / "adapter_model.safetensors").write_bytes(b"row")
    with pytest.raises(Damaged, match="altered or cut"):
        registry.install(cut)
    altered = adapter(tmp_path / "altered")
    (altered / "adapter_config.json").write_text('{"r": 8, "lora_alpha": 128}')
    with pytest.raises(Damaged, match=r"adapter_config\.json was altered"):
        registry.install(altered)
    assert not registry.versions("spam", NANO)


@pytest.mark.parametrize("task", ["../../x", "/etc", "", ".", "a/b"])
def test_an_adapter_is_installed_nowhere_but_at_home(tmp_path, task):
    with pytest.raises(Damaged, match="no name of a task"):
        registry.install(adapter(tmp_path / "run", task=task))
    registry.install(adapter(tmp_path / "other", backbone="../../../x"))
    assert all(path.resolve().parent == registry.root() for path in registry.root().iterdir())


def test_links_are_not_followed(tmp_path):
    folder = adapter(tmp_path / "run")
    (tmp_path / "secret").write_text("secret")
    (folder / "notes").symlink_to(tmp_path / "secret")
    with pytest.raises(Damaged, match="is a link"):
        registry.install(folder)


def test_writers_at_the_same_time_keep_a_version_each(tmp_path):
    folders = [adapter(tmp_path / str(number), data=str(number)) for number in range(8)]
    threads = [threading.Thread(target=registry.install, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = registry.versions("spam", NANO)
    assert sorted(read_passport(path).data for path in kept.values()) == list("01234567")


def test_leftovers_are_no_versions(tmp_path):
    registry.install(adapter(tmp_path / "run"))
    for leftover in (".2.x7f3", "notes", "²"):
        (registry.root() / NANO / "spam" / leftover).mkdir()
    assert list(registry.versions("spam", NANO)) == [1]


BROKEN = {
    "no seal that fits": lambda text: text.replace("rows.csv", "other.csv"),
    "no JSON": lambda text: text[:40],
    "nested without end": lambda _: "[" * 100_000,
    "no passport": lambda _: None,
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", ["installed", "shipped"])
def test_a_broken_passport_is_named_and_the_others_are_listed(damage, place, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    shipped = adapter(tmp_path / "shipped" / "adapters" / NANO / "spam", data="shipped.csv")
    installed = registry.install(adapter(tmp_path / "run"))
    folder = installed if place == "installed" else shipped
    text = damage((folder / PASSPORT).read_text().replace("shipped.csv", "rows.csv"))
    (folder / PASSPORT).unlink() if text is None else (folder / PASSPORT).write_text(text)

    rows = {row["folder"]: row for row in adapter_table.listed(["spam"])}
    bad, good = rows[str(folder)], rows[str(shipped if place == "installed" else installed)]
    assert PASSPORT in bad["broken"] and not bad["served"]
    assert good["served"] and good["backbone"] == NANO and "broken" not in good
    (line,) = adapter_table.broken(rows.values())
    assert line.startswith(bad["name"])
    assert len(adapter_table.drawn(rows.values()).rows) == 2
    fitting = registry.find("spam", NANO, read_passport(Path(good["folder"])).fingerprint)
    assert str(fitting) == good["folder"]
