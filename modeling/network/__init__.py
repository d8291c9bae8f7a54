"""The network in `keras.ops` alone; runs without TensorFlow."""

from modeling.network.classifiers import BertClassifier, FeatureClassifier
from modeling.network.encoder import BertModel
from modeling.network.models import BertPretrainer
from modeling.network.question_answerer import BertQuestionAnswerer

__all__ = [
    "BertClassifier",
    "BertModel",
    "BertPretrainer",
    "BertQuestionAnswerer",
    "FeatureClassifier",
]
