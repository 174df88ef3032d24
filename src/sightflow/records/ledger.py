"""The ledger of a run: no image is ever lost silently."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from sightflow.errors import LedgerError

__all__ = ["Ledger", "Summary"]


_WHY = (
    "; a source or step of your own must return each image or reject it, see its `check_...` in "
    "sightflow.testing; with none of your own this is a fault of Sightflow"
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """How many images were read, and what became of them."""

    read: int = 0
    recognised: int = 0
    rejected: int = 0
    skipped: int = 0

    def add(
        self, *, read: int, recognised: int = 0, rejected: int = 0, skipped: int = 0
    ) -> "Ledger":
        """Return the ledger with these images entered."""
        return replace(
            self,
            read=self.read + read,
            recognised=self.recognised + recognised,
            rejected=self.rejected + rejected,
            skipped=self.skipped + skipped,
        )

    def check(self, n_claimed: int) -> None:
        """Raise `LedgerError` unless every claimed image was read and has one outcome.

        Examples:
            >>> Ledger(read=3, recognised=2, rejected=1).check(3)
            >>> Ledger(read=3, recognised=1, rejected=1).check(3)  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            sightflow.errors.LedgerError: read 3 = recognised 1 + rejected 1 + skipped 0 must ...
        """
        if self.read != self.recognised + self.rejected + self.skipped:
            raise LedgerError(
                f"read {self.read} = recognised {self.recognised} + rejected {self.rejected} + "
                f"skipped {self.skipped} must hold{_WHY}"
            )
        if self.read != n_claimed:
            raise LedgerError(f"the source lists {n_claimed} images; {self.read} were read{_WHY}")


@dataclass(frozen=True, slots=True)
class Summary:
    """A finished run: its ledger and how fast it was."""

    ledger: Ledger
    seconds: float
    """From the start of the run until its output has appeared."""
    first_result_s: float | None
    """From the start of the run to the first result; None when there was none."""
    last_result_s: float | None
    """From the start of the run to the last result."""
    runner: str
    workers: int
    has_ended: bool = True
    """False of a run that was stopped before its end, and goes on when it is called again."""

    @property
    def images_per_s(self) -> float:
        """Images that were read in a second, on average; 0 of a run that took no time."""
        return self.ledger.read / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as it stands in `NAME.summary.json`."""
        return {
            **asdict(self.ledger),
            "seconds": round(self.seconds, 3),
            "images_per_s": round(self.images_per_s, 2),
            "first_result_s": self.first_result_s and round(self.first_result_s, 3),
            "last_result_s": self.last_result_s and round(self.last_result_s, 3),
            "runner": self.runner,
            "workers": self.workers,
        }
