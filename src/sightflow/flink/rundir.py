"""The folder of a run: what it needs while it goes on, and what a later run goes on from."""

import dataclasses
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightflow.engine.delivery import Progress
from sightflow.engine.plan import Work
from sightflow.engine.upgrade import Description, History, differences
from sightflow.errors import OutputExistsError, PipelineError
from sightflow.flink.runfiles import RunFiles
from sightflow.pipeline import Pipeline
from sightflow.protocols import appears_as_it_comes
from sightflow.records.state import StateCodec
from sightflow.settings import RunSettings
from sightflow.storage.drafts import lock, replacing

__all__ = ["RunDirectory", "run_directory"]


@dataclass(frozen=True)
class _Note:
    """What is noted of a run once its work is listed."""

    pipeline: Description
    history: History
    n_chunks: int | None
    """None for a stream."""
    n_images: int | None
    started: float
    """When the first attempt began, in seconds since 1970."""
    committed: tuple[str, ...] = ()
    """Sinks whose output has appeared."""
    has_settled: bool = False
    """Whether its last messages have been sent for good."""


_NOTES = StateCodec(_Note, "note of its run", version=4)


@dataclass(frozen=True)
class RunDirectory:
    """A folder for one run."""

    files: RunFiles
    pipeline: Pipeline
    settings: RunSettings

    def note(self, work: Work, started: float) -> None:
        """Note what the run is, once its work is listed.

        An attempt that died before its first checkpoint was the same run.
        """
        described = Description.of(self.pipeline)
        if self.files.run.exists() and self._read().pipeline == described:
            started = self._read().started
        run_id = f"{round(started * 1000)}-{uuid.uuid4().hex[:8]}"
        history = History(run_id, described.remembers)
        self._write(_Note(described, history, work.n_chunks, work.n_images, started))

    def note_commit(self, sink: str) -> None:
        """Note that the output of a sink has appeared."""
        note = self._read()
        self._write(dataclasses.replace(note, committed=(*note.committed, sink)))

    def note_settled(self) -> None:
        """Note that nothing is under way any more."""
        self._write(dataclasses.replace(self._read(), has_settled=True))

    @property
    def committed(self) -> tuple[str, ...]:
        """Sinks whose output has appeared in an earlier run."""
        return self._read().committed if self.can_go_on else ()

    @property
    def sinks_that_are_there(self) -> tuple[str, ...]:
        """Sinks whose output an earlier run made: what appeared, and folders it filled so far."""
        if not self.can_go_on:
            return ()
        known = self._read().pipeline.sinks
        now = Description.of(self.pipeline).sinks
        sinks = self.pipeline.result_sinks
        there = [name for name, _ in self.pipeline.image_sinks]
        there += [name for name, sink in sinks if appears_as_it_comes(sink)]
        same = (n for n in there if n in known and known[n].outputs == now[n].outputs)
        return (*self.committed, *same)

    @property
    def work(self) -> Work:
        """What was listed, by this run or an earlier one."""
        note = self._read()
        return Work(note.n_chunks, note.n_images)

    @property
    def history(self) -> History:
        """What the run is over all its attempts."""
        return self._read().history

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
        """Whether all is delivered, by this run or an earlier one, and no message under way."""
        if not self.progress.is_complete(self.work.n_chunks):
            return False
        has_begun = self.work.n_chunks != 0
        return not (has_begun and any(self.pipeline.message_sinks)) or self._read().has_settled

    def prepare(self) -> None:
        """Remove what an earlier run left and none needs.

        Raises:
            PipelineError: that run had another pipeline, and `upgrade` allows none, or the state
                does not fit this one.
        """
        if self.can_go_on and self._read().pipeline != Description.of(self.pipeline):
            self._upgrade()
        files = self.files
        if not self.can_go_on:
            files.progress.unlink(missing_ok=True)
        for path in (files.stop, files.log, files.events):
            path.unlink(missing_ok=True)
        for path in (files.scratch, *self._old_snapshots()):
            shutil.rmtree(path, ignore_errors=True)
        files.scratch.mkdir()

    def _old_snapshots(self) -> list[Path]:
        """Return folders with snapshots beside the one that the run goes on from."""
        newest = self.snapshot
        found = [*self.files.checkpoints.glob("*"), *self.files.savepoints.glob("*")]
        return [path for path in found if newest is None or not newest.is_relative_to(path)]

    def _upgrade(self) -> None:
        """Let the run go on with another pipeline."""
        note, folder = self._read(), self.files.folder
        now = Description.of(self.pipeline)
        changes = "; ".join(differences(note.pipeline, now))
        if not self.settings.upgrade:
            raise PipelineError(
                f"{folder}: holds the state of another pipeline: {changes}; run the same one to go "
                "on with it, allow the change with `upgrade` (--upgrade), or choose another folder"
            )
        if self.progress.is_complete(note.n_chunks):
            raise PipelineError(
                f"{folder}: all is read and only its output must appear: run the same pipeline as "
                f"before; got another one: {changes}"
            )
        try:
            history = note.history.going_on(note.pipeline, now, self.settings.drop_state)
        except PipelineError as error:
            raise PipelineError(f"{folder}: cannot go on with this pipeline: {error}") from error
        there = note.pipeline.sinks
        for named in self.pipeline.sinks:
            if (
                named.name not in there
                or there[named.name].outputs != now.sinks[named.name].outputs
            ):
                named.sink.check()
        self._write(dataclasses.replace(note, pipeline=now, history=history))

    def _write(self, note: _Note) -> None:
        with replacing(self.files.run) as draft:
            draft.write_bytes(_NOTES.encode(note))

    def _read(self) -> _Note:
        return _NOTES.decode(self.files.run.read_bytes())


@contextmanager
def run_directory(pipeline: Pipeline, settings: RunSettings) -> Iterator[RunDirectory]:
    """Give the folder of a run; leave nothing unfinished behind unless a later run can go on.

    Raises:
        OutputExistsError: it holds something else, or another run uses it.
        PipelineError: it is of a run that cannot go on with this pipeline.
    """
    state_dir = settings.state_dir
    if state_dir is None:
        path = Path(tempfile.mkdtemp(prefix="sightflow-run-"))
    else:
        path = Path(state_dir).absolute()
    with _reserved(path):
        directory = RunDirectory(RunFiles(path), pipeline, settings)
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
