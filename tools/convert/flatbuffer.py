"""Reads FlatBuffers, the binary layout of TFLite files, without generated classes.

Source: the description of the binary format by the makers of FlatBuffers. Numbers are
little-endian. A table begins with the distance back to its list of fields, which says for each
field how far from the table's start its value lies, or 0 where the file leaves it out.
"""

import struct
from dataclasses import dataclass

BYTE, INT, UINT = "b", "i", "I"
"""Kinds of numbers: 8 bits, 32 bits, 32 bits without sign."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table inside a file; its fields are asked for by their number in the schema.

    A file that is cut off makes the methods raise `struct.error`.
    """

    data: bytes
    """The whole file."""
    start: int

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the table that a file begins with."""
        return cls(data, _target(data, 0))

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a number, or the schema's default where the file leaves it out."""
        place = self._place(field)
        return default if place is None else _read(self.data, place, kind)

    def table(self, field: int) -> "Table | None":
        """Return the table that a field leads to, if it is there."""
        place = self._place(field)
        return None if place is None else Table(self.data, _target(self.data, place))

    def tables(self, field: int) -> list["Table"]:
        """Return the tables of a list, which is empty where the file leaves it out."""
        start, length = self._list(field)
        places = range(start, start + 4 * length, 4)
        return [Table(self.data, _target(self.data, place)) for place in places]

    def integers(self, field: int) -> list[int]:
        """Return a list of 32-bit integers."""
        start, length = self._list(field)
        return list(struct.unpack_from(f"<{length}i", self.data, start))

    def content(self, field: int) -> bytes:
        """Return a list of bytes."""
        start, length = self._list(field)
        (content,) = struct.unpack_from(f"{length}s", self.data, start)
        return bytes(content)

    def text(self, field: int) -> str:
        """Return a text."""
        return self.content(field).decode()

    def _place(self, field: int) -> int | None:
        """Return where the value of a field lies, if it is there."""
        fields = self.start - _read(self.data, self.start, INT)
        entry = 4 + 2 * field
        if entry >= _read(self.data, fields, "H"):
            return None
        distance = _read(self.data, fields + entry, "H")
        return self.start + distance if distance else None

    def _list(self, field: int) -> tuple[int, int]:
        """Return where the elements of a list begin, and their number."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = _target(self.data, place)
        return start + 4, _read(self.data, start, UINT)


def _target(data: bytes, place: int) -> int:
    """Return where the distance that is stored at a place leads to."""
    return place + _read(data, place, UINT)


def _read(data: bytes, place: int, kind: str) -> int:
    (number,) = struct.unpack_from(f"<{kind}", data, place)
    return int(number)
