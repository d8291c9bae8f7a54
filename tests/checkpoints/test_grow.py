"""Checkpoints that get the rows of another vocabulary."""

import numpy as np
import pytest

from modeling.checkpoints import initialize_model, open_checkpoint
from modeling.checkpoints.convert import (
    FORMATS,
    ConversionOptions,
    convert_checkpoint,
)
from modeling.checkpoints.google import write_google_checkpoint
from modeling.checkpoints.grow import NewVocabulary
from modeling.errors import UserError
from modeling.network import BertPretrainer
from modeling.tokenization import FastTokenizer
from modeling.tokenization.learning import extend_vocab, match_vocabs
from tests.checkpoints.conftest import CONFIG, PREFIX

TABLES = ("bert/embeddings/word_embeddings", "cls/predictions/output_bias")
OLD = "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] the cat dog sat ##s".split()
OLD += "un ##card ##itis my ##o . , a ##a".split()
OLD_IDS = {token: index for index, token in enumerate(OLD)}
NEW = extend_vocab(OLD_IDS, ["mycarditis", "doga", "zebra", "cats"]).tokens
NEW_IDS = {token: index for index, token in enumerate(NEW)}


@pytest.fixture
def checkpoint(tmp_path, arrays):
    directory = tmp_path / "old"
    write_google_checkpoint(directory / PREFIX, arrays)
    (directory / "bert_config.json").write_text(CONFIG.to_json_string())
    (directory / "vocab.txt").write_text("\n".join(OLD) + "\n")
    return directory / PREFIX


@pytest.fixture
def grow(checkpoint, tmp_path):
    """Converts the checkpoint, with the new vocabulary."""
    file = tmp_path / "new_vocab.txt"
    file.write_text("\n".join(NEW) + "\n")

    def grow(to, source=checkpoint, sources=None, **options):
        sources = sources or match_vocabs(OLD_IDS, NEW_IDS)
        new = NewVocabulary(file, sources)
        options = ConversionOptions(to, new_vocabulary=new, **options)
        report = convert_checkpoint(source, tmp_path / to, options)
        return open_checkpoint(tmp_path / to), report

    return grow


@pytest.mark.parametrize("to", FORMATS)
def test_rows(grow, arrays, to):
    reader, report = grow(to)
    assert reader.config.vocab_size == len(NEW) == len(OLD) + 3
    assert reader.vocab_file.read_text().split() == NEW
    grown = sum(array.size for array in arrays.values()) + 3 * (8 + 1)
    assert report.parameters == grown
    assert report.variables == len(reader.shapes) == len(arrays)
    for name, old in arrays.items():
        new = reader.read(name)
        assert new.dtype == np.float32
        if name not in TABLES:
            np.testing.assert_array_equal(new, old)
            continue
        for token in set(OLD) - {"[unused0]"}:
            np.testing.assert_array_equal(
                new[NEW_IDS[token]], old[OLD_IDS[token]]
            )
        for token, pieces in {
            "mycarditis": ["my", "##card", "##itis"],
            "doga": ["dog", "##a"],
            "zebra": ["[UNK]"],
            "cats": ["cat", "##s"],
        }.items():
            rows = [old[OLD_IDS[piece]] for piece in pieces]
            np.testing.assert_allclose(
                new[NEW_IDS[token]], np.mean(rows, axis=0), rtol=1e-6
            )


def test_old_text_gives_the_same_output(grow, checkpoint):
    """Words that both know: their vectors, and their scores as predictions."""
    outputs = []
    shared = [token for token in OLD if token in NEW_IDS]
    for source, ids in ((str(checkpoint), OLD_IDS), (None, NEW_IDS)):
        reader = grow("google")[0] if source is None else None
        path = source or reader.path
        config = open_checkpoint(path).config
        model = BertPretrainer(config)
        initialize_model(model, path)
        text = FastTokenizer(ids).encode("The cat sat, my dog.")
        text = np.array([[ids["[CLS]"], *text, ids["[SEP]"]]])
        inputs = {
            "input_ids": text,
            "input_mask": np.ones_like(text),
            "segment_ids": np.zeros_like(text),
            "masked_lm_positions": np.array([[1, 3]]),
        }
        result = model(inputs)
        logits = np.asarray(result["masked_lm_logits"])
        outputs.append(
            (
                np.asarray(result["next_sentence_logits"]),
                logits[..., [ids[token] for token in shared]],
            )
        )
    for old, new in zip(*outputs, strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-6)


def test_training_checkpoint_loses_its_slots(grow, tmp_path, arrays):
    slots = {f"{name}/adam_m": array for name, array in arrays.items()}
    source = tmp_path / "training"
    write_google_checkpoint(source / "model.ckpt-5", {**arrays, **slots})
    (source / "bert_config.json").write_text(CONFIG.to_json_string())
    reader, _ = grow("google", source)
    assert set(reader.shapes) == set(arrays)


def test_encoder_without_heads(grow, tmp_path, arrays):
    encoder = {k: v for k, v in arrays.items() if k.startswith("bert/")}
    source = tmp_path / "encoder"
    write_google_checkpoint(source / PREFIX, encoder)
    (source / "bert_config.json").write_text(CONFIG.to_json_string())
    reader, _ = grow("huggingface", source)
    assert set(reader.shapes) == set(encoder)
    assert reader.shapes[TABLES[0]] == (len(NEW), 8)


def test_fewer_and_reordered_tokens(grow, arrays):
    reader, _ = grow("google", sources=[(19,), (3,), (0, 1)])
    for name in TABLES:
        old, new = arrays[name], reader.read(name)
        np.testing.assert_array_equal(new[:2], old[[19, 3]])
        np.testing.assert_allclose(new[2], old[:2].mean(axis=0), rtol=1e-6)


def test_vocabulary_of_another_model(grow, tmp_path):
    with pytest.raises(UserError, match="has an id 20, .* only 20 rows"):
        grow("google", sources=[(0,), (3, 20)])
    assert not (tmp_path / "google").exists()


def test_optimizer_state_does_not_grow():
    new = NewVocabulary("vocab.txt", [(0,)])
    with pytest.raises(UserError, match="cannot be kept with a new vocabulary"):
        ConversionOptions("google", new_vocabulary=new, keep_optimizer=True)
