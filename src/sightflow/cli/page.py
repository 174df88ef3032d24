"""The option `--page`: a live page beside a run."""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sightflow.dashboard.live.run import LiveRun
    from sightflow.settings import RunSettings

__all__ = ["PageOption", "beside_page", "page_option"]

TOKEN_VARIABLE = "SIGHTFLOW_PAGE_TOKEN"
"""The environment variable with what viewers must show; without it there is a new one each time."""


class PageOption(click.ParamType):  # type: ignore[type-arg]
    """Where the page listens: PORT or HOST:PORT."""

    name = "[HOST:]PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the address; what is none was perhaps meant as something else."""
        from sightflow.dashboard.live.address import Address

        if isinstance(value, Address):
            return value
        try:
            return Address.of(value) if value else Address()
        except ValueError as error:
            self.fail(f"{error}; without an address write it last, or as --page=8642", param, ctx)


page_option = click.option(
    "--page",
    type=PageOption(),
    is_flag=False,
    flag_value="",
    help="Show pictures, counts and speed on a page while the job runs [127.0.0.1:8642]; for "
    "other machines name a HOST, such as 0.0.0.0: they need the token that is printed.",
)


@contextmanager
def beside_page(
    settings: "RunSettings", name: str, address: Any | None, *, stderr: IO[str] = sys.stderr
) -> Iterator[tuple["RunSettings", "LiveRun"]]:
    """Serve the page of a run while the block runs it, and let it tell how that has ended.

    Args:
        settings: of the run.
        name: what runs.
        address: an `Address`; None: there is no page.
        stderr: where the address is told.

    Yields:
        The settings for the run, and what is to be told of it.
    """
    from sightflow.dashboard.live.run import LiveRun

    run = LiveRun(name, settings.runner, settings.n_workers, time.time())
    with _page_of(run, address, stderr) as folder:
        try:
            yield replace(settings, view_dir=folder or settings.view_dir), run
        except KeyboardInterrupt:
            run.status = "stopped"
            raise
        except BaseException as error:
            run.message, run.status = str(error) or type(error).__name__, "failed"
            raise
        if not run.is_over:
            run.status = "ended"


@contextmanager
def _page_of(run: "LiveRun", address: Any | None, stderr: IO[str]) -> Iterator[str | None]:
    """Serve the page of a run, if there is to be one; give the folder of what it shows."""
    if address is None:
        yield None
        return
    from sightflow.dashboard.live.server import live_page
    from sightflow.engine.viewfiles import ViewFiles

    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not address.is_here_only:
        token = secrets.token_urlsafe(16)
    with (
        tempfile.TemporaryDirectory(prefix="sightflow-view-") as folder,
        live_page(run, ViewFiles(Path(folder)), address, token=token) as url,
    ):
        print(f"live page: {url}", file=stderr, flush=True)
        yield folder
