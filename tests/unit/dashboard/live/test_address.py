"""Where the page listens."""

import socket

import pytest

from sightflow.dashboard.live.address import Address
from sightflow.errors import SetupError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9000", "127.0.0.1", 9000),
        ("0", "127.0.0.1", 0),
        ("0.0.0.0:9000", "0.0.0.0", 9000),
        ("cam-host.local:80", "cam-host.local", 80),
        ("[::1]:80", "::1", 80),
    ],
)
def test_an_address_is_a_port_or_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.of(text) == Address(host, port)


@pytest.mark.parametrize("text", ["", "street.mp4", "65536", "host:", ":80", "::1:80", "-1", "8 0"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be PORT or HOST:PORT, a port from 0 to 65535; got"):
        Address.of(text)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("cam-host.local", False),
    ],
)
def test_only_loopback_is_here_only(host: str, here: bool) -> None:
    assert Address(host).is_here_only is here


def test_a_port_that_something_has_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port}: Address already in use; choose anoth"):
            Address(port=port).listen()


def test_the_url_names_a_host_that_others_can_find() -> None:
    assert Address().url(80) == "http://127.0.0.1:80/"
    assert Address("::1").url(80) == "http://[::1]:80/"
    assert Address("0.0.0.0").url(80) == f"http://{socket.gethostname()}:80/"
