"""What was seen inside, as HTML: probabilities, attention, the logit lens, each formula beside its numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

from core.inspection.look import Likely, Look
from core.inspection.worked_example import Example, Step
from demos.inside import words
from demos.said import Said, html

CSS = """
.inside h3 { margin: 1.2rem 0 .2rem; font-size: 1.15rem; }
.inside .pair { display: flex; flex-wrap: wrap; gap: .8rem 2rem; }
.inside .pair > * { flex: 1 1 320px; min-width: 0; }
.inside h4 { margin: .5rem 0 .25rem; font-size: .95rem; font-weight: 600; }
.inside .scroll { overflow-x: auto; padding-bottom: .3rem; }
.inside table { border-collapse: collapse; font-variant-numeric: tabular-nums; border: 0; margin: 0; }
.inside table th, .inside table td, .inside table tr { border: 0; }
.inside .facts tbody td, .inside .facts tbody th { border-top: 1px solid var(--border-color-primary); }
.inside .facts { width: 100%; max-width: 30rem; }
.inside .facts th, .inside .facts td { padding: .16rem .7rem .16rem 0; text-align: left;
  font-weight: 400; white-space: nowrap; }
.inside .facts thead th { color: var(--body-text-color-subdued); font-size: .85rem; }
.inside .facts td.gauge { width: 55%; }
.inside .gauge i { display: block; height: .62em; border-radius: 2px; min-width: 1px;
  background: var(--color-accent); }
.inside code, .inside .map th, .inside .lens td { font-family: var(--font-mono); white-space: pre; }
.inside code { background: var(--background-fill-secondary); padding: .05em .3em; border-radius: .25em; }
.inside .formula { margin: .35rem 0; padding: .5rem .8rem; border-left: 3px solid var(--color-accent);
  background: var(--background-fill-secondary); border-radius: .25rem; overflow-x: auto;
  line-height: 2; }
.inside math { font-size: 1.08rem; }
.inside .heads { display: flex; flex-wrap: wrap; gap: .5rem; }
.inside .heads figure { margin: 0; text-align: center; font-size: .75rem;
  color: var(--body-text-color-subdued); }
.inside .heads img { width: 74px; height: 74px; image-rendering: pixelated; display: block;
  border: 1px solid var(--border-color-primary); border-radius: 3px; }
.inside .heads .chosen img { outline: 2px solid var(--color-accent); }
.inside .map tbody td { width: 17px; min-width: 17px; height: 17px; padding: 0;
  border: 1px solid var(--background-fill-primary) !important;
  background: color-mix(in srgb, var(--color-accent) calc(var(--w) * 100%), var(--soft)); }
.inside .map tbody td.none { background: transparent; }
.inside .map th { font-weight: 400; font-size: .72rem; line-height: 1; padding: 0 .35rem 0 0;
  text-align: right; max-width: 7rem; overflow: hidden; text-overflow: ellipsis; }
.inside .map thead th { writing-mode: vertical-rl; transform: rotate(180deg); padding: .3rem 0 0;
  text-align: left; max-height: 5.5rem; }
.inside .lens td, .inside .lens th { font-size: .75rem; padding: .12rem .4rem; text-align: left;
  max-width: 6.5rem; overflow: hidden; text-overflow: ellipsis; font-weight: 400;
  border: 1px solid var(--background-fill-primary) !important; }
.inside .lens td { background: color-mix(in srgb, var(--color-accent)
  calc(var(--w) * 62% * var(--tint)), transparent); }
.inside .lens tbody th, .inside .lens thead th:first-child { position: sticky; left: -1px;
  background: var(--body-background-fill); white-space: nowrap;
  color: var(--body-text-color-subdued); }
.inside .lens thead th { color: var(--body-text-color-subdued); font-family: var(--font-mono);
  white-space: pre; }
.inside .lens { max-height: 30rem; overflow: auto; direction: rtl; width: fit-content;
  max-width: 100%; }
.inside .lens table { direction: ltr; }
.inside .steps { display: flex; flex-wrap: wrap; gap: .8rem; }
.inside .steps math { font-size: .98rem; }
.inside .steps section { flex: 1 1 320px; min-width: 0; padding: .6rem .9rem;
  border: 1px solid var(--border-color-primary); border-radius: .4rem; }
@media (max-width: 640px) {
  .inside math { font-size: .92rem; } .inside .formula { padding: .5rem .6rem; }
  .inside .head { flex-wrap: nowrap; } .inside .head input { width: 3rem; }
  .inside .map tbody td { width: 11px; min-width: 11px; height: 11px; }
  .inside .map th { font-size: .6rem; padding-right: .2rem; max-width: 4.5rem; }
}
"""

_BLANKS = {"\n": "⏎", "\t": "⇥", "\r": "␍"}


def token(text: str) -> str:
    """A token with what cannot be seen made visible, escaped."""
    return escape(_visible(text))


def _visible(text: str) -> str:
    shown = "".join(_BLANKS.get(sign, sign) for sign in text)
    return shown.replace(" ", "␣", 1) if shown.strip() == "" else shown


def next_tokens(seen: Sequence[tuple[Said, Look]]) -> str:
    """The likeliest tokens of each look, and the softmax with the numbers of the first."""
    best, look = seen[0][1].next_tokens[0], seen[0][1]
    formula = (
        "<math><mi>p</mi><mo>(</mo>"
        f"<mtext>{token(best.text)}</mtext><mo>)</mo><mo>=</mo>"
        "<mfrac><msup><mi>e</mi><mi>z</mi></msup><mrow><munder><mo>∑</mo><mi>j</mi></munder>"
        "<msup><mi>e</mi><msub><mi>z</mi><mi>j</mi></msub></msup></mrow></mfrac><mo>=</mo>"
        f"<msup><mi>e</mi><mrow>{_mn(best.logit)}<mo>−</mo>{_mn(look.log_normaliser)}</mrow></msup>"
        f"<mo>=</mo>{_mn(best.probability, 3)}</math>"
    )
    tables = "".join(
        f"<div>{html(title, 'h4')}{_likely(one.next_tokens)}</div>" for title, one in seen
    )
    return (
        f"{html(words.NEXT, 'h3')}{html(words.NEXT_ABOUT, 'p', class_='quiet')}"
        f'<div class="formula">{formula}</div><div class="pair">{tables}</div>'
    )


def _likely(found: Sequence[Likely]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{token(one.text)}</code></th><td>{one.logit:.2f}</td>'
        f'<td>{_told(one.probability)}</td><td class="gauge"><i style="width:{one.probability:.1%}"></i></td></tr>'
        for one in found
    )
    heads = "".join(html(name, "th", scope="col") for name in _COLUMNS)
    return f'<table class="facts"><thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table>'


def _told(probability: float) -> str:
    """Three places; of what is less, that it is."""
    return f"{probability:.3f}" if probability >= _LEAST else f"&lt;{_LEAST}"


_LEAST = 0.001
_COLUMNS = (words.TOKEN, words.LOGIT, words.PROBABILITY)


def attention(seen: Sequence[tuple[Said, Look]], layer: int, head: int) -> str:
    """All heads of a layer small, one of them large, for each look."""
    first = seen[0][1]
    place = min(max(layer, 1), len(first.layers)) - 1
    head = min(max(head, 1), first.attention.shape[1])
    parts = "".join(
        f"<div>{html(title, 'h4')}{_heads(one, place, head)}{_map(one, place, head)}</div>"
        for title, one in seen
    )
    return (
        f"{html(words.ATTENTION, 'h3')}{html(words.ATTENTION_ABOUT, 'p', class_='quiet')}"
        f'<div class="formula"><math>{_ATTENTION}<mo>,</mo><mspace width=".6em"/><msub><mi>d</mi>'
        f"<mi>k</mi></msub><mo>=</mo><mn>{first.head_size}</mn></math></div>"
        f'<div class="pair">{parts}</div>'
    )


_ATTENTION = (
    "<mi>A</mi><mo>=</mo><mi>softmax</mi><mo>(</mo><mfrac><mrow><mi>Q</mi>"
    "<msup><mi>K</mi><mi>T</mi></msup></mrow><msqrt><msub><mi>d</mi><mi>k</mi></msub></msqrt></mfrac>"
    "<mo>)</mo><mo>,</mo><mspace width='.6em'/><mi>O</mi><mo>=</mo><mi>A</mi><mi>V</mi>"
)


def _heads(look: Look, place: int, head: int) -> str:
    layer = look.layers[place]
    figures = "".join(
        f'<figure{_chosen(number == head)}><img src="{_image(weights)}" alt="">{number}</figure>'
        for number, weights in enumerate(look.attention[place], 1)
    )
    caption = html(words.HEADS.filled(layer=layer), "p", class_="quiet")
    return f'{caption}<div class="heads" aria-hidden="true">{figures}</div>'


def _chosen(chosen: bool) -> str:
    return ' class="chosen"' if chosen else ""


def _image(weights: Any) -> str:
    """A square of weights as a small picture: the accent's shade, as opaque as the weight."""
    import numpy as np
    from PIL import Image

    alpha = (weights.clamp(0, 1).sqrt() * 255).byte().numpy()
    pixels = np.empty((*alpha.shape, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = (38, 148, 142), alpha
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _map(look: Look, place: int, head: int) -> str:
    weights = look.attention[place, head - 1].tolist()
    names = [token(text) for text in look.tokens]
    columns = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>{_cells(row, number, names)}</tr>'
        for number, (name, row) in enumerate(zip(names, weights, strict=True))
    )
    about = words.HEAD_OF.filled(layer=look.layers[place], head=head)
    most = sorted(range(len(names)), key=lambda n: -weights[-1][n])[:3]
    each = [f"“{_visible(look.tokens[n]).strip()}” {weights[-1][n]:.2f}" for n in most]
    takes = Said(", ".join(each), "、".join(each))
    last = words.LAST_ROW.filled(token=_visible(look.tokens[-1]).strip(), most=takes)
    return (
        f"{html(about, 'h4')}{html(last, 'p', class_='quiet')}"
        f'<div class="scroll"><table class="map"><thead><tr><td></td>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Sequence[float], number: int, names: Sequence[str]) -> str:
    return "".join(
        f'<td style="--w:{weight:.3f}" title="{names[number]} → {names[place]}: {weight:.3f}"></td>'
        if place <= number
        else '<td class="none"></td>'
        for place, weight in enumerate(row)
    )


def lens(look: Look) -> str:
    """A row for each layer, a column for each token; the last row is what the model says."""
    columns = "".join(f'<th scope="col">{token(text)}</th>' for text in look.tokens)
    rows = "".join(
        f'<tr><th scope="row">{_depth(depth)}</th>'
        + "".join(
            f'<td style="--w:{one.probability:.3f}" title="{token(one.text)} {one.probability:.3f}">'
            f"{token(one.text)}</td>"
            for one in row
        )
        + "</tr>"
        for depth, row in reversed(list(enumerate(look.lens)))
    )
    said = look.lens[-1][-1].text
    since = next(n for n in range(len(look.lens)) if _settled(look, n, said))
    rises = words.RISES.filled(token=_visible(said).strip(), layer=since, layers=len(look.lens) - 1)
    return (
        f"{html(rises, 'p')}"
        f'<div class="lens" tabindex="0"><table><thead><tr><th></th>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _settled(look: Look, depth: int, said: str) -> bool:
    return all(row[-1].text == said for row in look.lens[depth:])


def _depth(depth: int) -> str:
    return html(words.AFTER.filled(layer=depth) if depth else words.EMBEDDINGS)


def worked(example: Example) -> str:
    """Every step of self-attention on a few numbers."""
    keys, values = (_list(one) for one in (example.keys, example.values))
    facts = (
        f"<math><mi>k</mi><mo>=</mo><msub><mi>W</mi><mi>k</mi></msub><mi>x</mi><mo>=</mo>{keys}"
        f"</math>&emsp;<math><mi>v</mi><mo>=</mo><msub><mi>W</mi><mi>v</mi></msub>"
        f"<mi>x</mi><mo>=</mo>{values}</math>"
    )
    steps = "".join(
        _step(place, x, step, example)
        for place, (x, step) in enumerate(zip(example.inputs, example.steps, strict=True), 1)
    )
    return f'<div class="formula">{facts}</div><div class="steps">{steps}</div>'


def _step(place: int, x: float, step: Step, example: Example) -> str:
    title = words.QUERY_AT.filled(place=place, x=f"{x:g}")
    rows = "".join(
        f'<tr><th scope="row">{number}</th><td>{_score(step, number, key)}</td>'
        f"<td>{_power(step, number)}</td><td><b>{step.weights[number - 1]:.2f}</b></td></tr>"
        for number, key in enumerate(example.keys, 1)
    )
    total = sum(step.exponentials)
    shown = zip(step.weights, example.values, strict=True)
    terms = "<mo>+</mo>".join(f"{_mn(w)}<mo>⋅</mo>{_mn(v, 'g')}" for w, v in shown)
    heads = (
        f"{html(words.POSITION, 'th', scope='col')}<th scope='col'>q·k</th>"
        f"<th scope='col'>e<sup>q·k</sup></th>{html(words.WEIGHT, 'th', scope='col')}"
    )
    return (
        f"<section>{html(title, 'h4')}"
        f"<math><mi>q</mi><mo>=</mo><msub><mi>W</mi><mi>q</mi></msub><mi>x</mi><mo>=</mo>"
        f"{_mn(step.query, 'g')}</math>"
        f'<div class="scroll"><table class="facts"><thead><tr>{heads}</tr></thead><tbody>{rows}'
        f"<tr><td></td><td>Σ</td><td>{total:.2f}</td><td>1.00</td></tr></tbody></table></div>"
        f'<div class="scroll"><math><mi>o</mi><mo>=</mo>{terms}<mo>=</mo>{_mn(step.output)}</math></div>'
        "</section>"
    )


def _score(step: Step, number: int, key: float) -> str:
    score = step.scores[number - 1]
    return html(words.HIDDEN) if score is None else f"{step.query:g} · {key:g} = {score:g}"


def _power(step: Step, number: int) -> str:
    return f"{step.exponentials[number - 1]:.2f}"


def _list(values: Sequence[float]) -> str:
    return "<mo>(</mo>" + "<mo>,</mo>".join(_mn(value, "g") for value in values) + "<mo>)</mo>"


def _mn(value: float, places: int | str = 2) -> str:
    """A number as MathML has it, with a minus that is one."""
    text = f"{abs(value):g}" if places == "g" else f"{abs(value):.{places}f}"
    return f"<mo>−</mo><mn>{text}</mn>" if value < 0 else f"<mn>{text}</mn>"
