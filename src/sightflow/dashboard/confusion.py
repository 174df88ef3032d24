"""The confusion matrix as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.dashboard.learning import Details

__all__ = ["Cell", "Matrix", "matrix_of"]


@dataclass(frozen=True)
class Cell:
    """How often one class was taken for another."""

    n: int
    percent: float
    """Of the images of the right class, in [0, 100]."""
    right: bool
    title: str


@dataclass(frozen=True)
class Matrix:
    """Images by right class (rows) and best class (columns)."""

    rows: Sequence[str]
    columns: Sequence[str]
    """The same; behind them `others` where there are such."""
    cells: Sequence[Sequence[Cell]]
    n_left_out: int
    """Classes that are not rows, since there are too many."""


def matrix_of(details: Details, *, max_classes: int) -> Matrix:
    """Return the confusion matrix; of too many classes those with the most mistakes.

    What was taken for none of the columns is counted in the last one, `others`.
    """
    labels = [event["label"] for event in details.scored]
    counts = _counts(details, labels)
    n = len(labels)
    chosen = np.arange(n)
    if n > max_classes:
        square = counts[:, :n]
        mistakes = counts.sum(axis=1) + square.sum(axis=0) - 2 * np.diagonal(square)
        chosen = np.sort(np.argsort(-mistakes, kind="stable")[:max_classes])
    part = counts[chosen][:, chosen]
    others = counts[chosen].sum(axis=1) - part.sum(axis=1)
    names = [labels[i] for i in chosen.tolist()]
    columns = names
    if others.any():
        part, columns = np.column_stack([part, others]), [*names, "others"]
    return Matrix(names, columns, _cells(part, names, columns), n - len(names))


def _counts(details: Details, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return int64 [C, C + 1]: images by right class and best class; the last is none of them."""
    places = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1), np.int64)
    for event in details.confused:
        column = places.get(event.get("predicted", ""), len(labels))
        counts[places[event["label"]], column] += int(event["figures"]["n"])
    return counts


def _cells(
    counts: npt.NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]
) -> list[list[Cell]]:
    shares = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return [
        [
            Cell(n, round(share, 1), i == j, f"{label} taken for {columns[j]}: {n}, {share:.1f} %")
            for j, (n, share) in enumerate(zip(counts[i].tolist(), shares[i].tolist(), strict=True))
        ]
        for i, label in enumerate(rows)
    ]
