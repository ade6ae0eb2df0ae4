"""`evaluate.Metric` classes that work offline; the only door to evaluate, sacrebleu and scikit-learn.

Each takes plain lists: `Squad().compute(predictions=[…], references=[[…], …])`. BLEU, chrF,
exact match and the f1 of answers are percentages; everything else is a fraction, bits or a count.
"""

from core.metrics.answers import Squad
from core.metrics.base import LocalMetric
from core.metrics.choices import Classification
from core.metrics.likelihood import LanguageModel
from core.metrics.texts import Completion, Translation

__all__ = ["Classification", "Completion", "LanguageModel", "LocalMetric", "Squad", "Translation"]
