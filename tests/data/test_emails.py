import hashlib
import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from edgewright.data import emails, noise
from edgewright.data.emails import Email, generate, splits
from edgewright.data.emails_english import ENGLISH
from edgewright.data.emails_french import FRENCH
from edgewright.data.leaks import find_leaks
from edgewright.data.phrases import Phrases, Voice, parse
from edgewright.data.situations import MATTERS, Draw, Matter, Situation, sample
from edgewright.data.tasks import CATEGORY, INTENT, SENTIMENT, URGENCY
from edgewright.errors import UsageError

LANGUAGES = {"en": ENGLISH, "fr": FRENCH}


@pytest.fixture(scope="module")
def made() -> dict[str, list[Email]]:
    return splits(4000, seed=11)


def digest(mails: list[Email]) -> str:
    return hashlib.sha256("\0".join(f"{mail}" for mail in mails).encode()).hexdigest()


def templates(phrases: Phrases) -> list[str]:
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, tuple):
            for item in value:
                walk(item)
        elif hasattr(value, "values"):
            walk(tuple(value.values()))
        else:
            walk(tuple(vars(value).values()))

    walk(tuple(vars(phrases).values()))
    return found


def test_the_same_seed_gives_the_same_emails_and_another_seed_others() -> None:
    assert digest(list(generate(300, 7))) == digest(list(generate(300, 7)))
    assert digest(list(generate(300, 7))) != digest(list(generate(300, 8)))


def test_the_bytes_of_this_generator_version_are_pinned() -> None:
    # if this fails, the e-mails have changed: raise GENERATOR_VERSION, then put the new digest here
    assert emails.GENERATOR_VERSION == 1
    assert digest(list(generate(500, 0))) == "c04201e90ea3f5daa433658ac66f82216384c8eaf409c6beafa23629f1e1bc33"


def test_the_bytes_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    code = "from edgewright.data.emails import splits; print(hash('a'), splits(60, 2))"
    runs = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        runs.append(done.stdout.split(b" ", 1))
    assert runs[0][0] != runs[1][0]
    assert runs[0][1] == runs[1][1]


def test_ten_thousand_emails_take_less_than_five_seconds() -> None:
    start = time.process_time()
    assert sum(1 for _ in generate(10_000, 1)) == 10_000
    assert time.process_time() - start < 5


def test_splits_have_the_sizes_that_were_asked_for(made: dict[str, list[Email]]) -> None:
    assert {split: len(mails) for split, mails in made.items()} == {"train": 3200, "validation": 400, "test": 400}
    assert {split: len(mails) for split, mails in splits(45, 0).items()} == {"train": 37, "validation": 4, "test": 4}


def test_no_near_duplicate_lies_in_two_splits_and_no_text_twice(made: dict[str, list[Email]]) -> None:
    assert find_leaks({split: [mail.text for mail in mails] for split, mails in made.items()}) == []
    texts = [mail.text for mails in made.values() for mail in mails]
    assert len(set(texts)) == len(texts)


def test_urgency_is_balanced_and_both_languages_are_there(made: dict[str, list[Email]]) -> None:
    for mails in (made["train"], made["test"]):
        urgencies = Counter(mail.urgency for mail in mails)
        assert set(urgencies) == set(URGENCY)
        assert max(urgencies.values()) / len(mails) < 0.32
        assert 0.4 < sum(mail.language == "fr" for mail in mails) / len(mails) < 0.6


def test_every_label_of_every_task_occurs_and_no_other(made: dict[str, list[Email]]) -> None:
    train = made["train"]
    assert {mail.sentiment for mail in train} == set(SENTIMENT)
    assert {mail.category for mail in train} == set(CATEGORY)
    assert {mail.intent for mail in train} == set(INTENT)


def test_urgency_does_not_give_the_sentiment_away(made: dict[str, list[Email]]) -> None:
    for urgency in URGENCY:
        sentiments = Counter(mail.sentiment for mail in made["train"] if mail.urgency == urgency)
        for sentiment in SENTIMENT:
            assert sentiments[sentiment] / sum(sentiments.values()) > 0.06


def test_short_messages_long_mails_quotes_shouting_and_emoji_all_occur(made: dict[str, list[Email]]) -> None:
    texts = [mail.text for mail in made["train"]]
    words = sorted(len(text.split()) for text in texts)
    assert words[0] <= 6 and words[-1] >= 90
    assert 0.1 < sum("\n" not in text for text in texts) / len(texts) < 0.45
    for share, marks in [
        (0.02, ("\n> ",)),
        (0.01, (" wrote:", " a écrit :")),
        (0.01, ("😊", "😡", "🙂", "🎉", "👍", "🙏", "😤", "😞")),
        (0.05, ("555-01", "7946 0", "01 99 00", "02 61 91", "06 39 98", "202 555")),
    ]:
        assert sum(any(mark in text for mark in marks) for text in texts) / len(texts) > share
    assert sum(text.isupper() for text in texts) / len(texts) > 0.01
    assert sum(text == text.lower() for text in texts) / len(texts) > 0.05


def test_no_template_mark_is_left_in_a_text(made: dict[str, list[Email]]) -> None:
    for mails in made.values():
        for mail in mails:
            assert not set("[]{}|^#<") & set(mail.text), mail.text
            assert "  " not in mail.text and mail.text.strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_well_formed_and_uses_known_slots(language: str) -> None:
    phrases = LANGUAGES[language]
    voice = Voice(phrases, Draw(0), familiar=False)
    for template in templates(phrases):
        parse(template)
        voice.slots = {"by": "by", "at": "at"}
        for _ in range(3):
            voice.say((template,))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_matter_can_be_said(language: str) -> None:
    phrases = LANGUAGES[language]
    keys = {matter.key for matter in MATTERS}
    assert len(keys) == len(MATTERS)
    assert set(phrases.subjects) == set(phrases.statements) == keys
    assert set(phrases.past) == {matter.key for matter in MATTERS if matter.kind == "problem"}


@pytest.mark.parametrize("template", ["a [b", "a b]", "a|b", "{a", "<a|b", "a } b"])
def test_a_template_with_lone_brackets_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        parse(template)


OUTAGE = Matter("server_down", "technical", "problem", 3)
BLOCKED = Matter("cannot_login", "account", "problem", 2)
NUISANCE = Matter("slow_pages", "technical", "problem", 1)
REQUEST = Matter("quote", "sales", "request", intent="request_action")
QUESTION = Matter("how_to", "technical", "question", intent="ask_information")


@pytest.mark.parametrize(
    ("matter", "changes", "urgency"),
    [
        (OUTAGE, {}, "critical"),
        (OUTAGE, {"tone": "polite"}, "critical"),
        (OUTAGE, {"resolved": True, "tone": "angry"}, "low"),
        (OUTAGE, {"workaround": True}, "high"),
        (OUTAGE, {"time": "soon"}, "critical"),
        (BLOCKED, {}, "high"),
        (BLOCKED, {"time": "now"}, "critical"),
        (BLOCKED, {"scope": "wide"}, "critical"),
        (BLOCKED, {"scope": "narrow"}, "medium"),
        (BLOCKED, {"time": "week"}, "medium"),
        (BLOCKED, {"denied": True, "tone": "angry"}, "low"),
        (NUISANCE, {}, "medium"),
        (NUISANCE, {"time": "soon"}, "high"),
        (NUISANCE, {"scope": "narrow"}, "low"),
        (REQUEST, {}, "medium"),
        (REQUEST, {"time": "far"}, "low"),
        (REQUEST, {"time": "soon"}, "high"),
        (REQUEST, {"time": "now"}, "critical"),
        (QUESTION, {}, "low"),
        (QUESTION, {"time": "week"}, "medium"),
    ],
)
def test_urgency_follows_from_gravity_reach_deadline_and_denial(
    matter: Matter, changes: dict[str, object], urgency: str
) -> None:
    plain: dict[str, object] = {"language": "en", "intent": matter.intent, "writer": "customer", "tone": "plain"}
    assert Situation(matter=matter, **{**plain, **changes}).urgency == urgency  # type: ignore[arg-type]


@pytest.mark.parametrize("level", range(4))
def test_a_situation_of_the_wanted_urgency_is_drawn(level: int) -> None:
    draw = Draw(level)
    assert all(sample(draw, "fr", level).urgency == URGENCY[level] for _ in range(200))


def test_draws_are_those_that_python_promises_to_keep() -> None:
    draw = Draw(42)
    assert [draw.integer(0, 99) for _ in range(5)] == [63, 2, 27, 22, 73]


def test_a_typo_keeps_short_words_and_the_number_of_words() -> None:
    text = "this is not urgent at all, the invoice can wait"
    changed = noise.typos(text, Draw(3), "en", 1.0)
    assert changed != text
    assert len(changed.split()) == len(text.split())
    assert {"is", "not", "at", "all,", "the", "can"} <= set(changed.split())
    assert noise.typos(text, Draw(3), "en", 0.0) == text


def test_accents_and_ligatures_can_be_left_out() -> None:
    assert noise.without_accents("Élodie a reçu l'œuvre, ça marche où ?") == "Elodie a recu l'oeuvre, ca marche ou ?"


def test_words_are_shortened_whole() -> None:
    forms = {"please": ("pls",), "c'est": ("c",)}
    assert noise.shortened("Please, c'est displeased", Draw(0), forms, 1.0) == "pls, c displeased"


@pytest.mark.parametrize("count", [0, 39, 200_001])
def test_a_count_that_cannot_be_split_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="ask for 40 to 200000"):
        splits(count, 0)


def test_a_linear_model_learns_urgency_but_not_perfectly() -> None:
    made = splits(10_000, seed=0)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    train = vectorizer.fit_transform([mail.text for mail in made["train"]])
    model = LinearSVC(C=0.5).fit(train, [mail.urgency for mail in made["train"]])
    test = vectorizer.transform([mail.text for mail in made["test"]])
    accuracy = model.score(test, [mail.urgency for mail in made["test"]])
    assert 0.85 < accuracy < 0.95
