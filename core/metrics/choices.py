"""Closed answers: agreement with the right labels, by scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

from core.errors import BadData, nearest
from core.metrics.base import TEXT, LocalMetric


class Classification(LocalMetric):
    """Accuracy, macro F1, Matthews correlation; precision, recall and F1 of each label.

    A label never predicted, or never right, counts as 0.
    """

    columns: ClassVar = {"predictions": TEXT, "references": TEXT}

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        super().__init__()

    def values(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        """All fractions; `mcc` runs from -1 to 1."""
        self._check(references)
        precision, recall, f1, _ = precision_recall_fscore_support(
            references, predictions, labels=list(self.labels), average=None, zero_division=0
        )
        values = {
            "accuracy": float(accuracy_score(references, predictions)),
            "macro_f1": float(f1.mean()),
            "mcc": _mcc(predictions, references),
        }
        for place, label in enumerate(self.labels):
            values[f"precision_{label}"] = float(precision[place])
            values[f"recall_{label}"] = float(recall[place])
            values[f"f1_{label}"] = float(f1[place])
        return values

    def _check(self, references: list[str]) -> None:
        for label in sorted(set(references) - set(self.labels)):
            raise BadData(
                f"{label!r} is no label; labels: {', '.join(self.labels)}."
                f"{nearest(label, self.labels)}"
            )


def _mcc(predictions: list[str], references: list[str]) -> float:
    # With a single label in sight the correlation is undefined: scikit-learn says 0, and warns.
    if len({*predictions, *references}) < 2:
        return 0.0
    return float(matthews_corrcoef(references, predictions))
