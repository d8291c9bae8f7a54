"""Trained models as ones that take raw strings and can be served."""

from modeling.export.job import (
    INFO,
    TASKS,
    Export,
    ExportOptions,
    export_model,
)
from modeling.export.parity import Refused

__all__ = [
    "INFO",
    "TASKS",
    "Export",
    "ExportOptions",
    "Refused",
    "export_model",
]
