"""How the adapter was trained, and what the baselines learned from."""

from __future__ import annotations

import yaml

from finetune.report.results import Training
from finetune.report.sections.document import Block, Code, Fact, Facts, Folded, Note, Section
from finetune.report.sections.edition import Edition

_SETTINGS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "max_length", "optim",
    "weight_decay",
)  # fmt: skip
Pair = tuple[str, str]


def training(edition: Edition) -> Section | None:
    """What is known of it; of the bare backbone, what the baselines had."""
    found = edition.results.training
    if found is None:
        return None
    pairs = [*_rows(edition, found), *_adapter(edition, found), *_run(edition, found)]
    facts = Facts(
        facts=tuple(Fact(name=name, text=text, quoted=True) for name, text in pairs if text)
    )
    bare = edition.subject.kind == "base"
    blocks: list[Block] = [Note(text=edition.say("training_unknown"))] if bare else []
    blocks.append(facts)
    if found.settings:
        code = Code(
            text=yaml.safe_dump(found.settings, sort_keys=False, allow_unicode=True).strip()
        )
        blocks.append(Folded(summary=edition.say("training_settings"), blocks=(code,)))
    return Section(
        name="training",
        title=edition.say("training"),
        how=edition.say("training_how"),
        blocks=tuple(blocks),
    )


def _rows(edition: Edition, found: Training) -> list[Pair]:
    rows = "" if found.rows is None else f"{found.rows:,}"
    return [
        (edition.say("trained_on"), found.sources),
        (edition.say("trained_rows"), rows and edition.say("trained_rows_said", rows=rows)),
        (edition.say("baselines_learned"), _baselines(edition, found)),
    ]


def _baselines(edition: Edition, found: Training) -> str:
    if not found.baseline_rows:
        return edition.say("baselines_none")
    key = "baselines_same" if found.same_rows else "baselines_other"
    if edition.subject.kind == "base":
        key = "baselines_free"
    return edition.say(key, rows=f"{found.baseline_rows:,}")


def _adapter(edition: Edition, found: Training) -> list[Pair]:
    size = "" if found.parameters is None else f"{found.parameters:,}"
    said = edition.say("trained_parameters_said", count=size, rank=found.rank)
    return [
        (edition.say("trained_backbone"), found.backbone),
        (edition.say("trained_parameters"), said if size and found.rank else size),
        (edition.say("trained_modules"), edition.listed(found.modules)),
    ]


def _run(edition: Edition, found: Training) -> list[Pair]:
    seed = "" if found.seed is None else str(found.seed)
    known = [
        (edition.say(f"setting_{name}"), str(found.settings[name]))
        for name in _SETTINGS
        if name in found.settings
    ]
    return [
        *known,
        (edition.say("trained_steps"), _count(found.steps)),
        (edition.say("trained_tokens"), _count(found.tokens)),
        (edition.say("trained_time"), _time(edition, found.seconds)),
        (edition.say("trained_seed"), seed),
    ]


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _time(edition: Edition, seconds: float | None) -> str:
    if not seconds:
        return ""
    if seconds < 90:
        return edition.say("seconds_said", count=f"{seconds:.0f}")
    return edition.say("minutes", count=f"{seconds / 60:,.0f}")
