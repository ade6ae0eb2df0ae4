"""What the tasks and their fields are called in Chinese; a task that is not here keeps its own words."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

import apps
from core.errors import QuintetError
from core.task import Task
from demos.said import Said, same

# fmt: off
_TITLES = {
    "generation": "文本生成",
    "sentiment": "情感分析",
    "spam": "垃圾信息识别",
    "translation": "翻译",
    "qa": "问答",
}
_DESCRIPTIONS = {
    "generation": "续写一段文字，或按要求写一段文字。",
    "sentiment": "判断一条评论是正面还是负面，并给出把握程度。",
    "spam": "区分垃圾信息（spam：广告、诈骗）与正常信息（ham）。",
    "translation": "中英互译。",
    "qa": "从给定段落中摘取答案；没有段落时即为聊天。",
}
_FIELDS = {
    "Text": "文本", "Message": "信息", "Mode": "方式", "Direction": "方向", "Question": "问题", "Passage": "段落",
}
_INFOS = {
    "A review or an opinion, in English or Chinese.": "一条评论或看法，中英文均可。",
    "A message or mail, in English or Chinese.": "一条信息或邮件，中英文均可。",
    "A sentence in English or Chinese.": "一句中文或英文。",
    "The beginning of a text; empty starts anew.": "文本的开头；留空则从头写起。",
    "In English or Chinese.": "中英文均可。",
    "The answer is copied from here. Empty: chat.": "答案从这里摘取；留空即为聊天。",
}
_CHOICES = {
    "auto": Said("automatic", "自动判断"), "en-zh": Said("English → Chinese", "英译中"),
    "zh-en": Said("Chinese → English", "中译英"), "continue": Said("continue it", "续写"),
    "complete": Said("write what it asks for", "按要求写"),
}
_LABELS = {
    "positive": "正面", "negative": "负面", "spam": "垃圾信息", "ham": "正常信息",
}
# fmt: on


def title(task: Task[Any]) -> Said:
    """What the task is called."""
    return Said(task.title, _TITLES.get(task.name, task.title))


def title_of(name: str) -> Said:
    """What the task of that name is called; a task may be gone by now."""
    try:
        return title(apps.load(name))
    except QuintetError:
        return Said(name, _TITLES.get(name, name))


def quoted(name: str) -> str:
    """In Chinese, of a task or a field that an error names in quotes; anything else as it is."""
    bare = name.removeprefix("'").removesuffix("'")
    if len(bare) != len(name) - 2:
        return name
    field = _FIELDS.get(bare.capitalize())
    return f"“{field}”" if field else _TITLES.get(bare, name)


def description(task: Task[Any]) -> Said:
    """What it does, in one sentence."""
    return Said(task.description, _DESCRIPTIONS.get(task.name, task.description))


def field_title(name: str, field: FieldInfo) -> Said:
    """The label of a field."""
    own = field.title or name
    return Said(own, _FIELDS.get(own, own))


def field_info(field: FieldInfo) -> Said:
    """The line below its label; empty where it has none, or explains values that are shown in words."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    own = "" if values and _CHOICES.keys() >= set(values) else field.description or ""
    return Said(own, _INFOS.get(own, own))


def choice(value: Any) -> Said:
    """What a value of a field of choices says to a reader."""
    return _CHOICES.get(str(value), same(str(value)))


def label(name: str) -> Said:
    """A label of a closed answer; Chinese readers see its name as well."""
    chinese = _LABELS.get(name)
    return Said(name, f"{chinese} {name}") if chinese else same(name)
