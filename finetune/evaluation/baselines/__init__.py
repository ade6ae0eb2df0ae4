"""Answers that cost nothing: the systems that a model has to beat, on the same rows."""

from finetune.evaluation.baselines.choice import baselines

__all__ = ["baselines"]
