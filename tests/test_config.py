"""BertConfig: both dialects, the errors, the round trips."""

import dataclasses
import json
import logging as std_logging

import pytest

from modeling.config import BertConfig
from modeling.errors import UserError

GOOGLE_CHINESE = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "type_vocab_size": 2,
    "vocab_size": 21128,
}


def test_defaults_are_the_originals():
    config = BertConfig(vocab_size=7)
    assert config.type_vocab_size == 16
    assert config.hidden_act == "gelu"
    assert config.head_size == 64


def test_unknown_keys_are_kept_and_named_once(caplog):
    with caplog.at_level(std_logging.WARNING, logger="absl"):
        config = BertConfig.from_dict(GOOGLE_CHINESE)
    assert len(caplog.records) == 1
    assert "directionality, pooler_fc_size" in caplog.text
    assert config.to_dict() == GOOGLE_CHINESE


def test_json_file_round_trip(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(BertConfig.from_dict(GOOGLE_CHINESE).to_json_string())
    assert json.loads(path.read_text()) == GOOGLE_CHINESE
    assert BertConfig.from_json_file(path).vocab_size == 21128


def test_own_choices_survive_the_round_trip():
    config = BertConfig(
        vocab_size=9,
        hidden_act="gelu_erf",
        position_embedding_type="sinusoidal",
        layer_norm_eps=1e-6,
    )
    assert BertConfig.from_dict(config.to_dict()) == config
    assert BertConfig(**dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gelu", "gelu_erf"),
        ("gelu_new", "gelu"),
        ("gelu_pytorch_tanh", "gelu"),
        ("relu", "relu"),
    ],
)
def test_hugging_face_means_another_gelu(theirs, ours, caplog):
    config = BertConfig.from_dict(
        {"model_type": "bert", "vocab_size": 5, "hidden_act": theirs}
    )
    assert config.hidden_act == ours
    assert not caplog.records
    back = BertConfig.from_dict(config.to_huggingface_dict())
    assert back.hidden_act == ours


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [("GELU", "gelu"), ("Tanh", "tanh"), ("", "linear"), (None, "linear")],
)
def test_activations_are_spelt_as_in_the_original(spelt, meant):
    config = BertConfig.from_dict({"vocab_size": 5, "hidden_act": spelt})
    assert config.hidden_act == meant


@pytest.mark.parametrize(
    ("name", "meant"), [("config.json", "gelu_erf"), ("mine.json", "gelu")]
)
def test_old_files_of_hugging_face_have_only_their_name(name, meant, tmp_path):
    path = tmp_path / name
    path.write_text(json.dumps(GOOGLE_CHINESE))
    assert BertConfig.from_json_file(path).hidden_act == meant


def test_hugging_face_defaults_are_its_own():
    config = BertConfig.from_dict({"model_type": "bert"})
    assert (config.vocab_size, config.type_vocab_size) == (30522, 2)
    assert config.hidden_act == "gelu_erf"
    assert config.layer_norm_eps == 1e-12


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 100}, "multiple of num_attention_heads.*100.*12"),
        ({"num_hidden_layers": -1}, "num_hidden_layers must be .*-1"),
        ({"hidden_size": 768.0}, "hidden_size must be .*768.0"),
        ({"vocab_size": True}, "vocab_size must be .*True"),
        ({"hidden_act": "swish"}, "hidden_act must be one of gelu.*swish"),
        ({"hidden_act": 3}, "hidden_act must be one of .*3"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob must .*1.0"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob must .*'0.1'"),
        ({"initializer_range": -0.1}, "initializer_range must be .*-0.1"),
        ({"position_embedding_type": "rope"}, "learned, sinusoidal.*rope"),
        (
            {
                "position_embedding_type": "sinusoidal",
                "hidden_size": 7,
                "num_attention_heads": 7,
            },
            "even hidden_size.*7",
        ),
    ],
)
def test_impossible_values_are_named(values, message):
    with pytest.raises(UserError, match=message):
        BertConfig.from_dict({"vocab_size": 10, **values})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "lacks the key vocab_size"),
        ('{"model_type": "roberta"}', "model_type='roberta'"),
        ('{"model_type": "bert", "hidden_act": "mish"}', "mish"),
        ('{"model_type": "bert", "hidden_act": ["gelu"]}', "'gelu'"),
        ('{"model_type": "bert", "is_decoder": true}', "is_decoder=True"),
        (
            '{"model_type": "bert", "position_embedding_type": "relative_key"}',
            "relative_key",
        ),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        BertConfig.from_json_file(path)
    assert str(path) in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.json"):
        BertConfig.from_json_file(tmp_path / "nowhere.json")
