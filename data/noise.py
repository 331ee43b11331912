"""What hurry, anger and small keyboards do to a text. Every function returns a changed text and keeps its meaning."""

import re
import unicodedata
from collections.abc import Mapping

from edgewright.data.situations import Draw

# a letter of the keyboard, then its neighbours
_QWERTY = "qwa wqe ewr ret try ytu uyi iuo oip pol aqs sad dsf fdg gfh hgj jhk kjl lko zxa xzc cxv vcb bvn nbm mnk"
_AZERTY = "azq zae ezr ret try ytu uyi iuo oip pom qas sqd dsf fdg gfh hgj jhk kjl lkm mlp wxq xwc cxv vcb bvn nbh"
_NEIGHBOURS: Mapping[str, Mapping[str, str]] = {
    language: {keys[0]: keys[1:] for keys in keyboard.split()}
    for language, keyboard in (("en", _QWERTY), ("fr", _AZERTY))
}
_WORD = re.compile(r"[^\W\d_]{4,}")  # shorter words stay: a typo must not eat a "not"


def typos(text: str, draw: Draw, language: str, rate: float) -> str:
    """Slips in about `rate` of the words of four letters and more."""
    neighbours = _NEIGHBOURS[language]

    def slip(match: re.Match[str]) -> str:
        word = match[0]
        if not draw.chance(rate):
            return word
        at = draw.integer(1, len(word) - 2)
        kind = draw.random()
        if kind < 0.3:  # the key beside the right one
            keys = neighbours.get(word[at], "")
            return word[:at] + keys[int(draw.random() * len(keys))] + word[at + 1 :] if keys else word
        if kind < 0.55:
            return word[:at] + word[at + 1 :]
        if kind < 0.75:
            return word[: at + 1] + word[at:]
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return _WORD.sub(slip, text)


def without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.replace("œ", "oe").replace("Œ", "Oe"))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def shortened(text: str, draw: Draw, forms: Mapping[str, tuple[str, ...]], rate: float) -> str:
    """Chat spellings of words, each occurrence with probability `rate`."""

    def shorten(match: re.Match[str]) -> str:
        return draw.pick(forms[match[0].lower()]) if draw.chance(rate) else match[0]

    words = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.sub(rf"(?<![\w'])(?:{words})(?![\w'])", shorten, text, flags=re.IGNORECASE)
