"""The folder of a run: what it needs while it goes on, and what a later run goes on from."""

import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightflow.engine.delivery import Progress
from sightflow.engine.plan import Work
from sightflow.errors import OutputExistsError, PipelineError
from sightflow.flink.runfiles import RunFiles
from sightflow.pipeline import Pipeline
from sightflow.records.state import StateCodec
from sightflow.storage.drafts import lock, replacing

__all__ = ["RunDirectory", "run_directory"]


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

    files: RunFiles
    pipeline: Pipeline

    def note(self, work: Work, started: float) -> None:
        """Note what the run is, once its work is listed.

        An attempt that died before its first checkpoint was the same run.
        """
        fingerprint = _fingerprint(self.pipeline)
        if self.files.run.exists() and self._read().pipeline == fingerprint:
            started = self._read().started
        self._write(_Note(fingerprint, work.n_chunks, work.n_images, started))

    def note_commit(self, sink: str) -> None:
        """Note that the output of a sink has appeared."""
        note = self._read()
        self._write(dataclasses.replace(note, committed=(*note.committed, sink)))

    @property
    def committed(self) -> tuple[str, ...]:
        """Sinks whose output has appeared in an earlier run."""
        return self._read().committed if self.can_go_on else ()

    @property
    def sinks_that_are_there(self) -> tuple[str, ...]:
        """Sinks whose output an earlier run made: what appeared, and folders it filled so far."""
        if not self.can_go_on:
            return ()
        sinks = self.pipeline.result_sinks
        appeared = (name for name, sink in sinks if getattr(sink, "is_continuous", False))
        return (*self.committed, *appeared, *(name for name, _ in self.pipeline.image_sinks))

    @property
    def work(self) -> Work:
        """What was listed, by this run or an earlier one."""
        note = self._read()
        return Work(note.n_chunks, note.n_images)

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
        found = [*self.files.checkpoints.glob("*/chk-*/_metadata")]
        found += self.files.savepoints.glob("*/_metadata")
        newest = max(found, key=lambda file: file.stat().st_mtime_ns, default=None)
        return newest.parent if newest else None

    @property
    def progress(self) -> Progress:
        """Where the delivery stands, or stood when an earlier run ended."""
        file = self.files.progress
        return Progress.decode(file.read_bytes()) if file.exists() else Progress()

    @property
    def can_go_on(self) -> bool:
        """Whether an earlier run left enough to go on from."""
        if not self.files.run.exists():
            return False
        return self.snapshot is not None or self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether all is delivered, by this run or an earlier one."""
        return self.progress.is_complete(self.work.n_chunks)

    def prepare(self) -> None:
        """Remove what an earlier run left and none needs.

        Raises:
            PipelineError: that run had another pipeline.
        """
        if self.can_go_on and self._read().pipeline != _fingerprint(self.pipeline):
            raise PipelineError(
                f"{self.files.folder}: holds the state of another pipeline; run the same one to go "
                "on with it, or choose another folder"
            )
        files = self.files
        if not self.can_go_on:
            files.progress.unlink(missing_ok=True)
        for path in (files.stop, files.log, files.events):
            path.unlink(missing_ok=True)
        shutil.rmtree(files.scratch, ignore_errors=True)
        files.scratch.mkdir()

    def _write(self, note: _Note) -> None:
        with replacing(self.files.run) as draft:
            draft.write_bytes(_NOTES.encode(note))

    def _read(self) -> _Note:
        return _NOTES.decode(self.files.run.read_bytes())


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
        directory = RunDirectory(RunFiles(path), pipeline)
        directory.prepare()
        done = False
        try:
            yield directory
            done = directory.is_complete
        finally:
            if done or state_dir is None or not directory.can_go_on:
                for _, sink in pipeline.result_sinks:
                    sink.discard()
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _reserved(path: Path) -> Iterator[None]:
    """Reserve a folder for this run; it is new, empty, or of an earlier run."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark_path = RunFiles(path).lock
    if any(path.iterdir()) and not mark_path.exists():
        raise OutputExistsError(
            f"{path}: holds something that is no state of a run; choose another folder"
        )
    with open(mark_path, "ab") as mark:
        if not lock(mark):
            raise OutputExistsError(f"{path}: another run uses it; choose another folder")
        if path.stat().st_uid == os.getuid():
            path.chmod(0o700)  # states may have personal data
        yield
