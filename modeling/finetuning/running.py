"""run_job: what a fine-tuning script does, in its order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from absl import logging

from modeling.devices import is_chief
from modeling.finetuning.job import Job
from modeling.finetuning.setup import Setup
from modeling.finetuning.trainer import MakeOptions, Trained
from modeling.finetuning.trials import Trial
from modeling.output_files import telling
from modeling.progress import Phases
from modeling.training import Outcome, RunLog


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What a script is asked to do.

    Attributes:
      train, evaluate, predict: in this order.
      dry_run: to try all but write nothing, instead.
    """

    train: bool = False
    evaluate: bool = False
    predict: bool = False
    dry_run: bool = False


def run_job(
    job: Job,
    purpose: Purpose,
    trials: Sequence[Trial],
    training_options: MakeOptions,
) -> Trained | None:
    """Trains, evaluates and predicts, as far as each is asked for.

    Args:
      job: of the script's task.
      purpose: what to do.
      trials: trainings.
      training_options: how the loop trains.

    Returns:
      The model and how its training ended, None after a dry run. After an
      interrupted training nothing else is done.

    Raises:
      UserError: something is wrong with what was given, or cannot be written.
    """
    if purpose.train or purpose.dry_run:
        job.check_data(purpose.evaluate, purpose.predict)
    if purpose.dry_run:
        tuning = job.fine_tuning(training_options)
        for name, value in tuning.dry_run(trials[0]).items():
            logging.info("%s: %s", name, f"{value:,.6g}")
        logging.info("All is well. No model was written.")
        return None
    if purpose.train:
        tuning = job.fine_tuning(training_options)
        with telling(job.setup.output_dir):
            trained = tuning.run_all(trials, on_start=job.keep_description)
    else:
        trained = _open(job.setup)
    session, outcome = trained.session, trained.outcome
    if purpose.evaluate and not outcome.interrupted:
        job.write_evaluations(session, outcome.step)
    if purpose.predict and not outcome.interrupted:
        job.predict(session)
    phases = Phases()
    phases.seconds.update(job.phases.seconds)
    for name, seconds in session.phases.seconds.items():
        phases.seconds[name] += seconds
    trained.log.end(phases)
    return trained


def _open(setup: Setup) -> Trained:
    session, step = setup.trained_session()
    log = RunLog(
        setup.output_dir, total_steps=step, is_chief=is_chief(setup.strategy)
    )
    return Trained(session, Outcome(step), log)
