"""What a job has made, for people and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from modeling.pretraining.make_records import RecordMaker
from modeling.pretraining.options import InstanceOptions
from modeling.progress import Phases
from modeling.tokenization import Tokenizer

_BAR = 40
_BINS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The corpus, the instances and the time they took.

    Attributes:
      corpus: counts of `prepare_corpus`.
      totals: sums of `ShardSet.write`.
      options: of the instances.
    """

    corpus: Mapping[str, int]
    totals: Mapping[str, Any]
    options: InstanceOptions

    def counts(self) -> dict[str, int]:
        """What can be counted, the same for every run of the job."""
        names = ("documents", "sentences", "tokens", "unknown_tokens")
        return {
            **{name: self.corpus[name] for name in names},
            "instances": self.totals["instances"],
            "masked_tokens": self.totals["masked"],
        }

    def as_json(self, phases: Phases) -> dict[str, Any]:
        """Everything, with the seconds of each phase."""
        lengths = self.totals["lengths"]
        real = int(np.arange(len(lengths)) @ lengths)
        room = self.options.max_seq_length * self.totals["instances"]
        return {
            **self.counts(),
            "unknown_rate": self.corpus["unknown_tokens"]
            / self.corpus["tokens"],
            "padding_share": 1 - real / room,
            "masked_share": self.totals["masked"] / real,
            # Number of tokens, special ones included -> instances.
            "lengths": {
                str(length): int(count)
                for length, count in enumerate(lengths)
                if count
            },
            "seconds": dict(phases.seconds),
        }

    def log(self, phases: Phases) -> None:
        """Tells a person."""
        values = self.as_json(phases)
        logging.info(
            "%(documents)d documents, %(sentences)d sentences, %(tokens)d "
            "tokens, %(unknown_rate).2f%% of them [UNK]",
            {**values, "unknown_rate": 100 * values["unknown_rate"]},
        )
        logging.info("Instances by number of tokens:\n%s", self._histogram())
        logging.info(
            "%d masked tokens (%.1f%%), %.1f%% padding",
            values["masked_tokens"],
            100 * values["masked_share"],
            100 * values["padding_share"],
        )
        seconds = sum(phases.seconds.values())
        logging.info(
            "Seconds: %s; %.2f s in all, %.0f instances/s",
            phases,
            seconds,
            values["instances"] / seconds,
        )
        logging.info("Wrote %d total instances", values["instances"])

    def _histogram(self) -> str:
        lengths = self.totals["lengths"]
        edges = np.linspace(0, len(lengths) - 1, _BINS + 1).astype(int)
        counts = [
            int(lengths[a + 1 : b + 1].sum())
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
        return "\n".join(
            f"  {a + 1:5}-{b:<5}{count:12}  "
            + "#" * round(_BAR * count / max(counts))
            for a, b, count in zip(edges[:-1], edges[1:], counts, strict=True)
        )


def log_instances(
    records: RecordMaker, instances: np.ndarray, tokenizer: Tokenizer
) -> None:
    """Shows instances as the original does, a line a feature."""
    if not len(instances):
        return
    columns = records.columns(instances)
    for row in range(len(instances)):
        values = {f.name: columns[f.name][row] for f in records.features}
        ids = values["input_ids"][: int(values["input_mask"].sum())]
        logging.info("*** Example ***")
        logging.info(
            "tokens: %s",
            " ".join(tokenizer.convert_ids_to_tokens(ids.tolist())),
        )
        for name, content in values.items():
            logging.info("%s: %s", name, " ".join(map(str, content)))
