"""The words of the frame and of the pages of tasks, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
ABOUT = Said(
    "One small GPT, an adapter for each skill, and a score beside each.",
    "一个小型 GPT，每项技能一个适配器，各附实测得分。")
SHADE = Said("Light / dark", "浅色 / 深色")
BACKBONE = Said("Backbone", "底座模型")
BACKBONE_FACTS = Said(
    "{millions} million parameters · context of {context} tokens",
    "{count}参数 · 上下文 {context} 个词元")
LOADING = Said("Loading it …", "正在载入……")
# fmt: on
