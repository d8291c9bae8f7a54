"""The one exception for what the user gave us, and errors of TensorFlow."""

import contextlib
import re
from collections.abc import Iterator


class UserError(ValueError):
    """A mistake in flags, files or configuration, told to the user.

    The message says what is wrong, where (file, line, flag), what was received
    and what to do. Scripts print it without a traceback and exit with status 1;
    every other exception is a defect of ours and keeps its traceback.
    """


def without_operations(message: str) -> str:
    """What a TensorFlow error says, less the operations that it went through.

    "{{function_node f}} a/b; No space left on device [Op:SaveV2]" becomes
    "a/b; No space left on device".
    """
    message = re.sub(r"\{\{.*?\}\}", "", message)
    return re.sub(r"\s*\[Op:.*", "", message, flags=re.DOTALL).strip()


@contextlib.contextmanager
def os_errors() -> Iterator[None]:
    """Turns TensorFlow's errors, as of remote files, into Python's.

    Raises:
      OSError: in place of an `OpError`.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(without_operations(error.message)) from error
