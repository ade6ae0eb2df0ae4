"""The engine: a backbone and its adapters behind one lock. It ranks, writes and weighs."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from core.adapters.lora import AdapterStack
from core.engine.prompting import Encoded
from core.engine.sampling import Greedy, Sampling, check_length, choose, generators
from core.engine.sequences import Allowed, Handle, Request, Told
from core.errors import BadInput, Damaged

if TYPE_CHECKING:
    from torch import Tensor

    from core.backbone import Backbone


class Engine:
    """Safe to call from many threads; each call sees its own adapter and no other."""

    def __init__(self, backbone: Backbone, adapters: AdapterStack | None = None) -> None:
        self.backbone = backbone
        self.adapters = adapters or AdapterStack(backbone)
        self._lock = threading.RLock()
        self._takes = frozenset(inspect.signature(backbone.model.forward).parameters)
        self._ends = _end_tokens(backbone)

    def submit(self, request: Request, told: Told | None = None) -> Handle:
        """Take the request; the answer comes on the handle. `Overloaded` where too many wait."""
        handle = Handle(request, told)
        threading.Thread(target=self._answer, args=(handle,), daemon=True).start()
        return handle

    def submit_all(self, requests: Sequence[Request]) -> list[Handle]:
        """Take all of them, waiting until there is room."""
        return [self.submit(request) for request in requests]

    def _answer(self, handle: Handle) -> None:
        request = handle.request
        try:
            if request.marks:
                found = self.rank(request.adapter, [list(request.prompt)], request.marks)[0]
                handle.update(probabilities=tuple(found.tolist()), finish="stop")
            elif request.targets:
                row = Encoded([*request.prompt, *request.targets], len(request.prompt))
                nats = self.log_likelihood(request.adapter, [row])[0]
                handle.update(nats=nats, finish="stop")
            else:
                self._write_one(handle)
        except BaseException as error:
            handle.update(error=error)

    def _write_one(self, handle: Handle) -> None:
        request = handle.request
        ids: list[int] = []
        for ids in self.stream(
            request.adapter,
            list(request.prompt),
            max_new_tokens=request.max_new_tokens,
            sampling=request.sampling,
            allowed=request.allowed,
        ):
            handle.update(ids=list(ids), computed=len(ids))
            if handle.cancelled:
                handle.update(finish="cancelled")
                return
        cut = len(ids) == request.max_new_tokens
        handle.update(finish="length" if cut else "stop")

    def rank(
        self, adapter: str | None, prompts: Sequence[list[int]], marks: Sequence[int]
    ) -> Tensor:
        """Probabilities (prompts, marks) of the marks as next token, summing to 1 over the marks."""
        if not prompts:
            return torch.empty(0, len(marks))
        self._check(prompts, 1)
        ids, mask = self._padded(prompts)
        with self._ready(adapter):
            logits, _ = self._last_logits(ids, mask, None)
            return torch.softmax(logits[:, list(marks)], -1).cpu()

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
        written: list[list[int]] = [[] for _ in prompts]
        with self._ready(adapter):  # held to the end: no other adapter comes in between
            for step in self._steps(
                adapter, prompts, max_new_tokens, sampling or Greedy(), allowed
            ):
                written = step
        return written

    def stream(
        self,
        adapter: str | None,
        prompt: list[int],
        *,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        allowed: Allowed | None = None,
    ) -> Iterator[list[int]]:
        """The new ids so far, after each token.

        Between tokens nothing is held: others are served, and whoever stops listening stops it.
        """
        steps = self._steps(
            adapter, [prompt], max_new_tokens, sampling or Greedy(), [allowed] if allowed else None
        )
        for written in steps:
            yield list(written[0])

    def log_likelihood(self, adapter: str | None, rows: Sequence[Encoded]) -> list[float]:
        """Negative log-likelihood in nats of each row's answer given its prompt."""
        if not rows:
            return []
        self._check([row.input_ids for row in rows], 0)
        ids, mask = self._padded([row.input_ids for row in rows])
        wanted = torch.zeros_like(mask, dtype=torch.bool)
        for place, row in enumerate(rows):
            learned = len(row.input_ids) - row.answer_start
            wanted[place, ids.shape[1] - learned :] = True
        # The logits at t predict the token at t + 1.
        before = torch.roll(wanted, -1, 1)
        with self._ready(adapter):
            logits = self._logits_at(ids, mask, before)
            nats = torch.nn.functional.cross_entropy(logits, ids[wanted], reduction="none")
        counts = [len(row.input_ids) - row.answer_start for row in rows]
        parts: Any = torch.split(nats.cpu().double(), counts)
        return [float(part.sum()) for part in parts]

    def _steps(
        self,
        adapter: str | None,
        prompts: Sequence[list[int]],
        max_new_tokens: int,
        sampling: Sampling,
        allowed: Sequence[Allowed | None] | None,
    ) -> Iterator[list[list[int]]]:
        """What each row has written, after every step; a finished row stays as it is."""
        check_length(max_new_tokens, self.backbone.context)
        self._check(prompts, 1)
        if not prompts:
            return
        room = [min(max_new_tokens, self.backbone.context - len(prompt)) for prompt in prompts]
        written: list[list[int]] = [[] for _ in prompts]
        going = set(range(len(prompts)))
        chance = generators(sampling, len(prompts), self.backbone.device)
        (ids, mask), cache = self._padded(prompts), None
        while going:
            with self._ready(adapter):
                logits, cache = self._last_logits(ids, mask, cache)
                seen = [[*prompt, *new] for prompt, new in zip(prompts, written, strict=True)]
                tokens = choose(
                    _restricted(logits, written, allowed, going), seen, sampling, chance
                )
            for row in tuple(going):
                if tokens[row] in self._ends:
                    going.discard(row)
                    continue
                written[row].append(tokens[row])
                if len(written[row]) == room[row]:
                    going.discard(row)
            ids = torch.tensor(tokens, device=ids.device)[:, None]
            mask = torch.cat([mask, mask.new_ones(len(tokens), 1)], 1)
            yield written

    @contextmanager
    def exclusive(self, adapter: str | None) -> Iterator[Any]:
        """The model with this adapter, for whoever looks inside it; requests wait meanwhile."""
        with self._ready(adapter):
            yield self.adapters.model

    @contextmanager
    def _ready(self, adapter: str | None) -> Iterator[None]:
        """The lock, the adapter, evaluation mode; afterwards the model is as it was."""
        model: Any = self.backbone.model
        with self._lock, self.adapters.use(adapter), torch.inference_mode():
            training = model.training
            try:
                if training:
                    model.eval()
                yield
            finally:
                if training:
                    model.train()

    def _check(self, prompts: Sequence[list[int]], free: int) -> None:
        for prompt in prompts:
            if not prompt or len(prompt) + free > self.backbone.context:
                raise BadInput(
                    f"A prompt of {len(prompt)} tokens does not fit; it must have 1 to "
                    f"{self.backbone.context - free}. Shorten the input."
                )

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Ids and attention mask (rows, longest), padded on the left."""
        longest = max(map(len, rows))
        padding = self.backbone.tokenizer.pad_token_id or 0
        ids = [[padding] * (longest - len(row)) + list(row) for row in rows]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
        device = self.backbone.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _last_logits(self, ids: Tensor, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Logits (rows, vocabulary) after the last of `ids`, and the cache that holds all so far."""
        only: dict[str, Any] = {}
        if "logits_to_keep" in self._takes:
            # As a mask: the hidden states come out as one matrix. As a slice of three dimensions
            # they would be multiplied row by row, each with its own copy of the whole head.
            only["logits_to_keep"] = torch.zeros_like(ids, dtype=torch.bool)
            only["logits_to_keep"][:, -1] = True
        output = self._forward(ids, mask, past_key_values=cache, use_cache=True, **only)
        logits = output.logits if only else output.logits[:, -1]
        logits = logits.reshape(len(ids), -1).float()
        if bool(torch.isnan(logits).any()):
            raise Damaged(
                "The model gives values that are not numbers: its weights are damaged. "
                "Load the backbone and the adapter again, or train anew."
            )
        return logits, output.past_key_values

    def _logits_at(self, ids: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """Logits (places that are true, vocabulary)."""
        if "logits_to_keep" in self._takes:
            kept = self._forward(ids, mask, use_cache=False, logits_to_keep=places).logits
            logits: Tensor = kept.reshape(-1, kept.shape[-1])
        else:
            logits = self._forward(ids, mask, use_cache=False).logits[places]
        return logits.float()

    def _forward(self, ids: Tensor, mask: Tensor, **options: Any) -> Any:
        if "position_ids" in self._takes:
            # Counted without the padding; a finished row beside a longer one stays in the context.
            places = (mask.cumsum(1) - 1).clamp(0, self.backbone.context - 1)
            options["position_ids"] = places[:, -ids.shape[1] :]
        return self.adapters.model(input_ids=ids, attention_mask=mask, **options)


def _end_tokens(backbone: Backbone) -> frozenset[int]:
    """End-of-text of the tokenizer, and what else the model ends with, such as the end of a turn."""
    configured = getattr(backbone.model.generation_config, "eos_token_id", None)
    more = configured if isinstance(configured, list) else [configured]
    return frozenset(
        int(token) for token in (backbone.tokenizer.eos_token_id, *more) if token is not None
    )


def _restricted(
    logits: Tensor,
    written: Sequence[list[int]],
    allowed: Sequence[Allowed | None] | None,
    going: set[int],
) -> Tensor:
    if allowed is None:
        return logits
    logits = logits.clone()
    for row in going:
        rule = allowed[row]
        if rule is not None:
            blocked = torch.ones_like(logits[row], dtype=torch.bool)
            blocked[list(rule(written[row]))] = False
            logits[row].masked_fill_(blocked, float("-inf"))
    return logits
