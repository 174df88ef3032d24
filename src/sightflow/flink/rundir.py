"""The folder of a run: what it needs while it goes on, and what a later run goes on from."""

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightflow.engine.delivery import Progress
from sightflow.errors import OutputExistsError, PipelineError
from sightflow.pipeline import Pipeline
from sightflow.records.state import StateCodec
from sightflow.storage.drafts import lock, replacing

__all__ = ["NOTES", "PROGRESS", "STOP", "TOLD", "RunDirectory", "run_directory"]

PROGRESS = "progress.json"
"""Where the delivery stands."""
STOP = "stop"
"""A file whose existence ends a stream."""
NOTES = "notes.log"
"""What the reader of a stream logs."""
TOLD = "told.jsonl"
"""Events as they are delivered; after a restart some come again."""

_MARK = "sightflow-run.lock"
"""Says that a folder holds the state of a run, and whether one is using it."""


@dataclass(frozen=True)
class _Note:
    """What is noted of a run once its work is listed."""

    pipeline: str
    """Fingerprint of the description."""
    n_chunks: int | None
    """None for a stream."""
    n_images: int | None
    started: float
    """When the first attempt began, in seconds since 1970."""
    committed: tuple[str, ...] = ()
    """Sinks whose output has appeared."""


_NOTES = StateCodec(_Note, "note of its run", version=2)


@dataclass(frozen=True)
class RunDirectory:
    """A folder for one run."""

    path: Path
    pipeline: Pipeline

    def note(self, n_chunks: int | None, n_images: int | None, started: float) -> None:
        """Note what the run is, once its work is listed.

        An attempt that died before its first checkpoint was the same run.
        """
        fingerprint = _fingerprint(self.pipeline)
        if self._note_path.exists() and self._read().pipeline == fingerprint:
            started = self._read().started
        self._write(_Note(fingerprint, n_chunks, n_images, started))

    def note_commit(self, sink: str) -> None:
        """Note that the output of a sink has appeared."""
        note = self._read()
        self._write(dataclasses.replace(note, committed=(*note.committed, sink)))

    @property
    def committed(self) -> tuple[str, ...]:
        """Sinks whose output has appeared in an earlier run."""
        return self._read().committed if self.can_go_on else ()

    @property
    def work(self) -> tuple[int | None, int | None]:
        """How many chunks and images an earlier run has listed, None for a stream."""
        note = self._read()
        return note.n_chunks, note.n_images

    @property
    def run_id(self) -> str:
        """The same for all attempts of a run."""
        note = self._read()
        return f"{round(note.started * 1000)}-{note.pipeline[:8]}"

    @property
    def started(self) -> float:
        """When the first attempt began, in seconds since 1970."""
        return self._read().started

    @property
    def snapshot(self) -> Path | None:
        """The newest complete checkpoint or savepoint of an earlier run; None if there is none."""
        found = [*self.path.glob("checkpoints/*/chk-*/_metadata")]
        found += self.path.glob("savepoints/*/_metadata")
        newest = max(found, key=lambda file: file.stat().st_mtime_ns, default=None)
        return newest.parent if newest else None

    @property
    def place(self) -> Progress:
        """Where the delivery stands, or stood when an earlier run ended."""
        progress = self.path / PROGRESS
        return Progress.decode(progress.read_bytes()) if progress.exists() else Progress()

    @property
    def can_go_on(self) -> bool:
        """Whether an earlier run left enough to go on from."""
        if not self._note_path.exists():
            return False
        return self.snapshot is not None or self.place.is_complete(self.work[0])

    def prepare(self) -> None:
        """Remove what an earlier run left and none needs.

        Raises:
            PipelineError: that run had another pipeline.
        """
        if self.can_go_on and self._read().pipeline != _fingerprint(self.pipeline):
            raise PipelineError(
                f"{self.path}: holds the state of another pipeline; run the same one to go on with "
                "it, or choose another folder"
            )
        if not self.can_go_on:
            (self.path / PROGRESS).unlink(missing_ok=True)
        for name in (STOP, NOTES, TOLD):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "tmp", ignore_errors=True)
        (self.path / "tmp").mkdir()

    def _write(self, note: _Note) -> None:
        with replacing(self._note_path) as draft:
            draft.write_bytes(_NOTES.encode(note))

    def _read(self) -> _Note:
        return _NOTES.decode(self._note_path.read_bytes())

    @property
    def _note_path(self) -> Path:
        return self.path / "run.json"


def _fingerprint(pipeline: Pipeline) -> str:
    """Return what tells a pipeline from others: kinds and options of all its parts."""
    return hashlib.sha256(
        repr(_described(pipeline)).encode("utf-8", "backslashreplace")
    ).hexdigest()


def _described(part: Any) -> Any:
    if isinstance(part, tuple | list):
        return [_described(item) for item in part]
    if callable(getattr(type(part), "identity", None)):
        fields = part.identity()
    elif dataclasses.is_dataclass(part):
        fields = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
    elif hasattr(part, "__dict__") and not isinstance(part, type):
        fields = vars(part)
    else:
        return repr(part)
    return [type(part).__qualname__, {name: _described(value) for name, value in fields.items()}]


@contextmanager
def run_directory(pipeline: Pipeline, state_dir: str | None) -> Iterator[RunDirectory]:
    """Give the folder of a run; leave nothing unfinished behind unless a later run can go on.

    Raises:
        OutputExistsError: it holds something else, or another run uses it.
    """
    if state_dir is None:
        path = Path(tempfile.mkdtemp(prefix="sightflow-run-"))
    else:
        path = Path(state_dir).absolute()
    with _reserved(path):
        directory = RunDirectory(path, pipeline)
        directory.prepare()
        done = False
        try:
            yield directory
            done = True
        finally:
            if done or state_dir is None or not directory.can_go_on:
                for _, sink in pipeline.result_sinks:
                    sink.discard()
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """Reserve a folder for this run; it is new, empty, or of an earlier run."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()) and not (path / _MARK).exists():
        raise OutputExistsError(
            f"{path}: holds something that is no state of a run; choose another folder"
        )
    with open(path / _MARK, "ab") as mark:
        if not lock(mark):
            raise OutputExistsError(f"{path}: another run uses it; choose another folder")
        yield
