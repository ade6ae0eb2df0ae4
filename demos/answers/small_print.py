"""The small print below an answer: why it ended, its tokens and its speed, what was not read."""

from __future__ import annotations

from core.application import Pending, Prediction
from demos import words
from demos.said import Said, html

_ENDINGS = {
    "stop": words.COMPLETE,
    "length": words.CUT,
    "cancelled": words.STOPPED,
}


def small_print(pending: Pending, found: Prediction) -> str:
    """One or two lines of HTML about an answer that has ended."""
    remarks = [html(remark, "p", class_="remark") for remark in _remarks(found)]
    return "".join([*remarks, html(_line(pending, found), "p", class_="quiet", role="status")])


def _remarks(found: Prediction) -> list[Said]:
    said = []
    if found.dropped:
        said.append(words.NOT_READ.filled(count=f"{found.dropped:,}"))
    if found.abstained:
        said.append(words.UNSURE)
    if not found.text.strip() and not found.probabilities:
        said.append(words.EMPTY)
    return said


def _line(pending: Pending, found: Prediction) -> Said:
    handle = pending.handle
    seconds = (handle.finished or handle.submitted) - handle.submitted
    counts = {"read": f"{found.prompt_tokens:,}", "seconds": f"{seconds:.2f}"}
    if found.probabilities:
        return words.SPEED_CHOICE.filled(**counts)
    writing = (handle.finished or 0) - (handle.first_token or handle.finished or 0)
    rate = (found.completion_tokens - 1) / writing if writing > 0 else 0
    ending = _ENDINGS[found.finish_reason]
    line = words.SPEED_TEXT if rate > 0 else words.SPEED_SHORT
    return line.filled(
        ending=ending, written=f"{found.completion_tokens:,}", rate=f"{rate:.1f}", **counts
    )
