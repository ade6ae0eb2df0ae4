"""How the answer is written: likeliest or drawn, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.sampling import Greedy, Sample, Sampling
from core.errors import BadSetting
from demos.door import Component, gr

_GREEDY, _SAMPLED = "greedy", "sampled"


@dataclass(frozen=True)
class Controls:
    """The components, in the order that `chosen` reads their values; none for closed answers."""

    components: tuple[Component, ...] = ()


def controls(*, length: int, longest: int) -> Controls:
    """Draw them here, folded away; `length` tokens are the default, `longest` the most."""
    standard = Sample()
    with gr.Accordion("How it writes", open=False):
        how = gr.Radio(
            [("Greedy: always the likeliest word", _GREEDY), ("Sampled: by chance", _SAMPLED)],
            value=_GREEDY,
            label="Choice of the next word",
        )
        with gr.Column(visible=False) as chance:
            temperature = gr.Slider(
                0.1, 2, standard.temperature, step=0.05, label="Temperature",
                info="Low is careful, high is bold.",
            )  # fmt: skip
            top_p = gr.Slider(
                0.05, 1, standard.top_p, step=0.05, label="Top p",
                info="Only the likeliest words that together hold this share.",
            )  # fmt: skip
            seed = gr.Number(
                standard.seed, precision=0, label="Seed",
                info="The same seed draws the same text.",
            )  # fmt: skip
        most = gr.Slider(1, longest, length, step=1, label="Longest answer", info="In tokens.")
    how.change(
        lambda chosen: gr.update(visible=chosen == _SAMPLED),
        how,
        chance,
        show_progress="hidden",
        api_visibility="private",
    )
    return Controls((how, temperature, top_p, seed, most))


def chosen(values: Sequence[Any]) -> tuple[Sampling | None, int | None]:
    """How to sample and how long to write; `BadSetting` where a value is out of its range."""
    if not values:
        return None, None
    how, temperature, top_p, seed, length = values
    if how not in (_GREEDY, _SAMPLED):
        raise BadSetting(f"The choice is {how!r}; it must be {_GREEDY!r} or {_SAMPLED!r}.")
    if how == _GREEDY:
        return Greedy(), length
    return Sample(temperature=temperature, top_p=top_p, seed=seed), length
