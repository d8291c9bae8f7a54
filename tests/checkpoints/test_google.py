import filecmp
import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from modeling.checkpoints import open_checkpoint
from modeling.checkpoints.google import write_google_checkpoint
from modeling.errors import UserError

update_checkpoint_state = tf.compat.v1.train.update_checkpoint_state
DATA = "bert_model.ckpt.data-00000-of-00001"
INDEX = "bert_model.ckpt.index"


def read_all(reader):
    return {name: reader.read(name) for name in reader.shapes}


@pytest.mark.golden
def test_every_golden_variable_has_its_name_shape_and_bytes(golden_dir):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    expected = json.loads((golden_dir / "variables.json").read_text())
    assert reader.shapes == {
        v["name"]: tuple(v["shape"]) for v in expected["creation_order"]
    }
    for variable in expected["creation_order"]:
        array = reader.read(variable["name"])
        assert array.dtype == np.float32
        digest = hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
        assert digest == variable["sha256_le"], variable["name"]


@pytest.mark.golden
def test_written_files_equal_those_of_the_original(golden_dir, tmp_path):
    reader = open_checkpoint(golden_dir / "bert_model.ckpt")
    arrays = read_all(reader)
    shuffled = dict(reversed(arrays.items()))
    write_google_checkpoint(tmp_path / "new" / "bert_model.ckpt", shuffled)
    # Nothing but the two files, and those as TensorFlow 1's Saver wrote them.
    assert {p.name for p in (tmp_path / "new").iterdir()} == {DATA, INDEX}
    for name in (DATA, INDEX):
        assert filecmp.cmp(golden_dir / name, tmp_path / "new" / name, False)


@pytest.mark.golden
def test_tensorflow_1_saver_restores_what_is_written(golden_dir, tmp_path):
    arrays = read_all(open_checkpoint(golden_dir / "bert_model.ckpt"))
    write_google_checkpoint(tmp_path / "bert_model.ckpt", arrays)
    name = "bert/encoder/layer_1/output/dense/kernel"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable(name, arrays[name].shape)
        saver = tf.compat.v1.train.Saver([variable])
        saver.restore(session, str(tmp_path / "bert_model.ckpt"))
        np.testing.assert_array_equal(session.run(variable), arrays[name])


def test_config_and_vocabulary_lie_beside(tiny_checkpoint, config):
    reader = open_checkpoint(tiny_checkpoint)
    assert reader.format == "google"
    assert reader.config == config
    assert reader.vocab_file == tiny_checkpoint.parent / "vocab.txt"
    assert reader.spm_model_file is None


@pytest.mark.parametrize("suffix", ["", ".index", f"{DATA[15:]}", ".meta"])
def test_any_file_of_the_checkpoint_names_it(tiny_checkpoint, suffix):
    reader = open_checkpoint(f"{tiny_checkpoint}{suffix}")
    assert reader.path == str(tiny_checkpoint)


def test_directory_of_a_release(tiny_checkpoint):
    reader = open_checkpoint(tiny_checkpoint.parent)
    assert reader.path == str(tiny_checkpoint)


def test_training_directory_gives_the_newest(tmp_path, arrays):
    for step in (9, 10):
        state = {"global_step": np.int64(step)}
        write_google_checkpoint(tmp_path / f"model.ckpt-{step}", state)
    write_google_checkpoint(tmp_path / "bert_model.ckpt", arrays)
    update_checkpoint_state(str(tmp_path), "/old/host/model.ckpt-10")
    reader = open_checkpoint(tmp_path)
    assert reader.path == str(tmp_path / "model.ckpt-10")
    step = reader.read("global_step")
    assert step == 10 and step.dtype == np.int64


def test_training_state_is_told_from_weights(tmp_path):
    weight = np.ones([2, 2], np.float32)
    state = {
        "bert/pooler/dense/kernel/adam_m": weight,
        "bert/pooler/dense/kernel/adam_v": weight,
        "output_weights/some_other_slot": weight,
        "global_step": np.int64(3),
    }
    weights = {"bert/pooler/dense/kernel": weight, "output_weights": weight}
    write_google_checkpoint(tmp_path / "model.ckpt-3", {**weights, **state})
    reader = open_checkpoint(tmp_path / "model.ckpt-3")
    assert set(reader.shapes) == {*weights, *state}
    assert reader.weights == sorted(weights)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_other_floating_point_is_read_as_float32(tmp_path, dtype):
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=["output_bias"],
        shape_and_slices=[""],
        tensors=[tf.constant([0.5, -2.0], dtype)],
    )
    array = open_checkpoint(tmp_path).read("output_bias")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [0.5, -2.0])


def test_view_reads_only_what_it_was_made_for(tiny_checkpoint, arrays):
    reader = open_checkpoint(tiny_checkpoint)
    view = reader.arrays(["bert/pooler/dense/bias"])
    assert list(view) == ["bert/pooler/dense/bias"] and len(view) == 1
    expected = arrays["bert/pooler/dense/bias"]
    np.testing.assert_array_equal(view["bert/pooler/dense/bias"], expected)
    with pytest.raises(KeyError):
        view["bert/pooler/dense/kernel"]


def test_failed_write_leaves_the_old_checkpoint(tiny_checkpoint, arrays):
    class Breaking(dict):
        def __getitem__(self, name):
            if name == "bert/pooler/dense/kernel":
                raise UserError("the source is damaged")
            return super().__getitem__(name)

    before = {p: p.read_bytes() for p in tiny_checkpoint.parent.iterdir()}
    with pytest.raises(UserError, match="the source is damaged"):
        write_google_checkpoint(tiny_checkpoint, Breaking(arrays))
    after = {p: p.read_bytes() for p in tiny_checkpoint.parent.iterdir()}
    assert after == before


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write the checkpoint .*file"):
        write_google_checkpoint(
            tmp_path / "file" / "model.ckpt", {"a": np.zeros(1)}
        )


# What can be wrong with the files of a checkpoint.


def test_cut_data_file(golden_copy):
    data = golden_copy.with_name(DATA)
    data.write_bytes(data.read_bytes()[:-1000])
    reader = open_checkpoint(golden_copy)  # the index alone is whole
    with pytest.raises(UserError, match=r"data-\* is cut short.*Read less"):
        read_all(reader)


def test_flipped_bytes_in_the_data_file(golden_copy):
    data = golden_copy.with_name(DATA)
    content = bytearray(data.read_bytes())
    content[1000] ^= 0xFF
    data.write_bytes(content)
    with pytest.raises(UserError, match="damaged.*Checksum does not match"):
        read_all(open_checkpoint(golden_copy))


def test_missing_data_file(golden_copy):
    golden_copy.with_name(DATA).unlink()
    with pytest.raises(UserError, match=f"{DATA} is missing beside {INDEX}"):
        open_checkpoint(golden_copy)


def test_missing_second_shard(golden_copy):
    data = golden_copy.with_name(DATA)
    data.rename(golden_copy.with_name("bert_model.ckpt.data-00000-of-00002"))
    with pytest.raises(UserError, match="data-00001-of-00002 is missing"):
        open_checkpoint(golden_copy)


@pytest.mark.parametrize("content", [b"", b"<html>", b"garbage" * 400])
def test_index_that_is_none(golden_copy, content):
    golden_copy.with_name(INDEX).write_bytes(content)
    with pytest.raises(UserError, match=f"{INDEX} is cut short or damaged"):
        open_checkpoint(golden_copy)


def test_wrong_name_lists_what_is_there(tiny_checkpoint):
    wrong = tiny_checkpoint.with_name("model.ckpt-5")
    with pytest.raises(UserError, match=r"The directory has: bert_model\.ckpt"):
        open_checkpoint(wrong)


def test_no_such_directory(tmp_path):
    with pytest.raises(UserError, match="nor does the directory .*nowhere"):
        open_checkpoint(tmp_path / "nowhere" / "bert_model.ckpt")


def test_directory_without_a_checkpoint(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint in Google's"):
        open_checkpoint(tmp_path)


def test_directory_with_several_and_no_state_file(tmp_path):
    for step in (1, 2):
        write_google_checkpoint(tmp_path / f"m-{step}", {"a": np.zeros(1)})
    with pytest.raises(UserError, match="several checkpoints: m-1, m-2"):
        open_checkpoint(tmp_path)


def test_state_file_that_names_a_deleted_checkpoint(tmp_path):
    update_checkpoint_state(str(tmp_path), "model.ckpt-7")
    with pytest.raises(UserError, match="model.ckpt-7.index does not exist"):
        open_checkpoint(tmp_path)


def test_state_file_that_is_none(tmp_path):
    (tmp_path / "checkpoint").write_text("hello")
    with pytest.raises(UserError, match="it has no model_checkpoint_path"):
        open_checkpoint(tmp_path)


def test_object_based_checkpoint(tmp_path):
    checkpoint = tf.train.Checkpoint(weight=tf.Variable([1.0]))
    checkpoint.write(str(tmp_path / "model.ckpt"))
    with pytest.raises(UserError, match="written by tf.train.Checkpoint"):
        open_checkpoint(tmp_path / "model.ckpt")


def test_remote_prefix(arrays):
    # TensorFlow keeps files under ram:// the way it does under gs://.
    write_google_checkpoint("ram://release/bert_model.ckpt", arrays)
    assert sorted(tf.io.gfile.listdir("ram://release")) == [DATA, INDEX]
    reader = open_checkpoint("ram://release/bert_model.ckpt.index")
    assert reader.config is None and reader.vocab_file is None
    for name in arrays:
        np.testing.assert_array_equal(reader.read(name), arrays[name])
    with pytest.raises(UserError, match="no file ram://release/other.index"):
        open_checkpoint("ram://release/other")
