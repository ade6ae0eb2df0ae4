"""From raw text to a backbone: `quintet pretrain --data DIR --preset mini`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from core import backbone as backbones
from core import hardware
from core.backbone import Backbone
from core.errors import BadData, BadSetting
from finetune.settings import PretrainSettings
from finetune.training import loop, optimizers, processes
from finetune.training.checkpoint import State
from finetune.training.progress import Progress
from finetune.training.suited import suited

if TYPE_CHECKING:
    from finetune.data.corpus import Corpus

_VALIDATION_WINDOWS = 48


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Sequences of `length` + 1 tokens cut from the packed ids, in a new order each epoch."""

    ids: Any
    length: int
    rows: int
    seed: int
    _known: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict, repr=False)

    @property
    def per_epoch(self) -> int:
        """Steps of one pass over the corpus."""
        return int((len(self.ids) - 1) // self.length // self.rows)

    def at(self, step: int) -> Tensor:
        """The ids of a step, (rows, length + 1); cut at another offset each epoch."""
        epoch, place = divmod(step, self.per_epoch)
        starts = self.starts(epoch)[place * self.rows : (place + 1) * self.rows]
        rows = [np.asarray(self.ids[s : s + self.length + 1], dtype=np.int64) for s in starts]
        return torch.from_numpy(np.stack(rows))

    def starts(self, epoch: int) -> npt.NDArray[np.int64]:
        """Where the sequences of a pass begin, in their order; the last pass asked for is kept."""
        if epoch not in self._known:
            generator = np.random.default_rng([self.seed, epoch])
            spare = len(self.ids) - 1 - self.per_epoch * self.rows * self.length
            offset = int(generator.integers(min(self.length, spare + 1))) if epoch else 0
            order = generator.permutation((len(self.ids) - 1 - offset) // self.length)
            self._known.clear()
            self._known[epoch] = order * self.length + offset
        return self._known[epoch]


def flops_per_token(backbone: Backbone, length: int) -> float:
    """Training FLOPs: 6 per weight that multiplies, and attention (Chowdhery et al. 2022, app. B)."""
    model, configuration = backbone.model, backbone.model.config
    weights = sum(p.numel() for n, p in model.named_parameters() if "embed" not in n)
    weights += configuration.vocab_size * configuration.hidden_size  # the head, tied or not
    attention = 12 * configuration.num_hidden_layers * configuration.hidden_size * length
    return 6.0 * weights + attention


def next_token_loss(model: nn.Module, ids: Tensor) -> tuple[Tensor, int, int]:
    """Summed nats of every token after the first, of (rows, length + 1) ids."""
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    target = ids[:, 1:]
    loss = functional.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="sum")
    return loss, target.numel(), target.numel()


@torch.inference_mode()
def bits_per_byte(
    backbone: Backbone, corpus: Corpus, length: int, *, windows: int = _VALIDATION_WINDOWS
) -> dict[str, float]:
    """Loss in nats per token, and bits per byte of each language, on held-out text."""
    model, found, nats_all, tokens_all = backbone.model, {}, 0.0, 0
    training = model.training
    model.eval()
    for language, ids in corpus.validation.items():
        nats, tokens = 0.0, 0
        for start in _spread(len(ids), length, windows):
            piece = torch.from_numpy(np.asarray(ids[start : start + length + 1], dtype=np.int64))
            loss, count, _ = next_token_loss(model, piece[None].to(backbone.device))
            nats, tokens = nats + float(loss), tokens + count
        bytes_ = corpus.validation_bytes[language] * tokens / len(ids)
        found[f"bits_per_byte_{language}"] = nats / math.log(2) / bytes_
        nats_all, tokens_all = nats_all + nats, tokens_all + tokens
    model.train(training)
    return {"validation_loss": nats_all / tokens_all, **found}


def _spread(tokens: int, length: int, windows: int) -> list[int]:
    """Starts of at most `windows` windows, evenly over the held-out ids."""
    all_starts = list(range(0, max(tokens - 1, 1), length))
    stride = max(1, len(all_starts) // windows)
    return all_starts[::stride][:windows]


def share(ids: Tensor, rank: int, world: int) -> Tensor:
    """The sequences that one of several processes reads."""
    if len(ids) < world:
        raise BadSetting(
            f"{len(ids)} sequences a step are too few for {world} processes. "
            f"Set --per-device-train-batch-size {world} or more."
        )
    return ids[rank::world]


def steps_of(settings: PretrainSettings, windows: Windows) -> int:
    """Optimizer steps of the run."""
    if settings.max_steps > 0:
        return settings.max_steps
    micro = windows.per_epoch / settings.gradient_accumulation_steps
    return max(1, int(settings.num_train_epochs * micro))


def pretrain(
    backbone: Backbone,
    corpus: Corpus,
    settings: PretrainSettings,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    begun: Callable[[], None] = lambda: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Train every weight; the backbone ends up in `folder/backbone`."""
    length = min(settings.block_size, backbone.context)
    windows = Windows(
        ids=corpus.train,
        length=length,
        rows=settings.per_device_train_batch_size,
        seed=settings.seed,
    )
    if windows.per_epoch < 1:
        raise BadData(
            f"{len(corpus.train)} tokens do not fill one batch of {windows.rows} x {length}. "
            f"Lower --per-device-train-batch-size or --block-size, or give more text."
        )
    module: nn.Module = backbone.model
    module.to(hardware.pick_device(device))
    with suited(backbone, length, compiled=settings.torch_compile):
        state = loop.run(
            _job(backbone, corpus, settings, folder, windows),
            device=device,
            resume=resume,
            begun=begun,
            report=report,
        )
    if processes.first():
        final = backbones.refreshed(backbone)
        backbones.save(final, folder / "backbone", half=settings.save_half)
    return state


def _job(
    backbone: Backbone,
    corpus: Corpus,
    settings: PretrainSettings,
    folder: Path,
    windows: Windows,
) -> loop.Job[Tensor]:
    model, accumulate = backbone.model, settings.gradient_accumulation_steps

    def batches(step: int) -> list[Tensor]:
        place = model.device
        return [windows.at(step * accumulate + n).to(place) for n in range(accumulate)]

    def restore(weights: Mapping[str, Tensor]) -> None:
        model.load_state_dict(dict(weights), strict=False)

    return loop.Job(
        folder=folder,
        model=model,
        settings=settings,
        steps=steps_of(settings, windows),
        optimizers=optimizers.for_pretraining(model, settings),
        batches=batches,
        loss=next_token_loss,
        weights=lambda: dict(model.named_parameters()),
        restore=restore,
        share=share,
        validate=lambda: bits_per_byte(backbone, corpus, windows.length),
        value=lambda metrics: -metrics["validation_loss"],
        flops_per_token=flops_per_token(backbone, windows.length),
        identity={
            "data": corpus.digest,
            "settings": settings.model_dump(
                exclude={"save_steps", "save_total_limit", "save_half"}
            ),
        },
    )
