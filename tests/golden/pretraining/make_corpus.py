#!/usr/bin/env python3
"""Writes a synthetic pre-training corpus from a WordPiece vocabulary.

Standard library only, and no use of Python's `random`: the only source of
chance is the 64-bit linear congruential generator below, so the same file can
be made byte for byte in any language.

  python make_corpus.py vocab.txt SEED TARGET_BYTES out.txt

Format: one sentence per line, a blank line between documents.
"""

import bisect
import sys

MASK64 = (1 << 64) - 1


class Lcg:
    """x <- x * 6364136223846793005 + 1442695040888963407 (mod 2^64)."""

    def __init__(self, seed):
        self.x = (seed * 0x9E3779B97F4A7C15 + 0x1234567) & MASK64
        for _ in range(8):
            self.u32()

    def u32(self):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) & MASK64
        return self.x >> 32

    def below(self, n):
        """Integer in [0, n), by the high part of a 32 x 32 bit product."""
        return (self.u32() * n) >> 32


def read_vocab(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [line.rstrip("\n") for line in f if line.rstrip("\n")]


def is_lower_word(t):
    return len(t) >= 2 and all("a" <= c <= "z" for c in t)


def make(vocab, seed, target_bytes, write):
    rng = Lcg(seed)
    words = [t for t in vocab if is_lower_word(t)]
    tails = [
        t[2:] for t in vocab if t.startswith("##") and is_lower_word(t[2:])
    ]
    # Zipf: the word at rank r (1-based, after a deterministic shuffle) has
    # integer weight 2^20 // (r + 2).
    order = list(range(len(words)))
    for i in range(len(order) - 1, 0, -1):
        j = rng.below(i + 1)
        order[i], order[j] = order[j], order[i]
    words = [words[k] for k in order]
    cum = []
    total = 0
    for r in range(1, len(words) + 1):
        total += (1 << 20) // (r + 2)
        cum.append(total)

    def word():
        k = rng.below(1000)
        w = words[bisect.bisect_right(cum, rng.below(total))]
        if k < 130:  # word + one suffix piece
            w += tails[rng.below(len(tails))]
        elif k < 160:  # word + two suffix pieces
            w += tails[rng.below(len(tails))] + tails[rng.below(len(tails))]
        elif k < 170:  # a number
            w = str(rng.below(10 ** (1 + rng.below(4))))
        elif k < 175:  # capital letter
            w = w[0].upper() + w[1:]
        return w

    written = 0
    while written < target_bytes:
        kind = rng.below(100)
        if kind < 4:
            n_sent = 1
        elif kind < 90:
            n_sent = 3 + rng.below(28)
        else:
            n_sent = 40 + rng.below(80)
        for _ in range(n_sent):
            kind = rng.below(100)
            if kind < 5:
                n_words = 1 + rng.below(3)
            elif kind < 97:
                n_words = 5 + rng.below(26)
            else:
                n_words = 60 + rng.below(120)
            out = []
            for i in range(n_words):
                w = word()
                if i == 0:
                    w = w[0].upper() + w[1:]
                k = rng.below(100)
                if i + 1 < n_words and k < 6:
                    w += ","
                elif k == 99:
                    w = '"' + w + '"'
                out.append(w)
            line = " ".join(out) + ".....?!"[rng.below(7)] + "\n"
            write(line)
            written += len(line.encode("utf-8"))
        blank = "\n" if rng.below(20) else "\n\n"
        write(blank)
        written += len(blank)
    return written


def main(argv):
    vocab = read_vocab(argv[1])
    with open(argv[4], "w", encoding="utf-8", newline="\n") as f:
        n = make(vocab, int(argv[2]), int(argv[3]), f.write)
    print(n)


if __name__ == "__main__":
    main(sys.argv)
