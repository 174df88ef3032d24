"""The option `--page`: a live page beside a run."""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sightflow.dashboard.live.run import LiveRun
    from sightflow.settings import RunSettings

__all__ = ["Beside", "beside_page", "page_beside", "page_options"]

TOKEN_VARIABLE = "SIGHTFLOW_PAGE_TOKEN"
"""The environment variable with what viewers must show; without it there is a new one each time."""


class _PageOption(click.ParamType):  # type: ignore[type-arg]
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


page_options = (
    click.option(
        "--page",
        type=_PageOption(),
        is_flag=False,
        flag_value="",
        help="Show pictures, counts and speed on a page while the job runs [127.0.0.1:8642]; for "
        "other machines name a HOST, such as 0.0.0.0: they need the token that is printed.",
    ),
    click.option(
        "--page-stays",
        is_flag=True,
        help="With --page: keep the page when the run has ended or failed, until Ctrl-C.",
    ),
)


@dataclass(frozen=True)
class Beside:
    """The page beside a run."""

    address: Any
    """An `Address`."""
    stays: bool
    """Whether it is there until Ctrl-C."""


def page_beside(options: Mapping[str, Any]) -> Beside | None:
    """Return the page that a call asks for; None: none.

    Raises:
        click.UsageError: it shall stay, and there is none, or has the port of something else.
    """
    address = options["page"]
    if address is None:
        if options["page_stays"]:
            raise click.UsageError("--page-stays goes with --page")
        return None
    for name, other in (("web-ui", "web_ui"), ("metrics", "metrics_port")):
        if address.port and options.get(other) == address.port:
            raise click.UsageError(
                f"--page and --{name} both name port {address.port}; choose another for one of them"
            )
    return Beside(address, options["page_stays"])


@contextmanager
def beside_page(
    settings: "RunSettings", name: str, page: Beside | None, *, stderr: IO[str] = sys.stderr
) -> Iterator[tuple["RunSettings", "LiveRun"]]:
    """Serve the page of a run while the block runs it, and let it tell how that has ended.

    Args:
        settings: of the run.
        name: what runs.
        page: where, and how long; None: there is none.
        stderr: where the address is told.

    Yields:
        The settings for the run, and what is to be told of it.
    """
    from sightflow.dashboard.live.run import LiveRun

    can_restart = settings.restart_attempts > 0
    run = LiveRun(name, settings.runner, settings.n_workers, time.time(), can_restart)
    folder = None
    if page is not None:
        # It ends with the command, which has more to say behind the run.
        folder = click.get_current_context().with_resource(_page_of(run, page, stderr))
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
def _page_of(run: "LiveRun", page: Beside, stderr: IO[str]) -> Iterator[str]:
    """Serve the page of a run; give the folder of what it shows."""
    from sightflow.dashboard.live.server import live_page
    from sightflow.engine.viewfiles import ViewFiles

    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not page.address.is_here_only:
        token = secrets.token_urlsafe(16)
    with (
        tempfile.TemporaryDirectory(prefix="sightflow-view-") as folder,
        live_page(run, ViewFiles(Path(folder)), page.address, token=token) as url,
    ):
        print(f"live page: {url}", file=stderr, flush=True)
        try:
            yield folder
        finally:
            if page.stays and run.status in ("ended", "failed"):
                _await_interrupt(run.message, url)


def _await_interrupt(message: str | None, url: str) -> None:
    """Say that the page stays, and wait for Ctrl-C."""
    for line in (*([message] if message else ()), f"the page stays until Ctrl-C: {url}"):
        print(line, file=sys.stderr, flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
