"""Phrase material of one language, and the small template language that it is written in.

[now|at once|]      one of the alternatives, nested as deep as wanted; the last one here is empty
{product}           a slot: one of the language's values, the same one throughout an e-mail
<pouvez-vous|peux-tu>   formal or familiar, the same choice throughout an e-mail
# and ^             a digit 0-9 and a digit 1-9
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgewright.data.situations import Draw, Scope, Time, Tone, Writer

Texts = tuple[str, ...]


@dataclass(frozen=True)
class TimePhrases:
    """How a language names one range of time."""

    by: Texts  # until when something is needed: "by tonight"
    at: Texts  # when an event is: "tonight"
    problem: Texts  # sentences about solving a problem; may use {by}, {at}, {event}
    request: Texts  # sentences about fulfilling a request
    short: Texts  # clauses of a chat message


@dataclass(frozen=True)
class Phrases:
    """Everything that a generated e-mail can say in one language."""

    slots: Mapping[str, Texts]
    contractions: Mapping[str, str]  # of a word and the slot after it: "de le " is "du "
    subjects: Mapping[str, Texts]  # by matter
    statements: Mapping[str, Texts]  # by matter: the problem as it is, the request, the question, the news
    past: Mapping[str, Texts]  # by problem: the same when it is over
    alarms: Mapping[str, Texts]  # subject prefixes by urgency
    greetings: Mapping[Literal["formal", "familiar"], Texts]
    openers: Mapping[Writer, Texts]
    courtesies: Texts
    times: Mapping[Time, TimePhrases]
    stakes: Texts  # what is lost when a request is not fulfilled now
    insistence: Mapping[str, Texts]  # by urgency: "this cannot wait"
    scopes: Mapping[Scope, Texts]
    workarounds: Texts
    resolutions: Texts
    relapses: Texts
    denials: Texts
    asks: Mapping[str, Texts]  # by intent, after a problem
    follow_ups: Texts
    tones: Mapping[Tone, Texts]
    tones_of_news: Mapping[Tone, Texts]  # where nothing was asked for: feedback
    details: Mapping[str, Texts]  # by category: neutral sentences
    remarks: Texts  # neutral, about anything
    closings: Texts
    sign_offs: Texts
    signatures: Texts
    footers: Texts
    quote_headers: Texts
    forwards: Texts
    short_forms: Mapping[str, Texts]  # chat spellings of a word
    emojis: Mapping[str, Texts]  # by sentiment
    guests: Texts  # sentences of the other language that people here mix in


@dataclass(frozen=True)
class _Slot:
    name: str


@dataclass(frozen=True)
class _Choice:
    options: tuple["_Nodes", ...]


@dataclass(frozen=True)
class _Register:
    options: tuple["_Nodes", ...]


_Nodes = tuple[str | _Slot | _Choice | _Register, ...]
_DIGIT = re.compile(r"[#^]")
_SPACES = re.compile(r" {2,}")
_TOKEN = re.compile(r"[\[\]<>|]|\{\w+\}|[^\[\]<>|{}]+")


class Voice:
    """One writer: fills templates, and stays with the slot values and the register that were drawn first."""

    def __init__(self, phrases: Phrases, draw: Draw, familiar: bool) -> None:
        self.phrases = phrases
        self.draw = draw
        self.familiar = familiar
        self.slots: dict[str, str] = {}

    def say(self, templates: Texts) -> str:
        """One of the templates, filled."""
        text = self._fill(parse(self.draw.pick(templates)))
        return _SPACES.sub(" ", text).replace(" ,", ",").strip()

    def _fill(self, nodes: _Nodes) -> str:
        text = ""
        for node in nodes:
            if isinstance(node, str):
                text += node if "#" not in node and "^" not in node else _DIGIT.sub(self._digit, node)
            elif isinstance(node, _Choice):
                text += self._fill(self.draw.pick(node.options))
            elif isinstance(node, _Register):
                text += self._fill(node.options[self.familiar])
            else:
                text = self._append(text, self._slot(node.name))
        return text

    def _slot(self, name: str) -> str:
        if name not in self.slots:
            self.slots[name] = self._fill(parse(self.draw.pick(self.phrases.slots[name])))
        return self.slots[name]

    def _append(self, text: str, value: str) -> str:
        for apart, together in self.phrases.contractions.items():
            word, article = apart.split(" ", 1)
            if value.startswith(article) and (text == word + " " or text.endswith(f" {word} ")):
                return text[: -len(word) - 1] + together + value[len(article) :]
        return text + value

    def _digit(self, mark: re.Match[str]) -> str:
        return str(self.draw.integer(0 if mark[0] == "#" else 1, 9))


@functools.cache
def parse(template: str) -> _Nodes:
    """The parts of a template; a ValueError where its brackets do not match."""
    tokens = _TOKEN.findall(template)
    if "".join(tokens) != template:
        raise ValueError(f"template {template!r}: a brace stands alone")
    nodes, rest = _sequence(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"template {template!r}: '{tokens[rest]}' stands alone")
    return nodes


def _sequence(tokens: list[str], start: int) -> tuple[_Nodes, int]:
    nodes: list[str | _Slot | _Choice | _Register] = []
    while start < len(tokens) and tokens[start] not in "]>|":
        token = tokens[start]
        if token in "[<":
            close = "]" if token == "[" else ">"
            options: list[_Nodes] = []
            while start < len(tokens) and tokens[start] != close:
                option, start = _sequence(tokens, start + 1)
                options.append(option)
            if start == len(tokens):
                raise ValueError(f"template {''.join(tokens)!r}: no '{close}' for '{token}'")
            nodes.append(_Choice(tuple(options)) if close == "]" else _Register(tuple(options)))
        elif token.startswith("{"):
            nodes.append(_Slot(token[1:-1]))
        else:
            nodes.append(token)
        start += 1
    return tuple(nodes), start
