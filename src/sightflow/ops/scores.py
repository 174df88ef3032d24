"""Scores of classes: probabilities from logits, and the best ones."""

import numpy as np
import numpy.typing as npt

__all__ = ["best_of", "softmax"]

Floats = npt.NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Return the softmax over the last axis: what is above 0 there, and sums to 1.

    Args:
        logits: float32 [..., classes].

    Examples:
        >>> softmax(np.float32([[0, 0], [0, np.log(3)]])).tolist()
        [[0.5, 0.5], [0.25, 0.75]]
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def best_of(scores: Floats, n: int) -> npt.NDArray[np.intp]:
    """Return the indices of the n highest scores, highest first; of equal ones the first first.

    Args:
        scores: float32 [classes].
        n: how many, from 1; all where there are fewer.

    Examples:
        >>> best_of(np.float32([0.2, 0.5, 0.3, 0.5]), 3).tolist()
        [1, 3, 2]
    """
    if n >= len(scores):
        return np.argsort(-scores, kind="stable")
    at_least = np.partition(scores, -n)[-n]
    candidates = np.flatnonzero(scores >= at_least)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:n]
