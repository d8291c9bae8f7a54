"""Several instances in a row."""

import numpy as np
import pytest

from modeling.errors import UserError
from modeling.records import Packing
from modeling.records.packing import pack
from tests.records.small_records import LENGTH, PREDICTIONS, make_columns


def instances_of(rows):
    """Takes rows apart again: (tokens, segments, predictions, label) each."""
    for row in range(len(rows["input_ids"])):
        blocks = rows["block_ids"][row]
        real = rows["next_sentence_weights"][row] > 0
        assert (np.diff(real.astype(int)) <= 0).all()
        for number in range(1, real.sum() + 1):
            at = np.flatnonzero(blocks == number)
            start = rows["cls_positions"][row, number - 1]
            assert at.tolist() == list(range(start, start + len(at)))
            places = rows["position_ids"][row, at]
            assert places.tolist() == list(range(len(at)))
            positions = rows["masked_lm_positions"][row]
            inside = (rows["masked_lm_weights"][row] > 0) & np.isin(
                positions, at
            )
            yield (
                tuple(rows["input_ids"][row, at]),
                tuple(rows["segment_ids"][row, at]),
                tuple(positions[inside] - start),
                tuple(rows["masked_lm_ids"][row, inside]),
                tuple(rows["masked_lm_weights"][row, inside]),
                rows["next_sentence_labels"][row, number - 1],
            )


def expected_instances(columns):
    for row in range(len(columns["input_ids"])):
        at = np.flatnonzero(columns["input_mask"][row])
        weights = columns["masked_lm_weights"][row]
        yield (
            tuple(columns["input_ids"][row, at]),
            tuple(columns["segment_ids"][row, at]),
            tuple(columns["masked_lm_positions"][row, weights > 0]),
            tuple(columns["masked_lm_ids"][row, weights > 0]),
            tuple(weights[weights > 0]),
            columns["next_sentence_labels"][row, 0],
        )


@pytest.mark.parametrize("max_instances", [1, 2, 8])
@pytest.mark.parametrize("number", [1, 2, 500])
def test_nothing_is_lost_and_nothing_mixed(number, max_instances):
    columns = make_columns(number, seed=number)
    rows = pack(columns, max_instances)
    assert sorted(instances_of(rows)) == sorted(expected_instances(columns))
    np.testing.assert_array_equal(rows["input_mask"], rows["block_ids"] > 0)
    assert not rows["input_ids"][rows["input_mask"] == 0].any()
    assert rows["next_sentence_labels"].shape[1] == max_instances
    assert rows["masked_lm_ids"].shape[1] == PREDICTIONS
    total = columns["masked_lm_weights"].sum()
    assert rows["masked_lm_weights"].sum() == total


def test_without_company_a_row_is_the_record():
    columns = make_columns(60)
    rows = pack(columns, 1)
    for name, values in columns.items():
        np.testing.assert_array_equal(rows[name], values, err_msg=name)


def test_rows_keep_the_order_of_the_stream():
    columns = make_columns(300, seed=4)
    numbers = [
        [tokens[1] for tokens, *_ in instances_of(one_row(rows, row))]
        for rows in [pack(columns, 8)]
        for row in range(len(rows["input_ids"]))
    ]
    assert all(row == sorted(row) for row in numbers)
    firsts = [row[0] for row in numbers]
    assert firsts == sorted(firsts)
    again = pack(columns, 8)
    for name, values in pack(columns, 8).items():
        np.testing.assert_array_equal(values, again[name])


def one_row(rows, row):
    return {name: values[row : row + 1] for name, values in rows.items()}


def test_rows_are_full():
    columns = make_columns(1000, seed=5)
    columns["input_mask"][:, 8:] = 0
    # Predictions in proportion to tokens, as records have them.
    columns["masked_lm_weights"][:, 1:] = 0
    for name in ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"):
        columns[name] = np.pad(columns[name], [(0, 0), (0, 5)])
    assert pack(columns, 8)["input_mask"].mean() > 0.97


def test_an_instance_goes_where_it_fits_best():
    columns = make_columns(4)
    lengths = np.array([[10], [9], [6], [3]])
    columns["input_mask"] = (np.arange(LENGTH) < lengths).astype(int)
    columns["masked_lm_weights"][:, 1:] = 0
    columns["masked_lm_weights"][:, 0] = 1
    columns["masked_lm_positions"][:] = 2
    rows = pack(columns, 8)
    assert rows["input_mask"].sum(axis=1).tolist() == [16, 12]


def test_predictions_limit_a_row():
    columns = make_columns(8)
    columns["input_mask"][:] = np.arange(LENGTH) < 5
    columns["masked_lm_positions"][:] = [1, 2, 0]
    columns["masked_lm_weights"][:] = [1, 1, 0]
    assert len(pack(columns, 8)["input_ids"]) == 8
    columns["masked_lm_weights"][:] = [1, 0, 0]
    assert len(pack(columns, 8)["input_ids"]) == 3


def test_padding_may_stand_anywhere_and_empty_rows_go():
    columns = make_columns(3)
    columns["input_mask"][0] = [1, 0, 1, 0, 1] + [0] * 11
    columns["masked_lm_positions"][0] = [2, 4, 0]
    columns["masked_lm_weights"][0] = [0.5, 1, 0]
    columns["input_mask"][1] = 0
    rows = pack({n: v[:2] for n, v in columns.items()}, 8)
    ids = columns["input_ids"][0]
    assert rows["input_ids"].shape == (1, LENGTH)
    assert rows["input_ids"][0, :4].tolist() == [ids[0], ids[2], ids[4], 0]
    assert rows["masked_lm_positions"].tolist() == [[1, 2, 0]]
    assert rows["masked_lm_weights"].tolist() == [[0.5, 1, 0]]
    nothing = pack({n: v[1:2] for n, v in columns.items()}, 8)
    assert nothing["input_ids"].shape == (0, LENGTH)


def test_predicted_padding_is_told():
    columns = make_columns(3)
    columns["input_mask"][1, 2:] = 0
    with pytest.raises(UserError, match="predicts its padding"):
        pack(columns, 8)


def test_options_out_of_range():
    with pytest.raises(UserError, match="window of packing .* Received: 0"):
        Packing(window=0)
    with pytest.raises(UserError, match="max_instances .* Received: -1"):
        Packing(max_instances=-1)
