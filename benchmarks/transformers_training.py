"""The peer's side of fine-tuning: a plain PyTorch loop, as in its examples."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from modeling.finetuning import Trial

WARMUP = 0.1  # share of the steps in which the rate rises


def prepare(seed: int) -> None:
    """Makes PyTorch repeatable, on all cores."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(os.cpu_count() or 1)


def train(
    model: Any,
    features: Sequence[Any],
    collate: Any,
    trial: Trial,
    num_examples: int,
) -> float:
    """Trains with AdamW, in batches of similar length; returns the seconds.

    Steps are counted from examples, of which one may have several features.
    Clipping, decay and its exceptions, warm-up and epsilon are ours.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup
    from transformers.trainer_pt_utils import LengthGroupedSampler

    steps = int(num_examples / trial.batch_size * trial.num_train_epochs)
    optimizer = torch.optim.AdamW(
        _decayed(model), lr=trial.learning_rate, eps=1e-6
    )
    schedule = get_linear_schedule_with_warmup(
        optimizer, int(steps * WARMUP), steps
    )
    sampler = LengthGroupedSampler(
        trial.batch_size,
        lengths=[len(f["input_ids"]) for f in features],
        generator=torch.Generator().manual_seed(trial.seed),
    )
    loader = torch.utils.data.DataLoader(
        features, trial.batch_size, sampler=sampler, collate_fn=collate
    )
    model.train()
    done, start = 0, time.perf_counter()
    while done < steps:
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            if done == steps:
                break
    return time.perf_counter() - start


def _decayed(model: Any) -> list[dict[str, Any]]:
    """Parameters with and without decay, as in the original."""
    excluded = ("bias", "LayerNorm")
    groups: dict[float, list[Any]] = {0.01: [], 0.0: []}
    for name, parameter in model.named_parameters():
        is_excluded = any(part in name for part in excluded)
        groups[0.0 if is_excluded else 0.01].append(parameter)
    return [
        {"params": parameters, "weight_decay": decay}
        for decay, parameters in groups.items()
    ]
