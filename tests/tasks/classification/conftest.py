"""A small tokenizer, and the original's own data sets."""

import json

import pytest

from modeling.tokenization import FastTokenizer

# The original reads no test set of XNLI.
GOLDEN_SPLITS = [
    (task, split)
    for task in ("cola", "mrpc", "mnli", "xnli")
    for split in ("train", "dev", "test")
    if (task, split) != ("xnli", "test")
]


@pytest.fixture(scope="session")
def classifier_dir(golden_dir):
    return golden_dir / "classifier"


@pytest.fixture(scope="session")
def settings(classifier_dir):
    return json.loads((classifier_dir / "settings.json").read_text())


@pytest.fixture(scope="session")
def golden_features(classifier_dir):
    """(task, split) -> what the original makes of the split, in order."""
    found = {}
    lines = (classifier_dir / "features.jsonl").read_text().splitlines()
    for values in map(json.loads, lines):
        if "error" not in values:
            key = values["task"], values.get("split")
            found.setdefault(key, []).append(values)
    return found


@pytest.fixture(scope="session")
def tokenizers(golden_dir):
    """do_lower_case -> tokenizer."""
    path = golden_dir / "vocab.txt"
    return {
        lower: FastTokenizer.from_vocab_file(path, do_lower_case=lower)
        for lower in (False, True)
    }


@pytest.fixture(scope="session")
def tokenizer(tokenizers):
    return tokenizers[True]


@pytest.fixture
def write(tmp_path):
    """Writes a file of the given content below the temporary directory."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return str(path)

    return write_file
