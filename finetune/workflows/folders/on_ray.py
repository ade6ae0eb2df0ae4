"""The parts of a folder on Ray: each actor holds one engine; a killed actor's part is gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from core.errors import BadSetting, QuintetError
from finetune.workflows.folders import parts
from finetune.workflows.folders.parts import Options, Part

if TYPE_CHECKING:
    from finetune.workflows.folders.predict_folder import Opener


class Answerer:
    """What an actor is: an application of its own."""

    def __init__(self, opener: Opener) -> None:
        self._application = opener()

    def answer(self, part: Part, options: Options) -> str:
        """Answer a part; what went wrong in it as one line, or nothing."""
        try:
            parts.answer(self._application, part, options)
        except QuintetError as error:
            return str(error)
        return ""


def answer_all(
    opener: Opener,
    found: list[Part],
    options: Options,
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    """Every part by whichever actor is free; raises `BadSetting` for the first that fails.

    A part's answers so far lie on a disk that all actors share, so whoever takes it up after an
    actor was killed goes on there: no row is lost, and none is answered twice.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is told to anybody
    import ray
    import ray.util

    own = not ray.is_initialized()
    if own:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        kind = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Answerer)
        actors = [kind.remote(opener) for _ in range(min(workers, len(found)))]
        pool = ray.util.ActorPool(actors)
        answered = pool.map_unordered(lambda actor, part: actor.answer.remote(part, options), found)
        for number, problem in enumerate(answered, 1):
            if problem:
                raise BadSetting(problem)
            progress(number, len(found))
    finally:
        if own:
            ray.shutdown()


def must_be_installed() -> None:
    """`BadSetting` where Ray is not; it is not imported for that."""
    if find_spec("ray") is None:
        raise BadSetting("Ray is not installed. Install it: pip install 'quintet[ray]'")
