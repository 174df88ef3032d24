"""The files in the folder of a run; the process that started the job and its workers share them."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["RunFiles", "holds_a_run"]


@dataclass(frozen=True)
class RunFiles:
    """Where everything lies that belongs to a run."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Says that the folder is one of a run, and whether one is using it."""
        return self.folder / "sightflow-run.lock"

    @property
    def run(self) -> Path:
        """What the run is, once its work is listed."""
        return self.folder / "run.json"

    @property
    def claims(self) -> Path:
        """The listed work."""
        return self.folder / "claims.jsonl"

    @property
    def progress(self) -> Path:
        """Where the delivery stands."""
        return self.folder / "progress.json"

    @property
    def events(self) -> Path:
        """Events as they are delivered; after a restart some come again."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """What is logged in the workers."""
        return self.folder / "workers.log"

    @property
    def stop(self) -> Path:
        """A file whose existence ends a stream."""
        return self.folder / "stop"

    @property
    def scratch(self) -> Path:
        """Temporary files of Flink."""
        return self.folder / "tmp"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints of Flink."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """The savepoints of Flink."""
        return self.folder / "savepoints"


def holds_a_run(folder: str) -> bool:
    """Return whether a folder holds what a run can go on from, or did not get far enough for it."""
    return RunFiles(Path(folder)).run.exists()
