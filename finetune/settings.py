"""The keys of a run, under the names `TrainingArguments` and PEFT give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.errors import BadSetting, nearest


class Settings(BaseModel):
    """Frozen; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _switch(value: Any) -> Any:
    """YAML reads a bare on and off as truth values."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class LoopSettings(Settings):
    """What the training loop obeys, whatever it trains."""

    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.95, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    max_steps: int = Field(-1, ge=-1)
    """Optimizer steps; -1 follows `num_train_epochs`."""
    num_train_epochs: float = Field(3.0, gt=0)
    max_minutes: float = Field(0.0, ge=0)
    """Minutes after which the schedule has run out, whatever steps were made; 0 sets no limit.
    Time that `torch_compile` takes at the first step does not count."""
    gradient_accumulation_steps: int = Field(1, ge=1)
    warmup_steps: float = Field(0.05, ge=0)
    """Steps, or below 1 the share of all steps."""
    lr_scheduler_type: Literal["warmup_stable_decay", "cosine", "linear", "constant"] = "linear"
    decay_share: float = Field(0.3, gt=0, le=1)
    """Share of all steps that 'warmup_stable_decay' spends decaying."""
    optim: Literal["adamw", "muon"] = "adamw"
    seed: int = Field(0, ge=0)
    bf16: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"
    """'auto' measures this machine and takes bf16 where it is faster."""
    torch_compile: bool = False
    """Needs a compiler and half a minute at the first step; pays where all batches have one shape."""
    logging_steps: int = Field(10, ge=1)
    eval_steps: int = Field(100, ge=1)
    eval_on_start: bool = False
    """Validate before the first step as well; what is never beaten is kept."""
    save_steps: int = Field(200, ge=1)
    save_total_limit: int = Field(2, ge=1)
    early_stopping_patience: int = Field(0, ge=0)
    """Evaluations without a better value before the run ends; 0 never ends it early."""

    def warmup(self, steps: int) -> int:
        """Warm-up steps out of `steps`."""
        wanted = self.warmup_steps * steps if self.warmup_steps < 1 else self.warmup_steps
        return max(1, min(round(wanted), steps))


class Part(Settings):
    """One source of documents: texts, or the rows of a task as it will prompt them."""

    path: str
    task: str = ""
    split: str = "train"
    limit: int | None = Field(None, ge=1)
    """The first so many rows."""
    repeat: int = Field(1, ge=1)

    @classmethod
    def parsed(cls, text: str) -> Part:
        """'DIR' or 'TASK=DIR', as given to --data."""
        task, equals, path = text.partition("=")
        return cls(path=path, task=task) if equals else cls(path=text)


class PretrainSettings(LoopSettings):
    """`quintet pretrain`."""

    data: tuple[Part, ...] = ()

    preset: str = "mini"
    save_half: bool = False
    """Store the finished backbone in fp16: half the size, and what a fine-tuning then begins from."""
    block_size: int = Field(256, ge=8)
    """Tokens of one packed sequence."""
    per_device_train_batch_size: int = Field(16, ge=1)
    """Sequences of one step and device."""
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    num_train_epochs: float = Field(1.0, gt=0)
    optim: Literal["adamw", "muon"] = "muon"
    lr_scheduler_type: Literal["warmup_stable_decay", "cosine", "linear", "constant"] = (
        "warmup_stable_decay"
    )


class FinetuneSettings(LoopSettings):
    """`quintet finetune TASK`; every key of `peft.LoraConfig` goes under `lora`."""

    learning_rate: float = Field(0.0, gt=0)
    """Not given, it follows the backbone's width and depth: `finetune/learning_rate.py`."""
    adam_beta2: float = Field(0.99, ge=0, lt=1)
    max_length: int = Field(0, ge=0)
    """Tokens of a training row, prompt and answer; 0 is the context, of a long one a quarter."""
    max_batch_tokens: int = Field(2048, ge=16)
    """Prompt, answer and padding of one batch together stay under this."""
    per_device_train_batch_size: int = Field(32, ge=1)
    """The most rows of one batch, however short they are."""
    max_eval_rows: int = Field(256, ge=1)
    """Validation rows scored at each evaluation; the rest is left for `quintet evaluate`."""
    early_stopping_patience: int = Field(5, ge=0)
    eval_on_start: bool = True
    max_test_rows: int = Field(1000, ge=0)
    """Rows of the split that picked nothing, scored at the end; 0 leaves that to `evaluate`."""
    max_bad_fraction: float = Field(0.01, ge=0, le=1)
    """The share of rows that may be left out because they cannot be used."""
    split_seed: int | None = Field(None, ge=0)
    """Draws the rows that are set aside or scored; without it `seed` does."""
    lora: dict[str, Any] = Field(default_factory=dict)

    @property
    def splitting(self) -> int:
        """The seed that draws rows."""
        return self.seed if self.split_seed is None else self.split_seed


S = TypeVar("S", bound=Settings)


def read(
    kind: type[S], file: Path | None, given: dict[str, Any], *, options: Iterable[str] = ()
) -> S:
    """Settings from a YAML file, overridden by the flags that were given.

    `options` are other names that an unknown key may have been meant for.
    """
    keys = {**(_yaml(file) if file else {}), **{k: v for k, v in given.items() if v is not None}}
    unknown = [key for key in keys if key not in kind.model_fields]
    if unknown:
        allowed = ", ".join(sorted(kind.model_fields))
        hint = nearest(str(unknown[0]), [*kind.model_fields, *options])
        raise BadSetting(f"Unknown key {unknown[0]!r}.{hint} Allowed: {allowed}.")
    try:
        return kind.model_validate(keys)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise BadSetting(f"{name} = {first['input']!r}: {first['msg']}.") from error


def flags(arguments: Sequence[str], *, plain: bool = False) -> dict[str, Any]:
    """Keys from flags: `--learning-rate 0.001 --lora.r 16` as {learning_rate: …, lora: {r: …}}.

    With `plain`, values stay the texts they are.
    """
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--"):
            raise BadSetting(f"Unexpected argument {flag!r}. Keys are given as --key value.")
        if not equals:
            given = rest and not rest[0].startswith("--")
            value = rest.pop(0) if given else "true"
        _put(found, name.replace("-", "_"), value if plain else _value(flag, value))
    return found


class _Loader(yaml.SafeLoader):
    """Plain values as YAML 1.2's core schema has them: 5e-2 is a number, 010 is ten.

    PyYAML follows YAML 1.1, where the one is a text and the other eight.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the base declares it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """PyYAML would take the last of several values for a key."""
        names = [key.value for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if key.value in names[:place]:
                said = f"the key {key.value!r} stands there again"
                raise yaml.constructor.ConstructorError(problem=said, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _first
    )
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def _value(flag: str, text: str) -> Any:
    try:
        return _loaded(text)
    except yaml.YAMLError as error:
        raise BadSetting(f"{flag} {text!r} is no valid value: {_reason(error)}.") from error


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    group, dot, key = name.partition(".")
    if not dot:
        found[name] = value
    elif isinstance(found.setdefault(group, {}), dict):
        found[group][key] = value
    else:
        raise BadSetting(f"--{group} holds {found[group]!r}; give its keys, as --{name}, alone.")


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = _loaded(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(f"Cannot read {file}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSetting(f"{file} is no valid YAML: {_reason(error)}.") from error
    if found is not None and not isinstance(found, dict):
        raise BadSetting(f"{file} must hold keys and values, not a {type(found).__name__}.")
    return found or {}


def _loaded(text: str) -> Any:
    """As YAML without aliases: some lines of them unfold to more than any memory holds."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases, as *{event.anchor}, are not read")
    return yaml.load(text, Loader=_Loader)


def _reason(error: Exception) -> str:
    """In one line; yaml spreads what it expected, and where, over several."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]
