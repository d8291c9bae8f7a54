"""Models of words and of choices, exported once for all tests of a process."""

import pytest

from modeling.tasks.tagging import TagSet
from tests.export.models import TYPED_TAGS, chooser, export, tagger


@pytest.fixture(scope="session")
def tagging_dir(tmp_path_factory):
    """A folder with the taggers `entities` and `parts`, and `choices`."""
    directory = tmp_path_factory.mktemp("models")
    trained = tmp_path_factory.mktemp("trained")
    typed = TagSet(TYPED_TAGS, "BIO", "IOB1")
    plain = TagSet(("DT", "NN", "VB"), "plain", "plain")
    export(tagger(trained / "entities", typed), directory)
    export(tagger(trained / "parts", plain), directory)
    export(chooser(trained / "choices"), directory)
    return directory
