"""Streams over HTTP for tests: a folder with playlists, and a camera that sends JPEGs."""

import functools
import http.server
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from tests.pictures import draw_number

__all__ = ["JpegCamera", "Web", "serving", "write_playlist", "write_recording"]


def write_recording(folder: Path, n_pictures: int, *, fps: int = 25) -> Path:
    """Write numbered pictures as a complete HLS playlist, ten of them in each segment."""
    path = folder / "recording.m3u8"
    hls = {"hls_time": str(10 / fps), "hls_list_size": "0", "hls_playlist_type": "vod"}
    with av.open(str(path), "w", format="hls", options=hls) as file:
        stream = file.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for number in range(n_pictures):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_playlist(folder: Path, n_segments: int, *, has_ended: bool = False) -> None:
    """Write `live.m3u8` as it is when so many segments of the recording have been taken."""
    first = max(0, n_segments - 3)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-TARGETDURATION:1",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
        *(f"#EXTINF:0.4,\nrecording{i}.ts" for i in range(first, n_segments)),
        *(["#EXT-X-ENDLIST"] if has_ended else []),
    ]
    (folder / "live.tmp").write_text("\n".join(lines) + "\n")
    os.replace(folder / "live.tmp", folder / "live.m3u8")


class JpegCamera:
    """JPEGs that are sent as one endless answer, `multipart/x-mixed-replace`."""

    def __init__(self, jpegs: Sequence[bytes], *, interval_s: float = 0.02) -> None:
        self.jpegs, self.interval_s = jpegs, interval_s
        self.is_over = threading.Event()


class Web(http.server.ThreadingHTTPServer):
    """A server on the loopback address.

    `/camera` gives the JPEGs of a camera, `/half/NAME` a file that breaks off in the middle.
    """

    def __init__(self, folder: Path, port: int, camera: JpegCamera | None) -> None:
        self.camera = camera
        handler = functools.partial(_Handler, directory=str(folder))
        super().__init__(("127.0.0.1", port), handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that go."""


@contextmanager
def serving(folder: Path, *, port: int = 0, camera: JpegCamera | None = None) -> Iterator[Web]:
    """Serve a folder, and a camera, as long as the context lasts."""
    with Web(folder, port, camera) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield web
        finally:
            if camera:
                camera.is_over.set()
            web.shutdown()
            thread.join(5)


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: Web

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/camera" and self.server.camera:
            self._send(self.server.camera)
        elif self.path.startswith("/half/"):
            self._send_half(Path(self.directory, self.path.removeprefix("/half/")).read_bytes())
        else:
            super().do_GET()

    def _send(self, camera: JpegCamera) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for jpeg in camera.jpegs:
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            if camera.is_over.wait(camera.interval_s):
                return
        camera.is_over.wait(10)

    def _send_half(self, data: bytes) -> None:
        """Promise all of a file and break off in the middle."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
