"""The folder of a run: what it needs while it goes on, and what a later run goes on from."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sightflow.errors import JobError, OutputExistsError
from sightflow.pipeline import Pipeline

__all__ = ["RunDirectory", "run_directory"]


class _Note(msgspec.Struct, frozen=True):
    """What is noted of a run when its work is listed."""

    pipeline: str
    """Fingerprint of the description."""
    n_chunks: int | None
    n_images: int | None
    version: int = 1


@dataclass(frozen=True)
class RunDirectory:
    """A folder for one run; kept where the run is to be taken up again."""

    path: Path
    is_kept: bool

    def note(self, pipeline: Pipeline, n_chunks: int | None, n_images: int | None) -> None:
        """Note what the run is, once its work is listed."""
        note = _Note(_fingerprint(pipeline), n_chunks, n_images)
        self._note_path.write_bytes(msgspec.json.encode(note))

    def work(self, pipeline: Pipeline) -> tuple[int | None, int | None]:
        """Return how many chunks and images an earlier run has listed, None for a stream.

        Raises:
            JobError: that run had another pipeline.
        """
        note = msgspec.json.decode(self._note_path.read_bytes(), type=_Note)
        if note.pipeline != _fingerprint(pipeline):
            raise JobError(
                f"{self.path}: holds the state of another pipeline; run the same one to go on with "
                "it, or choose another folder"
            )
        return note.n_chunks, note.n_images

    @property
    def snapshot(self) -> Path | None:
        """The newest complete checkpoint or savepoint of an earlier run; None if there is none."""
        found = [*self.path.glob("checkpoints/*/chk-*/_metadata")]
        found += self.path.glob("savepoints/*/_metadata")
        newest = max(found, key=lambda file: file.stat().st_mtime_ns, default=None)
        return newest.parent if newest else None

    def prepare(self) -> None:
        """Take the folder; what an earlier run left and none needs is removed.

        Raises:
            OutputExistsError: it holds something else.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()) and not self._note_path.exists():
            raise OutputExistsError(
                f"{self.path}: holds something that is no state of a run; choose another folder"
            )
        (self.path / "progress.json").unlink(missing_ok=True)
        (self.path / "stop").unlink(missing_ok=True)
        shutil.rmtree(self.path / "tmp", ignore_errors=True)
        (self.path / "tmp").mkdir()

    @property
    def _note_path(self) -> Path:
        return self.path / "run.json"


def _fingerprint(pipeline: Pipeline) -> str:
    return hashlib.sha256(repr(pipeline).encode("utf-8", "backslashreplace")).hexdigest()


@contextmanager
def run_directory(pipeline: Pipeline, state_dir: str | None) -> Iterator[RunDirectory]:
    """Give the folder of a run; leave nothing unfinished behind unless it can be taken up again."""
    if state_dir is None:
        directory = RunDirectory(Path(tempfile.mkdtemp(prefix="sightflow-run-")), is_kept=False)
    else:
        directory = RunDirectory(Path(state_dir).absolute(), is_kept=True)
    directory.prepare()
    done = False
    try:
        yield directory
        done = True
    finally:
        if done or directory.snapshot is None or not directory.is_kept:
            for _, sink in pipeline.result_sinks:
                sink.discard()
            shutil.rmtree(directory.path, ignore_errors=True)
