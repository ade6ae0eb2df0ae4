"""What was seen before is found, what only sounds alike is not; and `quintet data leak` says so."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import apps
from core.task import Example
from finetune.data.examples import read_examples
from finetune.evaluation.contamination import Found, find, find_contained, leaked, texts_of
from finetune.evaluation.contamination.units import normalised, shingles
from tests.test_commands import SIXTH, fails, quintet, write

WORDS = str.split(
    "amber bridge candle desert engine forest garden harbour island jacket kitchen lantern meadow "
    "needle orchard pepper quarry ribbon saddle temple umbrella violin window yellow zipper anchor "
    "basket copper dragon eagle fiddle gravel hammer insect jungle kettle ladder magnet nephew"
)
TWENTY = " ".join(WORDS[:20])
HAN = (
    "山水日月风云花鸟春夏秋冬东南西北天地人和老少男女父母兄弟"
    "姐妹书画琴棋茶酒米面鱼虾红黄蓝绿黑白金木土石火电雨雪江河湖海"
)
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join)
CHINESE = st.text(alphabet=HAN, min_size=1, max_size=60)
TEXTS = st.one_of(SENTENCES, CHINESE, st.tuples(SENTENCES, CHINESE).map(" ".join))

PASSAGE = (
    "The lighthouse of Marrow Point was built by two sisters in 1871, after their brother had been "
    "lost on the rocks below. They kept the lamp burning for forty years and were paid in coal."
)


def similarity(text: str, other: str) -> float:
    found = find([text], {"training": [other]}, threshold=0.5)
    return found[0].similarity if found else 0.0


def examples(task: str, *rows: dict) -> list[Example]:
    return [example for row in rows for example in apps.load(task).read(row)]


def pair(en: str, zh: str) -> dict:
    return {"en": en, "zh": zh}


# Two texts


@given(st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_every_text_leaks_into_itself(texts):
    found = find(texts, {"itself": texts})
    assert [(one.row, one.similarity) for one in found] == [(n, 1.0) for n in range(len(texts))]


@given(TEXTS)
@settings(deadline=None)
def test_normalised_text_is_what_the_shingles_are_made_of(text):
    letters = {letter for shingle in shingles(text) for letter in shingle} - {" "}
    assert letters == set(normalised(text))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The soup was cold, sadly!", "the SOUP was cold sadly"),
        ("Don't go there.", "Do n't go there ."),
        ("Ｗｉｎ　１００　ｐｏｕｎｄｓ！", "win 100 pounds"),
        ("今天，天气很好。", "今天天气很好"),
        ("Straße Nº 5", "straße no5"),
        ("我在ＫＴＶ唱歌", "我在 ktv 唱歌!!"),
        ("Hi.", "hi"),
        ("😀😀", " 😀😀 "),
    ],
)
def test_case_signs_and_width_make_no_difference(text, other):
    assert similarity(text, other) == 1.0


def test_a_normalised_text_holds_letters_and_digits_of_any_script():
    assert normalised("Ｈéllo, wörld_ 42 — 你好！ Привет…") == "héllowörld42你好привет"


@given(st.integers(0, 19), st.sampled_from(WORDS[20:]))
@settings(deadline=None)
def test_one_changed_word_in_twenty_is_near(place, word):
    changed = TWENTY.split()
    changed[place] = word
    assert 0.8 <= similarity(TWENTY, " ".join(changed)) < 1.0


@given(st.integers(0, 28))
@settings(deadline=None)
def test_two_changed_characters_in_thirty_are_near(place):
    text = HAN[:30]
    changed = text[:place] + "你我" + text[place + 2 :]
    assert 0.8 <= similarity(f"{text}。", changed) < 1.0


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The waiter was rude and the soup was cold.", "The soup was cold but the waiter was kind."),
        ("Tom is a good worker.", "Tom is not a good worker."),
        ("I'd like a table for two at seven.", "I'd like a table for three at eight."),
        ("Is there any chance that he'll resign?", "Is there any chance that he'll come?"),
        ("今天天气很好，我们去公园散步吧。", "昨天天气不好，我们没有去公园散步。"),
        ("房间很干净，服务也很热情。", "房间很小，不过服务很热情。"),
        ("ha ha ha", "ha ha"),
        ("😀", "!!!"),
        ("", "   "),
    ],
)  # fmt: skip
def test_texts_about_the_same_thing_are_not_near(text, other):
    assert find([text], {"training": [other]}) == []


def test_a_repeated_text_is_near_and_never_exact():
    found = find([f"{TWENTY} " * 2], {"training": [f"{TWENTY} " * 3]})
    assert [one.similarity for one in found] == [0.999]
    assert not found[0].exact


# Many texts


def many(rows: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 30))) for _ in range(rows)]


def test_the_order_of_rows_changes_nothing():
    texts, others = [TWENTY, *many(60, 1)], many(3000, 2)
    others += [f"{text} harbour" for text in texts] + [f"{text} Harbour!" for text in texts]
    first = find(texts, {"training": others})
    assert len(first) > 30
    random.Random(3).shuffle(others)
    assert find(texts, {"training": others}) == first
    turned = find(texts[::-1], {"training": others})
    assert {(texts[::-1][one.row], one.other) for one in turned} == {
        (texts[one.row], one.other) for one in first
    }


def test_minhash_overlooks_nothing_that_a_full_search_finds():
    draw = random.Random(4)
    texts = many(80, 5)
    others = many(200, 6)
    for text in texts:
        words = text.split()
        words[draw.randrange(len(words))] = "changed"
        others.append(" ".join(words))
    sets = [shingles(other) for other in others]
    alike = [
        (row, len(ours & theirs) / len(ours | theirs))
        for row, ours in enumerate(map(shingles, texts))
        for theirs in sets
        if len(ours) >= 6
    ]
    for threshold in (0.3, 0.5, 0.8, 0.95):
        full = {row for row, jaccard in alike if jaccard >= threshold}
        found = find(texts, {"training": others}, threshold=threshold)
        assert {one.row for one in found if not one.exact} == full


def test_each_source_names_its_most_similar_text():
    nearer, near = f"{TWENTY} anchor", f"{TWENTY} anchor basket"
    found = find([TWENTY], {"one": [near, nearer], "two": [near], "three": ["nothing of it"]})
    assert [(one.source, one.other) for one in found] == [("one", nearer), ("two", near)]


def test_a_threshold_of_one_leaves_the_exact_ones():
    texts = [TWENTY, f"{PASSAGE} " * 2]
    others = [TWENTY.upper(), f"{TWENTY} anchor", f"{PASSAGE} " * 3]
    assert find(texts, {"training": others}, threshold=1.0) == [
        Found(0, "training", TWENTY.upper(), 1.0)
    ]


def test_nothing_is_found_in_nothing():
    assert find([], {"training": ["a text"]}) == find([TWENTY], {"training": []}) == []
    assert find_contained([], ["a text"], source="x") == []
    assert find_contained([TWENTY], [], source="x") == []


# Documents


def document(text: str) -> str:
    return f"{' '.join(many(40, 7))} {text} {' '.join(many(40, 8))}"


def test_a_text_is_found_in_a_long_document_with_the_place_it_stands():
    found = find_contained(["No.", PASSAGE], ["short", document(PASSAGE)], source="books")
    assert found == [Found(1, "books", PASSAGE.lower().removesuffix("."), 1.0)]


def test_a_chinese_text_is_found_in_a_long_document():
    text = "两姐妹在海边守了四十年的灯塔，从来没有让灯熄灭过。"
    inside = f"从前有一座山。{'山上有庙，庙里有和尚。' * 30}{text}后来的事，谁也不记得了。"
    assert [one.similarity for one in find_contained([text], [inside], source="x")] == [1.0]
    changed = inside.replace("四十年", "三十年")
    assert [one.exact for one in find_contained([text], [changed], source="x")] == [False]


@pytest.mark.parametrize("place", [0, 9, 19])
def test_one_changed_word_in_twenty_still_stands_in_the_document(place):
    changed = TWENTY.split()
    changed[place] = "changed"
    found = find_contained([TWENTY], [document(" ".join(changed))], source="x")
    assert 0.8 <= found[0].similarity < 1.0


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("Good morning to all of you.", "He said: good morning to all of you. Then he left."),
        ("我们一起去公园散步吧。", "他说：我们一起去公园散步吧。说完就走了。"),
        (
            "Is there any chance that he'll resign?",
            "Is there any chance that he'll come back home?",
        ),
    ],
)
def test_short_runs_and_mere_beginnings_stand_everywhere_and_do_not_count(text, inside):
    assert find_contained([text], [inside], source="x") == []


def test_runs_that_stand_far_apart_are_no_passage():
    words = TWENTY.split()
    triples = [" ".join(words[n : n + 3]) for n in range(18)]
    scattered = f" {'filler ' * 30}".join(triples)
    assert find_contained([TWENTY], [scattered], source="x") == []


# Tasks


def test_a_translation_leaks_where_it_was_learned_in_either_direction():
    task, scored = (
        apps.load("translation"),
        examples("translation", pair("I see it.", "我看见了。")),
    )
    learned = examples("translation", pair("I SEE IT", "我看到它了"))
    assert [one.row for one in leaked(task, scored, {"training": learned})] == [0]
    other_way = examples("translation", pair("There it is.", "我看见了"))[:1]
    assert [one.row for one in leaked(task, scored, {"training": other_way})] == [1]


def test_another_question_about_a_short_passage_is_no_leak():
    def asked(question: str, passage: str) -> dict:
        return {"context": passage, "question": question, "answers": {"text": ["coal"]}}

    task = apps.load("qa")
    scored = examples("qa", asked("What were they paid in?", PASSAGE))
    other = examples("qa", asked("What did the sisters get for all their work?", PASSAGE))
    assert leaked(task, scored, {"training": other}) == []
    assert leaked(task, scored, {"training": scored})[0].exact
    long = [f"{PASSAGE} {' '.join(WORDS * 3)}", "What did the sisters get?"]
    scored = examples("qa", asked("What were they paid in?", long[0]))
    found = leaked(task, scored, {"training": examples("qa", asked(long[1], long[0]))})
    assert [one.exact for one in found] == [False]


def test_a_conversation_is_compared_with_its_history():
    said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
    more = [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "I do."}]
    found = examples("qa", {"messages": [*said, *more]})
    assert texts_of(apps.load("qa"), found[1]) == ("Go on.\nHello.\nHi.",)


def test_an_opening_is_compared_with_what_it_opens():
    task = apps.load("generation")
    scored = examples("generation", {"text": "Once upon a time there was a fox who sang."})
    other = examples("generation", {"text": "Once upon a time there was a king without a hat."})
    assert leaked(task, scored, {"training": other}) == []
    assert leaked(task, scored, {"training": scored})[0].exact
    asked = examples("generation", {"prompt": "Write about rain.", "completion": "It fell."})
    assert texts_of(task, asked[0]) == ("Write about rain.", "It fell.")


def test_scored_examples_are_looked_for_in_documents_as_well():
    task = apps.load("sentiment")
    scored = examples("sentiment", *({"text": t, "label": 1} for t in ("Fine.", PASSAGE, TWENTY)))
    found = leaked(task, scored, {"training": scored[2:]}, {"pre-training": [document(PASSAGE)]})
    assert [(one.row, one.source) for one in found] == [(1, "pre-training"), (2, "training")]


@functools.cache
def bundled(name: str, split: str) -> tuple[Example, ...]:
    return read_examples(apps.load(name), [str(apps.samples(name, split))]).examples


@pytest.mark.parametrize("name", ["generation", "qa", "sentiment", "spam", "translation"])
def test_no_bundled_test_row_stands_in_training(name):
    found = leaked(apps.load(name), bundled(name, "test"), {"training": bundled(name, "train")})
    assert found == []


@pytest.mark.parametrize("name", ["generation", "qa", "sentiment", "spam", "translation"])
def test_bundled_rows_are_found_among_themselves(name):
    rows = bundled(name, "test")
    found = leaked(apps.load(name), rows, {"test": rows})
    assert [one.row for one in found if one.exact] == list(range(len(rows)))


# The command


def reviews(*texts: str) -> list[dict]:
    return [{"text": text, "label": n % 2} for n, text in enumerate(texts)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Test holds a row of train and one of validation; validation is clean."""
    place = tmp_path / "reviews"
    place.mkdir()
    train, validation = many(30, 9), many(10, 10)
    write(place / "train.jsonl", *reviews(TWENTY, *train))
    write(place / "validation.jsonl", *reviews(PASSAGE, *validation))
    write(place / "test.jsonl", *reviews("A clean one.", f"{TWENTY}!", f"{PASSAGE} Truly."))
    return place


def leak(*arguments: object):
    found = quintet("data", "leak", *arguments)
    assert found.stderr == ""
    return found


def test_the_bundled_rows_are_clean_between_all_tasks():
    found = leak()
    assert found.returncode == 0
    lines = found.stdout.splitlines()
    assert len(lines) == 25
    assert all(line.endswith("0 exact, 0 near") for line in lines)


def test_a_task_without_bundled_rows_is_passed_over(tmp_path):
    (tmp_path / "shouting.py").write_text(SIXTH)
    found = quintet("data", "leak", QUINTET_APPS=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert "shouting" not in found.stdout


def test_splits_are_looked_for_in_earlier_ones(folder):
    found = leak(folder, "--task", "sentiment")
    assert found.returncode == 1
    assert found.stdout.splitlines()[:3] == [
        f"{folder} [validation] in {folder} [train]: 11 searched in 31, 0 exact, 0 near",
        f"{folder} [test] in {folder} [train]: 3 searched in 31, 1 exact, 0 near",
        f"{folder} [test] in {folder} [validation]: 3 searched in 11, 0 exact, 1 near",
    ]
    assert f"1.000 {folder} [test], example 2, in {folder} [train]" in found.stdout


def test_json_is_all_there_is_on_stdout(folder):
    found = json.loads(leak(folder, "--task", "sentiment", "--json").stdout)
    assert [(one["exact"], one["near"]) for one in found["searches"]] == [(0, 0), (1, 0), (0, 1)]
    assert found["threshold"] == 0.8
    assert found["pairs"][0] == {
        "rows": f"{folder} [test]", "row": 1, "text": f"{TWENTY}!", "source": f"{folder} [train]",
        "other": TWENTY, "similarity": 1.0,
    }  # fmt: skip


def test_a_file_is_looked_for_in_what_it_is_held_against(folder, tmp_path):
    clean = write(tmp_path / "clean.jsonl", *reviews("A clean one."))
    against = ("--against", folder, "--against", folder / "validation.jsonl")
    assert leak(clean, "--task", "sentiment", *against).returncode == 0
    found = leak(folder / "test.jsonl", "--task", "sentiment", *against)
    assert found.returncode == 1
    assert "1 exact, 0 near" in found.stdout and "0 exact, 1 near" in found.stdout


def test_documents_and_recipes_are_looked_in(folder, tmp_path):
    (tmp_path / "book.txt").write_text(document(PASSAGE), encoding="utf-8")
    (tmp_path / "held_out.txt").write_text("Something else.", encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"data: [{{path: {tmp_path}/book.txt}}, {{path: {tmp_path}/held_out.txt, split: test}}]"
    )
    validation = folder / "validation.jsonl"
    for source in (recipe, tmp_path / "book.txt"):
        found = leak(validation, "--task", "sentiment", "--pretraining", source, "--json")
        assert found.returncode == 1
        (pair,) = json.loads(found.stdout)["pairs"]
        assert (pair["row"], pair["text"], pair["source"]) == (0, PASSAGE, str(source))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.csv",), ("--task",)),
        (("nowhere.csv", "--task", "sentiment"), ("No file or folder",)),
        (("{train}", "--task", "sentiment"), ("Nothing to look in", "--against")),
        (("{train}", "--task", "sentimant"), ("Did you mean 'sentiment'",)),
        (("{train}", "--task", "translation", "--against", "{train}"), ("no column",)),
        (("--against", "{train}"), ("--task",)),
        (("{train}", "--task", "spam", "--pretraining", "nowhere.yaml"), ("Cannot read",)),
        (("{train}", "--task", "spam", "--threshold", "2"), ("threshold",)),
    ],
)
def test_bad_arguments_are_one_line(arguments, words, folder):
    given_ = [one.format(train=folder / "train.jsonl") for one in arguments]
    fails(quintet("data", "leak", *given_), *words)
