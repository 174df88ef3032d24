"""Reads all that a run has written, row by row, and adds it up."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sightflow.dashboard.report.findings import Findings
from sightflow.dashboard.report.happenings import Happenings
from sightflow.dashboard.report.judged import Judged
from sightflow.dashboard.truth import LabelOf
from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.resultfiles import REJECTED_FIELDS, RESULT_FIELDS, RunFiles, summary_of
from sightflow.storage.resultrows import OnBytes, rows_in

__all__ = ["OnProgress", "Rejections", "RunRead", "Said", "read_run"]

OnProgress = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and how much there is."""

_EVENT_FIELDS = frozenset(("kind", "step", "source_id", "sequence", "event_time_ms"))
_UNREAD = frozenset(
    (
        "metadata",
        "shadow",
        "embedding",
        "landmarks_xy",
        "velocity_xy",
        "age_ms",
        "n_hits",
        "figures",
    )
)
"""Fields, also within others, that nobody looks at here: to read them takes time."""
_N_MESSAGES = 1_000


@dataclass
class Said:
    """How often a message came, and with which image first."""

    uri: str
    n: int = 0


@dataclass
class Rejections:
    """Images that were rejected, by reason."""

    reasons: "Counter[str]" = field(default_factory=Counter)
    steps: dict[str, "Counter[str]"] = field(default_factory=dict)
    """By reason, how often each step gave it."""
    messages: dict[str, dict[str, Said]] = field(default_factory=dict)
    """By reason and message; of very many different ones the first."""

    @property
    def n(self) -> int:
        """How many images were rejected."""
        return self.reasons.total()

    def add(self, row: Row) -> None:
        """Add one."""
        reason, message = row["reason"], row["message"]
        self.reasons[reason] += 1
        self.steps.setdefault(reason, Counter())[row["step"]] += 1
        said = self.messages.setdefault(reason, {})
        if message not in said and len(said) < _N_MESSAGES:
            said[message] = Said(row["uri"])
        if message in said:
            said[message].n += 1


@dataclass(frozen=True)
class RunRead:
    """What a run has written, added up."""

    findings: Findings
    judged: Judged
    rejections: Rejections
    happenings: Happenings
    summary: Mapping[str, Any]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell: no row of any kind, and no summary."""
        n = self.findings.n + self.rejections.n + self.happenings.n + self.happenings.n_of_others
        return not n and not self.summary

    @property
    def n_rejected(self) -> int:
        """How many images were rejected, by their file or the summary: the more of the two."""
        return max(self.rejections.n, int(self.summary.get("rejected") or 0))


def read_run(
    files: RunFiles, label_of: LabelOf, *, n_samples: int, on_progress: OnProgress
) -> RunRead:
    """Read results, rejected images, events and the summary of a run.

    Args:
        files: where they are.
        label_of: says what images show.
        n_samples: rows that are kept of each class.
        on_progress: told how many MiB are read.

    Raises:
        SourceError: a file cannot be read, or is not what a run has written.
    """
    findings, judged, rejections = Findings(n_samples), Judged(label_of), Rejections()
    happenings = Happenings(findings.times)
    on_bytes = _counted(files.n_bytes(), on_progress)

    def take(row: Row) -> None:
        findings.add(row)
        judged.add(row)

    def take_event(event: Row) -> None:
        happenings.add(event, findings.sources if files.results else None)

    _feed(files.results, take, RESULT_FIELDS, on_bytes)
    _feed(files.rejected, rejections.add, REJECTED_FIELDS, on_bytes)
    _feed(files.events, take_event, _EVENT_FIELDS, on_bytes)
    findings.settle()
    if happenings.are_of_others:
        happenings = Happenings(findings.times, n_of_others=happenings.n_of_others)
    return RunRead(findings, judged, rejections, happenings, summary_of(files))


def _feed(
    paths: Sequence[str], take: Callable[[Row], None], needed: frozenset[str], on_bytes: OnBytes
) -> None:
    """Hand over the rows of files, one after the other.

    Raises:
        SourceError: a file cannot be read, or has a row that no run has written.
    """
    for path in paths:
        rows = rows_in(path, needed=needed, unread=_UNREAD, on_bytes=on_bytes)
        for number, row in enumerate(rows, 1):
            try:
                take(row)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise SourceError(
                    f"{path}: row {number} must be what a run has written: {_fault(error)}"
                ) from error


def _fault(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"something lacks `{error.args[0]}`"
    return "a field is of another type than a run writes"


def _counted(n_bytes: int, on_progress: OnProgress) -> OnBytes:
    """Return what is told of bytes and tells of MiB."""
    done, total = [0], max(1, n_bytes >> 20)

    def on_bytes(n: int) -> None:
        done[0] += n
        on_progress("reading, MiB", min(total, done[0] >> 20), total)

    return on_bytes
