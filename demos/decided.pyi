"""A label as the operating point decides it, with every probability below."""

from __future__ import annotations

from typing import Any

from core.application import Prediction
from demos.door import gr

class Decided(gr.Label):
    """gradio's own component heads the bars with the likeliest label, whatever a threshold says."""

    is_template = True
    """It is drawn as the component that it inherits from."""

    def postprocess(self, value: Any) -> Any:
        """Of what `shown` gives: the same bars, under the label that was decided."""
        if not isinstance(value, dict) or "decided" not in value:
            return super().postprocess(value)
        drawn: Any = super().postprocess(value["shares"])
        return drawn.model_copy(update={"label": value["decided"]})
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

def shown(found: Prediction) -> dict[str, Any]:
    """What the component takes: the answer, and the probabilities of all labels."""
    return {"decided": found.text, "shares": found.probabilities}
