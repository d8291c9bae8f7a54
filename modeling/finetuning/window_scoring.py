"""A model's scores of the windows of a set of questions."""

from __future__ import annotations

import numpy as np

from modeling.finetuning.recipe import Recipe
from modeling.progress import Progress
from modeling.tasks.array_input import ArrayInput
from modeling.tasks.squad import FeatureSet, WindowScores
from modeling.tasks.squad.batches import SquadExamples
from modeling.training import TrainingSession


def score_windows(
    session: TrainingSession,
    features: FeatureSet,
    recipe: Recipe,
    batch_size: int,
    n_best_size: int,
) -> WindowScores:
    """The best scores of every window with the weights as they are.

    Padding can be no answer, but takes places among the best scores. With
    batches by length, how much of it a row has depends on its company, so its
    scores count as the lowest; with rows of one length they count as in the
    original.

    Args:
      session: of a `SquadTask`.
      features: the windows.
      recipe: of batches.
      batch_size: rows of full length in a batch.
      n_best_size: starts, and ends, kept of each window.
    """
    scores = WindowScores(len(features), n_best_size)
    batches = ArrayInput(
        SquadExamples(features), recipe.prediction_batches(batch_size)
    ).prediction(session.predictor.replicas)
    with (
        session.phases.phase("prediction"),
        Progress("Scoring", "windows") as progress,
    ):
        for indices, outputs in session.predictor.predict(batches):
            # Rows that only fill the batch stand at its end.
            starts = outputs["start_logits"][: len(indices)]
            ends = outputs["end_logits"][: len(indices)]
            if recipe.length_batching:
                lengths = features.lengths[indices, None]
                is_padding = np.arange(starts.shape[1]) >= lengths
                starts, ends = starts.copy(), ends.copy()
                starts[is_padding] = ends[is_padding] = -np.inf
            scores.put(indices, starts, ends)
            progress.advance(len(indices))
    return scores
