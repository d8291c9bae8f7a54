"""The small golden checkpoint as the model to extract features with."""

import pytest

from modeling.features import FeatureExtractor, FeatureOptions
from modeling.network import BertModel
from modeling.pretrained import Pretrained, PretrainedFiles
from tests.conftest import ROOT

MODEL_DIR = ROOT / "tests" / "golden"

LINES = [
    "Who was Jim Henson ? ||| Jim Henson was a puppeteer",
    "hello",
    "",
    "the president of the united states said that the government would never "
    "change the law about the price of oil",
    "a ||| b",
    "the cat wanted to go home .",
    "unaffable runningness in the north of the country this winter",
    "the dog ran over the street and the cat wanted to go home .",
]


@pytest.fixture(scope="session")
def pretrained() -> Pretrained:
    return PretrainedFiles(str(MODEL_DIR)).load()


@pytest.fixture(scope="session")
def model(pretrained) -> BertModel:
    model = BertModel(pretrained.config)
    for variable in model.weights:
        variable.assign(pretrained.checkpoint.read(variable.path))
    return model


@pytest.fixture(scope="session")
def extract(model, pretrained):
    """Runs an extractor with the given options over lines."""

    def run(lines=LINES, **options):
        extractor = FeatureExtractor(
            model,
            pretrained.tokenizer,
            FeatureOptions(**{"layers": (-1,), **options}),
        )
        return list(extractor.extract(lines))

    return run
