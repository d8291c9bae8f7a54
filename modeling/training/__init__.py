"""How a model is learned: strategy, optimizer, loop, state, reporting."""

from modeling.training.best import BestScore
from modeling.training.evaluation import write_evaluation
from modeling.training.flops import device_ceiling
from modeling.training.inputs import Share, check_batch_size
from modeling.training.loop import LoopOptions
from modeling.training.model_files import ModelFiles
from modeling.training.optimizers import OptimizerOptions
from modeling.training.options import TrainingOptions
from modeling.training.prediction import Predictor
from modeling.training.run_log import RunLog
from modeling.training.schedules import Schedule
from modeling.training.session import Outcome, TrainingSession
from modeling.training.step import StepOptions
from modeling.training.task import Task

__all__ = [
    "BestScore",
    "LoopOptions",
    "ModelFiles",
    "OptimizerOptions",
    "Outcome",
    "Predictor",
    "RunLog",
    "Schedule",
    "Share",
    "StepOptions",
    "Task",
    "TrainingOptions",
    "TrainingSession",
    "check_batch_size",
    "device_ceiling",
    "write_evaluation",
]
