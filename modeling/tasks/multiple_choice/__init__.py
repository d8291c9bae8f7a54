"""Multiple choice: SWAG, RACE and data of the same kind.

Examples are read (`ChoiceFile`) and laid out in rows, one for each choice
(`ChoiceEncoder`, `encode_cached`, or `token_rows.stream`). `RowExamples` makes
batches [examples, choices, length] of them.
"""

from modeling.tasks.multiple_choice.encoding import (
    ChoiceEncoder,
    encode_cached,
)
from modeling.tasks.multiple_choice.examples import ChoiceExample
from modeling.tasks.multiple_choice.metrics import accuracies
from modeling.tasks.multiple_choice.predictions import ChoiceWriter
from modeling.tasks.multiple_choice.reading import ChoiceFile

__all__ = [
    "ChoiceEncoder",
    "ChoiceExample",
    "ChoiceFile",
    "ChoiceWriter",
    "accuracies",
    "encode_cached",
]
