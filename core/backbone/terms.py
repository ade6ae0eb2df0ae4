"""The terms of a backbone as plain text, out of the papers that came with its weights."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BLOCKS = {"p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "br", "tr", "section"}
_UNSEEN = {"script", "style", "nav", "header", "footer", "button", "template", "svg"}
_BODY = "devsite-article-body"
"""The class of the element that holds the text on Google's pages."""


class _Text(HTMLParser):
    """Collects what a reader would see, from the first element of class `_BODY` on where there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if _BODY in (dict(attrs).get("class") or "").split():
            self.parts.clear()
        self.hidden += tag in _UNSEEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in _UNSEEN and self.hidden > 0
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def plain_text(page: str) -> str:
    """The text of an HTML page, one paragraph a line."""
    reader = _Text()
    reader.feed(page)
    reader.close()
    lines = (line.strip() for line in "".join(reader.parts).splitlines())
    return "\n\n".join(line for line in lines if line)
