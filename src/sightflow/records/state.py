"""State in checkpoints, with the version of its form: checkpoints outlive the code that wrote them.

A form is a dataclass or a `msgspec.Struct`. Dataclasses become JSON in ASCII, which takes every
text, also a file name that is no UTF-8. Structs become MessagePack, which takes bytes and arrays as
they are, and is for what is large.
"""

import json
from typing import Any, Generic, TypeVar

import msgspec

from sightflow.errors import JobError

__all__ = ["StateCodec", "as_bytes", "as_text"]

State = TypeVar("State")


class StateCodec(Generic[State]):
    """Encodes states of one form, and refuses those of another version.

    Make it while a module is imported: msgspec makes its plan for a type at the first use, which
    two threads must not do at the same time. While importing, Python's lock keeps others away.
    """

    def __init__(self, kind: type[State], name: str, *, version: int) -> None:
        """Take the form.

        Args:
            kind: a dataclass or a `msgspec.Struct`.
            name: what an error calls the state.
            version: of the form; a change of its fields takes the next number.
        """
        self._kind, self._name, self._version = kind, name, version
        self._is_packed = issubclass(kind, msgspec.Struct)
        self._versioned = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
        self._packed = msgspec.msgpack.Decoder(kind)
        msgspec.convert([], list[kind])  # type: ignore[valid-type]

    def encode(self, state: State) -> bytes:
        """Return the state as bytes."""
        if self._is_packed:
            return msgspec.msgpack.encode((self._version, state))
        plain = {"version": self._version, "state": msgspec.to_builtins(state)}
        return json.dumps(plain, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> State:
        """Return the state that `encode` made.

        Raises:
            JobError: it was written in another version of the form, or is damaged.
        """
        try:
            version, rest = self._versioned.decode(data) if self._is_packed else _opened(data)
            self._check(version)
            if self._is_packed:
                return self._packed.decode(rest)
            return msgspec.convert(rest, self._kind, str_keys=True)
        except (ValueError, LookupError, TypeError) as error:  # msgspec's errors are ValueErrors
            if isinstance(error, JobError):
                raise
            raise JobError(
                f"the checkpoint's {self._name} cannot be read: {error}; start the run anew"
            ) from error

    def _check(self, version: Any) -> None:
        if version != self._version:
            raise JobError(
                f"the checkpoint's {self._name} must be of version {self._version}; got {version}; "
                "start the run anew"
            )


def _opened(data: bytes) -> tuple[Any, Any]:
    plain = json.loads(data)
    return plain["version"], plain["state"]


def as_bytes(text: str) -> bytes:
    """Return a text as bytes, also one that is no UTF-8, such as the name of a file may be."""
    return text.encode("utf-8", "surrogateescape")


def as_text(data: bytes) -> str:
    """Return the text that `as_bytes` made bytes of."""
    return data.decode("utf-8", "surrogateescape")
