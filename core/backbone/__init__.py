"""The shared GPT: known backbones, loading any other, random ones, tokenizers, fingerprints."""

from core.backbone.loading import Backbone, Dtype, load, refreshed, save, shipped
from core.backbone.presets import create

__all__ = ["Backbone", "Dtype", "create", "load", "refreshed", "save", "shipped"]
