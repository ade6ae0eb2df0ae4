"""The engine: a backbone and its adapters behind one thread. It ranks, writes and weighs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core import hardware
from core.adapters.lora import AdapterStack
from core.engine.cache import token_bytes
from core.engine.forward import Forward
from core.engine.prompting import Encoded
from core.engine.row import Row
from core.engine.sampling import Greedy, Sampling, check_length
from core.engine.scheduler import Limits, Scheduler
from core.engine.sequences import Allowed, Handle, Request, Told, Written
from core.engine.worker import Worker
from core.errors import BadInput, BadSetting, QuintetError

if TYPE_CHECKING:
    from torch import Tensor

    from core.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy an engine is."""

    waiting: int
    """Requests whose prompts nobody has begun to read."""
    writing: int
    """Rows in the batch."""
    cache_bytes: int
    """Allocated for keys and values."""


class Engine:
    """Safe to call from many threads; rows of different adapters share its forward passes.

    Its thread starts with the first request and ends with `close`, or when nobody holds the engine.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapters: AdapterStack | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.backbone = backbone
        self.adapters = adapters or AdapterStack(backbone)
        self.limits = limits or Limits()
        forward = Forward(backbone, self.adapters)
        self._scheduler = Scheduler(forward, _end_tokens(backbone), self.limits)
        self._worker = Worker(self._scheduler, self.adapters)
        self._finalizer = weakref.finalize(self, self._worker.stop)

    def close(self) -> None:
        """Requests on their way fail with `Closed`; the thread ends."""
        self._worker.join()

    def warm(self) -> None:
        """Write, and read, so that nothing is compiled or laid out when the first request comes."""
        with suppress(QuintetError):  # of a model that cannot write
            self.write(None, [[0]], max_new_tokens=2)
            for name in self.adapters.names[:1]:
                self.write(name, [[0, 0, 0]], max_new_tokens=2)
        hardware.return_memory()

    def forget(self) -> None:
        """Empty the prefix cache, once the step that runs now is over."""
        with self.adapters.routing.turns.change():
            self._scheduler.prefixes.retain(())

    @property
    def load(self) -> Load:
        """How busy it is now."""
        return Load(
            waiting=self._worker.waiting,
            writing=self._scheduler.writing,
            cache_bytes=self._scheduler.cache_bytes,
        )

    @property
    def cache_limit(self) -> int:
        """The most bytes that keys and values may take."""
        return token_bytes(self.backbone.model) * self._scheduler.cache_tokens

    def submit(self, request: Request, told: Told | None = None) -> Handle:
        """Take a request; its answer comes on the handle. `Overloaded` where too many wait.

        Raises `BadInput`, `BadSetting` and `MissingAdapter` for what cannot be answered.
        """
        return self._put([request], told, wait=False)[0]

    def submit_all(self, requests: Sequence[Request]) -> list[Handle]:
        """Take all requests at once, waiting until there is room for them."""
        return self._put(requests, None, wait=True) if requests else []

    def rank(
        self, adapter: str | None, prompts: Sequence[list[int]], label_tokens: Sequence[int]
    ) -> Tensor:
        """Probabilities (prompts, labels) of the label tokens as next token, summing to 1 over them."""
        requests = [
            Request(prompt=tuple(prompt), adapter=adapter, label_tokens=tuple(label_tokens))
            for prompt in prompts
        ]
        rows = [written.probabilities for written in self._answers(requests)]
        return torch.tensor(rows).reshape(len(prompts), len(label_tokens))

    def write(
        self,
        adapter: str | None,
        prompts: Sequence[list[int]],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        allowed: Sequence[Allowed | None] | None = None,
    ) -> list[list[int]]:
        """The new ids of each prompt, without end-of-text."""
        requests = [
            Request(
                prompt=tuple(prompt),
                adapter=adapter,
                max_new_tokens=max_new_tokens,
                sampling=sampling or Greedy(),
                allowed=rule,
            )
            for prompt, rule in zip(prompts, allowed or [None] * len(prompts), strict=True)
        ]
        return [list(written.ids) for written in self._answers(requests)]

    def stream(
        self,
        adapter: str | None,
        prompt: list[int],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        allowed: Allowed | None = None,
    ) -> Iterator[list[int]]:
        """The new ids so far, after each token; whoever stops listening stops it."""
        request = Request(
            prompt=tuple(prompt),
            adapter=adapter,
            max_new_tokens=max_new_tokens,
            sampling=sampling or Greedy(),
            allowed=allowed,
        )
        with _cancelled_after(self.submit_all([request])) as handles:
            seen = 0
            for written in handles[0]:
                if len(written.ids) > seen:
                    seen = len(written.ids)
                    yield list(written.ids)

    @contextmanager
    def exclusive(self, adapter: str | None) -> Iterator[Any]:
        """The model with this adapter, for whoever looks inside it; requests wait meanwhile."""
        model: Any = self.backbone.model
        with (
            self.adapters.routing.turns.change(),
            self.adapters.use(adapter) as found,
            torch.inference_mode(),
        ):
            training = model.training
            model.eval()
            try:
                yield found
            finally:
                model.train(training)

    def log_likelihood(self, adapter: str | None, rows: Sequence[Encoded]) -> list[float]:
        """Negative log-likelihood in nats of each row's answer given its prompt."""
        requests = [
            Request(
                prompt=tuple(row.input_ids[: row.answer_start]),
                adapter=adapter,
                targets=tuple(row.input_ids[row.answer_start :]),
            )
            for row in rows
        ]
        return [written.nats for written in self._answers(requests)]

    def _answers(self, requests: Sequence[Request]) -> list[Written]:
        with _cancelled_after(self.submit_all(requests)) as handles:
            return [handle.result() for handle in handles]

    def _put(self, requests: Sequence[Request], told: Told | None, *, wait: bool) -> list[Handle]:
        for request in requests:
            self._check(request)
        rows: list[Row] = []
        try:
            for request in requests:
                key = self.adapters.hold(request.adapter)
                handle = Handle(request, told, owner=self)
                group = self.adapters.routing.group(key)
                rows.append(Row(handle, key, group, self.backbone.context))
            self._worker.put(rows, wait=wait)
        except BaseException:
            for row in rows:
                self.adapters.release(row.key)
            raise
        return [row.handle for row in rows]

    def _check(self, request: Request) -> None:
        writes = not request.label_tokens and not request.targets
        length, context = len(request.prompt) + len(request.targets), self.backbone.context
        if writes:
            check_length(request.max_new_tokens, context)
        most = context if request.targets else context - 1
        if not request.prompt or length > most:
            raise BadInput(
                f"A prompt of {length} tokens does not fit; it must have 1 to {most}. "
                "Shorten the input."
            )
        size = self.backbone.model.config.get_text_config().vocab_size
        for token in (*request.prompt, *request.targets, *request.label_tokens):
            if not 0 <= token < size:
                raise BadInput(f"{token} is no token; tokens are from 0 to {size - 1}.")
        if not all(request.stop):
            raise BadSetting("A stop is empty; it must be a text.")
        if request.logprobs is not None and not 0 <= request.logprobs <= size:
            raise BadSetting(f"logprobs is {request.logprobs}; it must be from 0 to {size}.")


@contextmanager
def _cancelled_after(handles: Sequence[Handle]) -> Iterator[Sequence[Handle]]:
    """Whoever leaves the block early wants none of the answers any more."""
    try:
        yield handles
    finally:
        for handle in handles:
            handle.cancel()


def _end_tokens(backbone: Backbone) -> frozenset[int]:
    """End-of-text of the tokenizer, and what else the model ends with, such as the end of a turn."""
    configured = getattr(backbone.model.generation_config, "eos_token_id", None)
    more = configured if isinstance(configured, list) else [configured]
    return frozenset(
        int(token) for token in (backbone.tokenizer.eos_token_id, *more) if token is not None
    )
