"""A camera for tests: an RTSP server on the loopback address that sends H.264 over TCP.

Each picture shows its number. The camera can be unplugged, plugged in again, and go silent.
"""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import av
from tests.pictures import draw_number

__all__ = ["Camera"]

_SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
c=IN IP4 0.0.0.0
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
a=framerate:{fps}
a=control:track
"""


class Camera:
    """Sends pictures to whoever asks, each client from a key frame on; a context manager.

    `damaged` are numbers of pictures whose data are garbled on the way. After `n_pictures` the
    camera is silent. A `password` is that of the user `me`.
    """

    def __init__(
        self,
        *,
        fps: int = 50,
        password: str = "",
        n_pictures: int | None = None,
        damaged: tuple[int, ...] = (),
    ) -> None:
        self.fps, self.password, self.damaged = fps, password, damaged
        self.n_pictures = n_pictures
        self.n_connections = 0
        self.sent: list[int] = []
        """Numbers of the pictures that were sent, of all connections."""
        self._resources = ExitStack()
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._plugged = threading.Event()
        self.port = 0
        self.plug_in()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def url(self, path: str = "live", *, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def plug_in(self) -> None:
        """Answer, at the same port as before."""
        self._plugged.set()
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]
        self._spawn(self._accept, self._server)

    def unplug(self) -> None:
        """Cut all connections and take no more."""
        self._plugged.clear()
        for one in (self._server, *self._clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._clients = []
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._threads = []

    def _spawn(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            self._clients.append(client)
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rb") as requests:
            for method, path, headers in _requests(requests):
                status, more = self._answer(method, path, headers)
                head, _, body = more.partition("\r\n\r\n")
                sequence = headers.get("cseq", "0")
                text = f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{head}\r\n\r\n{body}"
                client.sendall(text.replace("\r\n\r\n\r\n", "\r\n\r\n").encode())
                if method == "PLAY" and status == "200 OK":
                    self.n_connections += 1
                    self._send(client)
                if method == "TEARDOWN":
                    return

    def _answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, str]:
        wanted = "Basic " + base64.b64encode(f"me:{self.password}".encode()).decode()
        if method == "OPTIONS":
            return "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
        if self.password and headers.get("authorization") != wanted:
            return "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"'
        if method == "DESCRIBE" and not path.endswith("/live"):
            return "404 Not Found", "Session: 1"
        if method == "DESCRIBE":
            body = _SDP.format(fps=self.fps).replace("\n", "\r\n")
            head = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}"
            return "200 OK", f"{head}\r\n\r\n{body}"
        if method == "SETUP":
            return "200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1"
        return "200 OK", "Session: 1"

    def _send(self, client: socket.socket) -> None:
        """Send pictures until the connection breaks."""
        writer = _Interleaved(client)
        with av.open(writer, "w", format="rtp", options={"packetsize": "1200"}) as muxer:
            stream = muxer.add_stream("libx264", rate=self.fps)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.codec_context.gop_size = 10
            stream.options = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "x264-params": "repeat-headers=1",
            }
            due = time.monotonic()
            while self._plugged.is_set() and not writer.is_broken:
                if self.n_pictures is not None and len(self.sent) >= self.n_pictures:
                    time.sleep(0.01)
                    continue
                number = len(self.sent)
                frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
                writer.is_garbling = number in self.damaged
                self.sent.append(number)
                muxer.mux(stream.encode(frame))
                due += 1 / self.fps
                time.sleep(max(0.0, due - time.monotonic()))


class _Interleaved:
    """A file for FFmpeg's RTP muxer; each write is a packet, sent on within the RTSP connection."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.is_broken = False
        self.is_garbling = False

    def write(self, data: bytes) -> int:
        packet = bytes(data)
        is_report = 72 <= packet[1] & 0x7F <= 76
        if self.is_garbling and not is_report:
            packet = packet[:20] + bytes(len(packet) - 20)
        head = b"$" + bytes([is_report]) + len(packet).to_bytes(2, "big")
        try:
            self._client.sendall(head + packet)
        except OSError:
            self.is_broken = True
        return len(data)


def _requests(file: Any) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield method, path and headers of each request."""
    while line := file.readline().decode():
        if not line.strip():
            continue
        method, path, _ = line.split()
        headers = {}
        while line := file.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        yield method, path, headers
