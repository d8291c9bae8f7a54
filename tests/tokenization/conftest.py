"""A small vocabulary and random text for the tests of tokenization."""

import pathlib
import random
from collections.abc import Iterator

import pytest

# Latin with accents and both cases, final sigma, "İ", marks of all kinds,
# Hangul, CJK of both planes, what is dropped, what separates, and code points
# that Unicode 14.0 added or later versions did.
_ALPHABET = (
    *"abcABC019 éÉñöÅςσΣİIıßﬀ½",
    *"\u0301\u0323\u0345\u20dd\u302e\U0001d165\u1734\u1715\u0898\u180f",
    *"한가각中文\uf900\U00020000\U0002f800ひカ한",
    *"\0\x0b\x1c\x7f\x85\xad\u200b\u200d\ufeff\ufffd\u0890",
    *" \t\n\r\xa0\u2003\u3000\u2028\u2029",
    *".,!?#'’·:-_$^`~[](){}，。「」\u037e\u2e52\U00011049",
    *"\ua7c0\u2c2f\U00010570\U00010597\u1dfa",
    *"\U00010f70\U0001e030\u0cf3\u0378\U0001fae8\U000e0041\ue000\uffff",
    *("the", "##", "[MASK]", "[SEP]", "ing", "un", "ΑΣ", "Ὀδυσσεύς"),
)


@pytest.fixture
def random_texts() -> Iterator[str]:
    """The same 2,000 texts each time, full of what goes wrong."""
    rng = random.Random(20181011)
    return (
        "".join(rng.choices(_ALPHABET, k=rng.randrange(24)))
        for _ in range(2000)
    )


@pytest.fixture(scope="session")
def vocab_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Specials 0-4, then words, pieces, punctuation and characters."""
    tokens = (
        "[PAD] [UNK] [CLS] [SEP] [MASK] the una un ing a i u cafe 中 文 . ,"
    )
    tokens += " ! [ ] ' MASK 0 1 ##ffa ##ble ##ing ##i ##a ##s ##\u0307 ##σ"
    tokens += " ##ς ##\u0301 e ##e σ α \u1112 ##\u1161 ##\u11ab ， A ##A ##B B"
    path = tmp_path_factory.mktemp("tokenization") / "vocab.txt"
    path.write_text(tokens.replace(" ", "\n") + "\n", encoding="utf-8")
    return path
