"""What a program may say beside the fields: who answers, and how; what a page has controls for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.application import one_line
from core.engine.sampling import Greedy, Sample, Sampling
from core.errors import BadSetting
from demos.tasks.asking import SERVED, Writing


class Options(BaseModel):
    """As they come in JSON; without a temperature, the likeliest token is taken."""

    model_config = ConfigDict(extra="forbid", strict=True)

    backbone: str = ""
    """Empty: the one that the pages were opened with."""
    adapter: str = SERVED
    """'task@version', 'bare', or the one that the page is named after."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    max_new_tokens: int | None = None
    stop: list[str] = []

    @property
    def writing(self) -> Writing:
        """`BadSetting` where a value is out of its range, or draws without a temperature."""
        return Writing(
            sampling=self._sampling(),
            max_new_tokens=self.max_new_tokens,
            stop=tuple(self.stop),
        )

    def _sampling(self) -> Sampling:
        names = ("temperature", "top_p", "top_k", "repetition_penalty", "seed")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if given and self.temperature is None:
            raise BadSetting(f"{next(iter(given))!r} has no effect without 'temperature'.")
        return Sample(**given) if given else Greedy()


def read(given: Mapping[str, Any]) -> Options:
    """`BadSetting` in one line where a key is unknown or a value of another kind."""
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        raise BadSetting(one_line(error)) from error


def written(writing: Writing, *, backbone: str = "", adapter: str = SERVED) -> dict[str, Any]:
    """The same request as a program writes it: `read` makes `writing` of it again."""
    drawn = asdict(writing.sampling) if isinstance(writing.sampling, Sample) else {}
    given = {
        "backbone": backbone,
        "adapter": "" if adapter == SERVED else adapter,
        **drawn,
        "max_new_tokens": writing.max_new_tokens,
        "stop": list(writing.stop),
    }
    return {name: value for name, value in given.items() if value not in ("", None, [])}
