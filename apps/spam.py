"""Is a message spam? `quintet finetune spam`"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from core.labels import label_of, text_of
from core.task import Choice, Criterion, Example, Input, Row, Source, Task

LABELS = ("ham", "spam")
ALSO = {
    "ham": ("not spam", "non spam", "nonspam", "no spam", "legit", "legitimate", "正常", "正常短信",
            "正常邮件", "非垃圾", "非垃圾短信", "非垃圾邮件"),
    "spam": ("junk", "垃圾", "垃圾短信", "垃圾邮件"),
}  # fmt: skip
"""What others call the labels."""


class Message(Input):
    """A short message or a mail."""

    text: str = Field(title="Message", description="A message or mail, in English or Chinese.")


def read(row: Row) -> Iterable[Example[Message]]:
    yield Example(
        input=Message(text=text_of(row, "text")), answers=(label_of(row["label"], LABELS, ALSO),)
    )


def prompt(message: Message) -> str:
    return f"{message.text}\nThis message is:"


task = Task(
    title="Spam",
    description="Tells unwanted advertising and fraud (spam) from real messages (ham).",
    title_zh="垃圾信息识别",
    description_zh="区分垃圾广告、诈骗信息（spam）与正常信息（ham）。",
    input=Message,
    columns=(("text", "label"),),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="SetFit/enron_spam", revision="main", licence="not stated"),
    ),
    read=read,
    prompt=prompt,
    answer=Choice(labels=LABELS),
    metrics=("classification",),
    select_by=Criterion(metric="mcc"),
    samples=(
        Message(text="Are we still meeting at six? I can bring the tickets."),
        Message(text="WINNER!! Claim your prize of £500 now, call 0800 123 456"),
        Message(
            text="FREE entry into our weekly competition to win tickets. "
            "Text WIN to 87121 now. T&Cs apply."
        ),
        Message(text="Your parcel is waiting at the post office until Friday."),
        Message(text="妈，我今天加班，晚饭不用等我了。"),
        Message(text="明天的会议改到下午三点，还在二楼会议室。"),
    ),
)
