"""What is wrong with a job is told before it starts."""

import os

import pytest

from modeling.errors import UserError
from modeling.pretraining import (
    InstanceOptions,
    MaskingOptions,
    WordOptions,
    create_pretraining_data,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_shards": 0}, "num_shards must be positive. Received: 0"),
        ({"num_workers": 0}, "num_workers must be positive"),
        ({"show_instances": -1}, "show_instances must not be negative"),
        ({"num_shards": 2, "output_file": "a,b"}, "Name one output_file"),
        ({"output_file": "a,a"}, "Two outputs have one name"),
        ({"output_file": "a,./a"}, "Two outputs have one name"),
        ({"output_file": "a,"}, "An output has no name. Received: .*'a,'"),
        ({"output_file": "gs://b/a"}, "gs://b/a is not a file of this machine"),
        (
            {"output_file": "tiny.txt", "vocab_file": "tiny.txt"},
            "tiny.txt is both",
        ),
        (
            {
                "output_file": "one.txt",
                "method": "whole_word",
                "words": WordOptions("dictionary", "one.txt"),
            },
            "one.txt is both input and output",
        ),
        (
            {"input_file": "pipe", "runner": "beam"},
            "pipe can be read only once",
        ),
        ({"output_file": "text.txt"}, "both input and output"),
        ({"output_file": "nowhere/a"}, "nowhere does not exist"),
        ({"output_file": "folder"}, "folder is a directory"),
        ({"input_file": "nowhere*"}, "no file matches 'nowhere"),
        ({"input_file": "one.txt"}, "single document.*sentence_pairs=nsp"),
        (
            {"input_file": "one.txt", "sentence_pairs": "sop"},
            "single document.*sentence_pairs=sop",
        ),
        ({"vocab_file": "small.txt"}, r"lacks the special token \[MASK\]"),
        ({"vocab_file": "special.txt"}, "special and unused entries only"),
        ({"vocab_file": "nowhere.txt"}, "Cannot read the vocabulary nowhere"),
        ({"num_shards": 5000}, "fewer instances than the 5000 shards"),
        ({"method": "span"}, "masking=span needs spans"),
        (
            {
                "method": "whole_word",
                "words": WordOptions(span_dictionary="one.txt"),
            },
            "span_dictionary goes with masking=span or none. .*=whole_word",
        ),
        (
            {"words": WordOptions("spaces")},
            "masking=token masks single tokens",
        ),
        (
            {
                "method": "whole_word",
                "words": WordOptions("dictionary", "nowhere.txt"),
            },
            "Cannot read nowhere.txt",
        ),
    ],
)
def test_what_cannot_work_is_told(
    changes, message, make_job, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("the dog\nran\n")
    (tmp_path / "small.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n")
    (tmp_path / "special.txt").write_text(
        "[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    )
    (tmp_path / "tiny.txt").write_text("[PAD]\nthe\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    changes = {"input_file": "text.txt", "output_file": "out", **changes}
    (tmp_path / "out").write_text("an earlier output")
    with pytest.raises(UserError, match=message):
        create_pretraining_data(make_job(**changes))
    assert (tmp_path / "out").read_text() == "an earlier output"
    assert "metadata.out.json" not in os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "words"}, "masking must be one of token.*'words'"),
        ({"masked_lm_prob": 1.5}, "masked_lm_prob must lie in 0 to 1"),
        (
            {"replace_with_mask_prob": 0.8, "replace_with_random_prob": 0.3},
            "must not sum to more than 1. Received: 1.1",
        ),
        ({"max_predictions_per_seq": 0}, "must be at least 1. Received: 0"),
        ({"max_ngram": 0}, "max_ngram must be at least 1"),
    ],
)
def test_masking_options_are_checked(values, message):
    with pytest.raises(UserError, match=message):
        MaskingOptions(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sentence_pairs": "all"}, "sentence_pairs must be one of nsp"),
        ({"short_seq_prob": -1}, "short_seq_prob must lie in 0 to 1"),
        ({"dupe_factor": 0}, "dupe_factor must be at least 1"),
        ({"max_seq_length": 4}, "max_seq_length must be at least 5"),
        ({"max_seq_length": 1 << 16}, "max_seq_length must be below 65536"),
        ({"max_seq_length": 16}, "predictions_per_seq=20 do not fit.* 13"),
    ],
)
def test_instance_options_are_checked(values, message):
    with pytest.raises(UserError, match=message):
        InstanceOptions(**values)
