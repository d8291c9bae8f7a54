"""The network in `keras.ops` alone; runs without TensorFlow."""

from modeling.network.classifiers import BertClassifier, FeatureClassifier
from modeling.network.encoder import BertModel
from modeling.network.models import BertPretrainer

__all__ = [
    "BertClassifier",
    "BertModel",
    "BertPretrainer",
    "FeatureClassifier",
]
