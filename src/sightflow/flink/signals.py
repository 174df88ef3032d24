"""What `SignallingOperator` (Java) tells a function in place of the time of a timer."""

from enum import Enum

__all__ = ["Signal", "signal_of"]

_END = -(1 << 63)
_OPENED = _END + 1


class Signal(Enum):
    """What a function with keyed state is told, for a key, beside its records."""

    BARRIER = "a checkpoint barrier follows: what is not in the state now is not in the checkpoint"
    COMPLETE = "a checkpoint is complete: no restart goes back behind it"
    OPENED = "the function has opened from a checkpoint, and no record has come yet"
    END = "no record will come any more; a last checkpoint may follow"


def signal_of(timestamp: int) -> tuple[Signal, int]:
    """Return the signal in a time that is none, and the number of its checkpoint, or 0.

    Examples:
        >>> signal_of(-14)[1], signal_of(-15)[1]
        (7, 7)
    """
    if timestamp == _END:
        return Signal.END, 0
    if timestamp == _OPENED:
        return Signal.OPENED, 0
    number, is_complete = divmod(-timestamp, 2)
    return (Signal.COMPLETE if is_complete else Signal.BARRIER), number
