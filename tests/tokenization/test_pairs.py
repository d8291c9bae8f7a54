"""Room for two texts in one row."""

import itertools

from modeling.tokenization import truncate_pair


def test_truncation_is_the_loops():
    for a, b, room in itertools.product(range(9), range(9), range(2, 12)):
        first, second = list(range(a)), list(range(b))
        expected_first, expected_second = list(first), list(second)
        while len(expected_first) + len(expected_second) > room:
            longer_first = len(expected_first) > len(expected_second)
            (expected_first if longer_first else expected_second).pop()
        assert truncate_pair(first, second, room) == (
            expected_first,
            expected_second,
        )
