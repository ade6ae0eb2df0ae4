"""How the pages look: the fonts and colours of the reader's own system, nothing fetched."""

from __future__ import annotations

from demos.door import gr

_SANS = (
    "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans",
    "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif",
)  # fmt: skip
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

HEAD = """<script>
window.quintet_language = (language) => {
  document.documentElement.lang = language === 'zh' ? 'zh' : 'en';
  try { localStorage.setItem('quintet-language', language); } catch {}
  for (const open of document.querySelectorAll('details.report[open]'))
    open.dispatchEvent(new Event('toggle'));  // which fetches the report in that language
};
window.quintet_begin = () => {
  let kept = null, shade = null;
  try { shade = localStorage.getItem('quintet-shade'); } catch {}
  if (shade && document.body) document.body.classList.toggle('dark', shade === 'dark');
  try { kept = localStorage.getItem('quintet-language'); } catch {}
  return kept || (navigator.language.startsWith('zh') ? 'zh' : 'en');
};
document.documentElement.lang = window.quintet_begin();
// A label names the first control in it: where that is a copy button, its box has no name of its own.
window.quintet_names = () => {
  for (const box of document.querySelectorAll('label :is(textarea, input)')) {
    const label = box.closest('label');
    const name = label.querySelector('[data-testid=block-info]')?.textContent.trim();
    if (name && label.control !== box && box.ariaLabel !== name) box.ariaLabel = name;
  }
};
// Enter asks, Shift+Enter begins a line: gradio has it the other way in boxes of several lines.
document.addEventListener('keypress', (event) => {
  const box = event.target.closest('.asks textarea');
  if (!box || event.key !== 'Enter' || !event.isTrusted || box.rows < 2) return;
  event.stopPropagation();
  if (event.shiftKey) return;
  event.preventDefault();
  box.dispatchEvent(new KeyboardEvent('keypress', {key: 'Enter', shiftKey: true, bubbles: true}));
}, true);
// A chat takes what is asked out of its box with the key itself, so that no letter typed next is lost.
window.quintet_asked = [];
document.addEventListener('keypress', (event) => {
  const box = event.target.closest('.takes textarea');
  if (!box || event.key !== 'Enter' || !event.isTrusted || event.shiftKey) return;
  window.quintet_asked.push(box.value);
  box.value = '';
  box.dispatchEvent(new InputEvent('input', {bubbles: true}));
}, true);
let quintet_due = 0;  // the page changes thousands of times while it is built
new MutationObserver(() => {
  quintet_due ||= setTimeout(() => { quintet_due = 0; window.quintet_names(); }, 200);
}).observe(document.documentElement, {childList: true, subtree: true, characterData: true});
window.quintet_shade = () => {
  const dark = document.body.classList.toggle('dark');
  try { localStorage.setItem('quintet-shade', dark ? 'dark' : 'light'); } catch {}
};
</script>
<style>
html[lang=zh] .said[lang=en], html:not([lang=zh]) .said[lang=zh] { display: none; }
</style>"""

CSS = """
.gradio-container { width: 100% !important; min-width: 0 !important;
  --good: #086b50; --bad: #a5371f; --line: #c4780f; --remark: #8a5200; --soft: rgba(14, 98, 98, .12); --tint: 1; }
.dark { --color-accent: #4fc0b5; --good: #4cc79d; --bad: #f0836a; --line: #f0b04a; --remark: #f0b04a;
  --soft: rgba(79, 192, 181, .16); --tint: .6; }
.gradio-container > .main { width: 100%; min-width: 0; max-width: 1120px !important;
  margin: 0 auto; }
.block.bare, .block.bare .html-container, .block.answer .html-container,
  .block.passage .html-container { padding: 0 !important; }
.block.bare:not(:has(.prose > *)) { display: none; }
.masthead { align-items: start; }
.masthead h1 { font-size: 1.9rem; font-weight: 680; letter-spacing: -.02em; margin: 0; }
.masthead p { margin: 0; }
.switches { justify-content: flex-end; align-items: center; flex-wrap: nowrap; gap: .5rem; }
.about { margin: .15rem 0 .25rem; font-size: 1.05rem; }
.quiet { margin: 0 0 .25rem; font-size: .875rem; }
.prose .quiet, .prose .quiet * { color: var(--body-text-color-subdued); }
.problem { margin: .4rem 0; padding: .7rem 1rem; border-left: 3px solid var(--bad);
  border-radius: .25rem; background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.pills .wrap { gap: .25rem; flex-wrap: nowrap; }
.pills label { padding: .2rem .6rem; white-space: nowrap; }
.tab-container button[role=tab] { font-size: .95rem; padding: 0 .8rem; }
.tab-container button[role=tab].selected { font-weight: 600; }
.gradio-container.gradio-container.gradio-container :focus-visible {
  outline: 2px solid var(--color-accent) !important; outline-offset: 1px; }
.progress { height: .5rem; border-radius: .3rem; overflow: hidden; margin-bottom: .4rem;
  background: var(--background-fill-secondary); }
.progress i { display: block; height: 100%; width: 35%; border-radius: .3rem;
  background: var(--color-accent); animation: quintet-goes 1.6s ease-in-out infinite alternate; }
.progress.far i { animation: none; transition: width .4s; }
@keyframes quintet-goes { from { margin-left: 0; } to { margin-left: 65%; } }
@media (prefers-reduced-motion: reduce) { .progress i { animation: none; width: 100%; opacity: .5; } }
.summary figure { margin: 1rem 0; } .summary figcaption { font-weight: 600; margin-bottom: .3rem; }
.bar.wide { grid-template-columns: minmax(5rem, 9rem) 1fr 8.5rem; }
.bar.wide .name { overflow-wrap: anywhere; font-size: .9rem; }
.bar.wide .share { background: color-mix(in srgb, var(--color-accent) 70%, transparent); }
.whisker { position: absolute; top: 35%; height: 30%; border-left: 2px solid var(--line);
  border-right: 2px solid var(--line);
  background: linear-gradient(var(--line), var(--line)) center / 100% 2px no-repeat; }
.value small { display: block; font-weight: 400; font-size: .72rem; white-space: nowrap; }
.summary svg { width: 100%; height: auto; overflow: visible; }
.summary svg line { stroke: var(--border-color-primary); }
.summary svg text { font-size: 11px; fill: var(--body-text-color-subdued); }
.summary svg polygon { fill: var(--soft); } .summary svg circle { fill: var(--color-accent); }
.summary svg polyline { fill: none; stroke: var(--color-accent); stroke-width: 2.5; }
.summary table { font-size: .85rem; border-collapse: collapse; width: 100%; }
.summary td { overflow-wrap: anywhere; }
.prose .summary td:nth-child(1) { width: 9rem; } .prose .summary td:nth-child(2) { width: 5rem; }
.summary td:nth-child(-n+2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
footer .divider { display: none; }
.chip { display: inline-block; padding: .1rem .55rem; border-radius: 1rem; font-weight: 600;
  font-size: .82rem; background: var(--background-fill-secondary); text-wrap: balance; }
.chip.good { background: var(--good); } .prose .chip.good * { color: #fff; }
.dark .prose .chip.good * { color: #06211a; }
details.report { font-size: .875rem; color: var(--body-text-color-subdued); }
details.report summary { cursor: pointer; width: fit-content; line-height: 1.7; }
details.report summary:has(.link) { list-style: none; }
details.report summary:has(.link)::-webkit-details-marker { display: none; }
details.report .link { white-space: nowrap; } details.report .link::after { content: " ▸"; }
details.report[open] .link::after { content: " ▾"; }
details.report .link * { text-decoration: underline; text-underline-offset: .15em;
  color: var(--color-accent); }
.card { margin-top: .5rem; padding: .5rem 1.1rem 1rem; border: 1px solid var(--border-color-primary);
  border-radius: .5rem; background: var(--background-fill-primary); color: var(--body-text-color);
  max-height: 26rem; overflow: auto; }
iframe.card { width: 100%; height: 34rem; max-height: none; padding: 0; background: #fff; }
.card h1 { font-size: 1.25rem; } .card h2 { font-size: 1.05rem; margin-top: 1rem; }
.card h1, .card h2, .card p { margin-bottom: .4rem; } .card h1, .card h2 { font-weight: 650; }
.card blockquote { border-left: 3px solid var(--bad); padding-left: .8rem; }
.card pre, .listing pre { white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--background-fill-secondary); padding: .6rem .8rem; border-radius: .35rem;
  font-size: .8rem; }
.card table, details.report table, .summary table { border-collapse: collapse; font-size: .82rem; }
.prose .card :is(table, tr), .prose .summary :is(table, tr), .prose details.report :is(table, tr) {
  border: 0; }
.prose .card td, .prose .card th, .prose details.report td, .prose .summary td {
  padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--border-color-primary); }
.listing { margin-bottom: .7rem; } .listing > div { display: flex; gap: .6rem;
  align-items: baseline; justify-content: space-between; font-weight: 600; font-size: .85rem; }
.copy { font-weight: 500; font-size: .8rem; color: var(--color-accent); padding: .1rem .5rem; }
.copy .after, .copy.done .before { display: none; } .copy.done .after { display: inline; }
.who { align-items: center; }
.secondary-wrap input { padding-right: 1.4rem !important; text-overflow: ellipsis; }
.compact { padding: 0 !important; border: 0 !important; background: none !important; }
.system { font-weight: 600; margin: 0; }
.block.answer { border: 1px solid var(--block-border-color) !important;
  border-radius: var(--block-radius); background: var(--block-background-fill);
  padding: .9rem 1rem !important; }
.placeholder { margin: 0; }
.remark { margin: .2rem 0; font-size: .875rem; font-weight: 600; }
.prose .remark, .prose .remark * { color: var(--remark); }
.bars .decided { font-size: 1.5rem; font-weight: 650; margin: 0 0 .4rem; }
.bars .unsure { opacity: .6; font-style: italic; }
.bars { display: grid; grid-template-columns: minmax(4rem, auto) 1fr minmax(3.6rem, auto);
  column-gap: .7rem; } .bars > * { grid-column: 1 / -1; }
.bar { display: grid; grid-template-columns: subgrid; gap: .7rem;
  align-items: center; margin: .3rem 0; color: var(--body-text-color-subdued); }
.bar.said-it { font-weight: 600; }
.track { position: relative; height: 1rem; border-radius: .3rem;
  background: var(--background-fill-secondary); }
.share { position: absolute; inset: 0 auto 0 0; border-radius: .3rem; min-width: 2px;
  background: color-mix(in srgb, var(--color-accent) 45%, transparent); }
.said-it .share { background: var(--color-accent); }
.threshold { position: absolute; top: -.3rem; bottom: -.3rem; width: 3px; margin-left: -1.5px;
  background: var(--line); border-radius: 2px; outline: 1px solid var(--block-background-fill); }
.value { text-align: right; font-variant-numeric: tabular-nums; }
.mattered { margin: .8rem 0; line-height: 1.75; overflow-wrap: anywhere; }
.mattered .title { font-weight: 600; margin: 0; font-size: .9rem; }
.mattered p { margin: 0 0 .2rem; white-space: pre-wrap; }
.for, .against { border-radius: .2rem; padding: .1em .15em; }
.for { background: color-mix(in srgb, var(--good) calc(var(--strength) * var(--tint)), transparent); }
.against { text-decoration: underline dotted var(--bad) 2px; text-underline-offset: .2em;
  background: color-mix(in srgb, var(--bad) calc(var(--strength) * var(--tint)), transparent); }
.tokens { line-height: 2; overflow-wrap: anywhere; margin: 0; }
.block:has(.tokens), .block:has(.tokens) > * { overflow: visible !important; }
.token { position: relative; padding: .15em 0; border-right: 1px solid var(--block-border-color);
  background: color-mix(in srgb, var(--color-accent) calc(var(--share) * var(--tint)), transparent);
  cursor: default; }
.instead { display: none; grid-template-columns: auto auto; column-gap: 1rem;
  position: absolute; z-index: 20; left: 0; top: 1.9em; padding: .4rem .7rem;
  border-radius: .4rem; background: var(--body-text-color); color: var(--body-background-fill);
  line-height: 1.5; white-space: nowrap; }
.prose .instead * { color: var(--body-background-fill); }
.instead b { text-align: right; font-variant-numeric: tabular-nums; }
.token:hover .instead, .token:focus .instead { display: grid; }
button.gallery-item { text-align: left; }
.block.passage:not(:has(.prose > *)) { display: none; }
.block.passage { border: 1px solid var(--block-border-color) !important; border-radius: var(--block-radius);
  background: var(--block-background-fill); padding: .9rem 1rem !important; }
.passage p { margin: 0; max-height: 24rem; overflow-y: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; line-height: 1.6; }
.passage mark { padding: .1em .2em; border-radius: .2em; color: inherit;
  background: color-mix(in srgb, var(--line) 38%, transparent); }
.passage .unread { opacity: .6; font-style: italic; }
.low { align-items: flex-end; }
@media (max-width: 640px) {
  .ask { flex-direction: column; } .ask > .column:first-child { display: contents; }
  .ask > *, .ask > .column:first-child > * { flex: none; width: 100%; }
  .ask > .column:nth-child(2) { order: 1; } .ask .samples { order: 2; }
  .columns .form { flex-direction: column; }
  .switches { justify-content: flex-start; } .wrap-inner { padding: 6px 2px !important; }
  .tab-container button[role=tab] { padding: 0 .55rem; }
  .who .secondary-wrap input { font-size: .85rem; }
  .chip { border-radius: .5rem; font-size: .76rem; }
  .bar.wide { grid-template-columns: 1fr auto; row-gap: .2rem; margin: .6rem 0; }
  .bar.wide .track { grid-area: 2 / 1 / 3 / 3; }
  .summary svg text { font-size: 20px; }
  .prose .summary td:nth-child(-n+2) { width: 1%; }
}
"""


_SHADES = {
    "body_background_fill": "#f6f5f1",
    "body_background_fill_dark": "#14181a",
    "background_fill_primary": "#ffffff",
    "background_fill_primary_dark": "#1b2023",
    "background_fill_secondary": "#efede7",
    "background_fill_secondary_dark": "#252b2f",
    "block_background_fill": "#ffffff",
    "block_background_fill_dark": "#1b2023",
    "block_border_width": "1px",
    "block_border_color": "#e2dfd6",
    "block_border_color_dark": "#31393d",
    "border_color_primary": "#dedad0",
    "border_color_primary_dark": "#384146",
    "block_shadow": "none",
    "block_label_background_fill": "transparent",
    "block_label_background_fill_dark": "transparent",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_title_text_weight": "600",
    "input_background_fill": "#ffffff",
    "input_background_fill_dark": "#14181a",
    "input_border_color": "#cfcabd",
    "input_border_color_dark": "#465056",
    "input_border_width": "1px",
    "input_border_color_focus": "*primary_600",
    "body_text_color": "#1d2426",
    "body_text_color_dark": "#e8e9e6",
    "body_text_color_subdued": "#5a6064",
    "body_text_color_subdued_dark": "#a5adb0",
    "block_info_text_color": "#5a6064",
    "block_info_text_color_dark": "#a5adb0",
    "link_text_color": "#0e6262",
    "link_text_color_dark": "#4fc0b5",
    "link_text_color_hover": "#0a4d4d",
    "link_text_color_hover_dark": "#7ad4cb",
    "table_odd_background_fill": "#f6f5f1",
    "table_odd_background_fill_dark": "#252b2f",
    "table_even_background_fill_dark": "#1b2023",
    "color_accent": "#0e6262",
    "color_accent_soft_dark": "#134543",
    "border_color_accent_subdued_dark": "#1f6663",
    "button_primary_background_fill": "#0e6262",
    "button_primary_background_fill_dark": "#11706f",
    "button_primary_background_fill_hover": "#0a4d4d",
    "button_primary_background_fill_hover_dark": "#178584",
    "button_primary_text_color": "#ffffff",
    "button_primary_text_color_dark": "#ffffff",
    "button_secondary_background_fill": "#ebe8e0",
    "button_secondary_background_fill_dark": "#2d3438",
    "button_secondary_background_fill_hover": "#dfdbd0",
    "button_secondary_background_fill_hover_dark": "#3a4347",
    "button_secondary_text_color": "#1d2426",
    "button_secondary_text_color_dark": "#e8e9e6",
    "checkbox_label_background_fill_selected": "*primary_100",
    "checkbox_label_background_fill_selected_dark": "#134543",
    "checkbox_background_color_selected": "#0e6262",
    "checkbox_background_color_selected_dark": "#178584",
    "checkbox_label_text_color_selected": "#1d2426",
    "checkbox_label_text_color_selected_dark": "#e8e9e6",
    "slider_color": "#0e6262",
    "slider_color_dark": "#4fc0b5",
}
"""Of gradio's parts, in light and in dark; those that stay readable (WCAG 2.2, 1.4.3)."""


def theme() -> gr.themes.Base:
    """Calm and local."""
    colours = gr.themes.colors
    return gr.themes.Base(
        primary_hue=colours.teal,
        secondary_hue=colours.teal,
        neutral_hue=colours.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(**_SHADES)
