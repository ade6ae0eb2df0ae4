"""`results.json`: everything a report says, in a documented and versioned form."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
Outcome = Literal["win", "tie", "loss", "starved"]


class Part(BaseModel):
    """Frozen; a key that the schema does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(Part):
    """A value with its 95 % bootstrap interval and the number of rows it was measured on."""

    value: float
    low: float
    high: float
    rows: int


class Entry(Part):
    """One system and what it reached."""

    name: str
    kind: Literal["baseline", "base", "adapter"]
    metrics: dict[str, Measured]
    seconds: float
    """Spent on its answers."""


class Comparison(Part):
    """The subject beside another entry, on the same rows; differences are subject minus other."""

    metric: str
    against: str
    difference: float
    low: float
    high: float
    """95 % interval of the difference, by paired bootstrap."""
    p_bootstrap: float
    p_randomisation: float
    p_mcnemar: float | None = None
    """Exact, for shares of rows that are right and stand alone only."""
    p: float | None = None
    """The one that decides; but for that of the verdict, corrected for how many are shown (Holm)."""
    outcome: Outcome
    """For the subject, where lower is better as well as where higher is. 'starved' is a win over a
    baseline that had other or fewer rows to learn from, which proves nothing."""


class Verdict(Part):
    """Whether the subject is worth having."""

    metric: str
    """The name of the value that decides."""
    baseline: str
    """The best baseline on that value."""
    better: bool
    """Above it by a paired test; where false the heading of the report says so."""
    starved: bool = False
    """It is above a baseline that had other or fewer rows to learn from: no better is claimed."""
    sentence: str
    """One sentence that needs no statistics to understand."""


class LeakedPair(Part):
    """A scored row and what it resembles."""

    row: int
    """Place among the scored examples, from 0."""
    text: str
    source: str
    """Where the other one stands: 'training', a file, a task, 'pre-training'."""
    other: str
    similarity: float
    """Jaccard of their shingles; 1.0 is an exact duplicate after normalisation."""


class Leaks(Part):
    """Scored rows that were seen before, and the score without them."""

    looked_in: dict[str, int]
    """What was searched, and how many texts it holds."""
    exact: int
    near: int
    pairs: tuple[LeakedPair, ...]
    """At most 20, the most alike first."""
    without: dict[str, Measured]
    """The subject's metrics without the leaked rows; empty where nothing leaked or nothing is left."""
    known: bool = True
    """Whether it is known which rows the subject learned, those of its ancestors included."""
    compared: tuple[int, int] | None = None
    """Near duplicates were sought among so many of so many learned texts; None where among all."""
    learned: int = 0
    """Scored rows that the subject has learned, letter by letter or nearly."""
    picked: int = 0
    """Further ones that picked its checkpoint."""
    fitted: int = 0
    """Further ones that fitted its operating point."""


class Calibration(Part):
    """How far probabilities can be taken at their word."""

    temperature: float
    fitted_on: int
    """Rows that fitted the temperature; none of them is scored here."""
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float
    reliability: tuple[tuple[float, float, int], ...]
    """Bins after fitting: mean confidence, accuracy, rows."""
    reliability_before: tuple[tuple[float, float, int], ...]


class Curves(Part):
    """Of a closed answer."""

    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are right labels, columns are predicted ones."""
    precision_recall: dict[str, tuple[tuple[float, float], ...]]
    """Label → (recall, precision) points, thinned to at most 200."""
    roc: dict[str, tuple[tuple[float, float], ...]]
    """Label → (false positive rate, true positive rate) points."""
    average_precision: dict[str, float]
    roc_auc: dict[str, float]


class Slice(Part):
    """The deciding value on a part of the rows."""

    by: Literal["length", "language", "source", "part"]
    name: str
    measured: Measured


class Mistake(Part):
    """One of the worst answers."""

    row: int
    input: dict[str, Any]
    answers: tuple[str, ...]
    prediction: str
    score: float
    """Probability of the right label, or the row's own value of the metric: lower is worse."""
    probabilities: dict[str, float] = {}


class DataCard(Part):
    """What was scored."""

    sources: tuple[str, ...]
    rows: int
    """Rows read, good and bad."""
    examples: int
    problems: tuple[str, ...]
    """Rows left out, by file and line; at most 20."""
    languages: dict[str, int]
    labels: dict[str, int]
    """Right labels of a closed answer; else empty."""
    parts: dict[str, int]
    characters: dict[str, int]
    """Percentile ('50', '90', '99', '100') → characters of the prompt."""
    cut: int
    """Examples whose input did not fit into the context."""
    digest: str


class Environment(Part):
    """Where and with what it was measured."""

    versions: dict[str, str]
    python: str
    platform: str
    device: str
    threads: int
    seconds_answering: float
    """All entries that run the backbone."""
    seconds: float
    """The whole evaluation, report included."""


class Training(Part):
    """How the subject was trained, as far as its folder tells, and what the baselines learned from."""

    backbone: str = ""
    sources: str = ""
    rows: int | None = None
    """Learned, those of earlier training included; None where not known."""
    seed: int | None = None
    parameters: int | None = None
    """Of the adapter's own weights."""
    rank: int | None = None
    modules: tuple[str, ...] = ()
    """The layers that it adapts."""
    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    """Of the optimiser steps, from the speeds in the log."""
    settings: dict[str, Any] = {}
    """The run's config.yaml."""
    baseline_rows: int = 0
    """What the baselines that learn have learned from."""
    same_rows: bool = True
    """Whether these are the subject's own."""


class Results(Part):
    """One evaluation. `subject` names the entry that is judged; the others are what it is held against."""

    schema_version: Literal[1] = 1
    task: str
    title: str
    description: str
    title_zh: str = ""
    description_zh: str = ""
    data: str
    rows: int
    seed: int
    resamples: int
    created: str
    subject: str
    picked_checkpoint: bool = False
    """The scored rows picked the subject's checkpoint, so they flatter it."""
    verdict: Verdict
    entries: tuple[Entry, ...]
    """Baselines first."""
    undefined: dict[str, str] = {}
    """Metric → why these rows give it no value; it decides nothing."""
    groups: int | None = None
    """Groups of rows that belong together, drawn and swapped as one; None where not counted."""
    comparisons: tuple[Comparison, ...]
    signatures: dict[str, str]
    leaks: Leaks | None = None
    calibration: Calibration | None = None
    curves: Curves | None = None
    slices: tuple[Slice, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    data_card: DataCard
    environment: Environment
    commands: tuple[str, ...]
    """What reproduces it, in order."""
    passport: dict[str, Any] | None = None
    learning: tuple[dict[str, float], ...] = ()
    """Lines of the run's log.jsonl, where the adapter lies in a run."""
    training: Training | None = None
