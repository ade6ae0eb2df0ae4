"""What every page stands in: the masthead, the language, the backbone, light and dark.

A tab of its own plugs in here: a module with `TAB = Tab(name=…, title=Said(…), draw=…)`, named in
`pages.TABS`. Its `draw(frame)` is called inside the tab, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.errors import QuintetError
from core.service import Service
from demos import words
from demos.door import gr
from demos.naming import Naming
from demos.problems import problem
from demos.said import Said, Words, html
from demos.services import Services


@dataclass(frozen=True)
class Frame:
    """What a page may use of its surroundings."""

    services: Services
    language: gr.Radio
    """Its value is 'en' or 'zh': an input of events that need to know."""
    backbone: gr.Dropdown
    """Its value is the name of the chosen backbone: pass it to `services.of`."""
    switched: Any
    """Comes after another backbone was chosen and loaded: `switched.then(…)`."""
    naming: Naming
    words: Words = field(default_factory=Words)

    def say(self, component: Any, **said: Any) -> Any:
        """Let the words of a component follow the language; see `Words.say`."""
        return self.words.say(component, **said)

    @property
    def service(self) -> Service:
        """The one that the pages were opened with."""
        return self.services.first


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A page beside those of the tasks."""

    name: str
    """Of its element in the page; never shown."""
    title: Said
    draw: Callable[[Frame], None]


def frame(blocks: gr.Blocks, services: Services, naming: Naming) -> Frame:
    """Draw the masthead here; what is drawn afterwards stands below it."""
    words_said = Words()
    with gr.Row(elem_classes="masthead", equal_height=False):
        with gr.Column(scale=5, min_width=260):
            gr.HTML(_title(), elem_classes="bare")
            about = gr.HTML(_about(services, services.names[0]), elem_classes="bare")
        with gr.Column(scale=3, min_width=260):
            with gr.Row(elem_classes="switches"):
                language = gr.Radio(
                    [("English", "en"), ("中文", "zh")], value="en", label="Language · 语言",
                    container=False, min_width=160, scale=3, elem_classes="pills", elem_id="language",
                )  # fmt: skip
                shade = gr.Button(size="sm", min_width=90, scale=2, elem_id="shade")
                words_said.say(shade, value=words.SHADE)
            backbone = gr.Dropdown(
                list(services.names), value=services.names[0], elem_id="backbone", filterable=False
            )
            words_said.say(backbone, label=words.BACKBONE)
    shade.click(None, None, None, js=_SHADE, api_visibility="private")
    switched = _switching(services, backbone, about)
    blocks.load(None, None, language, js=_LANGUAGE_OF_BROWSER, api_visibility="private")
    return Frame(services, language, backbone, switched, naming, words_said)


def _switching(services: Services, backbone: gr.Dropdown, about: gr.HTML) -> Any:
    """Load what is chosen before it is asked, and say what it is; the event of its end."""

    def waiting(name: str) -> str:
        return _about(services, name) if services.is_open(name) else html(words.LOADING, "p")

    def opened(name: str) -> str:
        try:
            services.of(name)
        except QuintetError as error:
            return problem(error)
        return _about(services, name)

    private: Any = {"show_progress": "hidden", "api_visibility": "private"}
    chosen = backbone.input(
        waiting, backbone, about, queue=False, trigger_mode="always_last", **private
    )
    return chosen.then(opened, backbone, about, **private)


def _title() -> str:
    return f"<h1>Quintet</h1>{html(words.ABOUT, 'p', class_='about')}"


def _about(services: Services, name: str) -> str:
    backbone = services.of(name).engine.backbone
    facts = words.BACKBONE_FACTS.filled(
        name=backbone.name,
        millions=f"{backbone.size / 1e6:.1f}",
        count=f"{backbone.size / 1e8:.2f} 亿"
        if backbone.size > _YI
        else f"{backbone.size / 1e4:.0f} 万",
        context=f"{backbone.context:,}",
    )
    return html(facts, "p", class_="quiet", role="status")


_YI = 1e8
"""Chinese counts in ten thousands, and from here on in hundreds of millions."""
_SHADE = "() => window.quintet_shade()"
_LANGUAGE_OF_BROWSER = "() => window.quintet_begin()"
