"""One of two processes that train together; `test_layouts` starts both.

python -m tests.training.one_of_two_hosts GOLDEN_DIR OUTPUT_FILE
"""

import dataclasses
import pathlib
import sys

import numpy as np


def main() -> None:
    from modeling.devices import is_chief, make_strategy, num_hosts

    strategy = make_strategy()  # before TensorFlow does anything else
    assert num_hosts(strategy) == 2

    from modeling.checkpoints import open_checkpoint
    from modeling.config import BertConfig
    from modeling.tasks.pretraining import PretrainingTask
    from modeling.training.inputs import all_positions
    from tests.training.harness import Layout, Training, load_batches
    from tests.training.test_layouts import SCHEDULE, STEPS

    golden_dir, output = map(pathlib.Path, sys.argv[1:])
    config = BertConfig.from_json_file(golden_dir / "bert_config.json")
    config = dataclasses.replace(
        config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    training = Training(
        PretrainingTask(config),
        {name: reader.read(name) for name in reader.shapes},
        SCHEDULE,
        Layout(),
        strategy=strategy,
    )
    batches = load_batches(golden_dir / "optimizer" / "batches.npz")
    training.run(batches[:STEPS])

    host = strategy.cluster_resolver.task_id
    positions = all_positions(strategy, np.array([host, 10 + host, 7]))
    np.testing.assert_array_equal(positions, [[0, 10, 7], [1, 11, 7]])
    if is_chief(strategy):
        np.savez(output, **training.weights)


if __name__ == "__main__":
    main()
