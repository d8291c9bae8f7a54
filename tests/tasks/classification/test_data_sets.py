"""Every data set of the table, in the layout of its official files."""

import pytest

from modeling.errors import UserError
from modeling.tasks.classification import (
    DATA_SET_NAMES,
    DataSetProcessor,
    collect_labels,
    find_data_set,
    read_split,
)
from modeling.tasks.classification.xnli import LANGUAGES
from tests.conftest import ROOT
from tests.tasks.classification.conftest import GOLDEN_SPLITS

REAL_DATA = ROOT.parent / "shared" / "data"

# A file of every split -> what must be read of its two or three lines:
# (guid, text_a, text_b, label, row_id).
_MNLI_FRONT = "index\tpromptID\tpairID\tgenre\tp\tp\tp\tp\tsentence1\tsentence2"
_XNLI_ROW = "{}\t{}\t\t\t\t\t{}\t{}\t0\n"
LAYOUTS = {
    "cola": {
        "train.tsv": 'gj04\t1\t\tA "cat.\ngj04\t0\t*\tCat a.\n',
        "dev.tsv": "gj04\t1\t\tSo it is.\n",
        "test.tsv": "index\tsentence\n0\tIs it so?\n",
    },
    "sst-2": {
        "train.tsv": "sentence\tlabel\na fine film \t1\na bad one \t0\n",
        "dev.tsv": "sentence\tlabel\nso so \t0\n",
        "test.tsv": "index\tsentence\n0\tnot bad .\n",
    },
    "mrpc": {
        "train.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        '1\t11\t12\tOne "x".\tTwo.\n0\t13\t14\tThree.\tFour.\n',
        "dev.tsv": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        "1\t5\t6\tFive.\tSix.\n",
        "test.tsv": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        "0\t7\t8\tSeven.\tEight.\n",
    },
    "sts-b": {
        "train.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2"
        "\tsentence1\tsentence2\tscore\n"
        "0\tg\tf\ty\to\ts\ts\tOne.\tTwo.\t3.800\n"
        "1\tg\tf\ty\to\ts\ts\tThree.\tFour.\t0\n",
        "dev.tsv": "index\tsentence1\tsentence2\tscore\n0\tA.\tB.\t5.000\n",
        "test.tsv": "index\tsentence1\tsentence2\n0\tC.\tD.\n",
    },
    "qqp": {
        "train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "7\t1\t2\tWho?\tWhat?\t0\n"
        # A line end within a question, as in the official file.
        '8\t3\t4\tHow do I "\n?\tWhy?\t1\n'
        "9\t5\t6\tHow?\tWhy?\t1\n",
        "dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "1\t7\t8\tA?\tB?\t1\n",
        "test.tsv": "id\tquestion1\tquestion2\n0\tC?\tD?\n",
    },
    "mnli": {
        "train.tsv": f"{_MNLI_FRONT}\tlabel1\tgold_label\n"
        + "0\t1\t2\tg\tp\tp\tp\tp\tOne.\tTwo.\tneutral\tentailment\n"
        + "1\t1\t2\tg\tp\tp\tp\tp\tThree.\tFour.\tneutral\tneutral\n",
        "dev_matched.tsv": f"{_MNLI_FRONT}\tlabel1\tlabel2\tgold_label\n"
        + "4\t1\t2\tg\tp\tp\tp\tp\tA.\tB.\tneutral\tneutral\tcontradiction\n",
        "dev_mismatched.tsv": f"{_MNLI_FRONT}\tlabel1\tlabel2\tgold_label\n"
        + "0\t1\t2\tg\tp\tp\tp\tp\tC.\tD.\tneutral\tneutral\tneutral\n",
        "test_matched.tsv": f"{_MNLI_FRONT}\n9\t1\t2\tg\tp\tp\tp\tp\tE.\tF.\n",
        "test_mismatched.tsv": f"{_MNLI_FRONT}\n"
        + "8\t1\t2\tg\tp\tp\tp\tp\tG.\tH.\n",
    },
    "qnli": {
        "train.tsv": "index\tquestion\tsentence\tlabel\n"
        "0\tWho?\tHe.\tentailment\n1\tWho?\tIt.\tnot_entailment\n",
        "dev.tsv": "index\tquestion\tsentence\tlabel\n0\tA?\tB.\tentailment\n",
        "test.tsv": "index\tquestion\tsentence\n0\tC?\tD.\n",
    },
    "rte": {
        "train.tsv": "index\tsentence1\tsentence2\tlabel\n"
        "0\tOne.\tTwo.\tnot_entailment\n1\tA.\tB.\tentailment\n",
        "dev.tsv": "index\tsentence1\tsentence2\tlabel\n"
        "0\tC.\tD.\tentailment\n",
        "test.tsv": "index\tsentence1\tsentence2\n0\tE.\tF.\n",
    },
    "wnli": {
        "train.tsv": "index\tsentence1\tsentence2\tlabel\n"
        "0\tOne.\tTwo.\t1\n1\tA.\tB.\t0\n",
        "dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tC.\tD.\t0\n",
        "test.tsv": "index\tsentence1\tsentence2\n0\tE.\tF.\n",
    },
    "ax": {
        "diagnostic-full.tsv": "Lexical Semantics\tPredicate-Argument Structure"
        "\tLogic\tKnowledge\tDomain\tPremise\tHypothesis\tLabel\n"
        "\t\tNegation\t\tNews\tOne.\tTwo.\tneutral\n",
        "diagnostic.tsv": "index\tsentence1\tsentence2\n0\tC.\tD.\n",
    },
    "chnsenticorp": {
        "train.tsv": "label\ttext_a\n1\t很 好\n0\t不好\n",
        "dev.tsv": "label\ttext_a\n1\t好\n",
        "test.tsv": "1\t没有表头\n",
    },
    "lcqmc": {
        "train.txt": "谁？\t他？\t1\n谁？\t她？\t0\n",
        "dev.txt": "甲\t乙\t0\n",
        "test.txt": "丙\t丁\t1\n",
    },
    "bq": {
        "train.tsv": "sentence1\tsentence2\tlabel\n"
        "谁？\t他？\t1\n谁？\t她？\t0\n",
        "dev.tsv": "甲\t乙\t0\n",
        "test.tsv": "丙\t丁\t1\n",
    },
    "thucnews": {
        "cnews.train.txt": "体育\t鲍勃库西奖归谁\n家居\t装修\n",
        "cnews.val.txt": "家居\t沙发\n",
        "cnews.test.txt": "体育\t篮球\n",
    },
    "xnli": {
        "multinli/multinli.train.zh.tsv": "premise\thypo\tlabel\n"
        "一\t二\tcontradictory\n三\t四\tneutral\n",
        "xnli.dev.tsv": "language\tgold_label\tp\tp\tp\tp\tsentence1\tsentence2"
        "\tpromptID\n"
        + _XNLI_ROW.format("de", "neutral", "Eins.", "Zwei.")
        + _XNLI_ROW.format("zh", "entailment", "五", "六"),
        "xnli.test.tsv": "language\tgold_label\tp\tp\tp\tp\tsentence1"
        "\tsentence2\tpromptID\n"
        + _XNLI_ROW.format("zh", "neutral", "七", "八"),
    },
}
EXPECTED = {
    ("cola", "train"): ("train-0", 'A "cat.', None, "1", None),
    ("cola", "dev"): ("dev-0", "So it is.", None, "1", None),
    ("cola", "test"): ("test-1", "Is it so?", None, None, "0"),
    ("sst-2", "train"): ("train-1", "a fine film ", None, "1", None),
    ("sst-2", "dev"): ("dev-1", "so so ", None, "0", None),
    ("sst-2", "test"): ("test-1", "not bad .", None, None, "0"),
    ("mrpc", "train"): ("train-1", 'One "x".', "Two.", "1", None),
    ("mrpc", "dev"): ("dev-1", "Five.", "Six.", "1", None),
    ("mrpc", "test"): ("test-1", "Seven.", "Eight.", None, "0"),
    ("sts-b", "train"): ("train-1", "One.", "Two.", 3.8, None),
    ("sts-b", "dev"): ("dev-1", "A.", "B.", 5.0, None),
    ("sts-b", "test"): ("test-1", "C.", "D.", None, "0"),
    ("qqp", "train"): ("train-1", "Who?", "What?", "0", None),
    ("qqp", "dev"): ("dev-1", "A?", "B?", "1", None),
    ("qqp", "test"): ("test-1", "C?", "D?", None, "0"),
    ("mnli", "train"): ("train-0", "One.", "Two.", "entailment", None),
    ("mnli", "dev"): ("dev_matched-4", "A.", "B.", "contradiction", None),
    ("mnli", "dev_mismatched"): (
        "dev_mismatched-0",
        "C.",
        "D.",
        "neutral",
        None,
    ),
    ("mnli", "test"): ("test-9", "E.", "F.", None, "9"),
    ("mnli", "test_mismatched"): ("test-8", "G.", "H.", None, "8"),
    ("qnli", "train"): ("train-1", "Who?", "He.", "entailment", None),
    ("qnli", "dev"): ("dev-1", "A?", "B.", "entailment", None),
    ("qnli", "test"): ("test-1", "C?", "D.", None, "0"),
    ("rte", "train"): ("train-1", "One.", "Two.", "not_entailment", None),
    ("rte", "dev"): ("dev-1", "C.", "D.", "entailment", None),
    ("rte", "test"): ("test-1", "E.", "F.", None, "0"),
    ("wnli", "train"): ("train-1", "One.", "Two.", "1", None),
    ("wnli", "dev"): ("dev-1", "C.", "D.", "0", None),
    ("wnli", "test"): ("test-1", "E.", "F.", None, "0"),
    ("ax", "dev"): ("dev-1", "One.", "Two.", "neutral", None),
    ("ax", "test"): ("test-1", "C.", "D.", None, "0"),
    ("chnsenticorp", "train"): ("train-1", "很 好", None, "1", None),
    ("chnsenticorp", "dev"): ("dev-1", "好", None, "1", None),
    ("chnsenticorp", "test"): ("test-0", "没有表头", None, "1", None),
    ("lcqmc", "train"): ("train-0", "谁？", "他？", "1", None),
    ("lcqmc", "dev"): ("dev-0", "甲", "乙", "0", None),
    ("lcqmc", "test"): ("test-0", "丙", "丁", "1", None),
    ("bq", "train"): ("train-1", "谁？", "他？", "1", None),
    ("bq", "dev"): ("dev-0", "甲", "乙", "0", None),
    ("bq", "test"): ("test-0", "丙", "丁", "1", None),
    ("thucnews", "train"): ("train-0", "鲍勃库西奖归谁", None, "体育", None),
    ("thucnews", "dev"): ("dev-0", "沙发", None, "家居", None),
    ("thucnews", "test"): ("test-0", "篮球", None, "体育", None),
    ("xnli", "train"): ("train-1", "一", "二", "contradiction", None),
    ("xnli", "dev"): ("dev-2", "五", "六", "entailment", None),
    ("xnli", "test"): ("test-1", "七", "八", "neutral", None),
}


def as_tuples(examples):
    return [(e.guid, e.text_a, e.text_b, e.label, e.row_id) for e in examples]


def test_every_data_set_and_split_is_tested():
    splits = {
        (name, split)
        for name in DATA_SET_NAMES
        for split in find_data_set(name).files
    }
    assert splits == set(EXPECTED)


@pytest.mark.parametrize(("name", "split"), EXPECTED)
def test_official_layouts(write, tmp_path, name, split):
    for file, content in LAYOUTS[name].items():
        write(file, content)
    read = as_tuples(read_split(find_data_set(name), str(tmp_path), split))
    assert read[0] == EXPECTED[name, split]
    assert len(read) == (2 if split == "train" else 1)


def test_qqp_passes_over_torn_lines_with_a_warning(write, tmp_path, caplog):
    write("train.tsv", LAYOUTS["qqp"]["train.tsv"])
    examples = list(read_split(find_data_set("qqp"), str(tmp_path), "train"))
    assert [e.guid for e in examples] == ["train-1", "train-4"]
    assert "2 lines with too few or too many columns" in caplog.text
    assert "first of them line 3" in caplog.text


def test_mrpc_from_the_files_of_microsoft(write, tmp_path):
    title = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    write(
        "msr_paraphrase_train.txt",
        title + "1\t1\t2\tA.\tB.\r\n0\t3\t4\tC.\tD.\r\n1\t2\t1\tE.\tF.\r\n",
    )
    write("msr_paraphrase_test.txt", title + "0\t5\t6\tG.\tH.\r\n")
    mrpc = find_data_set("mrpc")
    with pytest.raises(UserError, match="dev_ids.tsv"):
        list(read_split(mrpc, str(tmp_path), "dev"))
    write("dev_ids.tsv", "3\t4\n9\t9\n")
    texts = {
        split: [e.text_a for e in read_split(mrpc, str(tmp_path), split)]
        for split in mrpc.files
    }
    assert texts == {"train": ["A.", "E."], "dev": ["C."], "test": ["G."]}


@pytest.mark.golden
@pytest.mark.parametrize(("task", "split"), GOLDEN_SPLITS)
def test_examples_are_the_originals(
    classifier_dir, golden_features, settings, task, split
):
    processor = DataSetProcessor(find_data_set(task.upper()))
    assert processor.get_labels() == settings["labels"][task]
    read = getattr(processor, f"get_{split}_examples")(
        str(classifier_dir / task)
    )
    assert [(e.guid, e.text_a, e.text_b, e.label) for e in read] == [
        (v["guid"], v["text_a"], v["text_b"], v["label"])
        for v in golden_features[task, split]
    ]


def test_labels_of_the_training_file_are_those_of_the_model(write, tmp_path):
    for file, content in LAYOUTS["thucnews"].items():
        write(file, content)
    news = find_data_set("THUCNews")
    train = read_split(news, str(tmp_path), "train")
    labels = collect_labels(news.kind, train)
    assert labels.names == ("体育", "家居")
    write("cnews.val.txt", "家居\t沙发\n财经\t股票\n")
    with pytest.raises(UserError, match=r"line 2, column 1: unknown label '财"):
        list(read_split(news, str(tmp_path), "dev", labels.names))
    with pytest.raises(UserError, match="collected from its training file"):
        DataSetProcessor(news)


def test_xnli_in_other_languages(classifier_dir, write, tmp_path):
    write(
        "multinli/multinli.train.en.tsv", "premise\thypo\tlabel\nA\tB\tneutral"
    )
    zero_shot = find_data_set("xnli", language="fr", train_language="en")
    (example,) = read_split(zero_shot, str(tmp_path), "train")
    assert example.text_a == "A"
    dev = list(read_split(zero_shot, str(classifier_dir / "xnli"), "dev"))
    assert len(dev) == 5 and dev[0].text_a == "Accuracy medium?"
    assert len(LANGUAGES) == 15
    with pytest.raises(UserError, match="no language 'xx'. It has: ar, bg"):
        find_data_set("xnli", language="xx")
    with pytest.raises(UserError, match="RTE has no languages .*'de'"):
        find_data_set("rte", language="de")


def test_names_in_any_spelling_and_unknown_ones():
    assert find_data_set("SST2") is find_data_set("sst-2")
    with pytest.raises(UserError, match="'snli'. There are: cola, sst-2, mrpc"):
        find_data_set("snli")


def test_missing_files_and_splits(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: expected train.tsv or"):
        read_split(find_data_set("mrpc"), str(tmp_path), "train")
    with pytest.raises(UserError, match="AX has no train set. It has: dev"):
        read_split(find_data_set("ax"), str(tmp_path), "train")


@pytest.mark.skipif(not REAL_DATA.exists(), reason="needs the real files")
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("SST-2", {"train": 6920, "dev": 872}),
        ("MRPC", {"train": 3668, "dev": 408, "test": 1725}),
        ("STS-B", {"train": 5749, "dev": 1500}),
    ],
)
def test_real_files(name, counts):
    for split, count in counts.items():
        examples = list(
            read_split(find_data_set(name), str(REAL_DATA / name), split)
        )
        assert len(examples) == count
        assert all(example.text_a for example in examples)
