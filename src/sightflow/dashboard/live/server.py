"""The server of the page: Starlette on uvicorn, in a thread beside the run."""

import asyncio
import contextlib
import dataclasses
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sightflow.dashboard.live.address import Address
from sightflow.dashboard.live.door import Door
from sightflow.dashboard.live.run import LiveRun
from sightflow.dashboard.live.state import state_of
from sightflow.engine.viewfiles import N_SLOTS, ViewFiles
from sightflow.errors import SetupError

__all__ = ["live_page"]

_LOG = logging.getLogger("sightflow")
_LOOK_EVERY_S = 0.5
_BEAT_S = 10.0
"""Who has nothing to hear for so long hears a beat: so both notice when the other is gone."""
_START_TIMEOUT_S = 10.0
_LAST_WORD_S = 2.0
"""Time for viewers to hear how the run has ended."""


@contextmanager
def live_page(
    run: LiveRun, view: ViewFiles, address: Address, *, token: str | None
) -> Iterator[str]:
    """Serve the page of a run until the block ends; then tell viewers how it has ended.

    Args:
        run: what is known of it; it may change meanwhile.
        view: what it shows.
        address: where to listen.
        token: what every viewer must show; None: only this machine may look.

    Yields:
        The address for a browser, with the token.

    Raises:
        SetupError: nothing can listen there, or other machines could look without a token.
    """
    if token is not None and not (token.isascii() and token.isprintable()):
        raise SetupError("the token of the page must be of printable ASCII characters")
    if token is None and not address.is_here_only:
        raise SetupError(
            f"the page on {address.host} can be reached from other machines, so it needs a token"
        )
    opened = address.listen()
    port = opened.getsockname()[1]
    hub = _Hub(run, view)
    app = Door(_application(hub), token=token, port=port)
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([opened],), name="live-page", daemon=True)
    thread.start()
    try:
        if not hub.is_up.wait(_START_TIMEOUT_S):
            raise SetupError("the live page does not start")
        url = address.url(port)
        yield url if token is None else f"{url}?token={quote(token, safe='')}"
    finally:
        if hub.n_viewers:
            hub.all_told.wait(_LAST_WORD_S)
        server.should_exit = True
        thread.join(_START_TIMEOUT_S)
        opened.close()


@dataclass(frozen=True)
class _Message:
    """A state as it goes to the viewers."""

    number: int = 0
    data: bytes = b""
    is_last: bool = False


class _Hub:
    """The newest state for all viewers: made once, and only while there are any."""

    def __init__(self, run: LiveRun, view: ViewFiles) -> None:
        self._run, self._view = run, view
        self._changed = asyncio.Condition()
        self._message = _Message()
        self._made_of: tuple[LiveRun, bytes] | None = None
        self.n_viewers = 0
        self.is_up = threading.Event()
        self.all_told = threading.Event()
        """Whether the run is over, and no viewer waits to hear it."""

    @asynccontextmanager
    async def looking(self, app: Starlette) -> AsyncIterator[None]:
        """Look what there is to show, again and again, while the application is up."""
        task = asyncio.create_task(self._look())
        self.is_up.set()
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield states for one viewer; who is slow gets the newest one when ready for it."""
        seen = _Message()
        self.n_viewers += 1
        if self.n_viewers == 1:  # what was told before may be old
            seen, self._made_of = self._message, None
        try:
            self._view.watch()
            while not seen.is_last:
                if self._message.number == seen.number and not await self._has_changed():
                    yield b": nothing new\n\n"
                    continue
                seen = self._message
                yield seen.data
        finally:
            self.n_viewers -= 1

    async def picture(self, request: Request) -> Response:
        """Return a picture of a source, or nothing where a newer one is there already."""
        slot, version = request.path_params["slot"], request.query_params.get("v", "")
        if slot >= N_SLOTS or not re.fullmatch(r"[0-9]{1,18}", version):
            return PlainTextResponse("pictures are /frames/SLOT?v=VERSION\n", 404)
        try:
            jpeg = self._view.picture(slot, int(version)).read_bytes()
        except FileNotFoundError:
            return Response(status_code=204)
        return Response(jpeg, media_type="image/jpeg")

    async def _has_changed(self) -> bool:
        """Return whether there is something new, or will be in a while."""
        try:
            async with self._changed:
                await asyncio.wait_for(self._changed.wait(), _BEAT_S)
        except asyncio.TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        can_tell = True
        while True:
            try:
                if self.n_viewers:
                    self._view.watch()
                    await self._tell()
                elif self._run.is_over:
                    self.all_told.set()
                can_tell = True
            except Exception as error:  # of one look; the next may go well
                if can_tell:
                    _LOG.warning("the live page stands still: %s", error)
                can_tell = False
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _tell(self) -> None:
        """Make the state anew if something has changed, and wake the viewers."""
        path = self._view.facts
        known = dataclasses.replace(self._run), path.read_bytes() if path.exists() else b"null"
        if known == self._made_of:
            return
        state = state_of(known[0], orjson.loads(known[1]))
        data = b"data: " + orjson.dumps(state) + b"\n\n"
        async with self._changed:
            self._made_of = known
            self._message = _Message(self._message.number + 1, data, known[0].is_over)
            self._changed.notify_all()


def _application(hub: _Hub) -> Starlette:
    """Return the application behind the door."""
    here = Path(str(files("sightflow.dashboard")))
    static, vendor = here / "live" / "static", here / "vendor"

    async def page(request: Request) -> Response:
        return FileResponse(static / "index.html")

    async def state(request: Request) -> Response:
        return StreamingResponse(hub.messages(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/state", state),
            Route("/frames/{slot:int}", hub.picture),
            Mount("/static", StaticFiles(directory=static)),
            Mount("/vendor", StaticFiles(directory=vendor)),
        ],
        lifespan=hub.looking,
    )
