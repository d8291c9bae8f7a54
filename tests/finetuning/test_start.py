"""Files that a fine-tuning begins with, and those of a finished one."""

import json

import pytest

from modeling.errors import UserError
from modeling.finetuning import find_start
from modeling.pretrained import PretrainedFiles

CONFIG = {
    "vocab_size": 8,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"]


@pytest.fixture
def write(tmp_path):
    def write_files(name, words=WORDS, lower=None):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "vocab.txt").write_text("\n".join(words) + "\n")
        (directory / "bert_config.json").write_text(json.dumps(CONFIG))
        if lower is not None:
            path = directory / "tokenizer_config.json"
            path.write_text(json.dumps({"do_lower_case": lower}))
        return directory

    return write_files


def named(directory, **more):
    return PretrainedFiles(
        bert_config_file=str(directory / "bert_config.json"),
        vocab_file=str(directory / "vocab.txt"),
        **more,
    )


def test_training_begins_with_what_is_named(write, tmp_path):
    out = write("out", words=[*WORDS[:-1], "z"])
    start = find_start(named(write("model")), str(out), True, 32)
    assert "##c" in start.tokenizer.vocab
    assert start.model_files.do_lower_case is True
    start.model_files.write(str(tmp_path / "out"))
    assert (out / "vocab.txt").read_text().split() == WORDS


def test_without_training_the_model_tells_all_that_is_not_named(write):
    out = write("out", lower=False)
    start = find_start(PretrainedFiles(), str(out), False, 32)
    assert start.config.hidden_size == 8
    assert start.model_files.do_lower_case is False
    # Also where the user names the files again, but not the case.
    start = find_start(named(write("model")), str(out), False, 32)
    assert start.model_files.do_lower_case is False
    lower = find_start(PretrainedFiles(do_lower_case=True), str(out), False, 32)
    assert lower.model_files.do_lower_case is True


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "Give --bert_config_file or --init_checkpoint"),
        ({"bert_config_file": True}, "Give --vocab_file"),
    ],
)
def test_what_is_missing_is_told(files, message, write, tmp_path):
    directory = write("model")
    if files:
        files = {"bert_config_file": str(directory / "bert_config.json")}
    with pytest.raises(UserError, match=message):
        find_start(PretrainedFiles(**files), str(tmp_path / "none"), False, 32)


def test_files_that_do_not_belong_together(write, tmp_path):
    model = write("model")
    with pytest.raises(UserError, match="max_seq_length 33.*at most 32"):
        find_start(named(model), str(tmp_path), True, 33)
    larger = write("larger", words=[*WORDS, "d"])
    with pytest.raises(UserError, match="9 entries, the model's table 8 rows"):
        find_start(named(larger), str(tmp_path), True, 32)
