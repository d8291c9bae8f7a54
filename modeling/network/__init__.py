"""The network in `keras.ops` alone; runs without TensorFlow."""

from modeling.network.classifiers import BertClassifier, FeatureClassifier
from modeling.network.encoder import BertModel
from modeling.network.models import BertPretrainer
from modeling.network.multiple_choice import BertMultipleChoice
from modeling.network.question_answerer import BertQuestionAnswerer
from modeling.network.taggers import BertTagger, FeatureTagger

__all__ = [
    "BertClassifier",
    "BertModel",
    "BertMultipleChoice",
    "BertPretrainer",
    "BertQuestionAnswerer",
    "BertTagger",
    "FeatureClassifier",
    "FeatureTagger",
]
