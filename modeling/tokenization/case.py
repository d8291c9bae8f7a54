"""Does the lower-casing that was asked for fit the model?"""

import json
import os
import re
from collections.abc import Iterable

from modeling.errors import UserError

_LOWER_CASED_MODELS = (
    "uncased_L-24_H-1024_A-16",
    "uncased_L-12_H-768_A-12",
    "multilingual_L-12_H-768_A-12",
    "chinese_L-12_H-768_A-12",
)
_CASED_MODELS = (
    "cased_L-12_H-768_A-12",
    "cased_L-24_H-1024_A-16",
    "multi_cased_L-12_H-768_A-12",
)
_MODEL_NAME = re.compile(r"^.*?([A-Za-z0-9_-]+)/bert_model.ckpt")

# Released uncased vocabularies hold no capital at all. A few, added by hand,
# do not make a vocabulary cased.
_CASED_SHARE = 0.02
# Fewer Latin pieces are no evidence.
_MIN_PIECES = 100
_CONFIG_FILES = ("tokenizer_config.json", "bert_config.json", "config.json")


def validate_case_matches_checkpoint(
    do_lower_case: bool, init_checkpoint: str | None
) -> None:
    """Checks lower-casing against the name of a model released in 2018.

    Other names pass: later releases, and checkpoints under a name of the
    user's. `describe_case_mismatch` judges those by their vocabulary.

    Raises:
      UserError: the name says otherwise.

    Source: `tokenization.validate_case_matches_checkpoint`.
    """
    match = _MODEL_NAME.match(init_checkpoint or "")
    if match is None:
        return
    model_name = match[1]
    if do_lower_case and model_name in _CASED_MODELS:
        kind = "cased"
    elif not do_lower_case and model_name in _LOWER_CASED_MODELS:
        kind = "lowercased"
    else:
        return
    raise UserError(
        f"You passed in `--do_lower_case={do_lower_case}` with "
        f"`--init_checkpoint={init_checkpoint}`. However, `{model_name}` seems "
        f"to be a {kind} model, so you should pass in "
        f"`--do_lower_case={not do_lower_case}` so that the fine-tuning "
        "matches how the model was pre-training. If this error is wrong, "
        "please just comment out this check."
    )


def read_case_setting(model_dir: str | os.PathLike[str]) -> bool | None:
    """`do_lower_case` as a model's files state it, `None` where they do not.

    `tokenizer_config.json` of Hugging Face goes before `bert_config.json` and
    `config.json`.

    Raises:
      UserError: a file that is not JSON, or a value that is not a boolean.
    """
    for name in _CONFIG_FILES:
        path = os.path.join(model_dir, name)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except OSError:
            continue
        except ValueError as error:  # JSON and UTF-8 errors both
            raise UserError(f"{path} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise UserError(
                f"{path} must hold a JSON object. Received: {values!r:.80}"
            )
        setting = values.get("do_lower_case")
        if setting is not None and not isinstance(setting, bool):
            raise UserError(
                f"{path}: do_lower_case must be true or false. "
                f"Received: {setting!r}"
            )
        if setting is not None:
            return setting
    return None


def describe_case_mismatch(
    do_lower_case: bool, vocab: Iterable[str]
) -> str | None:
    """What to warn of if a vocabulary's capitals contradict the setting.

    Returns `None` where there is nothing to say, as for a vocabulary with
    hardly any Latin letters.
    """
    letters = capitals = 0
    for token in vocab:
        if _is_special(token) or not re.search("[A-Za-z]", token):
            continue
        letters += 1
        capitals += re.search("[A-Z]", token) is not None
    if letters < _MIN_PIECES:
        return None
    if do_lower_case and capitals > _CASED_SHARE * letters:
        return (
            f"do_lower_case=True, but {capitals} of the vocabulary's "
            f"{letters} Latin pieces hold capital letters, so the model seems "
            "to be cased: they would never be used. Pass --do_lower_case=False."
        )
    if not do_lower_case and not capitals:
        return (
            f"do_lower_case=False, but none of the vocabulary's {letters} "
            "Latin pieces holds a capital letter, so the model seems to be "
            "uncased: words with capitals would become [UNK]. "
            "Pass --do_lower_case=True."
        )
    return None


def _is_special(token: str) -> bool:
    return re.fullmatch(r"\[.*\]|<.*>", token) is not None
