"""The tags of a model, as files have them and as it learns them."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Sequence

import numpy as np
from absl import logging

from modeling.errors import UserError
from modeling.output_files import write_json
from modeling.tasks.classification.labels import describe
from modeling.tasks.tagging import schemes
from modeling.tasks.tagging.schemes import OUTSIDE, PLAIN
from modeling.tasks.tagging.sentences import Sentence, are_characters
from modeling.text_files import find_files, read_lines

TAG_MAP = "tag_map.json"
AUTO = "auto"
# Tags that a warning names.
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class TagSet:
    """Tags of a model.

    Attributes:
      names: what it learns, in the order of their ids.
      scheme: of these names: "BIO", "BIOES", or "plain" for tags that mark no
        chunks.
      file_scheme: of the training file; predictions are written in it.
      into_characters: whether the training file's words are characters, so that
        a text is to be split so.

    Raises:
      UserError: fewer than two names, one that stands twice, or a scheme that
        cannot be learned.
    """

    names: tuple[str, ...]
    scheme: str
    file_scheme: str
    into_characters: bool = False

    def __post_init__(self) -> None:
        if self.scheme not in (*schemes.LEARNED, PLAIN):
            raise UserError(
                "The scheme to learn must be one of "
                f"{', '.join(schemes.LEARNED)}. Received: {self.scheme!r}"
            )
        if len(set(self.names)) < len(self.names):
            raise UserError(f"A tag stands twice in {list(self.names)}.")
        if len(self.names) < 2:
            raise UserError(
                f"There must be two tags or more. Received: {list(self.names)}"
            )

    def encode(self, sentence: Sentence) -> np.ndarray:
        """Ids of a sentence's tags, -1 where it has none: int32 [words]

        Raises:
          UserError: a tag that the model does not know, with its line.
        """
        if sentence.tags is None:
            return np.full(len(sentence.words), -1, np.int32)
        tags = schemes.convert(sentence.tags, self.scheme)
        ids = [self._ids.get(tag, -1) for tag in tags]
        if self.scheme != PLAIN:
            # What is no chunk's tag became "O".
            ids = [
                index if tag == OUTSIDE or schemes.parse(tag) else -1
                for index, tag in zip(ids, sentence.tags, strict=True)
            ]
        if -1 in ids:
            word = ids.index(-1)
            raise UserError(
                f"{sentence.place(word)}: unknown tag {sentence.tags[word]!r}. "
                f"Expected {describe(self.names)}. Is it the right column? A "
                "model knows the tags of its training file, or of --labels."
            )
        return np.array(ids, np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tags of a sentence, in the training file's scheme."""
        tags = [self.names[index] for index in ids]
        return schemes.convert(tags, self.file_scheme)

    def allowed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `schemes.allowed`."""
        return schemes.allowed(self.names, self.scheme)

    def save(self, directory: str) -> None:
        """Keeps the tags with a model."""
        values = dataclasses.asdict(self)
        write_json(os.path.join(directory, TAG_MAP), values)

    @classmethod
    def load(cls, directory: str) -> TagSet:
        """The tags that a model was trained with.

        Raises:
          UserError: no such file, or one that `save` has not written.
        """
        path = os.path.join(directory, TAG_MAP)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
            return cls(**{**values, "names": tuple(values["names"])})
        except OSError as error:
            raise UserError(
                f"Cannot read the tags of the model, {path}: "
                f"{error.strerror}. Training writes them beside the model."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a tag map: {error}") from error

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}


def collect_tags(
    sentences: Iterable[Sentence],
    scheme: str = "BIO",
    file_scheme: str = AUTO,
    names: Sequence[str] = (),
) -> TagSet:
    """The tags of training sentences, and the scheme that they are in.

    Every type of chunk gets all tags of the scheme, also those that the file
    happens not to have.

    Args:
      sentences: with tags.
      scheme: what chunks are learned in, "BIO" or "BIOES".
      file_scheme: what the file's are in; "auto" recognises it, "plain" takes
        every tag for itself.
      names: tags in the file's scheme that are to be known, whether or not they
        occur; none: those that occur. In "plain" their order is that of the
        ids.

    Raises:
      UserError: an unknown scheme, or too few tags.
    """
    known = (AUTO, *schemes.SCHEMES)
    if file_scheme not in known:
        raise UserError(
            f"The file's scheme must be one of {', '.join(known)}. Received: "
            f"{file_scheme!r}"
        )
    finder = schemes.SchemeFinder()
    longest, is_chinese = 0, False
    for sentence in sentences:
        finder.show(sentence.tags)
        longest = max(longest, *map(len, sentence.words))
        is_chinese = is_chinese or are_characters(sentence.words)
    if file_scheme == AUTO:
        file_scheme = finder.scheme()
        _warn(finder)
    if file_scheme == PLAIN:
        ordered = list(names) or sorted(finder.tags)
        scheme = PLAIN
    else:
        ordered = _chunk_tags(set(names) or finder.tags, scheme, file_scheme)
    into_characters = longest == 1 and is_chinese
    return TagSet(tuple(ordered), scheme, file_scheme, into_characters)


def _warn(finder: schemes.SchemeFinder) -> None:
    """Tells of tags that look like slips, of which one would hide a scheme."""
    if finder.strays:
        logging.warning(
            "Some tags mark chunks, as B-PER does, but not %s: so every tag is "
            "taken for itself, and judged by accuracy. Mend them if they are "
            "mistakes, else give --file_scheme=plain.",
            ", ".join(map(repr, finder.strays[:_SHOWN])),
        )
    elif finder.in_small_letters:
        logging.warning(
            "Tags such as %s mark no chunks, as they are not in capitals: "
            "every tag is taken for itself, and judged by accuracy. If they "
            "mark chunks, write B-PER, I-PER, O and the like, else give "
            "--file_scheme=plain.",
            ", ".join(map(repr, finder.in_small_letters[:_SHOWN])),
        )


def read_tag_names(path: str) -> tuple[str, ...]:
    """Tags from a file, one a line.

    Raises:
      UserError: a file that cannot be read, or without a tag.
    """
    names = tuple(name for name in read_lines(find_files(path)) if name)
    if not names:
        raise UserError(f"{path} names no tags: expected one a line.")
    return names


def _chunk_tags(
    found: Iterable[str], scheme: str, file_scheme: str
) -> list[str]:
    types: set[str] = set()
    has_outside = False
    for tag in sorted(found):
        parsed = schemes.parse(tag)
        if tag == OUTSIDE:
            has_outside = True
        elif parsed is None:
            raise UserError(
                f"The tag {tag!r} is not of the scheme {file_scheme}, in which "
                "tags are O or look like B-PER. Give the scheme plain where "
                "tags mark no chunks."
            )
        else:
            types.add(parsed[1])
    # Word segmentation has no words outside.
    names = [OUTSIDE] if has_outside or types != {""} else []
    for kind in sorted(types):
        ending = f"-{kind}" if kind else ""
        names += [letter + ending for letter in scheme.replace(OUTSIDE, "")]
    return names
