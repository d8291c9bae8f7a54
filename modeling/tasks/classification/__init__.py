"""Sentence and pair classification: data sets, rows, metrics, predictions."""

from modeling.tasks.classification.cache import encode_cached
from modeling.tasks.classification.data_set import Columns, DataSet, SplitFile
from modeling.tasks.classification.encoding import ExampleEncoder, RowOptions
from modeling.tasks.classification.examples import (
    DataProcessor,
    InputExample,
    PaddingInputExample,
)
from modeling.tasks.classification.features import (
    InputFeatures,
    convert_examples_to_features,
    encode_as_records,
    record_features,
)
from modeling.tasks.classification.labels import Labels, collect_labels
from modeling.tasks.classification.metrics import evaluate, report
from modeling.tasks.classification.own_data import OwnData
from modeling.tasks.classification.predictions import (
    PredictionWriter,
    decide,
    submission_name,
)
from modeling.tasks.classification.processors import DataSetProcessor
from modeling.tasks.classification.reading import FileExamples, read_split
from modeling.tasks.classification.registry import (
    DATA_SET_NAMES,
    find_data_set,
)
from modeling.tasks.classification.sampling import (
    balanced_sample,
    class_weights,
)
from modeling.tasks.token_rows import EncodedExamples, encode_examples, stream

__all__ = [
    "DATA_SET_NAMES",
    "Columns",
    "DataProcessor",
    "DataSet",
    "DataSetProcessor",
    "EncodedExamples",
    "ExampleEncoder",
    "FileExamples",
    "InputExample",
    "InputFeatures",
    "Labels",
    "OwnData",
    "PaddingInputExample",
    "PredictionWriter",
    "RowOptions",
    "SplitFile",
    "balanced_sample",
    "class_weights",
    "collect_labels",
    "convert_examples_to_features",
    "decide",
    "encode_as_records",
    "encode_cached",
    "encode_examples",
    "evaluate",
    "find_data_set",
    "read_split",
    "record_features",
    "report",
    "stream",
    "submission_name",
]
