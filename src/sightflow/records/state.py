"""State in checkpoints: a dataclass as JSON, with the version of its form."""

import json
from typing import Generic, Protocol, TypeVar

import msgspec

from sightflow.errors import JobError

__all__ = ["StateCodec"]


class _Versioned(Protocol):
    @property
    def version(self) -> int:
        """Its default is what the code writes; a change of the fields takes the next number."""


State = TypeVar("State", bound=_Versioned)


class StateCodec(Generic[State]):
    """Encodes states of one kind. Make it while importing: see `chunks` on msgspec and threads."""

    def __init__(self, kind: type[State], name: str) -> None:
        """Take the dataclass, all of whose fields have defaults, and what an error calls it."""
        self._version = kind().version
        self._name = name
        self._kind = kind
        msgspec.convert(msgspec.to_builtins(kind()), kind)  # makes the plan, here in one thread

    def encode(self, state: State) -> bytes:
        """Return the state as JSON in ASCII, also where a file name in it is no UTF-8."""
        return json.dumps(msgspec.to_builtins(state), separators=(",", ":")).encode()

    def decode(self, data: bytes) -> State:
        """Return the state that `encode` made.

        Raises:
            JobError: it was written by another version of the class.
        """
        state = msgspec.convert(json.loads(data), self._kind, str_keys=True)
        if state.version != self._version:
            raise JobError(
                f"the checkpoint's {self._name} must be of version {self._version}; got "
                f"{state.version}; start the run anew"
            )
        return state
