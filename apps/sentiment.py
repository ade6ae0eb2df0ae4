"""Is a review positive or negative? `quintet finetune sentiment`"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from core.labels import label_of, text_of
from core.task import Choice, Criterion, Example, Input, Row, Source, Task

LABELS = ("negative", "positive")
ALSO = {
    "negative": ("neg", "bad", "负面", "消极", "负向", "差评", "负"),
    "positive": ("pos", "good", "正面", "积极", "正向", "好评", "正"),
}
"""What others call the labels."""


class Review(Input):
    """A text that praises or complains."""

    text: str = Field(title="Text", description="A review or an opinion, in English or Chinese.")


def read(row: Row) -> Iterable[Example[Review]]:
    yield Example(
        input=Review(text=text_of(row, "text")), answers=(label_of(row["label"], LABELS, ALSO),)
    )


def prompt(review: Review) -> str:
    return f"{review.text}\nSentiment:"


task = Task(
    title="Sentiment",
    description="Tells whether a review is positive or negative, and how sure it is.",
    title_zh="情感分析",
    description_zh="判断一条评论是正面还是负面，并给出把握程度。",
    input=Review,
    columns=(("text", "label"),),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="stanfordnlp/imdb", revision="main", licence="not stated"),
        Source(name="lansinuote/ChnSentiCorp", revision="main", licence="not stated"),
    ),
    read=read,
    prompt=prompt,
    answer=Choice(labels=LABELS),
    metrics=("classification",),
    select_by=Criterion(metric="macro_f1"),
    samples=(
        Review(text="The soup was warm, the waiter was kind, and we stayed until midnight."),
        Review(text="The plot makes no sense, and the jokes are older than the actors."),
        Review(text="I expected little and was delighted by every page."),
        Review(text="质量很差，刚用两天就坏了，很失望。"),
        Review(text="屏幕很清晰，电池也耐用，这个价钱太值了。"),
        Review(text="等了一个小时，菜送来的时候已经凉了。"),
    ),
)
