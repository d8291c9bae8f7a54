"""Serves exported models over HTTP, or answers at the terminal.

  pip install ".[serve]"
  python serve.py --model_dir=/tmp/models

--model_dir is the --export_dir of export_model.py, NAME/VERSION/ for each
model. Then, at the address that is printed, a page to try them, and

  curl -d '{"instances": ["It rained."]}' \\
    http://127.0.0.1:8501/v1/models/NAME:predict

in TensorFlow Serving's dialect. A line of the terminal at a time, without a
server:

  python serve.py --model_dir=/tmp/models --interactive

See docs/serving.md.
"""

import os

from absl import flags

import common_flags
from modeling.errors import UserError

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "MODEL_DIR/NAME/VERSION, or MODEL_DIR/VERSION of one."
)
_HOST = flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to bind to; 0.0.0.0 lets other machines in.",
)
_PORT = flags.DEFINE_integer(
    "port", 8501, "0: any free one.", lower_bound=0, upper_bound=65535
)
_TOKEN_FILE = flags.DEFINE_string(
    "token_file",
    None,
    "A file with the token that requests must bring, as in Authorization: "
    "Bearer TOKEN.",
)
_BATCH_TOKENS = flags.DEFINE_integer(
    "batch_tokens",
    2048,
    "Most tokens in a batch, padding included; 1: no batching.",
    lower_bound=1,
)
_BATCH_WAIT_MS = flags.DEFINE_float(
    "batch_wait_ms",
    2.0,
    "Longest that a text waits, while nothing is computed, for as many others "
    "as came together before.",
    lower_bound=0,
)
_MAX_BODY_BYTES = flags.DEFINE_integer(
    "max_body_bytes", 4 * 2**20, "Of a request.", lower_bound=1
)
_MAX_TEXTS = flags.DEFINE_integer(
    "max_texts", 1024, "Of a request; a choice counts as one.", lower_bound=1
)
_MAX_TEXT_BYTES = flags.DEFINE_integer(
    "max_text_bytes", 32 * 2**10, "Of one text.", lower_bound=1
)
_MAX_QUEUE = flags.DEFINE_integer(
    "max_queue", 4096, "Texts that wait for a model.", lower_bound=1
)
_MAX_CONNECTIONS = flags.DEFINE_integer(
    "max_connections",
    1000,
    "At a time; where all wait for answers, the next is refused, else the one "
    "that has been idle for longest makes room.",
    lower_bound=1,
)
_TIMEOUT = flags.DEFINE_float(
    "timeout",
    30.0,
    "Seconds to send a request, to wait for its answer, to read it, and to end "
    "after a signal.",
    lower_bound=0.001,
)
_POLL_SECONDS = flags.DEFINE_float(
    "poll_seconds",
    2.0,
    "How often to look for new versions; one is taken over when it was seen "
    "twice as it is.",
    lower_bound=0.01,
)
_ENCODE_MODEL = flags.DEFINE_string(
    "encode_model", None, "That /encode asks. Default: the first with vectors."
)
_INTERACTIVE = flags.DEFINE_bool(
    "interactive",
    False,
    "No server: answers lines of the terminal, as --interactive of the script "
    "that trained the model does; tabs separate several texts.",
)
_NAME = flags.DEFINE_string(
    "name", None, "Of the model, with --interactive and several models."
)
flags.mark_flags_as_required(["model_dir"])


def main(argv: list[str]) -> None:
    del argv
    if _INTERACTIVE.value:
        _interactive()
        return
    try:
        from modeling.serving.server import ServerOptions, serve
    except ModuleNotFoundError as error:
        raise UserError(
            f'{error.name} is not installed: pip install ".[serve]"'
        ) from error
    from modeling.serving.batching import BatchOptions
    from modeling.serving.limits import Limits

    options = ServerOptions(
        model_dir=_MODEL_DIR.value,
        host=_HOST.value,
        port=_PORT.value,
        batches=BatchOptions(_BATCH_TOKENS.value, _BATCH_WAIT_MS.value / 1000),
        limits=Limits(
            body_bytes=_MAX_BODY_BYTES.value,
            texts=_MAX_TEXTS.value,
            text_bytes=_MAX_TEXT_BYTES.value,
            queue=_MAX_QUEUE.value,
            seconds=_TIMEOUT.value,
        ),
        connections=_MAX_CONNECTIONS.value,
        poll_seconds=_POLL_SECONDS.value,
        drain_seconds=_TIMEOUT.value,
        token=_token(),
        encode_model=_ENCODE_MODEL.value,
    )
    serve(options, lambda url: print(f"Serving at {url}", flush=True))


def _token() -> str | None:
    path = _TOKEN_FILE.value
    if path is None:
        return None
    if not os.path.exists(path):
        raise UserError(f"There is no --token_file {path}")
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--token_file {path} cannot be read: {error}. It must be a text "
            "file that holds the token alone."
        ) from error
    if not token:
        raise UserError(f"--token_file {path} is empty.")
    return token


def _interactive() -> None:
    from modeling.finetuning.interactive import answer_lines
    from modeling.serving.terminal import LineAnswerer

    answer_lines(LineAnswerer.open(_MODEL_DIR.value, _NAME.value))


def run() -> None:
    """Runs the script; the installed command."""
    common_flags.run(main)


if __name__ == "__main__":
    run()
