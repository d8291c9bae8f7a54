"""An exported model that chooses among answers."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.errors import UserError
from modeling.export import Refused, choosing
from tests.export.models import chooser, export, load, record


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Its directory, signatures and description."""
    directory = tmp_path_factory.mktemp("chooser")
    chooser(directory / "model")
    # The samples, on which it is compared with training, have blanks, choices
    # that are not there and too long contexts and questions.
    export(directory / "model", directory / "models")
    return directory, *load(directory / "models" / "model" / "1")


def test_chooser(exported):
    _, signatures, info = exported
    assert info["task"] == "multiple_choice"
    assert info["inputs"] == ["context", "question", "choices"]
    said = signatures["serving_default"](
        context=tf.constant(["The cat sat.", "a"]),
        question=tf.constant(["Who _ there?", ""]),
        choices=tf.constant([["sat", "", "is"], ["b", "c " * 90, "d"]]),
    )
    shares = said["probabilities"].numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert shares[0, 1] == 0
    assert (np.delete(shares, 1, 1) > 0).all()
    assert said["choice"].numpy().tolist() == shares.argmax(axis=1).tolist()


def test_rows_and_examples(exported):
    _, signatures, _ = exported
    ids = np.array([[[101, 1996, 102, 2003, 102], [101, 102, 1996, 102, 0]]])
    rows = {
        "input_ids": ids,
        "input_mask": (ids > 0).astype(int),
        "segment_ids": np.zeros_like(ids),
    }
    wanted = signatures["token_ids"](
        **{name: tf.constant(v, tf.int32) for name, v in rows.items()}
    )
    padded = {
        name: np.pad(values, [(0, 0), (0, 0), (0, 32 - 5)])
        for name, values in rows.items()
    }
    said = signatures["examples"](examples=tf.constant([record(**padded)]))
    np.testing.assert_allclose(
        said["probabilities"], wanted["probabilities"], atol=1e-5
    )


def test_other_rows_are_refused(exported, monkeypatch):
    directory, *_ = exported
    monkeypatch.setattr(choosing, "_BLANK", "^$")
    with pytest.raises(Refused):
        export(directory / "model", directory / "refused")


def test_tflite_is_refused(exported):
    directory, *_ = exported
    with pytest.raises(UserError, match="choices of any number"):
        export(directory / "model", directory / "lite", format="tflite")
