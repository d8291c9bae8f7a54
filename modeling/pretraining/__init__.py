"""Pre-training data: corpus -> documents -> pairs -> masked instances."""

from modeling.pretraining.dynamic import DynamicMasking
from modeling.pretraining.job import (
    PretrainingDataJob,
    TokenizerFiles,
    create_pretraining_data,
)
from modeling.pretraining.masking import Masked, mask_batch
from modeling.pretraining.options import InstanceOptions, MaskingOptions
from modeling.pretraining.vocabulary import MaskingVocabulary
from modeling.pretraining.words import WordOptions

__all__ = [
    "DynamicMasking",
    "InstanceOptions",
    "Masked",
    "MaskingOptions",
    "MaskingVocabulary",
    "PretrainingDataJob",
    "TokenizerFiles",
    "WordOptions",
    "create_pretraining_data",
    "mask_batch",
]
