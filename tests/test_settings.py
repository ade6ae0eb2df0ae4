"""The keys of a run: what is unknown, unreadable or out of range is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadSetting
from finetune import settings
from finetune.settings import FinetuneSettings, Part, PretrainSettings

RECIPES = Path(settings.__file__).parent / "recipes"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--learning-rate", "0.001"], {"learning_rate": 0.001}),
        (["--learning-rate=0.001", "--seed", "3"], {"learning_rate": 0.001, "seed": 3}),
        (["--lora.r", "16", "--lora.lora_alpha", "32"], {"lora": {"r": 16, "lora_alpha": 32}}),
        (["--lora.target-modules", "[q_proj, v_proj]"],
         {"lora": {"target_modules": ["q_proj", "v_proj"]}}),
        (["--torch-compile", "--optim", "muon"], {"torch_compile": True, "optim": "muon"}),
        (["--max-steps", "-1"], {"max_steps": -1}),
        (["--seed="], {"seed": None}),
        ([], {}),
    ],
)  # fmt: skip
def test_flags_are_keys_and_values(arguments, found):
    assert settings.flags(arguments) == found


def test_plain_flags_stay_the_texts_they_are():
    found = settings.flags(["--text", "yes", "--passage=a = 1", "--number", "012"], plain=True)
    assert found == {"text": "yes", "passage": "a = 1", "number": "012"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0.001"], "Unexpected argument '0.001'"),
        (["--seed", "1", "2"], "Unexpected argument '2'"),
        (["--seed", "[1"], r"--seed '\[1' is no valid value: line 1: expected ',' or '\]'"),
        (["--seed", "a: b: c"], "--seed 'a: b: c' is no valid value"),
        (["--lora", "8", "--lora.r", "8"], r"--lora holds 8.*--lora\.r"),
    ],
)
def test_flags_that_are_none_are_refused(arguments, words):
    with pytest.raises(BadSetting, match=words) as caught:
        settings.flags(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_a_switch_is_given_as_it_is_named(tmp_path, word):
    assert settings.read(FinetuneSettings, None, settings.flags(["--bf16", word])).bf16 == word
    (tmp_path / "run.yaml").write_text(f"bf16: {word}\n")
    assert settings.read(FinetuneSettings, tmp_path / "run.yaml", {}).bf16 == word


def test_flags_win_over_the_file(tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 1\nmax_steps: 7\nlora: {r: 2}\n")
    found = settings.read(FinetuneSettings, tmp_path / "run.yaml", {"seed": 2, "max_steps": None})
    assert (found.seed, found.max_steps, found.lora) == (2, 7, {"r": 2})


def test_aliases_that_unfold_without_end_are_not_read(tmp_path):
    lines = [f"- &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 20)]
    (tmp_path / "run.yaml").write_text("lora:\n- &x0 [1]\n" + "\n".join(lines))
    with pytest.raises(BadSetting, match=r"run\.yaml is no valid YAML: aliases, as \*x0") as caught:
        settings.read(FinetuneSettings, tmp_path / "run.yaml", {})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["seed: 1\nseed: 2\n", "lora:\n  r: 2\n  r: 2\n"])
def test_a_key_has_one_value(text, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(BadSetting, match=r"line \d: the key '(seed|r)' stands there again"):
        settings.read(FinetuneSettings, tmp_path / "run.yaml", {})


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("learning_rat", "learning_rate"), ("max-steps", "max_steps"), ("lora_r", "lora")],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, nearest):
    with pytest.raises(BadSetting, match=f"Unknown key '{key}'.*mean '{nearest}'.*Allowed: adam_"):
        settings.read(FinetuneSettings, None, {key: 1})


@pytest.mark.parametrize("key", ["zzz", 1, None])
def test_a_key_like_no_other_is_refused_with_those_there_are(key):
    with pytest.raises(BadSetting, match=rf"Unknown key {key!r}\. Allowed: adam_beta1, adam_beta2"):
        settings.read(FinetuneSettings, None, {key: 1})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", "fast", "number"),
        ("learning_rate", float("nan"), "finite"),
        ("learning_rate", float("inf"), "finite"),
        ("adam_beta1", 1, "less than 1"),
        ("decay_share", 1.5, "less than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("max_steps", 2.5, "integer"),
        ("save_total_limit", 0, "greater than or equal to 1"),
        ("optim", "sgd", "'adamw' or 'muon'"),
        ("bf16", "yes", "'auto', 'on' or 'off'"),
        ("lora", 8, "dictionary"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_key(key, value, words):
    with pytest.raises(BadSetting, match=f"^{key} = .*{words}") as caught:
        settings.read(FinetuneSettings, None, {key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"path": "x", "tsk": "spam"}, "data.0.tsk"),
        ({"path": "x", "repeat": 0}, "data.0.repeat"),
        ({"path": "x", "limit": -5}, "data.0.limit"),
        ({}, "data.0.path"),
    ],
)
def test_a_bad_key_of_a_source_is_named_with_its_place(part, name):
    with pytest.raises(BadSetting, match=f"^{name} = "):
        settings.read(PretrainSettings, None, {"data": [part]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: 1\nlora: [1\noptim: muon\n", "is no valid YAML: line 3: expected"),
        (b"seed: 1\n\toptim: muon\n", "is no valid YAML: line 2"),
        (b"seed: \xff\n", "is no valid YAML: 'utf-8' codec"),
        (b"seed: \0\n", "is no valid YAML: unacceptable character"),
        (b"seed: !!python/name:os.system\n", "is no valid YAML: line 1: could not determine"),
        (b"- seed\n", "must hold keys and values, not a list"),
        (b"1: 2\n", "Unknown key 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, words):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(BadSetting, match=words) as caught:
        settings.read(FinetuneSettings, path, {})
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_named_and_an_empty_one_changes_nothing(tmp_path):
    with pytest.raises(BadSetting, match=r"Cannot read .*run\.yaml: No such file"):
        settings.read(FinetuneSettings, tmp_path / "run.yaml", {})
    (tmp_path / "run.yaml").write_text("# nothing\n")
    assert settings.read(FinetuneSettings, tmp_path / "run.yaml", {}) == FinetuneSettings()


def test_a_source_may_name_its_task():
    assert Part.parsed("texts/en") == Part(path="texts/en")
    assert Part.parsed("translation=pairs") == Part(path="pairs", task="translation")


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_hold_known_keys(recipe):
    kind = PretrainSettings if "\ndata:" in recipe.read_text() else FinetuneSettings
    assert settings.read(kind, recipe, {}) != kind()


@pytest.mark.parametrize(
    ("given", "steps", "warmup"),
    [(0.1, 100, 10), (0.05, 4, 1), (0, 100, 1), (109, 1800, 109), (50, 10, 10), (0.999, 1000, 999)],
)
def test_warmup_below_one_is_a_share_of_the_steps(given, steps, warmup):
    assert PretrainSettings(warmup_steps=given).warmup(steps) == warmup
