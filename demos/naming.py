"""What metrics and baselines are called: told from above, since the pages know nothing of training."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from core.task import Choice, Task
from demos.said import Said, same


def _plain(name: str, labels: Collection[str]) -> Said:
    return same(name.replace("_", " "))


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names in both languages; without any, what stands in the files is shown without underscores."""

    metric: Callable[[str, Collection[str]], Said] = _plain
    """The key of a value, such as 'recall_spam', and the labels of the task."""
    baseline: Callable[[str], Said] = same

    def value(self, task: Task[Any], name: str) -> Said:
        """What a value of that task is called."""
        answer = task.answer
        return self.metric(name, answer.labels if isinstance(answer, Choice) else ())


PLAIN = Naming()


def deciding(task: Task[Any]) -> str:
    """The key of the value that decides."""
    chosen = task.select_by
    return chosen.metric if chosen.over_parts == "unnamed" else f"{chosen.metric}_mean"
