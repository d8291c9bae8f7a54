"""Question answering on a text: SQuAD 1.1 and 2.0, CMRC 2018, DRCD.

Paragraphs with questions are read, cut into windows (`prepare_features`), and
scored by a model, window by window (`WindowScores`). Of the scores answers are
made (`answer_questions`), written (`write_predictions`) and judged
(`squad_metrics`, `mixed_metrics`). Nothing here needs TensorFlow.
"""

from modeling.tasks.squad.answers import Answered, answer_questions
from modeling.tasks.squad.cache import prepare_features
from modeling.tasks.squad.encode import Unaligned
from modeling.tasks.squad.features import (
    FIRST_UNIQUE_ID,
    FeatureSet,
    record_features,
)
from modeling.tasks.squad.metrics import (
    best_thresholds,
    right_answers,
    squad_metrics,
)
from modeling.tasks.squad.mixed_metrics import mixed_metrics
from modeling.tasks.squad.options import AnswerOptions, WindowOptions
from modeling.tasks.squad.prediction_files import (
    Predictions,
    write_predictions,
)
from modeling.tasks.squad.questions import (
    Answer,
    Paragraph,
    Question,
    check_question_ids,
    read_paragraphs,
)
from modeling.tasks.squad.scores import WindowScores

__all__ = [
    "FIRST_UNIQUE_ID",
    "Answer",
    "AnswerOptions",
    "Answered",
    "FeatureSet",
    "Paragraph",
    "Predictions",
    "Question",
    "Unaligned",
    "WindowOptions",
    "WindowScores",
    "answer_questions",
    "best_thresholds",
    "check_question_ids",
    "mixed_metrics",
    "prepare_features",
    "read_paragraphs",
    "record_features",
    "right_answers",
    "squad_metrics",
    "write_predictions",
]
