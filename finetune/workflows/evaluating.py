"""The whole of `quintet evaluate`: rows, everyone who answers them, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.adapters.passport import Passport, read_passport
from core.errors import BadSetting
from core.task import Example, Task
from finetune.data.examples import Reading
from finetune.data.splits import read_test, training_examples

if TYPE_CHECKING:
    from core.application import Application
    from core.service import Service
    from finetune.evaluation.comparison import Evaluation, System
    from finetune.report.results import Results
    from finetune.report.words import Language

OTHERS = ("base", "baselines", "fp32")
Told = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who is judged, on which rows, beside whom."""

    task: Task[Any]
    sources: tuple[str, ...]
    bundled: str | None = None
    """Rows that baselines learn from where those of the adapter are not at hand."""
    adapter: Path | None = None
    """Default: the one that is served."""
    bare: bool = False
    """Judge the backbone without an adapter."""
    against: tuple[str, ...] = ("base", "baselines")
    """Among 'base', 'baselines', 'fp32' (the subject itself on the backbone in fp32) and folders of adapters."""
    backbone: str | None = None
    """By which it is loaded again, in fp32."""
    layout: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    split: str | None = None
    direction: str = "both"
    pretraining: tuple[str, ...] = ()
    """Text to look for leaks in as well."""
    seed: int = 0
    resamples: int = 1000
    command: str = ""

    def __post_init__(self) -> None:
        for name in self.against:
            if name not in OTHERS and not Path(name).is_dir():
                raise BadSetting(
                    f"--against names {name!r}; it takes base, baselines, fp32 and folders of "
                    "adapters."
                )


def read(order: Order) -> Reading[Any]:
    """The rows to score; loads no torch, so that bad rows are told at once."""
    return read_test(
        order.task,
        order.sources,
        columns_map=order.layout,
        limit=order.limit,
        direction=order.direction,
        split=order.split,
    )


def answers(
    service: Service, order: Order, reading: Reading[Any], progress: Told | None = None
) -> Evaluation[Any]:
    """Everyone's answers to the rows; the subject comes last."""
    from finetune.evaluation import comparison
    from finetune.evaluation.contamination import read_rows_of
    from finetune.evaluation.training_sources import own_training

    folder, passport = _subject(service, order)
    baselines = "baselines" in order.against
    own = own_training(order.task, passport) if baselines else None
    return comparison.evaluate(
        _systems(service, order, folder),
        reading,
        _others_rows(order) if baselines and own is None else own or (),
        name=", ".join(order.sources),
        against_baselines=baselines,
        own=own is not None,
        seen=read_rows_of(folder, passport.training_rows_hash) if folder and passport else None,
        seed=order.seed,
        progress=progress,
    )


def judged(service: Service, order: Order, found: Evaluation[Any]) -> Results:
    """The verdict, and everything a report draws."""
    from finetune.evaluation.contamination.search import pretraining_texts
    from finetune.report.build import build

    folder, passport = _subject(service, order)
    return build(
        found,
        commands=(order.command,) if order.command else (),
        seed=order.seed,
        resamples=order.resamples,
        passport=passport,
        adapter=folder,
        documents=pretraining_texts(list(order.pretraining), service.tasks),
        device=service.engine.backbone.place,
    )


def write(
    found: Evaluation[Any], results: Results, folder: Path, language: Language = "en"
) -> Path:
    """The report, as a page and as tables; the page."""
    from finetune.report import predictions, render

    page = render.write(results, folder, language)
    predictions.write(found, folder)
    return page


def _subject(service: Service, order: Order) -> tuple[Path | None, Passport | None]:
    if order.bare:
        return None, None
    folder = order.adapter or service.find(order.task.name)
    return folder, read_passport(folder)


def _others_rows(order: Order) -> Sequence[Example[Any]]:
    return training_examples(order.task, order.sources, order.bundled, order.layout)


def _systems(service: Service, order: Order, folder: Path | None) -> list[System[Any]]:
    from finetune.evaluation.comparison import System

    name = order.task.name
    base = System("base", "base", service.bare(name))
    found = [
        System(one, "adapter", service.application(name, Path(one)))
        for one in order.against
        if one not in OTHERS
    ]
    if "fp32" in order.against:
        found.append(System("fp32", "adapter", _in_fp32(service, order, folder)))
    if folder is None:
        return [*found, base]
    subject = System("adapter", "adapter", service.application(name, folder))
    return [*([base] if "base" in order.against else []), *found, subject]


def _in_fp32(service: Service, order: Order, folder: Path | None) -> Application[Any]:
    """What the subject is, computed in fp32."""
    from core import opening

    if service.engine.backbone.dtype == "fp32":
        raise BadSetting("--against fp32 compares with itself. Add --dtype int8, bf16 or fp16.")
    device = str(service.engine.backbone.device)
    full = opening.open_service(service.tasks, order.backbone, device=device, dtype="fp32")
    return full.application(order.task.name, folder) if folder else full.bare(order.task.name)
