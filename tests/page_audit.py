"""What a strict reader finds on a page in the browser: faint text, controls without a name, what sticks out."""

from __future__ import annotations

from typing import Any

LEAST = 4.5
"""Contrast of text (WCAG 2.2, 1.4.3); 3 of large text."""

_FAINT = """(least) => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) =>
    [a * r + (1 - a) * x, a * g + (1 - a) * y, a * b + (1 - a) * z];
  const light = (rgb) => rgb.map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [.2126, .7152, .0722][place], 0);
  const chain = (node) => node ? [...chain(node.parentElement), node] : [];
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (node.closest('script, style, [disabled], .sr-only') || !node.getClientRects().length) continue;
    const parents = chain(node);
    const behind = parents.reduce(
      (below, one) => over(rgba(getComputedStyle(one).backgroundColor), below), [255, 255, 255]);
    const style = getComputedStyle(node), ink = rgba(style.color);
    ink[3] *= parents.reduce((all, one) => all * getComputedStyle(one).opacity, 1);
    const [high, low] = [light(over(ink, behind)), light(behind)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 600);
    const ratio = (high + .05) / (low + .05);
    if (ratio < (large ? 3 : least)) found.add(`${ratio.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return [...found];
}"""
_NAMELESS = """() => [...document.querySelectorAll(
    'input, textarea, select, button, [role=button], [role=tab], [tabindex="0"], a[href], summary, iframe')]
  .filter(one => one.checkVisibility() && one.getClientRects().length && !one.closest('[aria-hidden=true]'))
  .filter(one => {
    const by = (one.getAttribute('aria-labelledby') || '').split(' ')
      .map(id => document.getElementById(id)?.textContent ?? '').join('');
    const labels = [...(one.labels ?? [])].map(label => label.textContent).join('');
    const inner = /^(INPUT|TEXTAREA|SELECT|IFRAME)$/.test(one.tagName) ? '' : one.textContent;
    return ![by, labels, inner, one.ariaLabel, one.title].some(name => name?.trim());
  })
  .map(one => one.outerHTML.slice(0, 160))"""
_OUT = """() => [...document.querySelectorAll('body *')]
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
  .filter(one => {
    for (let up = one.parentElement; up; up = up.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(up).overflowX) && up !== document.body) return false;
    return true;
  })
  .map(one => one.outerHTML.slice(0, 120))"""

_FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const label = [...(one.labels ?? [])].map(label => label.textContent).join(' ');
  const name = one.ariaLabel || label || one.textContent || one.title;
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  return [name.trim().replace(/\\s+/g, ' '), seen];
}"""


def faint(page: Any) -> list[str]:
    """Visible texts that are too like what lies behind them, with their contrast."""
    found: list[str] = page.evaluate(_FAINT, LEAST)
    return found


def nameless(page: Any) -> list[str]:
    """Visible controls that a screen reader has no name for."""
    found: list[str] = page.evaluate(_NAMELESS)
    return found


def sticking_out(page: Any) -> list[str]:
    """What lies beyond the right edge and cannot be scrolled to."""
    found: list[str] = page.evaluate(_OUT)
    return found


def focused(page: Any) -> tuple[str, bool]:
    """The name of what has the focus, and whether an outline shows that."""
    name, seen = page.evaluate(_FOCUSED)
    return name, seen
