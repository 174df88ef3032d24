"""What results of an earlier run hold: how many images, what was found in them, by which models."""

from collections import Counter
from dataclasses import dataclass, field

from sightflow.records import Row
from sightflow.records.rows import uses_in
from sightflow.sources.recorded import LeftOut, Recorded

__all__ = ["Survey", "survey"]

_KINDS = ("classification", "detections", "tracks", "faces")


@dataclass
class Survey:
    """What there is to be replayed."""

    n: int = 0
    """Images that were recognised, and can be read again."""
    n_rejected: int = 0
    """Images that were rejected, and are read again."""
    left: LeftOut = field(default_factory=LeftOut)
    """Rows that are left out."""
    columns: Counter[str] = field(default_factory=Counter)
    """How many rows have each field that steps fill."""
    traits: Counter[str] = field(default_factory=Counter)
    """How many objects and faces have a `state`, a `sign`, a `similarity`."""
    models: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many rows were made by a model: step, name, version."""
    most: int = 0
    """Classes in the longest classification."""
    lowest: dict[str, float] = field(default_factory=dict)
    """The lowest score there is, by field."""

    @property
    def n_images(self) -> int:
        """How many images a replay reads."""
        return self.n + self.n_rejected

    def add(self, row: Row) -> None:
        """Add a result."""
        self.n += 1
        self.models.update(
            (use["step"], use["model"], use["model_version"]) for use in uses_in(row)
        )
        self.most = max(self.most, len(row.get("classification") or ()))
        for name in _KINDS:
            if name in row:
                self.columns[name] += 1
                self._add_scores(name, row)

    def _add_scores(self, name: str, row: Row) -> None:
        items = row[name] or ()
        for item in items:
            for trait in ("state", "sign", "similarity"):
                if trait in item:
                    self.traits[trait] += 1
        if items:
            lowest = min(item["score"] for item in items)
            self.lowest[name] = min(lowest, self.lowest.get(name, 1.0))


def survey(recorded: Recorded) -> Survey:
    """Go over results once.

    Raises:
        SourceError: they cannot be read.
    """
    found, inputs = Survey(), recorded.inputs()
    for row in inputs.rows():
        found.add(row)
    found.n_rejected = sum(1 for _ in inputs.rejected())
    found.left = inputs.left
    return found
