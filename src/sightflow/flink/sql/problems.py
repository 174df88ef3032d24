"""What Flink says against a statement, as one message for a person: the place, and near names."""

import difflib
import re
from collections.abc import Sequence

from sightflow.errors import JobError, SightflowError, SqlError
from sightflow.flink.failures import describe_failure, read_failure

__all__ = ["problem_with"]

_CAUSE = re.compile(
    r"^(?:Caused by: |: )?(?:[\w$]+\.)+[\w$]*(?:Exception|Error): (.*)$", re.MULTILINE
)
_PLACE = re.compile(r"(?:From|At|at) line (\d+), column (\d+)(?: to line \d+, column \d+)?")
_EXPECTED = re.compile(r"Was expecting[^:]*:.*", re.DOTALL)
_UNKNOWN = (
    (re.compile(r"Column '(.+?)' not found"), "column"),
    (re.compile(r"Object '(.+?)' not found"), "table"),
    (re.compile(r"Table '(.+?)' not found"), "table"),
    (re.compile(r"No match found for function signature (\w+)\("), "function"),
)
_REFUSALS = (
    "SqlParserException",
    "ValidationException",
    "SqlValidatorException",
    "TableException",
    "Unsupported type",
    "CatalogException",
)
_CALL = re.compile(r"Invalid function call:\n(.+)")
_SIGNATURE = re.compile(r"Expected signatures are:\n(.+)")
_LITERAL = re.compile(r"Unsupported type (?:VAR)?BINARY")
_CONSTANT = "ArrayIndexOutOfBoundsException: Index 0 out of bounds for length 0"
"""What Flink 2.3 says where a vectorised function gets nothing but constants."""
_COLUMN_NEEDED = (
    "one of the arguments of a function of pictures must be a column of a table; got constants only"
)
_N_NEAR = 3


def problem_with(java_message: str, text: str, line: int, names: Sequence[str]) -> SightflowError:
    """Return the error of a statement that was refused, or whose job failed.

    Args:
        java_message: what Java said, with its stack.
        text: the statement.
        line: of the file at which it begins.
        names: tables, columns and functions that there are.
    """
    if read_failure(java_message) is not None:
        return JobError(describe_failure(java_message))
    causes = _CAUSE.findall(java_message) or [java_message.splitlines()[0]]
    if _CONSTANT in java_message:
        return SqlError(f"line {line}: {_COLUMN_NEEDED}")
    if not any(refusal in java_message for refusal in _REFUSALS):
        return JobError(f"the query failed: {describe_failure(java_message)}")
    said = _wrong_call(java_message) or _clearest(causes)
    place = _PLACE.search(said) or _PLACE.search(java_message)
    where = f"line {int(place[1]) + line - 1}, column {place[2]}" if place else f"line {line}"
    pointed = f"\n{_pointed(text, int(place[1]), int(place[2]))}" if place else ""
    message = _EXPECTED.sub("", _PLACE.sub("", said)).strip(" :.")
    return SqlError(f"{where}: {message}{_hint(message, names)}{pointed}")


def _wrong_call(java_message: str) -> str | None:
    """Return what is wrong with the arguments of a function, if that is it."""
    call, signature = _CALL.search(java_message), _SIGNATURE.search(java_message)
    if call:
        right = re.sub(r"\w+ => ", "", signature[1]) if signature else "another"
        return f"{call[1].replace(' NOT NULL', '')} cannot be called; it is {right}"
    return _COLUMN_NEEDED if _LITERAL.search(java_message) else None


def _clearest(causes: Sequence[str]) -> str:
    """Return the first cause that says more than that something failed."""
    vague = ("SQL validation failed", "SQL parse failed", "Failed to", "Job execution failed")
    clear = [cause for cause in causes if not cause.startswith(vague)]
    said = (clear or list(causes))[0]
    return re.sub(r"^SQL (validation|parse) failed\.\s*", "", said)


def _hint(message: str, names: Sequence[str]) -> str:
    """Return what may have been meant by a name that is not there."""
    for pattern, kind in _UNKNOWN:
        if found := pattern.search(message):
            lower = {name.lower(): name for name in names}
            near = difflib.get_close_matches(found[1].lower(), lower, _N_NEAR, 0.6)
            meant = " or ".join(lower[name] for name in near)
            return f"; did you mean {meant}?" if meant else f"; --tables lists every {kind}"
    return ""


def _pointed(text: str, line: int, column: int) -> str:
    """Return a line of a statement with a mark below the place."""
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return f"  {shown}\n  {' ' * (column - 1)}^"
