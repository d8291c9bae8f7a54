"""Multiple choice: SWAG, RACE and data of the same kind.

Examples are read (`ChoiceFile`) and laid out in rows, one for each choice
(`ChoiceEncoder`, `encode_cached`, or `token_rows.stream`). Batches are those of
texts in windows: [examples, choices, length].
"""

from modeling.tasks.multiple_choice.encoding import (
    ChoiceEncoder,
    encode_cached,
)
from modeling.tasks.multiple_choice.examples import ChoiceExample
from modeling.tasks.multiple_choice.predictions import ChoiceWriter, decide
from modeling.tasks.multiple_choice.reading import ChoiceFile

__all__ = [
    "ChoiceEncoder",
    "ChoiceExample",
    "ChoiceFile",
    "ChoiceWriter",
    "decide",
    "encode_cached",
]
