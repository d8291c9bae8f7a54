"""--pack_sequences: short examples in one row."""

import numpy as np
import pytest

from tests.run_classifier.runs import report_of, rows_of
from tests.scripts import results_of


def test_packed_and_other_batches_give_the_same(run, tmp_path):
    values = {"max_seq_length": 32, "do_eval": True, "do_predict": True}
    out = run(
        **values, do_train=True, num_train_epochs=6.0, pack_sequences=True
    )
    # The steps of the original: packing changes no batch.
    assert results_of(out)["global_step"] == 60
    packed, rows = report_of(out), rows_of(out / "predictions.tsv")
    assert packed["eval_accuracy"] > 0.9
    run(**values)
    other, others = report_of(out), rows_of(out / "predictions.tsv")
    assert packed["eval_loss"] == pytest.approx(other["eval_loss"], rel=1e-5)
    assert packed["confusion_matrix"] == other["confusion_matrix"]
    assert [row[:2] for row in rows] == [row[:2] for row in others]
    np.testing.assert_allclose(
        np.array([row[2:] for row in rows[1:]], float),
        np.array([row[2:] for row in others[1:]], float),
        atol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"batch_tokens": 256, "pooling": "max", "xla": "on"},
        {
            "distribution": "mirrored",
            "gradient_accumulation_steps": 2,
            "pooling": "mean",
        },
    ],
    ids=lambda values: "-".join(values),
)
def test_packing_in_other_ways(values, run):
    out = run(
        **values,
        pack_sequences=True,
        max_seq_length=32,
        do_train=True,
        do_eval=True,
        num_train_epochs=6.0,
    )
    assert results_of(out)["eval_accuracy"] > 0.8
