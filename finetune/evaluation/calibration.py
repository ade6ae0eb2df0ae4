"""How far probabilities can be taken at their word, and the threshold that keeps a promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import minimize_scalar

from core.adapters.passport import SMALLEST, OperatingPoint
from core.application import Prediction
from core.errors import BadData, BadSetting, nearest
from core.task import Choice, Example, Task
from finetune.evaluation.contamination.training_rows import digest_of
from finetune.evaluation.metrics.rows import right_label

Table = npt.NDArray[np.float64]
BINS = 10
_HOTTEST = 20.0
_DRAWS = 1000
_LEVEL = 0.95


def table(
    task: Task[Any], examples: Sequence[Example[Any]], predictions: Sequence[Prediction]
) -> tuple[Table, npt.NDArray[np.int64]]:
    """Probabilities (rows, labels), and the place of each row's right label."""
    labels = task.answer.labels if isinstance(task.answer, Choice) else ()
    shares = np.array([[one.probabilities[label] for label in labels] for one in predictions])
    pairs = zip(examples, predictions, strict=True)
    right = [labels.index(right_label(example, one.text)) for example, one in pairs]
    return shares, np.array(right)


def scaled(shares: Table, temperature: float) -> Table:
    """The same probabilities at another temperature: powers of them, made to sum to one."""
    logs = np.log(np.clip(shares, SMALLEST, 1)) / temperature
    powers = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def fit_temperature(shares: Table, right: npt.NDArray[np.int64]) -> float:
    """The temperature of least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599)."""
    rows = np.arange(len(right))

    def nats(log_temperature: float) -> float:
        found = scaled(shares, float(np.exp(log_temperature)))[rows, right]
        return float(-np.log(np.clip(found, SMALLEST, 1)).mean())

    bounds = (-np.log(_HOTTEST), np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(nats, bounds=bounds, method="bounded").x))


def brier(shares: Table, right: npt.NDArray[np.int64]) -> float:
    """Mean squared distance from certainty of the right label, from 0 to 2 (Brier 1950)."""
    truth = np.eye(shares.shape[1])[right]
    return float(((shares - truth) ** 2).sum(1).mean())


def reliability(
    shares: Table, right: npt.NDArray[np.int64]
) -> tuple[tuple[float, float, int], ...]:
    """Mean confidence, accuracy and rows of each of ten equal bins that holds any."""
    confidence, correct = shares.max(1), shares.argmax(1) == right
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    kept = [places == number for number in range(BINS) if (places == number).any()]
    return tuple(
        (float(confidence[one].mean()), float(correct[one].mean()), int(one.sum())) for one in kept
    )


def expected_error(shares: Table, right: npt.NDArray[np.int64]) -> float:
    """Expected calibration error over ten equal bins (Naeini et al. 2015)."""
    bins = reliability(shares, right)
    return sum(abs(said - was) * rows for said, was, rows in bins) / len(right)


def cross_fitted(shares: Table, right: npt.NDArray[np.int64], seed: int) -> tuple[Table, float]:
    """Each half at the temperature of the other, and the mean temperature: no row fits itself."""
    halves = np.random.default_rng(seed).permutation(len(right)) % 2 == 0
    found, temperatures = np.empty_like(shares), []
    for half in (halves, ~halves):
        temperature = fit_temperature(shares[~half], right[~half])
        found[half] = scaled(shares[half], temperature)
        temperatures.append(temperature)
    return found, float(np.mean(temperatures))


def false_positive_threshold(
    positive: Table, is_positive: npt.NDArray[np.bool_], most: float
) -> float:
    """A probability from which at most the share `most` of the negatives lies.

    It is the lowest such one, moved halfway to the next row, since probabilities differ in their
    last digits from batch to batch. Above 1 where no probability keeps the promise.
    """
    negatives = np.sort(positive[~is_positive])[::-1]
    if not len(negatives):
        raise BadData("No row has another label: a false positive rate cannot be measured.")
    allowed = int(most * len(negatives) + 1e-9)
    if allowed >= len(negatives):
        return 0.0
    limit = negatives[allowed]
    above = positive[positive > limit]
    return float(np.nextafter((limit + above.min()) / 2 if len(above) else (limit + 1) / 2, 2.0))


def rate_bound(positives: int, rows: int) -> float:
    """The share that is not exceeded with 95 % confidence where so many of so many rows were hit.

    Clopper & Pearson 1934; for a threshold that was set on the same rows it is the quantile of that
    order statistic, so it holds there as well.
    """
    if positives >= rows:
        return 1.0
    return float(stats.beta.ppf(_LEVEL, positives + 1, rows - positives))


def check_telling(shares: Table, right: npt.NDArray[np.int64], seed: int = 0) -> None:
    """Raise `BadData` where the probabilities know no more of the labels than of shuffled ones."""
    if len(np.unique(right)) < 2:
        raise BadData("All rows have one label, so they tell nothing. Give rows of several labels.")
    logs = np.log(np.clip(shares, SMALLEST, 1))
    places, chance = np.arange(len(right)), np.random.default_rng(seed)
    known = logs[places, right].mean()
    drawn = [logs[places, chance.permutation(right)].mean() for _ in range(_DRAWS)]
    p = (1 + sum(one >= known - 1e-12 for one in drawn)) / (_DRAWS + 1)
    if p >= 0.05:
        raise BadData(
            f"These {len(right)} rows tell nothing: the adapter's probabilities fit their labels no "
            f"better than shuffled ones (p = {p:.2g}). Give more rows, with labels that are right."
        )


def _temperature(shares: Table, right: npt.NDArray[np.int64]) -> float:
    """1 where no row is wrong: nothing tells then how sure is too sure."""
    if (shares.argmax(1) == right).all():
        return 1.0
    found = fit_temperature(shares, right)
    if found > 0.99 * _HOTTEST:
        raise BadData(
            "These rows tell nothing: only guessing would fit them. Give rows with right labels."
        )
    return found


def operating_point(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    predictions: Sequence[Prediction],
    *,
    label: str | None = None,
    max_false_positive_rate: float | None = None,
    abstain_below: float = 0.0,
) -> OperatingPoint:
    """Fit temperature and threshold on validation rows that are answered without any.

    `label` is the one whose false positives are counted: the last one of the task by default. Raises
    `BadData` for rows that tell nothing.
    """
    if not isinstance(task.answer, Choice):
        raise BadSetting(
            f"{task.title} has no labels to calibrate. Give a task whose answer is a choice."
        )
    labels = task.answer.labels
    wanted = label or labels[-1]
    if wanted not in labels:
        raise BadSetting(
            f"{wanted!r} is no label; labels: {', '.join(labels)}.{nearest(wanted, labels)}"
        )
    shares, right = table(task, examples, predictions)
    check_telling(shares, right)
    temperature = _temperature(shares, right)
    promised: dict[str, Any] = {}
    if max_false_positive_rate is not None:
        place = labels.index(wanted)
        positive = scaled(shares, temperature)[:, place]
        promised = _promise(wanted, positive, right == place, max_false_positive_rate)
    return OperatingPoint(
        temperature=temperature,
        abstain_below=abstain_below,
        fitted_on=len(right),
        rows_hash=digest_of(task, examples),
        **promised,
    )


def _promise(
    label: str, positive: Table, is_positive: npt.NDArray[np.bool_], most: float
) -> dict[str, Any]:
    threshold = false_positive_threshold(positive, is_positive, most)
    if threshold > 1 or not (positive >= threshold).any():
        raise BadData(
            f"No row would get the label {label!r}: a row of another label is the surest of all. "
            "Give more rows, or a higher --max-false-positive-rate."
        )
    negatives = positive[~is_positive]
    hit = int((negatives >= threshold).sum())
    return {
        "label": label,
        "threshold": threshold,
        "max_false_positive_rate": most,
        "false_positive_rate": hit / len(negatives),
        "false_positive_bound": rate_bound(hit, len(negatives)),
    }
