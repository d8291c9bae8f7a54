"""Questions of which one of several answers is right."""

from __future__ import annotations

import dataclasses
import re

# Ends a word or stands alone ("Tom likes _.", "Tom likes_."), but is no part of
# a name ("a_b", "__init__"). ASCII, as Chinese has no spaces around a blank.
_BLANK = re.compile("(?<![A-Za-z0-9_])([A-Za-z0-9]*)_+(?![A-Za-z0-9_])")


@dataclasses.dataclass(frozen=True)
class ChoiceExample:
    """A text, perhaps a question on it, and answers to choose from.

    Attributes:
      context: the text.
      question: on it, or what the choices go on with; may be empty. A choice
        takes the place of the first blank in it, "_" or several of them, and
        stands behind it where it has none.
      choices: two or more, as many as one likes in each example.
      answer: the right one, from 0; None where it is not known.
      row_id: what the file calls the example; None where it has no name.
      place: of the example, for messages.
    """

    context: str
    question: str
    choices: tuple[str, ...]
    answer: int | None = None
    row_id: str | None = None
    place: str = ""

    def around_choice(self) -> tuple[str, str]:
        """The question's parts before and behind a choice."""
        blank = _BLANK.search(self.question)
        if blank is None:
            return self.question, ""
        return self.question[: blank.end(1)], self.question[blank.end() :]
