"""Words in both languages: HTML that holds both, and components whose words follow the switch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple, TypeVar

from core.task import Language
from demos.door import gr

LANGUAGES: tuple[Language, ...] = ("en", "zh")

Drawn = TypeVar("Drawn")

_CHINESE, _MARK = "\u4e00-\u9fff", "\u3000-\u303f\uff00-\uffef"
_NEEDLESS = re.compile(f"(?<=[{_CHINESE}]) (?=[{_CHINESE}])|(?<=[{_MARK}]) | (?=[{_MARK}])")
"""Blanks that a name leaves in a Chinese sentence: only Latin letters and digits are set apart."""


class Said(NamedTuple):
    """The same in both languages; what stands in braces is filled in by `filled`."""

    en: str
    zh: str

    def filled(self, **values: Any) -> Said:
        """With values in the place of the names in braces; a `Said` gives each language its own."""
        return Said(*(self._filled(language, values) for language in LANGUAGES))

    def _filled(self, language: Language, values: dict[str, Any]) -> str:
        words = {k: getattr(v, language) if isinstance(v, Said) else v for k, v in values.items()}
        said = str(getattr(self, language).format(**words))
        return _NEEDLESS.sub("", said) if language == "zh" else said


def same(text: str) -> Said:
    """What has no other name in the other language, such as an error of the machine."""
    return Said(text, text)


def html(said: Said | str, tag: str = "span", **attributes: str) -> str:
    """An element with both languages in it, escaped; the style sheet shows the chosen one."""
    both = said if isinstance(said, Said) else same(said)
    given = "".join(f' {name.strip("_")}="{escape(text)}"' for name, text in attributes.items())
    if both.en == both.zh:
        return f"<{tag}{given}>{escape(both.en)}</{tag}>"
    inner = "".join(
        f'<span class="said" lang="{language}">{escape(getattr(both, language))}</span>'
        for language in LANGUAGES
    )
    return f"<{tag}{given}>{inner}</{tag}>"


def percent(share: float) -> str:
    """A probability; what is only near 0 or 1 is not told as if it were."""
    if 0 < share < _NEARLY:
        return f"<{_NEARLY:.1%}"
    return f">{1 - _NEARLY:.1%}" if 1 - _NEARLY < share < 1 else f"{share:.1%}"


_NEARLY = 0.001


class Words:
    """Keeps book of the components that say something, and rewrites them in the browser.

    Nothing but words is touched: what was typed, chosen or answered stays.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Any, dict[str, Any]]] = []

    def say(self, component: Drawn, **words: Said | Sequence[tuple[Said, Any]]) -> Drawn:
        """Let these properties follow the language: `say(gr.Button(), value=Said("Go", "开始"))`.

        A property is a `Said`, or a list of pairs as `choices` takes them. The component is given
        its English words at once.
        """
        for name, value in words.items():
            setattr(component, name, _in("en", value))
        self._known.append((component, dict(words)))
        return component

    def follow(self, switch: gr.Radio) -> None:
        """Rewrite everything that was said whenever `switch` changes; call it last."""
        table = {
            language: [
                {"__type__": "update", **{k: _in(language, v) for k, v in words.items()}}
                for _, words in self._known
            ]
            for language in LANGUAGES
        }
        switch.change(
            None,
            switch,
            [component for component, _ in self._known],
            js=_SWITCH % json.dumps(table, ensure_ascii=False),
            api_visibility="private",
        )


_SWITCH = """(language) => {
  const words = %s;
  window.quintet_language(language);
  return words[language] || words.en;
}"""


def _in(language: Language, value: Any) -> Any:
    if isinstance(value, Said):
        return getattr(value, language)
    return [(getattr(said, language), meaning) for said, meaning in value]
