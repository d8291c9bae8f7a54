"""Texts that an export is tried with before it is believed.

Among them are what tokenizers disagree on: accents, full-width punctuation, a
sharp s, a final sigma, characters that are dropped, no text at all, and more
text than fits in a row.
"""

from __future__ import annotations

# What a user sends for one answer: a text, several, or choices among them.
Sample = tuple[str | tuple[str, ...], ...]

_LONG = "The river rose all night, and by morning nobody could cross. " * 30

TEXTS: list[Sample] = [
    ("The cat sat on the mat.",),
    ("Crème brûlée? Über-straße, ΟΔΥΣΣΕΥΣ; ½ of İstanbul…",),
    ("今天天气很好，我们去公园散步吧！",),
    ("re\u0301sume\u0301\u200b \ufeff$5.00 (e.g.) don't  stop\t한국어 ✓ 😀",),
    ("",),
    ("a",),
    (_LONG,),
]
_ANSWERS = (
    "The dog ran.",
    "",
    "不，下雨了。",
    "Naïve — “quoted”",
    "b",
    "",
    _LONG,
)
PAIRS: list[Sample] = [
    (text, answer) for (text,), answer in zip(TEXTS, _ANSWERS, strict=True)
]
_STORY = (
    "The ferry left at six. Ann carried two loaves, Bob a lamp; "
    "on deck it smelled of tar and oranges. A bell rang twice. Nobody "
    "spoke until the lighthouse, white against 7 dark hills, came into "
    "view: then Eve laughed, counted the gulls (there were forty), and "
    "asked who had locked the café's blue door before they ran. Snow "
    'fell. "Me," said the cook, who never lied on Tuesdays.'
)
QUESTIONS: list[Sample] = [
    ("What did Ann carry?", _STORY),
    ("Who sat?", "The cat sat on the mat. Später aß sie Crème brûlée."),
    ("我们去哪里？", "今天天气很好，我们去公园散步吧！"),
    ("", "a"),
    ("Where?", ""),
]
CHOICES: list[Sample] = [
    ("The cat sat.", "What sat?", ("A cat", "Dogs", "")),
    (_LONG, "Nobody could _ the river.", ("cross", "", "")),
    ("今天天气很好！", "天气很___。", ("好", "Crème", "a b")),
    ("", "_?", ("½", "x", "")),
    ("a_b", "a_b or __init__ ", ("no", "yes", "")),
    ("a_b", "In a_b, _c is_.\nNot _ ?", ("no", "yes", "")),
    ("", _LONG, ("c", "d", "")),
    ("a", "", (" ", "x", "")),
]
