"""What all metrics here share: evaluate's interface without its hub, cache folder and lock files."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

# One import a line: evaluate scans modules for imports and trips over a list of names.
import datasets
import evaluate

from core.errors import BadData

TEXT = datasets.Value("string")
TEXTS = datasets.Sequence(TEXT)
COUNT = datasets.Value("int64")
REAL = datasets.Value("float64")


class LocalMetric(evaluate.Metric):  # type: ignore[misc]
    """A metric that keeps its rows in memory; `compute` raises `BadData` where there are none."""

    columns: ClassVar[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    @abstractmethod
    def values(self, *rows: Any, **columns: Any) -> dict[str, Any]:
        """Name to number, and under "signatures" the name to how it was counted."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description="",
            features=datasets.Features(self.columns),
        )

    def _build_data_dir(self) -> str:
        # evaluate makes a folder in the home even for rows in memory; homes may be read-only.
        return ""

    def _compute(self, **columns: list[Any]) -> dict[str, Any]:
        if not all(columns.values()):
            raise BadData("Nothing to score: there are no rows. Give at least one.")
        return self.values(**columns)
