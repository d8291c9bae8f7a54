"""The Python of the documents and docstrings, run as it is printed."""

import doctest
import re
import textwrap

import pytest

from modeling import BertConfig, network
from tests.conftest import ROOT

# An indented block, from its first import on.
_BLOCK = re.compile(r"(?m)^    from modeling import .*\n(?:    .*\n|\n)*")


@pytest.mark.parametrize(
    "page", ["README.md", "docs/checkpoints.md", "docs/extract_features.md"]
)
def test_python_of_a_page(page, tmp_path, monkeypatch):
    model = tmp_path / "uncased_L-12_H-768_A-12"
    model.symlink_to(ROOT / "tests" / "golden")
    monkeypatch.chdir(tmp_path)
    block = _BLOCK.search((ROOT / page).read_text(encoding="utf-8"))
    exec(compile(textwrap.dedent(block[0]), page, "exec"), {})


@pytest.mark.parametrize("name", network.__all__)
def test_example_of_a_model(name):
    names = {**vars(network), "BertConfig": BertConfig}
    finder = doctest.DocTestFinder(recurse=False)
    for example in finder.find(getattr(network, name), name, globs=names):
        assert doctest.DocTestRunner().run(example).failed == 0
