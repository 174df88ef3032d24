"""A text of SQL, taken apart into its statements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Statement", "statements_of"]

_PIECE = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|'(?:[^']|'')*'|`(?:[^`]|``)*`|(?P<end>;)""",
    re.DOTALL,
)


_QUERY = re.compile(r"(SELECT|WITH|VALUES)\b|\(", re.IGNORECASE)
_SHOWS = re.compile(r"(SHOW|DESCRIBE|DESC|EXPLAIN)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """A statement, and where it stands."""

    text: str
    """Without comments, which are blanks, so that its lines and columns are those of the file."""
    line: int
    """Where the text begins, from 1."""

    @property
    def is_query(self) -> bool:
        """Whether rows come out of it by a job."""
        return bool(_QUERY.match(self.text))

    @property
    def shows(self) -> bool:
        """Whether it tells something that is known already, such as `SHOW TABLES`."""
        return bool(_SHOWS.match(self.text))


def statements_of(sql: str) -> Iterator[Statement]:
    """Yield the statements of a text; they end with a semicolon, the last one may do without.

    Examples:
        >>> [s.text for s in statements_of("SELECT ';'; -- one; two" + chr(10) + "SELECT 2")]
        ["SELECT ';'", 'SELECT 2']
    """
    start, kept = 0, []
    for piece in _PIECE.finditer(sql):
        if piece["comment"]:
            kept += [sql[start : piece.start()], re.sub(r"[^\n]", " ", piece[0])]
        elif piece["end"]:
            kept += [sql[start : piece.start()], "\0"]
        else:
            continue
        start = piece.end()
    line = 1
    for part in "".join([*kept, sql[start:]]).split("\0"):
        blank = part[: len(part) - len(part.lstrip())]
        if part.strip():
            yield Statement(part.strip(), line + blank.count("\n"))
        line += part.count("\n")
