"""BERT for TensorFlow 2 and Keras 3.

Names are loaded when first used, so that `modeling.config` and
`modeling.network` import without TensorFlow (Keras' JAX back end) and so that a
script's `-h` answers at once.
"""

import importlib
from typing import Any

_HOMES = {
    "BertConfig": "modeling.config",
    "UserError": "modeling.errors",
    "BertModel": "modeling.network",
    "BertPretrainer": "modeling.network",
    "BertQuestionAnswerer": "modeling.network",
    "BertClassifier": "modeling.network",
    "FeatureClassifier": "modeling.network",
    "FullTokenizer": "modeling.tokenization",
    "load_tokenizer": "modeling.tokenization",
    "initialize_model": "modeling.checkpoints",
    "open_checkpoint": "modeling.checkpoints",
    "FeatureExtractor": "modeling.features",
    "FeatureOptions": "modeling.features",
    "PretrainedFiles": "modeling.pretrained",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'modeling' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
