"""The checks of sinks pass what keeps its promises and find what does not."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from sightflow.errors import OutputExistsError
from sightflow.protocols import Context, Message, ResultSink
from sightflow.records import ImageRecord, Row, to_json
from sightflow.records.ledger import Summary
from sightflow.testing import check_image_sink, check_message_sink, check_result_sink

NUMBERS = count()


@dataclass(frozen=True)
class Lines:
    """A file of JSON lines, written beside its place until the commit; it may break one promise."""

    path: str
    breaks: str = ""

    def check(self) -> None:
        if os.path.exists(self.path) and self.breaks != "overwrites":
            raise OutputExistsError(f"{self.path}: exists already")
        if self.breaks == "writes":
            Path(self.path).touch()

    def outputs(self) -> Sequence[str]:
        if self.breaks == "announces":
            return ()
        return (self.path, *([self.path + ".more"] if self.breaks == "promises" else ()))

    def open_results(self, position: tuple[int, ...] | None) -> "_Lines":
        at = (position or (0,))[0]
        if self.breaks == "heads" and position == (0,):
            at = Path(self.staged).write_text("heading again\n")
        path = self.path if self.breaks == "early" else self.staged
        return _Lines(path, 0 if self.breaks == "restarts" else at, self.breaks)

    @property
    def staged(self) -> str:
        return self.path + ".partial"

    def commit(self, summary: Summary) -> None:
        if self.breaks == "hides":
            Path(self.path).with_name("hidden").write_text("x")
        if self.breaks != "early":
            os.replace(self.staged, self.path)

    def discard(self) -> None:
        if self.breaks != "stays":
            Path(self.staged).unlink(missing_ok=True)


class _Lines:
    def __init__(self, path: str, at: int, breaks: str) -> None:
        self._breaks = breaks
        self._file = open(path, "ab")  # noqa: SIM115 - see close()
        if breaks != "keeps":
            self._file.truncate(at)
            self._file.seek(at)

    def append(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row] = ()
    ) -> None:
        if self._breaks != "nothing":
            self._file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))

    def position(self) -> tuple[int, ...]:
        self._file.flush()
        return (self._file.tell() if self._breaks != "restarts" else 7,)

    def close(self) -> None:
        self._file.close()


def lines(breaks: str) -> Callable[[Path], ResultSink]:
    return lambda folder: Lines(str(folder / "out.jsonl"), breaks)


def test_a_sink_of_results_that_keeps_its_promises_passes() -> None:
    written = check_result_sink(lines(""))
    assert [json.loads(line)["sequence"] for line in written["out.jsonl"].splitlines()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("announces", "`outputs` names the files and folders"),
        ("writes", "`check` must write nothing; it wrote"),
        ("overwrites", "out.jsonl is there: `check` raises OutputExistsError"),
        ("stays", r"`discard` leaves nothing; it left \['out.jsonl.partial'\]"),
        ("early", "leaves nothing|appear at the commit and not before"),
        ("promises", "after the commit all `outputs` are there"),
        ("hides", "hidden is not in it"),
        ("nothing", "it wrote nothing, so nothing was checked"),
        ("keeps", "a writer is there; it is at|what an undisturbed writer gives"),
        ("heads", "must give what an undisturbed writer gives; got"),
        ("restarts", "must give what an undisturbed writer gives; got"),
    ],
)
def test_a_sink_of_results_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_result_sink(lines(breaks))


def test_a_sink_must_write_into_the_folder_of_the_check(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not in the folder of `make`"):
        check_result_sink(lambda folder: Lines(str(tmp_path / "elsewhere")))


@dataclass(frozen=True)
class Raw:
    """The samples of each image as a file; it may break one promise."""

    directory: str
    breaks: str = ""

    def check(self) -> None:
        folder = Path(self.directory)
        if folder.is_dir() and any(folder.iterdir()) and self.breaks != "overwrites":
            raise OutputExistsError(f"{folder}: exists already")

    def outputs(self) -> Sequence[str]:
        return (self.directory,)

    def scale_for(self, width: int, height: int) -> float:
        return 0.0 if self.breaks == "scale" else 1.0

    def open_images(self, context: Context) -> Callable[[ImageRecord], None]:
        folder = Path(self.directory)

        def write(record: ImageRecord) -> None:
            name = "one" if self.breaks == "names" else record.origin.name
            path = (folder.parent if self.breaks == "outside" else folder) / f"{name}.raw"
            path.parent.mkdir(parents=True, exist_ok=True)
            number = next(NUMBERS) if self.breaks == "differs" else 0
            path.write_bytes(record.pixels.tobytes() + bytes([number]))

        return write


def raw(breaks: str) -> Callable[[Path], Raw]:
    return lambda folder: Raw(str(folder / "raw"), breaks)


def test_a_sink_of_images_that_keeps_its_promises_passes() -> None:
    assert len(check_image_sink(raw(""))) == 2


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("scale", "must be in"),
        ("overwrites", "`check` raises OutputExistsError"),
        ("names", "each image has a file of its own"),
        ("differs", "an image that is written again must give the same file"),
        ("outside", r"`outputs` is \['raw'\]; .* is not in it"),
    ],
)
def test_a_sink_of_images_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_image_sink(raw(breaks))


@dataclass(frozen=True)
class Mail:
    """Messages to nowhere; it may break one promise."""

    breaks: str = ""

    def check(self) -> None:
        """Accept everything."""

    def outputs(self) -> Sequence[str]:
        return () if self.breaks == "announces" else ("mail://box",)

    def messages(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row]
    ) -> Iterator[Message]:
        if self.breaks == "greets":
            yield Message("box", b"", b"hello")
        for row in () if self.breaks == "is silent" else (*rows, *rejected, *events):
            mark = f"{next(NUMBERS)}".encode() if self.breaks == "numbers" else b""
            yield Message("box", mark, to_json(row))

    def open_messages(self, context: Context) -> "_Box":
        return _Box()


class _Box:
    def send(self, messages: Iterable[Message]) -> None:
        list(messages)

    def flush(self) -> None:
        """Have nothing on its way."""


def test_a_sink_of_messages_that_keeps_its_promises_passes() -> None:
    assert len(check_message_sink(Mail())) == 3 + 2 + 3


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("announces", "`outputs` names the addresses"),
        ("is silent", "it makes no message of anything"),
        ("numbers", "`messages` must give the same each time"),
        ("greets", "of nothing there is no message"),
    ],
)
def test_a_sink_of_messages_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_message_sink(Mail(breaks))
