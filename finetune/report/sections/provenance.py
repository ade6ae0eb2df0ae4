"""Where the numbers come from: the data, the machine, the commands, signatures, the passport."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from finetune.evaluation.metrics.registry import metric
from finetune.report.sections.document import (
    Block,
    Cell,
    Code,
    Column,
    Fact,
    Facts,
    Folded,
    Row,
    Section,
    Table,
)
from finetune.report.sections.edition import Edition
from finetune.report.sections.numbers import number

Pair = tuple[str, str]


def data(edition: Edition) -> Section:
    """The data card."""
    card = edition.results.data_card
    facts = [
        (edition.say("sources"), edition.listed(card.sources)),
        (edition.say("rows_read"), f"{card.rows:,}"),
        (edition.say("examples"), f"{card.examples:,}"),
        (edition.say("characters"), _characters(edition, card.characters)),
        (edition.say("cut"), edition.say("cut_said", count=f"{card.cut:,}")),
        (edition.say("digest"), card.digest),
    ]
    blocks: list[Block] = [_facts(facts)]
    if spread := _spread(edition):
        blocks.append(spread)
    if card.problems:
        summary = f"{edition.say('problems')} ({len(card.problems)})"
        blocks.append(Folded(summary=summary, blocks=(Code(text="\n".join(card.problems)),)))
    return Section(
        name="data", title=edition.say("data"), how=edition.say("data_how"), blocks=tuple(blocks)
    )


def _characters(edition: Edition, found: Mapping[str, int]) -> str:
    if {"50", "90", "99", "100"} <= found.keys():
        known = {f"p{name}": f"{count:,}" for name, count in found.items()}
        return edition.say("characters_of", **known)
    return edition.listed(
        f"{edition.say('percentile', number=name)}: {count:,}" for name, count in found.items()
    )


def _spread(edition: Edition) -> Table | None:
    card = edition.results.data_card
    groups = (
        (edition.say("labels"), card.labels),
        (edition.say("languages"), {edition.part(k): v for k, v in card.languages.items()}),
        (edition.say("parts"), {edition.part(k): v for k, v in card.parts.items()}),
    )
    rows = [row for title, counts in groups for row in _counts(title, counts)]
    if not rows:
        return None
    columns = (
        Column(title=edition.say("group")),
        Column(title=edition.say("name")),
        Column(title=edition.say("count"), number=True),
        Column(title=edition.say("share"), number=True),
    )
    return Table(caption=edition.say("counts_caption"), columns=columns, rows=tuple(rows))


def _counts(title: str, counts: Mapping[str, int]) -> Iterable[Row]:
    whole = sum(counts.values()) or 1
    for name, count in counts.items():
        yield Row(
            cells=(
                Cell(text=title),
                Cell(text=name, quoted=True),
                Cell(text=f"{count:,}"),
                Cell(text=f"{count / whole:.1%}"),
            )
        )


def environment(edition: Edition) -> Section:
    """The machine, the versions, the time it took."""
    results, machine = edition.results, edition.results.environment
    facts = [
        (edition.say("created"), results.created),
        (edition.say("seed"), str(results.seed)),
        (edition.say("resamples"), f"{results.resamples:,}"),
        (edition.say("device"), machine.device),
        (edition.say("threads"), str(machine.threads)),
        (edition.say("platform"), machine.platform),
        (edition.say("python"), machine.python),
        *machine.versions.items(),
        (edition.say("seconds_answering"), number(machine.seconds_answering, 1)),
        (edition.say("seconds_all"), number(machine.seconds, 1)),
        (edition.say("schema"), str(results.schema_version)),
    ]
    return Section(
        name="environment",
        title=edition.say("environment"),
        how=edition.say("environment_how"),
        blocks=(_facts(facts),),
    )


def reproduce(edition: Edition) -> Section | None:
    """The commands, ready to be copied."""
    if not edition.results.commands:
        return None
    return Section(
        name="reproduce",
        title=edition.say("reproduce"),
        how=edition.say("reproduce_how"),
        blocks=(Code(text="\n".join(edition.results.commands)),),
    )


def signatures(edition: Edition) -> Section | None:
    """How the metrics were counted."""
    found = edition.results.signatures
    if not found:
        return None
    columns = (Column(title=edition.say("metric")), Column(title=edition.say("signature")))
    rows = tuple(
        Row(
            cells=(
                Cell(text=edition.label(metric(name, edition.labels))),
                Cell(text=text, quoted=True),
            )
        )
        for name, text in found.items()
    )
    table = Table(caption=edition.say("signatures_caption"), columns=columns, rows=rows)
    return Section(
        name="signatures",
        title=edition.say("signatures"),
        how=edition.say("signatures_how"),
        blocks=(table,),
    )


def passport(edition: Edition) -> Section | None:
    """What the adapter was made from: its short facts, and the whole of it, folded."""
    found = edition.results.passport
    if found is None:
        return None
    facts = [
        (edition.passport_key(name), _shown(value))
        for name, value in found.items()
        if isinstance(value, str | int | float) and value != ""
    ]
    whole = json.dumps(found, indent=2, ensure_ascii=False)
    blocks: list[Block] = [_facts(facts)] if facts else []
    blocks.append(Folded(summary=edition.say("passport_show"), blocks=(Code(text=whole),)))
    return Section(
        name="passport",
        title=edition.say("passport"),
        how=edition.say("passport_how"),
        blocks=tuple(blocks),
    )


def _shown(value: object) -> str:
    """Hashes by their first digits: the whole of them stands in passport.json."""
    text = str(value)
    return f"{text[:16]}…" if len(text) == 64 and text.isalnum() else text


def _facts(pairs: Iterable[Pair]) -> Facts:
    return Facts(
        facts=tuple(Fact(name=name, text=text or "–", quoted=True) for name, text in pairs)
    )
