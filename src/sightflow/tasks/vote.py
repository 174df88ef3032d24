"""What the images of a track agree on."""

from collections.abc import Sequence

__all__ = ["majority"]


def majority(said: Sequence[str | None], *, min_votes: int) -> str | None:
    """Return what so many say, and more than half; None votes for nothing.

    Examples:
        >>> majority(["red", None, "red", "green", "red"], min_votes=3)
        'red'
        >>> majority(["red", None, "red", "green"], min_votes=2) is None
        True
    """
    words = [word for word in said if word is not None]
    best = max(sorted(set(words)), key=words.count, default=None)
    n_votes = 0 if best is None else words.count(best)
    return best if n_votes >= min_votes and 2 * n_votes > len(said) else None
