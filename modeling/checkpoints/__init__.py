"""Checkpoints of every format as arrays under Google's variable names."""

from modeling.checkpoints.assign import initialize_model
from modeling.checkpoints.opening import open_checkpoint
from modeling.checkpoints.reader import CheckpointReader
from modeling.checkpoints.report import LoadReport, ShapeClash

__all__ = [
    "CheckpointReader",
    "LoadReport",
    "ShapeClash",
    "initialize_model",
    "open_checkpoint",
]
