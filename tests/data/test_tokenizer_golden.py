"""The golden vectors: texts written for this purpose and their ids, which every implementation must give."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgewright.data import byte_bpe, characters, wordpiece
from edgewright.data.files import write_text
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import Normalisation, normalise
from edgewright.data.tokenizer import KINDS, Tokenizer, from_json
from edgewright.data.tokenizer_fields import Bert

BERT = "wordpiece_bert"  # not a kind: a vocabulary of BERT's
SHAPES = "hashed_ngrams_shapes"  # not a kind: with the shapes of words
CHARACTERS = "hashed_ngrams_characters"  # not a kind: with the characters of words
GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"

TEXTS = {
    "empty": "",
    "one character": "a",
    "one space": " ",
    "one sign": "!",
    "english": "The server is down again, please call me back before 5 pm!",
    "english apostrophes": "It's Anna's second e-mail, and she doesn't (yet) know why.",
    "english capitals": "URGENT: PRODUCTION IS DOWN",
    "french": "Le serveur est encore en panne, merci de me rappeler dès que possible.",
    "french accents": "À Noël, l'élève reçut où? Ça, c'est l'œuvre d'une âme naïve ; «évidemment» …",
    "french capitals": "ÉTÉ, ÇA VA ÊTRE TRÈS LONG",
    "composed": "café déjà Ångström ộ",
    "decomposed": "cafe\u0301 de\u0301ja\u0300 A\u030angstro\u0308m o\u0323\u0302",
    "decomposed in another order": "o\u0302\u0323 o\u0323\u0302",
    "marks alone": "\u0301 \u0301\u0302 a\u20dd",
    "moved spacing marks": "\U0001d16d\U0001d165 \U0001d165\U0001d16d \u302e",
    "controls": "a\x01b\x02 c\x1fd\x7fe\x80f\x85g",
    "nul": "uni\0code\0",
    "spaces": " two  spaces\ttab\r\nline\u00a0no-break\u2003em\u3000ideographic\u2028end ",
    "zero width": "zero\u200bwidth\u200djoin\ufeffer soft\u00adhyphen \u202eright\u202c",
    "emoji": "great 👍 thanks 🙂🙂 ❤️",
    "emoji sequences": "👩‍👩‍👧‍👦 👍🏽 🇫🇷 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "emoji after unicode 14": "\U0001fae8 \U0001fa75",
    "arabic": "مرحبا بالعالم، كَيْفَ الحال؟ ٣٤",
    "hebrew": "שלום עולם, שָׁלוֹם",
    "mixed directions": "order רכישה number ٤٢ was refused",
    "greek": "ΟΔΟΣ Ὀδυσσεύς ὈΔΥΣΣΕΎΣ \u1fb3",
    "cyrillic": "Привет, МИР! Ёлка и й",
    "chinese": "你好，世界。服务器坏了",
    "compatibility ideograph": "\uf900 \U0002f800 \U00020000",
    "japanese": "サーバーがダウンしています。ﾊﾝｶｸ が か\u3099",
    "hangul": "안녕하세요 서버 가 각",
    "hangul jamo": "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "hindi": "नमस्ते दुनिया",
    "thai": "สวัสดีชาวโลก",
    "turkish": "İstanbul IĞDIR ışık i\u0307",
    "german": "Straße GROẞ Übermäßig",
    "ligatures": "ﬁnal oﬃce Æsop ǅ ĳ",
    "full width": "ＡＢＣ １２３ ① ² ½",
    "mathematics": "∑ x² ≠ 𝒜𝟙 \u2126 \u212a \u212b",
    "lone high surrogate": "a\ud83d b",
    "lone low surrogate": "\ude00a",
    "private use and unassigned": "\ue000 \U0010ffff \u0378 \ufffe",
    "code": "snake_case __init__ a<b> x=1; <br/> C:\\temp\\new #42 ##er [UNK]",
    "address": "https://example.org/a?b=c&d=%20e me@example.org",
    "long word": "x" * 63 + " " + "y" * 64 + " " + "z" * 65 + " " + "é" * 130,
    "long runs": "-" * 70 + " " * 130 + "a" + " " * 64 + "\n" * 3 + "b",
    "repeats": "banana bananas ananas aaaaaaa",
    "long": " ".join(["The answer to the second question is late;", "la réponse à la question 2 est en retard."] * 4),
}

TRAINING = [
    "The server is down again, please call me back before noon.",
    "Could you please send the invoice for the second server?",
    "Le serveur est encore en panne, merci de me rappeler dès que possible.",
    "Pouvez-vous m'envoyer la facture du deuxième serveur ?",
    "Thank you for the quick answer; everything works as expected 🙂",
    "Merci pour la réponse rapide, tout fonctionne comme prévu 🙂",
    "The parcel is late and the answer to my question was wrong.",
    "Le colis est en retard et la réponse à ma question était fausse.",
    "Привет, сервер опять не работает. 你好，服务器坏了。 서버 안녕하세요. مرحبا بالعالم",
    "bananas and ananas, straße, x=1; https://example.org me@example.org #42",
] * 3


def made_anew(kind: str) -> Tokenizer:
    if kind == "wordpiece":
        return wordpiece.train(TRAINING, vocab_size=500)
    if kind == BERT:
        pieces = ("[UNK]", "[CLS]", "[SEP]", *wordpiece.train(TRAINING, vocab_size=500).vocabulary)
        return wordpiece.WordPiece(pieces, bert=Bert(unknown=2, first=3, last=4))
    if kind == "byte_bpe":
        return byte_bpe.train(TRAINING, vocab_size=450)
    if kind == "characters":
        keeping = Normalisation(lowercase=False, strip_marks=False)
        return characters.train(TRAINING, 100, 1, keeping, specials=("start", "end"))
    if kind == SHAPES:
        return HashedNgrams(normalisation=Normalisation(lowercase=False), shapes=True)
    if kind == CHARACTERS:  # an odd number, of which long words show one more in front
        keeping = Normalisation(lowercase=False, strip_marks=False)
        return HashedNgrams(features=3, ngrams=(), normalisation=keeping, shapes=True, characters=7)
    return HashedNgrams()


def write_golden(path: Path, tokenizer: Tokenizer) -> None:
    cases = []
    for name, text in TEXTS.items():
        normalised = normalise(text, tokenizer.normalisation)
        ids = tokenizer.encode(text).tolist()
        cases.append(json.dumps({"name": name, "text": text, "normalised": normalised, "ids": ids}))
    # ASCII, so that control characters and lone surrogates are seen in a review
    header = json.dumps(tokenizer.to_json(), separators=(",", ":"))
    write_text(path, f'{{"tokenizer": {header},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n")


@pytest.fixture(scope="module", params=[*sorted(KINDS), BERT, SHAPES, CHARACTERS])
def golden(request: pytest.FixtureRequest) -> Any:
    path = GOLDEN / f"{request.param}.json"
    if request.config.getoption("--update-golden"):
        write_golden(path, made_anew(request.param))
    return json.loads(path.read_text(encoding="ascii"))


def test_ids_are_the_golden_ones(golden: Any) -> None:
    tokenizer = from_json(golden["tokenizer"])
    wrong = [case["name"] for case in golden["cases"] if tokenizer.encode(case["text"]).tolist() != case["ids"]]
    assert wrong == []


def test_normal_forms_are_the_golden_ones(golden: Any) -> None:
    options = from_json(golden["tokenizer"]).normalisation
    wrong = [case["name"] for case in golden["cases"] if normalise(case["text"], options) != case["normalised"]]
    assert wrong == []


def test_the_golden_texts_are_the_ones_written_here(golden: Any) -> None:
    assert {case["name"]: case["text"] for case in golden["cases"]} == TEXTS
