"""How the answer is written: likeliest or drawn, how long, and where it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.sampling import Greedy, Sample
from core.errors import BadSetting
from demos.door import Component, gr
from demos.said import Words
from demos.tasks import control_words as words
from demos.tasks.asking import Writing

_GREEDY, _SAMPLED = "greedy", "sampled"
_MOST_STOPS = 4


@dataclass(frozen=True)
class Controls:
    """The components, in the order that `chosen` reads their values; none for closed answers."""

    components: tuple[Component, ...] = ()


def controls(said: Words, *, length: int, longest: int) -> Controls:
    """Draw them here, folded away; `length` tokens are the default, `longest` the most."""
    standard = Sample()
    with said.say(gr.Accordion(open=False), label=words.HOW):
        ways = [(words.GREEDY, _GREEDY), (words.SAMPLED, _SAMPLED)]
        how = gr.Radio([(way.en, value) for way, value in ways], value=_GREEDY)
        said.say(how, label=words.CHOICE, choices=ways)
        with gr.Column(visible=False) as chance:
            temperature = gr.Slider(0.1, 2, standard.temperature, step=0.05)
            said.say(temperature, label=words.TEMPERATURE, info=words.TEMPERATURE_INFO)
            top_p = gr.Slider(0.05, 1, standard.top_p, step=0.05)
            said.say(top_p, label=words.TOP_P, info=words.TOP_P_INFO)
            top_k = gr.Slider(0, 200, standard.top_k, step=1)
            said.say(top_k, label=words.TOP_K, info=words.TOP_K_INFO)
            penalty = gr.Slider(1, 2, standard.repetition_penalty, step=0.05)
            said.say(penalty, label=words.PENALTY, info=words.PENALTY_INFO)
            seed = gr.Number(standard.seed, precision=0)
            said.say(seed, label=words.SEED, info=words.SEED_INFO)
        most = gr.Slider(1, longest, length, step=1)
        said.say(most, label=words.LENGTH, info=words.LENGTH_INFO)
        stop = gr.Textbox("", lines=1, max_lines=_MOST_STOPS)
        said.say(stop, label=words.STOP_AT, info=words.STOP_AT_INFO)
    how.change(
        None,
        how,
        chance,
        js=f"(how) => ({{__type__: 'update', visible: how === '{_SAMPLED}'}})",
        api_visibility="private",
    )
    return Controls((how, temperature, top_p, top_k, penalty, seed, most, stop))


def chosen(values: Sequence[Any]) -> Writing:
    """How to write; `BadSetting` where a value is out of its range."""
    if not values:
        return Writing()
    how, temperature, top_p, top_k, penalty, seed, length, stop = values
    if how not in (_GREEDY, _SAMPLED):
        raise BadSetting(f"The choice is {how!r}; it must be {_GREEDY!r} or {_SAMPLED!r}.")
    drawn = Sample(
        temperature=temperature, top_p=top_p, top_k=top_k, repetition_penalty=penalty, seed=seed
    )
    return Writing(
        sampling=Greedy() if how == _GREEDY else drawn,
        max_new_tokens=length,
        stop=_stops(str(stop or "")),
    )


def _stops(text: str) -> tuple[str, ...]:
    r"""One a line; \n stands for the end of a line."""
    found = tuple(line.replace("\\n", "\n") for line in text.splitlines() if line)
    if len(found) > _MOST_STOPS:
        raise BadSetting(f"{len(found)} texts to stop at; at most {_MOST_STOPS}.")
    return found
