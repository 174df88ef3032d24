"""Checks of what takes results, and pictures."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightflow.errors import JobError, OutputExistsError
from sightflow.pipeline import Pipeline
from sightflow.protocols import (
    ContinuousSink,
    ImageSink,
    Message,
    MessageSink,
    ResultSink,
    ResultWriter,
)
from sightflow.records import (
    Classification,
    Detections,
    Event,
    ImageRecord,
    Rejected,
    Row,
    Tracks,
    event_row,
    rejected_row,
    result_row,
)
from sightflow.records.ledger import Ledger, Summary
from sightflow.sources.directory import Directory
from sightflow.testing.builders import a_context, a_record, an_origin, draw_scene, encode_image
from sightflow.testing.descriptions import check_description, sent

__all__ = [
    "check_continuous_sink",
    "check_image_sink",
    "check_message_sink",
    "check_result_sink",
]

_SIZES = ((640, 480), (1, 1), (20_000, 10), (6_000, 4_000))
_SUMMARY = Summary(Ledger(read=1, recognised=1), 1.0, 0.5, 0.9, runner="inline", workers=1)

Tree = dict[str, bytes]


def check_result_sink(make: Callable[[Path], ResultSink]) -> Tree:
    """Raise AssertionError unless a sink keeps the promises of `protocols.ResultSink`.

    Results, what was rejected, and events are appended in two chunks, also with a restart between.

    Args:
        make: returns the sink, which writes into a folder.

    Returns:
        What it wrote, by path in the folder.
    """
    with _folder() as folder, _pictures() as pictures:
        chunks = [_Chunk.of(pictures, *numbers) for numbers in ((0,), (1, 2), (9,))]
        sink = make(folder / "described")
        _check_sink(sink, folder / "described")
        assert not isinstance(sink, ImageSink), "a sink takes results or images and not both"
        _check_taken(make(folder / "taken"), folder)
        _check_discarded(make(folder / "discarded"), folder / "discarded", chunks[0])
        written = _undisturbed(make(folder / "undisturbed"), folder / "undisturbed", chunks)
        assert any(written.values()), "it wrote nothing, so nothing was checked"
        again = _restarted(make(folder / "restarted"), folder / "restarted", chunks)
        assert again == written, (
            "going on at a position must give what an undisturbed writer gives; got "
            f"{_differing(again, written)}"
        )
    return written


def check_continuous_sink(
    make: Callable[[Path], ContinuousSink], read: Callable[[Path], Sequence[str]]
) -> Sequence[str]:
    """Raise AssertionError unless a sink keeps the promises of `protocols.ContinuousSink`.

    Args:
        make: returns the sink, which writes into a folder.
        read: returns the URIs of the results that anybody can see in that folder, in order.

    Returns:
        The URIs of all that it wrote.
    """
    with _folder() as folder, _pictures() as pictures:
        chunks = [_Chunk.of(pictures, *numbers) for numbers in ((0,), (1, 2), (9,))]
        sink = make(folder / "described")
        _check_sink(sink, folder / "described")
        _check_discarded(make(folder / "discarded"), folder / "discarded", chunks[0])
        place = folder / "undisturbed"
        first, second = ([row["uri"] for row in chunk.rows] for chunk in chunks[:2])
        sink = make(place)
        writer = sent(sink).open_results(None)
        chunks[0].append_to(writer)
        position = writer.position()
        assert not read(place), f"nothing appears before it is published; got {read(place)}"
        chunks[1].append_to(writer)
        later = writer.position()
        writer.publish(position)
        assert read(place) == first, f"what is before {position} appears; got {read(place)}"
        writer.close()
        writer = sent(sink).open_results(later)  # it died before it could publish
        assert read(place) == first + second, f"opened at {later}; got {read(place)}"
        chunks[2].append_to(writer)
        writer.position()
        writer.close()
        writer = sent(sink).open_results(later)
        assert writer.position() == later, f"opened at {later}, it is there"
        writer.close()
        sink.commit(_SUMMARY)
        assert read(place) == first + second, f"what was cut off is gone; got {read(place)}"
        _check_beginning_anew(sink)
        assert read(place) == first + second, "results of another run stay"
        _check_announced(sink, [place / name for name in _tree(place)])
        _check_going_back(sink, position)
    return first + second


def _check_beginning_anew(sink: ContinuousSink) -> None:
    """Raise AssertionError unless results of another run stay where nobody has them overwritten."""
    try:
        sent(sink).open_results(None)
    except OutputExistsError:
        return
    raise AssertionError("results are there: opening without a position raises OutputExistsError")


def _check_going_back(sink: ContinuousSink, position: tuple[int, ...]) -> None:
    """Raise AssertionError unless results that are there are never given again."""
    try:
        sent(sink).open_results(position)
    except JobError:
        return
    raise AssertionError(f"what is behind {position} has appeared: opening there raises JobError")


def check_image_sink(make: Callable[[Path], ImageSink]) -> Tree:
    """Raise AssertionError unless a sink keeps the promises of `protocols.ImageSink`.

    Args:
        make: returns the sink, which writes into a folder.

    Returns:
        What it wrote, by path in the folder.
    """
    with _folder() as folder:
        sink = make(folder / "described")
        _check_sink(sink, folder / "described")
        assert not isinstance(sink, ResultSink), "a sink takes results or images and not both"
        for size in _SIZES:
            assert 0 < sink.scale_for(*size) <= 1, f"scale_for{size} must be in (0, 1]"
        _check_taken(make(folder / "taken"), folder)
        place, trees = folder / "written", list[Tree]()
        for _ in range(2):  # as two workers, or one after a restart
            context = a_context("pictures")
            with context.resources:
                write = sent(make(place)).open_images(context)
                for name in ("day 1/a#%.webp", "day 2/a#%.webp"):
                    write(_picture(name))
            trees.append(_tree(place))
        written = trees[0]
        assert len(written) > 1, f"each image has a file of its own; got {sorted(written)}"
        assert trees[1] == written, "an image that is written again must give the same file"
        _check_announced(make(place), [place / name for name in written])
    return written


def check_message_sink(sink: MessageSink) -> list[Message]:
    """Raise AssertionError unless a sink keeps the promises of `protocols.MessageSink`.

    A broker must be there: what became of three images is sent to it.

    Returns:
        The messages that were sent.
    """
    check_description(sink, lambda s: Pipeline(Directory("photos")).write("sink", s))
    others = ImageSink, ResultSink
    assert not isinstance(sink, others), "a sink takes results, images or messages"
    assert list(sink.outputs()), "`outputs` names the addresses that messages go to"
    sink.check()
    chunks = [_Chunk.of(Path("photos"), *numbers) for numbers in ((0,), (1, 2))]
    parts = [(chunk.rows, chunk.rejected, chunk.events) for chunk in chunks]
    messages = [message for part in parts for message in sink.messages(*part)]
    again = [message for part in parts for message in sent(sink).messages(*part)]
    assert messages, "it makes no message of anything, so nothing was checked"
    assert messages == again, "`messages` must give the same each time, in each worker"
    assert not list(sink.messages([], [], [])), "of nothing there is no message"
    context = a_context("messages")
    with context.resources:
        writer = sent(sink).open_messages(context)
        for part in parts:
            writer.send(sink.messages(*part))
        writer.flush()
    return messages


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("described", "taken", "discarded", "undisturbed", "restarted", "written"):
            Path(folder, name).mkdir()
        yield Path(folder)


@contextmanager
def _pictures() -> Iterator[Path]:
    """Give a folder with the pictures that rows name: a sink may read them again."""
    with tempfile.TemporaryDirectory() as folder:
        for number in (0, 1, 2, 9):
            Path(folder, f"{number}.jpg").write_bytes(encode_image(a_record().pixels))
        yield Path(folder)


def _tree(folder: Path) -> Tree:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _differing(one: Tree, other: Tree) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _check_sink(sink: Any, folder: Path) -> None:
    """Raise AssertionError unless a sink is data that announces its output and writes nothing."""
    check_description(sink, lambda s: Pipeline(Directory("photos")).write("sink", s))
    outputs = list(sink.outputs())
    assert outputs, "`outputs` names the files and folders that will appear"
    for output in outputs:
        assert Path(output).is_relative_to(folder), f"{output} is not in the folder of `make`"
    sink.check()
    assert not _tree(folder), f"`check` must write nothing; it wrote {sorted(_tree(folder))}"


def _check_taken(sink: Any, folder: Path) -> None:
    """Raise AssertionError unless a sink refuses to write over what is there."""
    taken = Path(sink.outputs()[0])
    if isinstance(sink, ImageSink):
        taken = taken / "of an earlier run"
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.touch()
    try:
        sink.check()
    except OutputExistsError:
        return
    raise AssertionError(f"{taken.relative_to(folder)} is there: `check` raises OutputExistsError")


def _check_announced(sink: Any, files: Sequence[Path]) -> None:
    outputs = [Path(output) for output in sink.outputs()]
    for file in files:
        assert any(file.is_relative_to(output) for output in outputs), (
            f"`outputs` is {[output.name for output in outputs]}; {file.name} is not in it"
        )


@dataclass(frozen=True)
class _Chunk:
    """What becomes of a few images."""

    rows: Sequence[Row]
    rejected: Sequence[Row]
    events: Sequence[Row]

    @classmethod
    def of(cls, pictures: Path, *numbers: int) -> "_Chunk":
        """Return results of images, one more that was rejected, and an event for each."""
        gone = Rejected(an_origin(uri="gone.jpg"), "decode", "empty", f"behind {numbers}")
        return cls(
            [result_row(_result(pictures, number)) for number in numbers],
            [rejected_row(gone)],
            [event_row(Event("left", "track", "s", n, 40 * n, 1)) for n in numbers],
        )

    def append_to(self, writer: ResultWriter) -> None:
        writer.append(self.rows, self.rejected, self.events)


def _check_discarded(sink: ResultSink, folder: Path, chunk: _Chunk) -> None:
    """Raise AssertionError unless nothing stays of what is discarded, also before it is opened."""
    sink.discard()
    writer = sent(sink).open_results(None)
    chunk.append_to(writer)
    writer.position()
    writer.close()
    sink.discard()
    sink.discard()
    assert not _tree(folder), f"`discard` leaves nothing; it left {sorted(_tree(folder))}"


def _undisturbed(sink: ResultSink, folder: Path, chunks: Sequence[_Chunk]) -> Tree:
    """Return what a writer writes that nothing disturbs; what is there at the end was announced."""
    writer = sent(sink).open_results(None)
    for chunk in chunks[:2]:
        chunk.append_to(writer)
    writer.position()
    writer.close()
    early = [output for output in sink.outputs() if Path(output).exists()]
    assert not early, f"results appear at the commit and not before; {early} was there"
    sink.commit(_SUMMARY)
    missing = [output for output in sink.outputs() if not Path(output).exists()]
    assert not missing, f"after the commit all `outputs` are there; {missing} is not"
    _check_announced(sink, [folder / name for name in _tree(folder)])
    return _tree(folder)


def _restarted(sink: ResultSink, folder: Path, chunks: Sequence[_Chunk]) -> Tree:
    """Return what is written when writers fail behind checkpoints and others go on.

    The first checkpoint comes before any image, the second behind the first chunk.
    """
    writer = sent(sink).open_results(None)
    position = writer.position()
    chunks[2].append_to(writer)
    writer.close()
    writer = sent(sink).open_results(position)
    chunks[0].append_to(writer)
    position = writer.position()
    chunks[2].append_to(writer)
    writer.close()
    writer = sent(sink).open_results(position)
    found = writer.position()
    chunks[1].append_to(writer)
    writer.position()
    writer.close()
    assert found == position, f"opened at {position}, a writer is there; it is at {found}"
    sink.commit(_SUMMARY)
    return _tree(folder)


def _result(pictures: Path, number: int) -> ImageRecord:
    """Return a record with something in each field of a result that most sinks write."""
    box, score = np.array([[1, 2, 11, 22]], np.float32), np.array([0.5], np.float32)
    class_id, labels = np.array([0], np.int32), ("cat",)
    tracks = Tracks(
        np.array([1], np.int64),
        box,
        score,
        class_id,
        labels,
        np.zeros((1, 2), np.float32),
        np.array([40], np.int64),
        np.array([3], np.int32),
    )
    return a_record(
        origin=an_origin(uri=str(pictures / f"{number}.jpg"), sequence=number),
        classification=Classification(labels, class_id, score),
        detections=Detections(box, score, class_id, labels),
        tracks=tracks,
    )


def _picture(name: str) -> ImageRecord:
    return a_record(draw_scene(64, 48), origin=an_origin(name=name))
