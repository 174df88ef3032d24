"""A server that shows the live page with states that a test sets."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sightflow.testing import encode_image

__all__ = ["Shown", "a_picture", "showing"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_DASHBOARD = files("sightflow.dashboard")
_STATIC = str(_DASHBOARD / "live" / "static")
_VENDOR = str(_DASHBOARD / "vendor")


def a_picture(colour: tuple[int, int, int], width: int = 640, height: int = 360) -> bytes:
    """Return a JPEG of one colour."""
    return encode_image(np.full((height, width, 3), colour, np.uint8))


class Shown:
    """What the page shows now; a test changes it, and may end the server and start it again."""

    def __init__(self, port: int = 0) -> None:
        self._state: bytes | None = None
        self.pictures: dict[tuple[int, int], bytes] = {}
        """JPEGs by slot and version."""
        self.asked: list[tuple[int, int]] = []
        """Which of them the page has asked for."""
        self.delay_s = 0.0
        """How long a picture takes."""
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def show(self, state: Mapping[str, Any]) -> None:
        """Tell all pages a state."""
        self._state = json.dumps(state).encode()

    def start(self) -> None:
        """Listen, at the same address as before."""
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._is_over = False
        config = uvicorn.Config(
            self._application(), lifespan="off", log_level="error", ws="none", http="h11"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()

    def stop(self) -> None:
        """End all connections, and listen no more."""
        self._is_over = self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def _application(self) -> Starlette:
        routes = [
            Route("/", self._page),
            Route("/state", self._states),
            Route("/frames/{slot:int}", self._frame),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Mount("/vendor", StaticFiles(directory=_VENDOR)),
        ]
        return Starlette(routes=routes)

    async def _page(self, _: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY}
        return FileResponse(f"{_STATIC}/index.html", headers=headers)

    async def _states(self, _: Request) -> Response:
        return StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        told = None
        while not self._is_over:
            if self._state is not None and self._state != told:
                told = self._state
                yield b"data: " + told + b"\n\n"
            await asyncio.sleep(0.01)

    async def _frame(self, request: Request) -> Response:
        key = request.path_params["slot"], int(request.query_params["v"])
        self.asked.append(key)
        await asyncio.sleep(self.delay_s)
        picture = self.pictures.get(key)
        if picture is None:
            return Response(status_code=204)  # another one is there by now
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@contextmanager
def showing() -> Iterator[Shown]:
    """Serve the page as long as the context lasts."""
    shown = Shown()
    try:
        yield shown
    finally:
        shown.stop()
