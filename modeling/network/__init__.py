"""The network in `keras.ops` alone; runs without TensorFlow."""

from modeling.network.encoder import BertModel
from modeling.network.models import BertClassifier, BertPretrainer

__all__ = ["BertClassifier", "BertModel", "BertPretrainer"]
