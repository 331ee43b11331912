"""What a user of the command line can cause, one class per exit code.

    EdgewrightError            3  explained: a damaged file, a full disk, bad data
    ├── DataError              3  a data file or a row is not what the task needs
    ├── DamagedFileError       3  an artifact or a bundle is truncated, changed or unsafe to read
    ├── MissingExtraError      3  a target's libraries are not installed
    ├── ExportError            3  a converter refused, or wrote a file that is wrong
    └── UsageError             2  a wrong command, recipe or argument

Every message is one line: what is wrong, where, what to do.
"""


class EdgewrightError(Exception):
    """An explained failure; `str(error)` is the one line that the user reads."""

    exit_code = 3


class UsageError(EdgewrightError):
    exit_code = 2


class DataError(EdgewrightError):
    pass


class DamagedFileError(EdgewrightError):
    pass


class MissingExtraError(EdgewrightError):
    pass


class ExportError(EdgewrightError):
    pass


def missing_extra(error: ImportError, extra: str, purpose: str) -> MissingExtraError:
    """The answer to an ImportError of an optional library; raise it `from error`.

    An ImportError of our own module is a bug and is re-raised as it is.
    """
    if (error.name or "").split(".")[0] == "edgewright":
        raise error
    return MissingExtraError(f"{purpose} needs {error.name or error}: pip install 'edgewright[{extra}]'")
