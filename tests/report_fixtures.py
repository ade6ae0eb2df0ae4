"""Results as evaluations leave them: a good one, a bad one, a hostile one, a bare one."""

from __future__ import annotations

import math
from typing import Any

from finetune.report.results import Results

HOSTILE = (
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'> $x^2$ {{7*7}} |a|b| `c`"
)
LONG = "The old mill stood by the river, and nobody had asked it anything. " * 90
LABELS = ("negative", "positive")

_ENVIRONMENT = {
    "versions": {"quintet": "0.1.0", "torch": "2.13.0+cpu", "transformers": "5.23.0", "peft": "0.21.2"},
    "python": "3.11.9", "platform": "Linux-6.8.0-x86_64", "device": "cpu", "threads": 2,
    "seconds_answering": 214.6, "seconds": 251.3,
}  # fmt: skip
_CARD = {
    "sources": ("sentiment/sst2", "sentiment/online_shopping", "sentiment/chnsenticorp"),
    "rows": 1003, "examples": 1000,
    "problems": ("online_shopping.jsonl:411: 'text' is empty.", "sst2.jsonl:17: no label 'neutral'."),
    "languages": {"en": 480, "zh": 520}, "labels": {"negative": 509, "positive": 491}, "parts": {},
    "characters": {"50": 64, "90": 231, "99": 614, "100": 1840}, "cut": 12, "digest": "fa8d579059b728de",
}  # fmt: skip
_PASSPORT = {
    "task": "sentiment", "backbone": "quintet-mini", "fingerprint": "66b68ef6cebd7094",
    "prompt_hash": "2ce637b25420c66d", "data_hash": "fa8d579059b728de",
    "data": "sentiment/sst2, sentiment/online_shopping, sentiment/chnsenticorp",
    "metrics": {"accuracy": 0.818}, "rows": 1000, "scored_on": "test", "seed": 0,
    "created": "2026-11-24T09:23:32Z",
}  # fmt: skip

_TRAINING = {
    "backbone": "quintet-mini", "sources": _PASSPORT["data"], "rows": 18_204, "seed": 0,
    "parameters": 589_824, "rank": 8, "modules": ("down_proj", "q_proj", "v_proj"), "steps": 1000,
    "tokens": 2_100_000, "seconds": 231.4, "baseline_rows": 18_204, "same_rows": True,
    "settings": {
        "task": "sentiment", "learning_rate": 0.001, "num_train_epochs": 3.0,
        "per_device_train_batch_size": 16, "max_length": 256, "optim": "adamw", "weight_decay": 0.0,
        "lora": {"r": 8},
    },
}  # fmt: skip


def measured(value: float, half: float, rows: int = 1000) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "rows": rows}


def entry(name: str, kind: str, seconds: float, **metrics: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "kind": kind, "metrics": metrics, "seconds": seconds}


def comparison(
    metric: str, against: str, difference: float, half: float, outcome: str, p: float, **more
):
    return {
        "metric": metric, "against": against, "difference": difference, "low": difference - half,
        "high": difference + half, "p_bootstrap": p, "p_randomisation": p * 1.2, "outcome": outcome,
        **more,
    }  # fmt: skip


def _closed(
    accuracy: float, f1: float, mcc: float, half: float, labels: list[float]
) -> dict[str, Any]:
    values = {"accuracy": accuracy, "macro_f1": f1, "mcc": mcc}
    names = [f"{kind}_{label}" for label in LABELS for kind in ("precision", "recall", "f1")]
    values |= dict(zip(names, labels, strict=True))
    return {name: measured(v, half * (2 if name == "mcc" else 1)) for name, v in values.items()}


def _roc(steepness: float) -> list[tuple[float, float]]:
    return [(x / 100, round((x / 100) ** (1 / steepness), 4)) for x in range(101)]


def _precision_recall(drop: float) -> list[tuple[float, float]]:
    return [
        (x / 100, round(1 - drop * (x / 100) ** 4 - 0.02 * math.sin(x / 9) ** 2, 4))
        for x in range(101)
    ]


def _learning() -> list[dict[str, float]]:
    lines: list[dict[str, float]] = []
    for step in range(20, 1001, 20):
        loss = 0.34 + 0.5 * math.exp(-step / 160) + 0.03 * math.sin(step / 17)
        lines.append({"step": step, "tokens": step * 2100, "loss": loss, "grad_norm": 1.1,
                      "learning_rate": 1e-3, "tokens_per_second": 9100})  # fmt: skip
        if step % 100 == 0:
            value = 0.822 - 0.3 * math.exp(-step / 210) - (step > 700) * (step - 700) / 40_000
            lines.append(
                {"step": step, "tokens": step * 2100, "accuracy": value + 0.002, "macro_f1": value}
            )
    return lines


def sentiment() -> Results:
    """A good adapter, with every part that there is."""
    slices = [
        ("length", "short", 0.786, 0.05, 262), ("length", "middle", 0.826, 0.03, 531),
        ("length", "long", 0.841, 0.05, 207), ("language", "en", 0.761, 0.038, 480),
        ("language", "zh", 0.869, 0.029, 520), ("source", "sentiment/sst2", 0.759, 0.04, 470),
        ("source", "sentiment/online_shopping", 0.884, 0.03, 420),
        ("source", "sentiment/chnsenticorp", 0.81, 0.072, 110),
    ]  # fmt: skip
    wrong = [
        ("It is not that I disliked it, but I would not call it anything else.", "positive", 0.012),
        ("除了包装漂亮，没有一处对得起这个价钱，可我还是又买了一次。", "negative", 0.031),
        ("A film so bad that I have seen it four times.", "positive", 0.047),
    ]
    return Results.model_validate(dict(
        task="sentiment", title="Sentiment",
        description="Tells whether a review is positive or negative, and how sure it is.",
        title_zh="情感分析", description_zh="判断一条评论是正面还是负面，并给出把握程度。",
        data="sentiment/sst2, sentiment/online_shopping, sentiment/chnsenticorp (test)", rows=1000, seed=0,
        resamples=2000, created="2026-11-24T09:31:07Z", subject="sentiment@3",
        verdict=dict(metric="macro_f1", baseline="TF-IDF + logistic regression", better=True, sentence=(
            "The adapter sentiment@3 reaches a macro F1 of 0.818 on 1,000 examples, 0.052 more than "
            "the best baseline (TF-IDF + logistic regression), and a paired test confirms it.")),
        entries=[
            entry("majority", "baseline", 0.0, **_closed(0.491, 0.329, 0.0, 0.012, [0, 0, 0, .491, 1, .659])),
            entry("TF-IDF + logistic regression", "baseline", 1.3,
                  **_closed(0.767, 0.766, 0.533, 0.026, [.771, .772, .772, .763, .761, .762])),
            entry("base", "base", 71.2, **_closed(0.504, 0.471, 0.011, 0.031, [.51, .7, .59, .49, .3, .37])),
            entry("sentiment@2", "adapter", 72.0,
                  **_closed(0.811, 0.811, 0.622, 0.025, [.82, .81, .815, .80, .81, .806])),
            entry("sentiment@3", "adapter", 71.4,
                  **_closed(0.818, 0.818, 0.636, 0.024, [.829, .809, .819, .807, .827, .817])),
        ],
        comparisons=[
            comparison("macro_f1", "majority", 0.489, 0.028, "win", 0.0004),
            comparison("macro_f1", "TF-IDF + logistic regression", 0.052, 0.027, "win", 0.0005),
            comparison("macro_f1", "base", 0.347, 0.036, "win", 0.0004),
            comparison("macro_f1", "sentiment@2", 0.007, 0.013, "tie", 0.312),
            comparison("accuracy", "TF-IDF + logistic regression", 0.051, 0.026, "win", 0.0005,
                       p_mcnemar=0.0002),
            comparison("accuracy", "sentiment@2", 0.007, 0.013, "tie", 0.309, p_mcnemar=0.342),
        ],
        signatures={"accuracy": "scikit-learn 1.7.2", "macro_f1": "scikit-learn 1.7.2, zero_division=0"},
        leaks=dict(
            looked_in={"training": 18_204, "sentiment-extra.jsonl": 912, "pre-training": 412_880},
            exact=3, near=5, without={
                "macro_f1": measured(0.8165, 0.0241, 992), "accuracy": measured(0.8165, 0.024, 992),
                "mcc": measured(0.633, 0.048, 992)},
            pairs=[dict(row=17, text="房间干净，老板热情，下次还会再来。", source="training",
                        other="房间干净，老板热情，下次还会再来！", similarity=1.0),
                   dict(row=611, text="Great phone, fast delivery, would buy again.", source="pre-training",
                        other="Great phone and fast delivery, would buy it again.", similarity=0.81)]),
        calibration=dict(
            temperature=1.634, fitted_on=500, ece_before=0.089, ece_after=0.021, brier_before=0.148,
            brier_after=0.133,
            reliability=[(.54, .53, 96), (.63, .62, 141), (.74, .77, 188), (.85, .84, 262), (.95, .93, 313)],
            reliability_before=[(.55, .49, 52), (.65, .55, 71), (.75, .63, 103), (.86, .72, 181),
                                (.97, .89, 593)]),
        curves=dict(
            labels=LABELS, confusion=[[412, 97], [85, 406]],
            precision_recall={"negative": _precision_recall(.49), "positive": _precision_recall(.46)},
            roc={"negative": _roc(5.2), "positive": _roc(4.6)},
            average_precision={"negative": 0.893, "positive": 0.889},
            roc_auc={"negative": 0.897, "positive": 0.897}),
        slices=[dict(by=by, name=name, measured=measured(v, half, rows)) for by, name, v, half, rows in slices],
        mistakes=[dict(row=7 + 31 * place, input={"text": text}, answers=(label,),
                       prediction=next(x for x in LABELS if x != label), score=p,
                       probabilities={label: p, next(x for x in LABELS if x != label): 1 - p})
                  for place, (text, label, p) in enumerate(wrong)],
        data_card=_CARD, environment=_ENVIRONMENT,
        commands=("quintet finetune sentiment --seed 0 --output runs/sentiment/20261124-091204-mini",
                  "quintet evaluate sentiment --adapter runs/sentiment/20261124-091204-mini/adapter "
                  "--against baselines,base,sentiment@2 --seed 0 --output report"),
        passport=_PASSPORT, learning=_learning(), training=_TRAINING,
    ))  # fmt: skip


def translation() -> Results:
    """Not better than copying the source into the answer."""

    def values(*numbers: float) -> dict[str, Any]:
        names = ("bleu_en_zh", "chrf_en_zh", "bleu_zh_en", "chrf_zh_en")
        return {
            n: measured(v, h, 36)
            for n, v, h in zip(names, numbers[::2], numbers[1::2], strict=True)
        }

    wrong = [dict(row=n, input={"text": "The kettle is boiling.", "direction": "en-zh"},
                  answers=("水壶里的水开了。",), prediction="我的我的我的我的", score=0.0)
             for n in (3, 9)]  # fmt: skip
    return Results.model_validate(dict(
        task="translation", title="Translation", description="Translates between English and Chinese.",
        data="samples (test)", rows=72, seed=0, resamples=1000, created="2026-11-24T10:02:44Z",
        subject="translation@1",
        verdict=dict(metric="chrf_mean", baseline="copy the source", better=False, sentence=(
            "The adapter translation@1 reaches a mean chrF of 4.2, which a paired test does not tell from the "
            "4.8 of the best baseline (copy the source).")),
        entries=[
            entry("copy the source", "baseline", 0.0, chrf_mean=measured(4.8, 1.0, 72),
                  **values(0.31, 0.2, 1.94, 0.9, 0.42, 0.3, 7.66, 1.8)),
            entry("translation@1", "adapter", 18.3, chrf_mean=measured(4.2, 0.95, 72),
                  **values(0.88, 0.61, 2.61, 1.1, 0.35, 0.28, 5.79, 1.6)),
        ],
        comparisons=[
            comparison("chrf_mean", "copy the source", -0.6, 0.9, "tie", 0.19),
            comparison("chrf_en_zh", "copy the source", 0.67, 1.2, "tie", 0.271),
            comparison("chrf_zh_en", "copy the source", -1.87, 1.5, "loss", 0.014),
        ],
        signatures={
            "bleu_en_zh": "nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:2.5.1",
            "chrf_zh_en": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.5.1"},
        leaks=dict(looked_in={"training": 288}, exact=0, near=0, pairs=[], without={}),
        slices=[dict(by="part", name="en_zh", measured=measured(2.61, 1.1, 36)),
                dict(by="part", name="zh_en", measured=measured(5.79, 1.6, 36))],
        mistakes=wrong,
        data_card=_CARD | dict(sources=("samples",), rows=36, examples=72, problems=(), labels={},
                               languages={"en": 36, "zh": 36}, parts={"en_zh": 36, "zh_en": 36}, cut=0),
        environment=_ENVIRONMENT, commands=("quintet evaluate translation --against baselines",),
        passport=_PASSPORT | {"task": "translation"},
    ))  # fmt: skip


def qa() -> Results:
    """Answers to questions, among them texts that mean harm and texts that never end."""
    asked = {
        "question": HOSTILE,
        "passage": LONG,
        "history": [{"role": "user", "content": "嗨" * 400}],
    }
    plain = {"question": "谁住在磨坊里？", "passage": "磨坊里住着一只猫。"}
    wrong = [dict(row=1200 + n, input=asked if n % 2 else plain, answers=("一只猫", "猫"),
                  prediction=HOSTILE if n % 2 else "", score=n / 10) for n in range(6)]  # fmt: skip

    def values(exact: float, f1: float, chat: float) -> dict[str, Any]:
        return {"exact_match": measured(exact, 4.1, 480), "f1": measured(f1, 3.7, 480),
                "f1_chat": measured(chat, 2.4, 120)}  # fmt: skip

    name = f"first sentence {HOSTILE}"
    return Results.model_validate(dict(
        task="qa", title="Questions and answers", description="Answers a question from a passage.",
        data="qa/squad, qa/cmrc (test)", rows=600, seed=1, resamples=1000, created="2026-11-24T11:00:00Z",
        subject="qa@1",
        verdict=dict(metric="f1", baseline=name, better=True, sentence=f"F1 is 41.3, above {name}."),
        entries=[entry(name, "baseline", 0.1, **values(3.1, 18.4, 6.2)),
                 entry("qa@1", "adapter", 140.7, **values(31.9, 41.3, 9.8))],
        comparisons=[comparison("f1", name, 22.9, 3.9, "win", 0.0002),
                     comparison("f1_chat", name, 3.6, 2.6, "win", 0.008)],
        signatures={"f1": HOSTILE}, mistakes=wrong,
        leaks=dict(looked_in={"training": 9000}, exact=1, near=0, without={},
                   pairs=[dict(row=3, text=LONG, source=HOSTILE, other=HOSTILE, similarity=1.0)]),
        slices=[dict(by="source", name=HOSTILE, measured=measured(41, 5, 300)),
                dict(by="part", name="", measured=measured(45, 4, 480)),
                dict(by="part", name="chat", measured=measured(9.8, 2.4, 120))],
        data_card=_CARD | dict(sources=(HOSTILE,), labels={}, problems=(HOSTILE, f"```\n{HOSTILE}\n````")),
        training={"backbone": HOSTILE, "sources": HOSTILE, "settings": {HOSTILE: HOSTILE}},
        environment=_ENVIRONMENT, commands=("quintet evaluate qa --data '<script>'",),
    ))  # fmt: skip


def minimal() -> Results:
    """One entry, one value, nothing else."""
    return Results.model_validate(dict(
        task="generation", title="Generation", description="Continues a text.", data="a file", rows=8, seed=0,
        resamples=1000, created="2026-11-24T12:00:00Z", subject="base",
        verdict=dict(metric="bits_per_byte", baseline="", better=False, sentence="2.113 bits per byte."),
        entries=[entry("base", "base", 2.0, bits_per_byte=measured(2.113, 0.0, 8))], comparisons=[], signatures={},
        data_card=_CARD | dict(problems=(), languages={}, labels={}, characters={}, cut=0),
        environment=_ENVIRONMENT | {"versions": {}}, commands=(),
    ))  # fmt: skip


ALL = {"sentiment": sentiment, "translation": translation, "qa": qa, "minimal": minimal}
