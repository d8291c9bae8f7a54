"""Fine-tuning: what the scripts for every kind of task have in common."""

from modeling.finetuning.freezing import parse_freeze
from modeling.finetuning.interactive import answer_lines
from modeling.finetuning.job import Job, JobOptions
from modeling.finetuning.kept_outputs import keep_encoder_outputs
from modeling.finetuning.predicting import (
    ChunkedPrediction,
    predict_chunks,
    predict_examples,
)
from modeling.finetuning.recipe import Recipe
from modeling.finetuning.running import Purpose, run_job
from modeling.finetuning.setup import Setup, Surroundings, read_kept
from modeling.finetuning.start import Start, find_start
from modeling.finetuning.trainer import FineTuning, Trained
from modeling.finetuning.trials import Grid, Trial, plan_trials

__all__ = [
    "ChunkedPrediction",
    "FineTuning",
    "Grid",
    "Job",
    "JobOptions",
    "Purpose",
    "Recipe",
    "Setup",
    "Start",
    "Surroundings",
    "Trained",
    "Trial",
    "answer_lines",
    "find_start",
    "keep_encoder_outputs",
    "parse_freeze",
    "plan_trials",
    "predict_chunks",
    "predict_examples",
    "read_kept",
    "run_job",
]
