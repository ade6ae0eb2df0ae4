"""Answers that cost nothing: the contestants that a model has to beat, on the same rows."""

from finetune.baselines.contestants import baselines

__all__ = ["baselines"]
