"""English to Chinese and back. `quintet finetune translation`"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from core.errors import BadData
from core.labels import text_of
from core.language import language_of
from core.task import Criterion, Example, Input, Row, Source, Task, Text

Direction = Literal["auto", "en-zh", "zh-en"]
ALSO = {
    "en": ("en", "eng", "english", "en-us", "en-gb", "英文", "英语"),
    "zh": ("zh", "zh-cn", "zh-hans", "zh-hans-cn", "zh-tw", "zh-hant", "zh-hk", "zho", "cmn",
           "chinese", "cn", "中文", "汉语"),
}  # fmt: skip
"""What others call the languages."""
_NAMES = {"en": "English", "zh": "Chinese"}


class Sentence(Input):
    """A text in one language that is wanted in the other."""

    text: str = Field(title="Text", description="A sentence in English or Chinese.")
    direction: Direction = Field(
        default="auto", title="Direction", description="auto looks at the script of the text."
    )


def read(row: Row) -> Iterable[Example[Sentence]]:
    """A pair teaches both directions."""
    pair = row.get("translation", row)
    if not isinstance(pair, Mapping):
        raise BadData("Column 'translation' must hold the texts en and zh.")
    pair = {_language(str(name)): text for name, text in pair.items()}
    en, zh = text_of(pair, "en"), text_of(pair, "zh")
    yield Example(input=Sentence(text=en, direction="en-zh"), answers=(zh,), part="en_zh")
    yield Example(input=Sentence(text=zh, direction="zh-en"), answers=(en,), part="zh_en")


def write(sentence: Sentence, answer: str) -> Row:
    """The inverse of `read`: a translation is right in both directions."""
    direction = sentence.direction
    source = language_of(sentence.text) if direction == "auto" else direction[:2]
    target = "zh" if source == "en" else "en"
    return {source: sentence.text, target: answer}


def _language(name: str) -> str:
    """'zh' for zh-CN, zh_Hans and the like; another name stays."""
    plain = name.strip().casefold().replace("_", "-")
    return next((ours for ours, names in ALSO.items() if plain in names), name)


def prompt(sentence: Sentence) -> str:
    direction = sentence.direction
    source = language_of(sentence.text) if direction == "auto" else direction[:2]
    target = "zh" if source == "en" else "en"
    return f"{_NAMES[source]}: {sentence.text}\n{_NAMES[target]}:"


def copy_the_source(sentence: Sentence) -> str:
    return sentence.text


task = Task(
    title="Translation",
    description="Translates between English and Chinese.",
    title_zh="翻译",
    description_zh="中英互译。",
    input=Sentence,
    columns=(("en", "zh"), ("translation",)),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="Helsinki-NLP/opus-100", revision="main", licence="not stated"),
    ),
    read=read,
    write=write,
    prompt=prompt,
    answer=Text(max_new_tokens=128),
    metrics=("translation",),
    select_by=Criterion(metric="chrf", over_parts="mean"),
    samples=(
        Sentence(text="I am a student."),
        Sentence(text="I like you.", direction="en-zh"),
        Sentence(text="你在做什么？"),
        Sentence(text="他是老师。"),
        Sentence(text="这是我的书。", direction="zh-en"),
    ),
    trivial=copy_the_source,
    aliases=ALSO,
)
