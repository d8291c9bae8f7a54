"""How a script ends."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_SCRIPT = '''"""A script."""
import errno

import common_flags
from modeling.errors import UserError


def main(argv):
    raise {error}


if __name__ == "__main__":
    common_flags.run(main)
'''


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('UserError("out: no such flag.")', "error: out: no such flag.\n"),
        (
            'OSError(errno.ENOSPC, "No space left on device", "out")',
            "error: out: No space left on device. Is there space, and may "
            "you read and write there?\n",
        ),
        (
            'OSError(errno.ENOSPC, "No space left on device")',
            "error: A file: No space left on device. Is there space, and may "
            "you read and write there?\n",
        ),
        ('OSError(errno.EPIPE, "Broken pipe")', None),
        ('ValueError("a defect")', None),
    ],
)
def test_only_defects_of_ours_have_a_traceback(tmp_path, error, told):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.format(error=error))
    result = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    if told is None:
        assert "Traceback" in result.stderr
    else:
        assert result.stderr == told
