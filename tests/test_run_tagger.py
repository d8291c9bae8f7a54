"""run_tagger.py as its users run it."""

import collections
import io
import json
import os
import random
import shutil
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from modeling.tasks.tagging import evaluate
from tests.scripts import (
    caller,
    events_of,
    load_script,
    results_of,
    run_script,
    weights_of,
    write_tiny_model,
)

_FIRST, _LAST = ("ann", "bob", "eve", "kim"), ("smith", "jones", "lee")
_PLACES = ("paris", "rome", "oslo")
_OTHER = ("the", "a", "cat", "saw", "it", "was", "and", "house", ",", ".")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHINESE = "小猫看见了房子和河", "赵钱孙", "北上广", "京海"


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A config of a tiny model, with a vocabulary of whole words."""
    directory = tmp_path_factory.mktemp("tiny")
    words = [*_SPECIAL, *_FIRST, *_LAST, *_PLACES, *_OTHER, *"".join(_CHINESE)]
    return write_tiny_model(directory, words)


def sentences(count, seed):
    """Words and tags: persons have two names, of which the second may be
    missing, and places are a word.
    """
    rng = random.Random(seed)
    for _ in range(count):
        words, tags = [], []
        for _ in range(rng.randint(1, 4)):
            others = rng.choices(_OTHER, k=rng.randint(1, 3))
            words += others
            tags += ["O"] * len(others)
            if rng.random() < 0.5:
                words += [rng.choice(_FIRST), rng.choice(_LAST)]
                tags += ["B-PER", "I-PER"]
            else:
                words.append(rng.choice(_PLACES))
                tags.append("B-LOC")
        yield words, tags


def write_conll(path, data, documents=0):
    lines = []
    for number, (words, tags) in enumerate(data):
        if documents and number % documents == 0:
            lines += ["-DOCSTART- O", ""]
        lines += [f"{w} {t}" for w, t in zip(words, tags, strict=True)]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data set that a tiny model learns in a few steps."""
    directory = tmp_path_factory.mktemp("data")
    for split, count in (("train", 160), ("dev", 40), ("test", 20)):
        write_conll(directory / f"{split}.txt", sentences(count, split), 5)
    return directory


@pytest.fixture
def call(model_dir, data_dir, tmp_path):
    return caller(
        "run_tagger",
        model_dir,
        tmp_path / "out",
        {"max_seq_length": 24},
        data_dir=str(data_dir),
        learning_rate=5e-3,
        train_batch_size=16,
    )


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def columns_of(path):
    """Sentences of a CoNLL file, as lists of columns."""
    blocks = path.read_text(encoding="utf-8").strip("\n").split("\n\n")
    for block in blocks:
        rows = (line.split(" ") for line in block.split("\n"))
        yield [list(column) for column in zip(*rows, strict=True)]


def test_everything_in_one_call(call, monkeypatch, capsys):
    out = call(
        do_train=True, do_eval=True, do_predict=True, num_train_epochs=6.0
    )
    results = results_of(out)
    assert results["global_step"] == 160 / 16 * 6
    assert events_of(out, "train")[-1]["model_flops_per_second"] > 0
    assert results["eval_f1"] > 0.9
    assert results["eval_f1"] <= 1
    assert {"eval_loss", "eval_accuracy", "eval_f1_PER", "eval_recall_LOC"} < (
        set(results)
    )
    report = read(out / "eval_results.json")
    assert report["score"] == report["eval_f1"]
    wanted = collections.Counter(
        tag[2:]
        for _, tags in sentences(40, "dev")
        for tag in tags
        if tag.startswith("B")
    )
    for kind, count in wanted.items():
        assert report["per_type"][kind]["targets"] == count
        assert report["per_type"][kind]["f1"] == pytest.approx(
            results[f"eval_f1_{kind}"]
        )

    # All words of the test set, with both tags; and how many are right.
    truth = list(sentences(20, "test"))
    found = list(columns_of(out / "predictions.conll"))
    assert [c[0] for c in found] == [words for words, _ in truth]
    assert [c[1] for c in found] == [tags for _, tags in truth]
    expected = evaluate([t for _, t in truth], [c[2] for c in found], "BIO")
    assert read(out / "test_results.json") == expected
    assert expected["f1"] > 0.9
    lines = (out / "predictions.jsonl").read_text().splitlines()
    for line, columns in zip(lines, found, strict=True):
        values = json.loads(line)
        assert values["tokens"] == columns[0]
        assert values["tags"] == columns[2]
        for entity in values["entities"]:
            text = values["text"][entity["start"] : entity["end"]]
            assert text == entity["text"]

    # The pooler takes no part: it stays as it began.
    trained = weights_of(out / "bert_model.ckpt")
    assert not trained["bert/pooler/dense/bias"].any()
    assert trained["output_weights"].shape == (5, 16)

    # Without training, the model and its tags come from there.
    before = (out / "predictions.conll").read_text()
    call(do_eval=True, do_predict=True, eval_batch_size=3)
    assert results_of(out)["eval_f1"] == results["eval_f1"]
    assert results_of(out)["eval_loss"] == pytest.approx(
        results["eval_loss"], rel=1e-3
    )
    assert (out / "predictions.conll").read_text() == before

    line = "It was Ann Smith, and Eve Lee saw Rome.\nthe cat\n\n \n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))
    capsys.readouterr()
    call(interactive=True)
    assert capsys.readouterr().out.splitlines() == [
        "PER\tAnn Smith\tPER\tEve Lee\tLOC\tRome",
        "-",
    ]


@pytest.fixture(scope="module")
def trained(model_dir, data_dir, tmp_path_factory):
    """A trained model that tests may copy, not change."""
    out = tmp_path_factory.mktemp("trained")
    script = load_script("run_tagger")
    with flagsaver.flagsaver(
        data_dir=str(data_dir),
        output_dir=str(out),
        bert_config_file=str(model_dir / "bert_config.json"),
        vocab_file=str(model_dir / "vocab.txt"),
        max_seq_length=20,
        head="crf",
        scheme="BIOES",
        learning_rate=5e-3,
        train_batch_size=16,
        num_train_epochs=4.0,
        do_train=True,
    ):
        script.main([])
    return out


def test_any_number_of_sentences_from_standard_input(trained, tmp_path):
    # More than are taken together, and one that is longer than a row.
    data = list(sentences(1500, 1))
    long = [word for words, _ in data[:20] for word in words]
    lines = [" ".join(words) for words in [*(w for w, _ in data), long]]
    text = "\n".join(lines) + "\n"
    # Of an earlier prediction, of words with tags.
    (tmp_path / "piped").mkdir()
    (tmp_path / "piped" / "test_results.json").write_text("{}")
    result = run_script(
        "run_tagger",
        f"--output_dir={trained}",
        f"--prediction_dir={tmp_path / 'piped'}",
        "--do_predict",
        "--predict_file=-",
        input=text,
    )
    assert result.returncode == 0, result.stderr
    found = list(columns_of(tmp_path / "piped" / "predictions.conll"))
    assert [words for words, _ in found] == [line.split() for line in lines]
    right = [tags for _, tags in data]
    said = [tags for _, tags in found[:-1]]
    # What was learned in BIOES is written as the training file has it.
    assert evaluate(right, said, "BIO")["f1"] > 0.9
    tags = [tag for _, tags in data[:20] for tag in tags]
    assert evaluate([tags], [found[-1][1]], "BIO")["f1"] > 0.8
    assert not (tmp_path / "piped" / "test_results.json").exists()

    # The same as a file of words, by another tokenization into chunks.
    path = tmp_path / "words.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": n, "tokens": line.split()}) + "\n"
            for n, line in enumerate(lines)
        )
    )
    script = load_script("run_tagger")
    with flagsaver.flagsaver(
        output_dir=str(trained),
        prediction_dir=str(tmp_path / "again"),
        predict_file=str(path),
        predict_batch_size=3,
        do_predict=True,
    ):
        script.main([])
        # Flags of the training that are not given again.
        assert flags.FLAGS.max_seq_length == 20
        assert flags.FLAGS.head == "crf"
    again = (tmp_path / "again" / "predictions.conll").read_text()
    assert again == (tmp_path / "piped" / "predictions.conll").read_text()


def test_a_prediction_that_fails_leaves_an_earlier_ones_files(
    trained, tmp_path
):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"tokens": ["the"]}\n{"tokens": 1}\n')
    names = ("predictions.conll", "predictions.jsonl", "test_results.json")
    for name in names:
        (tmp_path / name).write_text("before")
    script = load_script("run_tagger")
    with (
        flagsaver.flagsaver(
            output_dir=str(trained),
            prediction_dir=str(tmp_path),
            predict_file=str(path),
            do_predict=True,
        ),
        pytest.raises(ValueError, match="line 2: 'tokens' must be a list"),
    ):
        script.main([])
    files = {file.name: file.read_text() for file in tmp_path.iterdir()}
    del files["bad.jsonl"]
    assert files == dict.fromkeys(names, "before")


def test_a_model_is_not_read_as_another(trained, call):
    with pytest.raises(ValueError, match="trained with --head=crf"):
        call(output_dir=str(trained), do_eval=True, head="softmax")


WAYS = {
    "documents": {"document_context": True, "doc_stride": 6},
    "windows": {"max_seq_length": 8, "head": "crf", "batch_tokens": 256},
    "xla": {
        "xla": "on",
        "head": "bilstm_crf",
        "lstm_size": 8,
        "length_batching": False,
    },
    "replicas": {
        "distribution": "mirrored",
        "gradient_accumulation_steps": 2,
        "head": "crf",
        "precision": "bfloat16",
    },
    "weighted": {
        "feature_based": True,
        "layers": "all",
        "combine": "weighted",
        "head": "crf",
        "eval_each_epoch": True,
    },
    "lstm": {
        "feature_based": True,
        "layers": "embeddings,-1",
        "lstm_layers": 1,
        "lstm_size": 8,
        "max_seq_length": 8,
    },
}
_SLOW_WAYS = tuple(set(WAYS) - {"documents", "lstm"})


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(
            values,
            id=name,
            marks=pytest.mark.slow if name in _SLOW_WAYS else (),
        )
        for name, values in WAYS.items()
    ],
)
def test_ways_of_training(values, call):
    out = call(
        **values,
        do_train=True,
        do_eval=True,
        do_predict=True,
        num_train_epochs=2.0,
    )
    assert len(list(columns_of(out / "predictions.conll"))) == 20
    # In batches of other sizes, alone, and from what was kept: the same.
    before = read(out / "eval_results.json")
    same = ("xla", "distribution", "precision")
    call(
        do_eval=True,
        eval_batch_size=3,
        **{name: values[name] for name in same if name in values},
    )
    after = read(out / "eval_results.json")
    tolerance = 2e-2 if "precision" in values else 2e-3
    assert after["eval_loss"] == pytest.approx(
        before["eval_loss"], rel=tolerance
    )


def test_only_the_head_of_a_frozen_encoder_learns(call, caplog):
    values = {
        "feature_based": True,
        "layers": "-1",
        "head": "crf",
        "do_train": True,
    }
    out = call(**values, num_train_epochs=0.5)
    (kept,) = (out / "cache").glob("hidden.*")
    before = os.stat(kept / "hidden.bin").st_mtime_ns
    initial = weights_of(out / "bert_model.ckpt")
    caplog.clear()
    call(
        **values,
        num_train_epochs=1.0,
        allow_changed_settings=True,
        init_checkpoint=str(out / "bert_model.ckpt"),
    )
    assert "computed already" in caplog.text
    assert os.stat(kept / "hidden.bin").st_mtime_ns == before
    final = weights_of(out / "bert_model.ckpt")
    for name, value in initial.items():
        same = np.array_equal(value, final[name])
        assert same == name.startswith("bert/"), name


def test_a_training_that_was_cut_ends_with_the_same_weights(call, tmp_path):
    values = {
        "do_train": True,
        "num_train_epochs": 3.0,
        "head": "crf",
        "save_checkpoints_steps": 11,
        "eval_every": 12,
    }
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    call(**values, output_dir=str(whole))
    cut.mkdir()
    kept = ["training_settings.json", *whole.glob("model.ckpt-11*")]
    for path in kept:
        shutil.copy(whole / path, cut)
    call(**values, output_dir=str(cut))
    expected = weights_of(whole / "bert_model.ckpt")
    for name, value in weights_of(cut / "bert_model.ckpt").items():
        np.testing.assert_array_equal(value, expected[name], name)
    assert read(cut / "best.json") == read(whole / "best.json")


def test_the_best_weights_are_kept_and_training_ends_early(call):
    out = call(
        do_train=True,
        do_eval=True,
        num_train_epochs=40.0,
        eval_each_epoch=True,
        early_stopping_patience=2,
        freeze=["embeddings"],
    )
    scores = read(out / "best.json")["scores"]
    best = max(scores, key=scores.get)
    assert len(scores) < 40
    assert results_of(out)["global_step"] == int(best)
    assert results_of(out)["eval_f1"] == pytest.approx(scores[best])


def test_the_best_of_an_earlier_training_is_not_taken_for_the_last(call):
    out = call(do_train=True, num_train_epochs=1.0, eval_each_epoch=True)
    assert read(out / "best.json")["best_step"] == 10
    more = {"do_train": True, "allow_changed_settings": True}
    call(**more, num_train_epochs=2.0)
    assert not (out / "best.json").exists()
    call(do_eval=True)
    assert results_of(out)["global_step"] == 20
    with pytest.raises(ValueError, match="holds checkpoints of a single trai"):
        call(**more, num_train_epochs=2.0, num_trials=2)


def test_parts_of_speech_are_judged_by_accuracy(call, tmp_path):
    """CoNLL-U, from columns of its own, and a list of tags."""
    data = tmp_path / "pos"
    data.mkdir()
    kinds = {"O": "NOUN", "B-PER": "PROPN", "I-PER": "PROPN", "B-LOC": "ADV"}
    for split, count in (("train", 80), ("dev", 20)):
        with open(data / f"{split}.conllu", "w") as file:
            for words, tags in sentences(count, split):
                file.write("# text\n")
                for number, (word, tag) in enumerate(
                    zip(words, tags, strict=True), 1
                ):
                    cells = [str(number), word, "_", kinds[tag], *"______"]
                    file.write("\t".join(cells) + "\n")
                file.write("\n")
    (tmp_path / "tags.txt").write_text("X\nNOUN\nPROPN\nADV\n")
    out = call(
        data_dir=str(data),
        labels=str(tmp_path / "tags.txt"),
        do_train=True,
        do_eval=True,
        num_train_epochs=8.0,
    )
    results = results_of(out)
    assert results["eval_accuracy"] > 0.9
    assert "eval_f1" not in results
    assert results["eval_f1_PROPN"] > 0.9
    report = read(out / "eval_results.json")
    assert report["score"] == report["eval_accuracy"]
    assert read(out / "tag_map.json")["names"] == ["X", "NOUN", "PROPN", "ADV"]
    assert weights_of(out / "bert_model.ckpt")["output_bias"].shape == (4,)


def test_document_context_without_marks_is_told(call, tmp_path, caplog):
    train = write_conll(tmp_path / "no_marks.txt", sentences(32, 3))
    call(
        dry_run=True,
        train_file=train,
        document_context=True,
        num_train_epochs=1.0,
    )
    (line,) = [
        record.message
        for record in caplog.records
        if "does not tell documents apart" in record.message
    ]
    assert "no_marks.txt" in line


def chinese_sentences(count, seed):
    """Characters: a name is a surname before a character of a place."""
    others, surnames, places, rest = _CHINESE
    rng = random.Random(seed)
    for _ in range(count):
        words, tags = [], []
        for _ in range(rng.randint(2, 5)):
            more = rng.choices(others, k=rng.randint(1, 5))
            kind = rng.choice(("PER", "LOC"))
            first = rng.choice(surnames if kind == "PER" else places)
            # The same characters in both: only the one before tells.
            more += [first, rng.choice(rest)]
            tags += ["O"] * (len(more) - 2) + [f"B-{kind}", f"I-{kind}"]
            words += more
        yield words, tags


@pytest.mark.slow
def test_chinese_names_by_character(call, tmp_path):
    data = tmp_path / "chinese"
    data.mkdir()
    for split, count in (("train", 200), ("dev", 60)):
        write_conll(data / f"{split}.txt", chinese_sentences(count, split))
    right = [tags for _, tags in chinese_sentences(60, "dev")]
    seen = collections.defaultdict(collections.Counter)
    for words, tags in chinese_sentences(200, "train"):
        for word, tag in zip(words, tags, strict=True):
            seen[word][tag] += 1
    majority = [
        [seen[word].most_common(1)[0][0] for word in words]
        for words, _ in chinese_sentences(60, "dev")
    ]
    baseline = evaluate(right, majority, "BIO")["f1"]
    path = tmp_path / "lines.txt"
    path.write_text("了北京\n", encoding="utf-8")
    out = call(
        data_dir=str(data),
        do_train=True,
        do_eval=True,
        do_predict=True,
        predict_file=str(path),
        predict_format="text",
        head="crf",
        max_seq_length=40,
        num_train_epochs=12.0,
    )
    assert results_of(out)["eval_f1"] > max(0.9, baseline + 0.2)
    assert (out / "predictions.conll").read_text(encoding="utf-8") == (
        "了 O\n北 B-LOC\n京 I-LOC\n\n"
    )


def test_a_dry_run_writes_no_model(call, caplog):
    out = call(dry_run=True)
    assert "peak_memory_bytes" in caplog.text
    assert {path.name for path in out.iterdir()} == {"cache"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"do_train": False}, "--do_train, --do_eval, --do_predict, --inter"),
        ({"data_dir": None}, "--train_file"),
        ({"data_dir": "/nowhere"}, "/nowhere"),
        ({"train_file": "/nowhere.txt"}, "--train_file=/nowhere.txt"),
        ({"tag_column": 2}, "no column 2 for the tag"),
        ({"labels": "/nowhere.txt"}, "no file matches '/nowhere.txt'"),
        ({"max_seq_length": 65}, "max_seq_length 65"),
        ({"max_seq_length": 8, "doc_stride": 7}, "doc_stride must be from 1"),
        ({"head": "bilstm_crf", "lstm_size": 5}, "lstm_size=5"),
        ({"feature_based": True, "layers": "7"}, "7 is out of range"),
        ({"freeze": ["layers:1-2"]}, "0 to 1"),
        ({"init_checkpoint": "/nowhere/bert_model.ckpt"}, "no checkpoint"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_users_mistakes_are_told(values, message, call, tmp_path):
    with pytest.raises(ValueError) as error:
        call(**{"do_train": True, **values})
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the O\ncat O O\n", "bad.txt, line 2: 3 columns, where line 1 has 2"),
        ("the O\n\nrome B-CITY\n", "line 3, word 1: unknown tag 'B-CITY'"),
        ("the\ncat\n", "bad.txt, line 1: no column of tags"),
        ("\n", "bad.txt has no sentences"),
    ],
    ids=["ragged", "unknown", "untagged", "empty"],
)
def test_bad_files_are_told_with_their_lines(content, message, call, tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_text(content)
    with pytest.raises(ValueError) as error:
        call(do_train=True, dev_file=str(bad))
    # Before anything is trained.
    assert message in str(error.value)
    assert not list(tmp_path.glob("out/bert*"))
    if "no column of tags" not in message:
        # What is predicted needs no tags.
        with pytest.raises(ValueError) as error:
            call(do_train=True, do_predict=True, predict_file=str(bad))
        assert message in str(error.value)
        assert not list(tmp_path.glob("out/bert*"))


def test_mistakes_end_with_status_1_and_no_traceback(tmp_path):
    result = run_script(
        "run_tagger", f"--output_dir={tmp_path}", "--do_predict"
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
