"""The one exception that means: what the user gave us is wrong."""


class UserError(ValueError):
    """A mistake in flags, files or configuration, told to the user.

    The message says what is wrong, where (file, line, flag), what was received
    and what to do. Scripts print it without a traceback and exit with status 1;
    every other exception is a defect of ours and keeps its traceback.
    """
