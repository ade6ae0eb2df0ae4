"""The answers of a page for programs: a route of its name, the fields by name, JSON out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from html import escape
from typing import Any

from core.errors import QuintetError
from core.service import Service
from core.task import Input
from demos.door import gr
from demos.tasks.fields import checked, holds_turns


def route_name(page: str) -> str:
    """'spam' for 'spam', 'spam_2' for 'spam@2': what `gradio_client` calls."""
    return re.sub(r"\W", "_", page)


def route(service: Service, page: str) -> Callable[..., dict[str, Any]]:
    """A function with the fields of the task's input as parameters; a `Prediction` comes back."""
    kind = service.task(page).input
    names = list(kind.model_fields)

    def answer(*values: Any) -> dict[str, Any]:
        try:
            application = service.application(page)
            given = checked(application, dict(zip(names, values, strict=True)))
            return next(application.predict([given])).model_dump()
        except QuintetError as error:
            raise gr.Error(_as_html(error), print_exception=False) from error

    parameters = [_parameter(kind, name) for name in names]
    hints = {parameter.name: parameter.annotation for parameter in parameters}
    signature = inspect.Signature(parameters, return_annotation=dict[str, Any])
    answer.__annotations__ = {**hints, "return": dict[str, Any]}
    vars(answer)["__signature__"] = signature
    return answer


def _parameter(kind: type[Input], name: str) -> inspect.Parameter:
    field = kind.model_fields[name]
    required = inspect.Parameter.empty
    default = required if field.is_required() else field.get_default(call_default_factory=True)
    turns = holds_turns(field)
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=[] if turns else default,
        annotation=list[dict[str, str]] if turns else field.annotation,
    )


def _as_html(error: QuintetError) -> str:
    """Gradio shows messages as HTML; an error may repeat what was typed."""
    return escape(str(error), quote=False)
