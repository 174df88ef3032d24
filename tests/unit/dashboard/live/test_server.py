"""The server of the page: who may look, what they get, and how a run ends."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.waiting import until

from sightflow.dashboard.live.address import Address
from sightflow.dashboard.live.run import LiveRun
from sightflow.dashboard.live.server import live_page
from sightflow.engine.viewfiles import ViewFiles
from sightflow.errors import SetupError


@dataclass
class Page:
    """A page that is served, and the run that it is about."""

    url: str
    run: LiveRun
    view: ViewFiles

    def get(self, path: str = "/", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of an answer; redirects are not followed."""
        with self.asked(path, **headers) as answer:
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}

    @contextmanager
    def asked(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Give an answer to read from."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            yield connection.getresponse()
        finally:
            connection.close()


def states(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the states that a stream of events gives."""
    for line in iter(answer.readline, b""):
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


@contextmanager
def served(
    folder: Path, address: Address | None = None, token: str | None = None
) -> Iterator[Page]:
    run, view = LiveRun("job", "flink", 2, 5.0), ViewFiles(folder)
    with live_page(run, view, address or Address(port=0), token=token) as url:
        yield Page(url, run, view)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with served(tmp_path) as one:
        yield one


def show(page: Page, read: int) -> None:
    ledger = {"read": read, "recognised": read, "rejected": 0, "skipped": 0}
    page.view.write({"ledger": ledger, "is_open": True, "n_begun": 1})


def test_a_viewer_is_told_each_change_until_the_run_is_over(page: Page) -> None:
    with page.asked("/state") as answer:
        told = states(answer)
        assert next(told)["run"]["status"] == "starting"
        show(page, 7)
        assert next(told)["ledger"]["read"] == 7
        page.run.status, page.run.message = "failed", "step 'x' broke"
        last = next(told)
        assert (last["run"]["status"], last["run"]["message"]) == ("failed", "step 'x' broke")
        assert list(told) == []


def test_nothing_is_sent_while_nothing_changes(page: Page) -> None:
    show(page, 1)
    with page.asked("/state") as answer:
        assert next(states(answer))["ledger"]["read"] == 1
        answer.fp.raw._sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            answer.readline(), answer.readline()


def test_who_comes_late_gets_the_state_at_once(page: Page) -> None:
    show(page, 1)
    for _ in range(2):
        with page.asked("/state") as answer:
            assert next(states(answer))["ledger"]["read"] == 1


def test_the_run_knows_whether_somebody_looks(page: Page) -> None:
    assert not page.view.is_watched()
    with page.asked("/state") as answer:
        next(states(answer))
        until(page.view.is_watched)
        time.sleep(3.2)
        assert page.view.is_watched()
    until(lambda: not page.view.is_watched())


def test_who_reads_slowly_skips_states_and_holds_up_nobody(page: Page) -> None:
    big = ["x" * 100_000] * 100
    page.view.write({"ledger": {"read": 0}, "is_open": True, "rejected": big})
    where = urlsplit(page.url)
    with socket.create_connection(("127.0.0.1", where.port or 0)) as lazy:
        lazy.sendall(f"GET /state HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
        with page.asked("/state") as answer:
            told = states(answer)
            for number in range(1, 4):
                next(told)
                page.view.write({"ledger": {"read": number}, "is_open": True, "rejected": big})
            assert next(told)["ledger"]["read"] == 3


def test_a_picture_is_given_as_long_as_its_row_may_be_shown(page: Page) -> None:
    for version in (9, 10, 11, 12):
        page.view.write_picture(3, version, f"jpeg {version}".encode())
    status, body, headers = page.get("/frames/3?v=10&run=5000")
    assert (status, body, headers["content-type"]) == (200, b"jpeg 10", "image/jpeg")
    assert page.get("/frames/3?v=12")[1] == b"jpeg 12"
    assert page.get("/frames/3?v=9")[:2] == (204, b""), "never another picture than the one asked"
    assert len(list(page.view.folder.glob("picture-3-*.jpg"))) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/frames/4",
        "/frames/99?v=1",
        "/frames/4?v=x",
        f"/frames/4?v={'9' * 300}",
        "/frames/x?v=1",
        "/static/../state.py",
    ],
)
def test_what_is_not_there_is_not_found(page: Page, path: str) -> None:
    assert page.get(path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/vendor/uPlot.iife.min.js", "/frames/4"])
def test_every_answer_forbids_what_the_page_does_not_need(page: Page, path: str) -> None:
    headers = page.get(path)[2]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_a_name_that_is_not_of_this_machine_is_not_answered(page: Page) -> None:
    port = urlsplit(page.url).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
        assert page.get(Host=host)[0] == 421
    for host in (f"localhost:{port}", "localhost", f"[::1]:{port}", "[::1]", "127.0.0.2:1"):
        assert page.get(Host=host)[0] == 200


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match=r"0\.0\.0\.0 can be reached from other machines, so it n"),
        served(tmp_path, Address("0.0.0.0", 0)),
    ):
        pass


def test_a_token_opens_the_page_and_becomes_a_cookie(tmp_path: Path) -> None:
    with served(tmp_path, token="s3cret") as page:
        assert page.url.endswith("/?token=s3cret")
        for path in ("/", "/state", "/frames/0", "/?token=wrong", "/static/page.js"):
            assert page.get(path)[0] == 401
        status, _, headers = page.get("/?token=s3cret&x=1")
        assert (status, headers["location"]) == (303, "/?x=1")
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower(), "a link in a chat comes from another site"
        assert page.get("/", Cookie=cookie.split(";")[0])[0] == 200
        assert page.get("/", Cookie=cookie.split("=")[0] + "=wrong")[0] == 401
        assert page.get("/", Authorization="Bearer s3cret")[0] == 200
        assert page.get("/", Authorization="Bearer")[0] == 401


@pytest.mark.parametrize("token", ["a+b/c==", "a&b", "a#b", "50%25", "a b"])
def test_whatever_is_in_a_token_the_address_that_is_printed_opens_the_page(
    token: str, tmp_path: Path
) -> None:
    with served(tmp_path, token=token) as page:
        where = urlsplit(page.url)
        status, _, headers = page.get(f"{where.path}?{where.query}")
        assert status == 303
        cookie = headers["set-cookie"].split(";")[0]
        assert page.get("/", Cookie=f'x={{"a":1}}; a,b=c; {cookie}')[0] == 200, "others are there"


def test_a_token_that_no_address_can_hold_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match="must be of printable ASCII characters"),
        served(tmp_path, token="schlüssel"),
    ):
        pass


def test_a_token_never_sends_a_viewer_to_another_site(tmp_path: Path) -> None:
    with served(tmp_path, token="s3cret") as page:
        assert page.get("//evil.example/x?token=s3cret")[2]["location"] == "/evil.example/x"


def test_one_look_that_fails_is_told_and_the_next_goes_on(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    show(page, 1)
    with page.asked("/state") as answer:
        told = states(answer)
        assert next(told)["ledger"]["read"] == 1
        page.view.facts.write_bytes(b"{")
        until(lambda: caplog.records)
        show(page, 2)
        assert next(told)["ledger"]["read"] == 2
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the live page stands still"
    ]


def test_who_comes_when_nobody_has_looked_for_long_gets_no_old_state(page: Page) -> None:
    show(page, 1)
    with page.asked("/state") as answer:
        next(states(answer))
    until(lambda: not page.view.is_watched())
    show(page, 2)
    with page.asked("/state") as answer:
        assert next(states(answer))["ledger"]["read"] == 2


def test_the_end_waits_until_viewers_have_heard_it(tmp_path: Path) -> None:
    told = list[dict[str, Any]]()
    with served(tmp_path) as page:

        def look() -> None:
            with page.asked("/state") as answer:
                told.extend(states(answer))

        viewer = threading.Thread(target=look)
        viewer.start()
        until(page.view.is_watched)
        page.run.status = "ended"
    viewer.join()
    assert told[-1]["run"]["status"] == "ended"


def test_without_viewers_the_end_comes_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        assert page.get()[0] == 200
        began = time.monotonic()
    assert time.monotonic() - began < 1.5


def test_a_viewer_who_stays_does_not_hold_up_the_end_for_long(tmp_path: Path) -> None:
    with served(tmp_path) as page, page.asked("/state") as answer:
        next(states(answer))
        began = time.monotonic()  # the run is not told to be over, so the viewer waits on
        page.run.status = "running"
    assert time.monotonic() - began < 6
