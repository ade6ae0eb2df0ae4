"""How the pages look: the fonts and colours of the reader's own system, nothing fetched."""

from __future__ import annotations

from demos.door import gr

_SANS = (
    "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans",
    "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif",
)  # fmt: skip
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

CSS = """
.gradio-container { width: 100% !important; min-width: 0 !important; }
.gradio-container > .main { width: 100%; min-width: 0; max-width: 1104px !important;
  margin: 0 auto; }
.dark { --color-accent: var(--primary-400); }
.block.masthead > .html-container, .block.heading > .html-container,
  .block.note > .html-container { padding: 0; }
.masthead h1 { font-size: 1.75rem; font-weight: 650; margin: 0 0 .1rem; }
.masthead p { margin: 0; }
.about { margin: .2rem 0 .25rem; font-size: 1.05rem; }
.quiet { margin: 0 0 .25rem; color: var(--body-text-color-subdued); font-size: .9rem; }
.quiet b { color: var(--body-text-color); font-weight: 600; }
.quiet summary { cursor: pointer; width: fit-content; }
.quiet table { margin: .5rem 0; border-collapse: collapse; }
.quiet th, .quiet td { padding: .15rem 1.25rem .15rem 0; text-align: left; font-weight: 400; }
.quiet td + td { font-variant-numeric: tabular-nums; }
.problem { margin: .5rem 0; padding: .75rem 1rem; border-left: 3px solid var(--color-accent);
  background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.note p { margin: 0; color: var(--body-text-color-subdued); font-size: .9rem; }
.passage p { margin: 0; max-height: 24rem; overflow-y: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; line-height: 1.6; }
.passage mark { padding: .1em .2em; border-radius: .2em; color: inherit;
  background: color-mix(in srgb, var(--color-accent) 28%, transparent); }
.passage .unread { opacity: .6; font-style: italic; }
footer .divider { display: none; }
"""


def theme() -> gr.themes.Base:
    """Calm and local; the shades are those that stay readable (WCAG 2.2, 1.4.3)."""
    colours = gr.themes.colors
    return gr.themes.Default(
        primary_hue=colours.teal,
        secondary_hue=colours.teal,
        neutral_hue=colours.slate,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )
