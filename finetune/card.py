"""The model card of an adapter."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, StrictUndefined

from core.store import Passport
from core.task import Task
from finetune.evaluation import Evaluation

_CARD = """\
---
base_model: {{ passport.backbone }}
library_name: peft
license: apache-2.0
tags: [lora, quintet, {{ task.name }}]
---

# Quintet: {{ task.title }}

{{ task.description }} A LoRA adapter for `{{ passport.backbone }}` (fingerprint `{{ passport.fingerprint }}`),
trained on {{ passport.data }}, seed {{ passport.seed }}, {{ passport.created }}.

{% if passport.scored_on == "test" -%}
Scored on {{ passport.rows }} examples that had no part in training or in picking the checkpoint{% if baseline %},
beside the baseline '{{ baseline }}' on the same rows{% endif %}.
{%- else -%}
Scored on the {{ passport.rows }} held-out examples that picked the checkpoint, so a little too well.
{%- endif %}

| value | adapter |{% if baseline %} {{ baseline }} |{% endif %}
|---|---|{% if baseline %}---|{% endif %}
{% for name, value in passport.metrics.items() -%}
| {{ name }} | {{ "%.4f"|format(value) }} |{% if baseline %} {{ shown(passport.baseline.get(name)) }} |{% endif %}
{% endfor %}
The answer is asked for in the words of the task `{{ task.name }}`, whose hash is `{{ passport.prompt_hash }}`:

```
{{ task.prompt(task.samples[0]) if task.samples else "" }}
```
"""


def adapter_card(task: Task[Any], passport: Passport, found: Evaluation | None) -> str:
    """Markdown with what it was trained on and what it is worth."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(_CARD).render(
        task=task, passport=passport, baseline=found.baseline_name if found else "", shown=_shown
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
