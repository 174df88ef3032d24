"""Live streams give the newest picture and count the others, whatever happens to the connection.

The cameras and servers are real ones on the loopback address. Each picture shows its number.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg
from tests.pictures import draw_number, draw_video, read_number
from tests.rtsp_server import Camera
from tests.web_server import JpegCamera, serving, write_playlist, write_recording

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Context
from sightflow.records import EncodedImage, Origin, Rejected, Skipped
from sightflow.sources.follower import LivePosition
from sightflow.sources.live import Live, LiveStream
from sightflow.testing import encode_image

Outcome = EncodedImage | Rejected | Skipped


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert live_threads() == []


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a complete playlist of 40 pictures in four segments of 0.4 seconds."""
    return write_recording(tmp_path_factory.mktemp("hls"), 40).parent


def live_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("live ")]


class Kept:
    """Metrics that are kept."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.values: dict[str, list[float]] = {}

    def count(self, name: str, n: int = 1, /) -> None:
        self.counts[name] = self.counts.get(name, 0) + n

    def observe(self, name: str, value: float, /) -> None:
        self.values.setdefault(name, []).append(value)


@contextmanager
def opened(source: Live, position: str | None = None, metrics: Any = None) -> Iterator[LiveStream]:
    context = Context("read", metrics=metrics or Kept())
    with context.resources:
        yield source.open_stream(context, position)


def a_live(url: str | int, **changes: Any) -> Live:
    """Return a source with waits that are short enough for tests."""
    return Live(url, **{"read_timeout_s": 2.0, "first_wait_s": 0.05, **changes})


def poll_until(stream: LiveStream, is_enough: Callable[[list[Outcome]], bool]) -> list[Outcome]:
    """Return what a stream gives until it is enough, or it ends."""
    outcomes: list[Outcome] = []
    until = time.monotonic() + 8
    while not is_enough(outcomes) and not stream.ended():
        assert time.monotonic() < until, f"after {len(outcomes)} nothing more comes"
        outcome = stream.poll(0.02)
        if outcome is not None:
            outcomes.append(outcome)
    return outcomes


def poll_to_the_end(stream: LiveStream) -> list[Outcome]:
    return poll_until(stream, lambda _: False)


def images(n: int) -> Callable[[list[Outcome]], bool]:
    return lambda outcomes: len(pictures(outcomes)) >= n


def pictures(outcomes: list[Outcome]) -> list[EncodedImage]:
    return [outcome for outcome in outcomes if isinstance(outcome, EncodedImage)]


def counted(outcomes: list[Outcome]) -> list[int]:
    """Return the numbers of all pictures that were handed out, rejected or skipped."""
    return [
        outcome.origin.sequence + i
        for outcome in outcomes
        for i in range(outcome.n_images if isinstance(outcome, Skipped) else 1)
    ]


def shown(image: EncodedImage) -> int:
    return read_number(simplejpeg.decode_jpeg(image.data))


def numbers(outcomes: list[Outcome]) -> list[tuple[int, int]]:
    """Return (number that a picture has, number that it shows)."""
    return [(image.origin.sequence, shown(image)) for image in pictures(outcomes)]


def test_every_picture_of_a_camera_is_handed_out_or_counted() -> None:
    with Camera(n_pictures=60) as camera, opened(a_live(camera.url())) as stream:
        outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) == 59)
        camera.unplug()
    assert camera.sent == list(range(60))
    assert counted(outcomes) == camera.sent[:-1]  # FFmpeg gives the last when the next begins
    assert len(pictures(outcomes)) > 20
    assert [number for number, drawn in numbers(outcomes) if number != drawn] == []


def test_a_picture_says_where_and_when_it_was_taken() -> None:
    before = time.time() * 1000 - 1
    with Camera() as camera, opened(a_live(camera.url(), source_id="gate")) as stream:
        outcomes = poll_until(stream, images(3))
        url = camera.url()
    image = pictures(outcomes)[0]
    assert image.origin == Origin(
        url,
        "gate",
        image.origin.sequence,
        image.origin.event_time_ms,
        f"{image.origin.sequence:08d}.jpg",
    )
    times = [outcome.origin.event_time_ms for outcome in outcomes]
    assert before <= times[0] <= times[-1] <= time.time() * 1000
    assert times == sorted(times)


def test_who_polls_slowly_gets_the_newest_and_how_many_were_skipped() -> None:
    with Camera() as camera, opened(a_live(camera.url())) as stream:
        outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) > 40)
        n_before = len(outcomes)
        for _ in range(3):
            time.sleep(0.2)
            outcomes += poll_until(stream, images(1))
            assert camera.sent[-1] - shown(pictures(outcomes)[-1]) <= 5
    skipped = [outcome.n_images for outcome in outcomes[n_before:] if isinstance(outcome, Skipped)]
    assert len(skipped) == 3
    assert all(3 <= n_images <= 20 for n_images in skipped)  # about 10 come in 0.2 s
    assert counted(outcomes) == list(range(len(counted(outcomes))))


def test_a_picture_that_is_damaged_on_the_way_is_rejected_and_the_rest_goes_on() -> None:
    with Camera(damaged=(42, 46)) as camera, opened(a_live(camera.url())) as stream:
        outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) >= 50)
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert [(r.origin.sequence, r.step, r.reason) for r in rejected] == [
        (42, "read", "corrupt"),
        (46, "read", "corrupt"),
    ]
    assert counted(outcomes) == list(range(len(counted(outcomes))))


def test_a_camera_that_is_unplugged_is_connected_again_and_numbers_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Kept()
    with Camera() as camera, opened(a_live(camera.url()), metrics=metrics) as stream:
        outcomes = poll_until(stream, images(5))
        camera.unplug()
        outcomes += poll_until(stream, lambda _: bool(caplog.messages))
        time.sleep(0.3)  # some attempts fail
        camera.plug_in()
        outcomes += poll_until(stream, lambda _: len(caplog.messages) == 2)
        outcomes += poll_until(stream, images(5))
    assert counted(outcomes) == list(range(len(counted(outcomes))))
    times = [outcome.origin.event_time_ms for outcome in outcomes]
    assert times == sorted(times)
    assert metrics.counts == {"reconnects": 1}
    assert 300 < metrics.values["gap_ms"][0] < 5_000
    lost, back = caplog.messages
    assert lost.endswith("/live: no pictures: the stream stopped; connecting again")
    assert "/live: pictures come again, after " in back


def test_a_camera_that_goes_silent_counts_as_gone(caplog: pytest.LogCaptureFixture) -> None:
    with Camera(n_pictures=40) as camera:
        with opened(a_live(camera.url(), read_timeout_s=0.4)) as stream:
            poll_until(stream, lambda _: bool(caplog.messages))
            camera.n_pictures = 1_000
            poll_until(stream, lambda _: len(caplog.messages) == 2)
        assert camera.n_connections >= 2
    assert "no pictures: nothing came in time; connecting again" in caplog.messages[0]


def test_a_camera_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with Camera() as camera:
        camera.unplug()
        with opened(a_live(camera.url())) as stream:
            poll_until(stream, lambda _: bool(caplog.messages))
            camera.plug_in()
            assert len(pictures(poll_until(stream, images(2)))) == 2
    assert "no pictures: connection refused; connecting again" in caplog.messages[0]


def test_after_a_restart_numbers_and_times_go_on_and_pictures_are_new() -> None:
    with Camera() as camera:
        source = a_live(camera.url())
        with opened(source) as stream:
            before = poll_until(stream, images(5))
            position = stream.position()
        with opened(source, position) as stream:
            after = poll_until(stream, images(5))
    assert counted(before + after) == list(range(len(counted(before + after))))
    assert before[-1].origin.event_time_ms <= after[0].origin.event_time_ms
    assert shown(pictures(after)[0]) > shown(pictures(before)[-1])


def test_times_go_on_although_the_clock_was_set_back() -> None:
    later = int(time.time() * 1000) + 3_600_000
    place = LivePosition(0, 7, later, "live").encode()
    with Camera() as camera, opened(a_live(camera.url()), place) as stream:
        outcomes = poll_until(stream, images(2))
    assert outcomes[0].origin.sequence == 7
    assert {outcome.origin.event_time_ms for outcome in outcomes} == {later}


def test_at_most_so_many_pictures_a_second_are_handed_out() -> None:
    with Camera() as camera, opened(a_live(camera.url(), max_fps=10)) as stream:
        outcomes = poll_until(stream, images(10))
    times = [image.origin.event_time_ms for image in pictures(outcomes)]
    assert times[-1] - times[0] >= 850  # nine times 100, less the way of a picture
    assert counted(outcomes) == list(range(len(counted(outcomes))))


def test_a_stream_ends_after_its_duration_also_when_the_camera_is_silent() -> None:
    with Camera(n_pictures=30) as camera:
        started = time.monotonic()
        with opened(a_live(camera.url(), duration_s=1.2, read_timeout_s=1.5)) as stream:
            poll_to_the_end(stream)
            assert 1.0 < time.monotonic() - started < 1.6
            assert stream.poll(0.0) is None
        wait_for_threads(2)


def test_the_duration_counts_from_the_first_start() -> None:
    with Camera() as camera:
        place = LivePosition(1000, 7, 2000, "live").encode()
        with opened(a_live(camera.url(), duration_s=60), place) as stream:
            assert stream.ended()
        wait_for_threads(5)


def wait_for_threads(seconds: float) -> None:
    for thread in live_threads():
        thread.join(seconds)


def test_closing_a_stream_is_prompt_and_leaves_no_thread() -> None:
    with Camera() as camera:
        with opened(a_live(camera.url(), read_timeout_s=60)) as stream:
            poll_until(stream, images(3))
            started = time.monotonic()
        assert time.monotonic() - started < 0.5
        assert live_threads() == []
        assert stream.ended()
        assert stream.poll(0.0) is None


def test_closing_does_not_wait_for_a_silent_camera_whose_thread_ends_by_itself() -> None:
    with Camera(n_pictures=30) as camera:
        with opened(a_live(camera.url(), read_timeout_s=1.5)) as stream:
            poll_until(stream, lambda outcomes: len(counted(outcomes)) == 29)
            started = time.monotonic()
        assert time.monotonic() - started < 1.2
        wait_for_threads(2)


def test_closing_does_not_wait_for_the_next_attempt() -> None:
    with Camera() as camera:
        camera.unplug()
        with opened(a_live(camera.url(), first_wait_s=60, max_wait_s=60)) as stream:
            stream.poll(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 0.5


def test_a_camera_that_never_comes_is_given_up() -> None:
    with Camera() as camera:
        camera.unplug()
        with (
            opened(a_live(camera.url(), give_up_s=0.3)) as stream,
            pytest.raises(SourceError, match=r"connection refused; gave up after 0\.3 s, see `giv"),
        ):
            poll_to_the_end(stream)


def test_a_stream_whose_camera_does_not_come_back_ends(caplog: pytest.LogCaptureFixture) -> None:
    with Camera() as camera, opened(a_live(camera.url(), give_up_s=0.3)) as stream:
        poll_until(stream, images(1))
        camera.unplug()
        poll_to_the_end(stream)
    assert "no picture for 0." in caplog.messages[-1]
    assert caplog.messages[-1].endswith("the stream ends")


def failing(source: Live) -> str:
    """Return the message of the error that polling a stream raises."""
    with opened(source) as stream, pytest.raises(SourceError) as caught:
        poll_to_the_end(stream)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_wrong_password_is_an_error_that_does_not_show_it() -> None:
    with Camera(password="right") as camera:
        message = failing(a_live(camera.url(login="me:wrong@")))
        shown = camera.url(login="me@")
    assert message == (
        f"{shown}: name and password are refused; write them as rtsp://NAME:PASSWORD@HOST/PATH"
    )


def test_a_password_is_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Camera(password="tiger") as camera:
        source = a_live(camera.url(login="me:tiger@"))
        with opened(source) as stream:
            outcomes = poll_until(stream, images(1))
            camera.unplug()
            outcomes += poll_until(stream, lambda _: bool(caplog.messages))
            seen = [source, stream.position(), caplog.text, *(o.origin for o in outcomes)]
            seen += [thread.name for thread in live_threads()]
    assert "tiger" not in repr(seen)
    assert outcomes[0].origin.source_id == camera.url(login="me@")


def test_a_path_that_is_not_there_is_an_error() -> None:
    with Camera() as camera:
        message = failing(a_live(camera.url("garden")))
    assert "/garden: nothing is at this path; look it up in the settings" in message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp://me:pw@camera.invalid/x", "rtsp://me@camera.invalid/x: no such host; check the"),
        ("nope://camera/x", "nope://camera/x: unknown protocol; use rtsp://"),
        (9999, "9999: no such camera or file; `ls /dev/video"),
        ("/dev/null", "/dev/null: what comes is no video; give the address of the stream"),
    ],
)
def test_what_can_never_work_is_an_error_at_once(url: str | int, words: str) -> None:
    started = time.monotonic()
    assert words in failing(a_live(url))
    assert time.monotonic() - started < 3


def test_a_web_page_is_no_stream(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>the camera</html>" * 100)
    with serving(tmp_path) as web:
        assert "what comes is no video" in failing(a_live(web.url("index.html")))
        assert "nothing is at this path" in failing(a_live(web.url("live.m3u8")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": " "}, "`url` must name a camera or a stream; got nothing"),
        ({"quality": 0}, "`quality` is a whole number from 1 to 100; got 0"),
        ({"max_fps": 0}, "`max_fps` is above 0; got 0"),
        ({"duration_s": -1}, "`duration_s` is above 0; got -1"),
        ({"read_timeout_s": 0}, "`read_timeout_s` is above 0; got 0"),
        ({"max_wait_s": float("inf")}, "`max_wait_s` is above 0; got inf"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PipelineError, match=f"Live: {words}"):
        Live(**{"url": "rtsp://camera/live", **options})


def test_a_complete_playlist_is_played_at_its_speed_and_ends(recording: Path) -> None:
    started = time.monotonic()
    with serving(recording) as web, opened(a_live(web.url("recording.m3u8"))) as stream:
        outcomes = poll_to_the_end(stream)
    assert counted(outcomes) == list(range(40))
    assert [number for number, drawn in numbers(outcomes) if number != drawn] == []
    assert 1.4 < time.monotonic() - started < 3  # 39 times 0.04 s


def test_a_recording_goes_on_behind_its_position(recording: Path) -> None:
    with serving(recording) as web:
        source = a_live(web.url("recording.m3u8"))
        with opened(source) as stream:
            before = poll_until(stream, images(15))
            position = stream.position()
        with opened(source, position) as stream:
            after = poll_to_the_end(stream)
    assert counted(before + after) == list(range(40))
    assert [number for number, drawn in numbers(before + after) if number != drawn] == []


def test_a_recording_whose_last_pieces_cannot_be_had_is_not_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_recording(tmp_path, 50)
    late = [tmp_path / f"recording{n}.ts" for n in range(2, 5)]
    kept = [file.read_bytes() for file in late]
    for file in late:
        file.unlink()
    with (
        serving(tmp_path) as web,
        opened(a_live(web.url("recording.m3u8"), first_wait_s=0.5)) as stream,
    ):
        outcomes = poll_until(stream, lambda _: "s of it did not come" in caplog.text)
        for file, data in zip(late, kept, strict=True):
            file.write_bytes(data)
        outcomes += poll_to_the_end(stream)
    assert counted(outcomes) == list(range(50))


def test_a_live_playlist_is_followed_until_it_says_that_it_has_ended(
    recording: Path, tmp_path: Path
) -> None:
    folder = linked(recording, tmp_path)
    write_playlist(folder, 2)
    with serving(folder) as web, opened(a_live(web.url("live.m3u8"))) as stream:
        outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) >= 5)
        write_playlist(folder, 3)
        outcomes += poll_until(stream, lambda outcomes: len(counted(outcomes)) >= 8)
        write_playlist(folder, 4, has_ended=True)
        outcomes += poll_to_the_end(stream)
    assert counted(outcomes) == list(range(40))
    assert [number for number, drawn in numbers(outcomes) if number != drawn] == []


def linked(recording: Path, folder: Path) -> Path:
    """Return a folder with the segments of a recording and without its playlist."""
    for segment in recording.glob("*.ts"):
        (folder / segment.name).hardlink_to(segment)
    return folder


def test_a_live_playlist_that_comes_back_repeats_no_picture(
    recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = linked(recording, tmp_path)
    write_playlist(folder, 2)
    with serving(folder) as web:
        port = web.server_port
    with opened(a_live(f"http://127.0.0.1:{port}/live.m3u8", read_timeout_s=1.2)) as stream:
        with serving(folder, port=port):
            outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) >= 15)
        outcomes += poll_until(stream, lambda _: "connecting again" in caplog.text)
        write_playlist(folder, 3)
        with serving(folder, port=port):
            outcomes += poll_until(stream, lambda rest: counted(rest)[-1:] >= [25])
    assert counted(outcomes) == list(range(counted(outcomes)[-1] + 1))
    assert [number for number, drawn in numbers(outcomes) if number != drawn] == []


def test_pictures_of_a_camera_that_sends_jpegs_go_through_unchanged(tmp_path: Path) -> None:
    jpegs = [encode_image(draw_number(number)) for number in range(20)]
    jpegs[12] = jpegs[12][:40]
    with (
        serving(tmp_path, camera=JpegCamera(jpegs)) as web,
        opened(a_live(web.url("camera"))) as stream,
    ):
        outcomes = poll_until(stream, lambda outcomes: len(counted(outcomes)) == 20)
    assert counted(outcomes) == list(range(20))
    images = {image.origin.sequence: image.data for image in pictures(outcomes)}
    assert len(images) > 5
    assert [n for n, data in images.items() if n != 12 and data != jpegs[n]] == []


def test_a_file_is_played_and_ends(tmp_path: Path) -> None:
    path = draw_video(tmp_path / "clip.mp4", 20)
    with opened(a_live(str(path))) as stream:
        outcomes = poll_to_the_end(stream)
    assert counted(outcomes) == list(range(20))
    assert simplejpeg.decode_jpeg(pictures(outcomes)[0].data).shape == (240, 320, 3)


def test_sound_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    with av.open(str(path), "w") as file:
        video, sound = file.add_stream("libx264", rate=25), file.add_stream("aac", rate=44_100)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            file.mux(video.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2_048), np.float32), "fltp", "mono")
        silence.sample_rate = 44_100
        file.mux(sound.encode(silence))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    with opened(a_live(str(path))) as stream:
        assert counted(poll_to_the_end(stream)) == list(range(10))


def test_a_file_of_the_web_without_a_stated_length_of_time_ends_too(recording: Path) -> None:
    with serving(recording) as web, opened(a_live(web.url("recording0.ts"))) as stream:
        assert counted(poll_to_the_end(stream)) == list(range(10))


def test_a_recording_that_breaks_off_twice_at_one_place_ends_with_a_rejected_picture(
    tmp_path: Path,
) -> None:
    draw_video(tmp_path / "clip.mkv", 60)
    with serving(tmp_path) as web, opened(a_live(web.url("half/clip.mkv"))) as stream:
        outcomes = poll_to_the_end(stream)
    last = outcomes[-1]
    assert isinstance(last, Rejected)
    assert last.reason == "corrupt"
    assert last.message.startswith("the recording breaks off: ")
    assert counted(outcomes) == list(range(len(counted(outcomes))))
    assert 10 <= len(pictures(outcomes)) <= 50
