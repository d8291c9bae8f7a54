"""Questions of which one of several answers is right."""

from __future__ import annotations

import dataclasses
import re

_BLANK = re.compile("_+")
# In a typed question, where it is no part of a word.
_TYPED_BLANK = re.compile(r"(?<!\w)_+(?!\w)")


@dataclasses.dataclass(frozen=True)
class ChoiceExample:
    """A text, perhaps a question on it, and answers to choose from.

    Attributes:
      context: the text.
      question: on it, or what the choices go on with; may be empty. A choice
        stands behind it.
      choices: two or more, as many as one likes in each example.
      answer: the right one, from 0; None where it is not known.
      row_id: what the file calls the example; None where it has no name.
      has_blank: whether a choice takes the place of "_" in the question, where
        there is one, as in RACE.
      place: of the example, for messages.
    """

    context: str
    question: str
    choices: tuple[str, ...]
    answer: int | None = None
    row_id: str | None = None
    has_blank: bool = False
    place: str = ""

    @classmethod
    def typed(
        cls,
        context: str,
        question: str,
        choices: tuple[str, ...],
        place: str = "",
    ) -> ChoiceExample:
        """An example that stands in no file; a "_" in its question, which is
        no part of a word, is where a choice stands.
        """
        has_blank = _TYPED_BLANK.search(question) is not None
        return cls(context, question, choices, has_blank=has_blank, place=place)

    def around_choice(self) -> tuple[str, str]:
        """The question's parts before and behind a choice."""
        if not self.has_blank:
            return self.question, ""
        before, *behind = _BLANK.split(self.question, maxsplit=1)
        return before, "".join(behind)
