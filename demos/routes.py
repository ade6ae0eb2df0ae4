"""The answers of a page for programs: a route of its name, the fields by name, JSON out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from core.errors import QuintetError
from core.task import Input
from demos.door import gr
from demos.services import Services
from demos.tasks.asking import named
from demos.tasks.fields import checked, holds_turns
from demos.tasks.options import read


def route_name(page: str) -> str:
    """'spam' for 'spam', 'spam_2' for 'spam@2': what `gradio_client` calls."""
    return re.sub(r"\W", "_", page)


def options_name(fields: Iterable[str]) -> str:
    """What the last parameter is called: 'options', unless a field is."""
    return "options_" if "options" in fields else "options"


def route(services: Services, page: str) -> Callable[..., dict[str, Any]]:
    """A function of the fields of the task's input, and of `Options`; a `Prediction` comes back."""
    kind = services.first.task(page).input
    names = list(kind.model_fields)

    def answer(*values: Any) -> dict[str, Any]:
        *shown, more = values
        try:
            return _answer(services, page, dict(zip(names, shown, strict=True)), more or {})
        except QuintetError as error:
            raise gr.Error(_as_html(error), print_exception=False) from error

    options = inspect.Parameter(
        options_name(names),
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default={},
        annotation=dict[str, Any],
    )
    parameters = [*(_parameter(kind, name) for name in names), options]
    hints = {parameter.name: parameter.annotation for parameter in parameters}
    signature = inspect.Signature(parameters, return_annotation=dict[str, Any])
    answer.__annotations__ = {**hints, "return": dict[str, Any]}
    vars(answer)["__signature__"] = signature
    return answer


def _answer(services: Services, page: str, fields: dict[str, Any], more: Any) -> dict[str, Any]:
    options = read(more)
    service = services.of(options.backbone)
    application = named(service, page, options.adapter).application(service, page)
    given, how = checked(application, fields), options.writing
    pending = application.submit(
        given, how.sampling, max_new_tokens=how.max_new_tokens, stop=how.stop
    )
    return pending.result().model_dump()


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
