"""Features of text from chosen layers of a pre-trained encoder."""

from modeling.features.extractor import FeatureExtractor, LineFeatures
from modeling.features.job import ExtractionJob, extract_features
from modeling.features.options import FeatureOptions
from modeling.features.shards import read_shards
from modeling.network.layer_choice import parse_layers

__all__ = [
    "ExtractionJob",
    "FeatureExtractor",
    "FeatureOptions",
    "LineFeatures",
    "extract_features",
    "parse_layers",
    "read_shards",
]
