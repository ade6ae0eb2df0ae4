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
};
window.quintet_begin = () => {
  let kept = null;
  try { kept = localStorage.getItem('quintet-language'); } catch {}
  return kept || (navigator.language.startsWith('zh') ? 'zh' : 'en');
};
document.documentElement.lang = window.quintet_begin();
</script>
<style>
html[lang=zh] .said[lang=en], html:not([lang=zh]) .said[lang=zh] { display: none; }
</style>"""

CSS = """
.gradio-container { width: 100% !important; min-width: 0 !important;
  --good: #0b7a5c; --bad: #b3402a; --line: #c4780f; --soft: rgba(14, 98, 98, .12); }
.dark { --color-accent: #4fc0b5; --good: #4cc79d; --bad: #f0836a; --line: #f0b04a;
  --soft: rgba(79, 192, 181, .16); }
.gradio-container > .main { width: 100%; min-width: 0; max-width: 1120px !important;
  margin: 0 auto; }
.bare, .bare > .html-container { padding: 0 !important; }
.masthead { align-items: start; padding-bottom: .4rem; }
.masthead h1 { font-size: 1.9rem; font-weight: 680; letter-spacing: -.02em; margin: 0; }
.masthead p { margin: 0; }
.switches { justify-content: flex-end; align-items: center; flex-wrap: nowrap; gap: .5rem; }
.about { margin: .15rem 0 .25rem; font-size: 1.05rem; }
.quiet { margin: 0 0 .25rem; color: var(--body-text-color-subdued); font-size: .875rem; }
.quiet b { color: var(--body-text-color); font-weight: 600; }
.problem { margin: .4rem 0; padding: .7rem 1rem; border-left: 3px solid var(--bad);
  border-radius: .25rem; background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.pills .wrap { gap: .25rem; flex-wrap: nowrap; }
.pills label { padding: .2rem .6rem; white-space: nowrap; }
.tab-container button[role=tab] { font-size: .95rem; padding: 0 .8rem; }
.tab-container button[role=tab].selected { font-weight: 600; }
:focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 1px; }
footer .divider { display: none; }
@media (max-width: 640px) {
  .switches { justify-content: flex-start; }
  .tab-container button[role=tab] { padding: 0 .55rem; }
}
"""


def theme() -> gr.themes.Base:
    """Calm and local; the shades are those that stay readable (WCAG 2.2, 1.4.3)."""
    colours = gr.themes.colors
    return gr.themes.Base(
        primary_hue=colours.teal,
        secondary_hue=colours.teal,
        neutral_hue=colours.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="#f6f5f1",
        body_background_fill_dark="#14181a",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1b2023",
        background_fill_secondary="#efede7",
        background_fill_secondary_dark="#252b2f",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1b2023",
        block_border_width="1px",
        block_border_color="#e2dfd6",
        block_border_color_dark="#31393d",
        border_color_primary="#dedad0",
        border_color_primary_dark="#384146",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_weight="600",
        input_background_fill="#ffffff",
        input_background_fill_dark="#14181a",
        input_border_color="#cfcabd",
        input_border_color_dark="#465056",
        input_border_width="1px",
        input_border_color_focus="*primary_600",
        body_text_color="#1d2426",
        body_text_color_dark="#e8e9e6",
        body_text_color_subdued="#5a6064",
        body_text_color_subdued_dark="#a5adb0",
        block_info_text_color="#5a6064",
        block_info_text_color_dark="#a5adb0",
        color_accent="#0e6262",
        button_primary_background_fill="#0e6262",
        button_primary_background_fill_dark="#11706f",
        button_primary_background_fill_hover="#0a4d4d",
        button_primary_background_fill_hover_dark="#178584",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ebe8e0",
        button_secondary_background_fill_dark="#2d3438",
        button_secondary_background_fill_hover="#dfdbd0",
        button_secondary_background_fill_hover_dark="#3a4347",
        button_secondary_text_color="#1d2426",
        button_secondary_text_color_dark="#e8e9e6",
        checkbox_label_background_fill_selected="*primary_100",
        checkbox_label_background_fill_selected_dark="#134543",
        checkbox_background_color_selected="#0e6262",
        checkbox_background_color_selected_dark="#178584",
        checkbox_label_text_color_selected="#1d2426",
        checkbox_label_text_color_selected_dark="#e8e9e6",
        slider_color="#0e6262",
        slider_color_dark="#4fc0b5",
    )
