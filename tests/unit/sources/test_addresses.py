"""Addresses are shown without what is secret in them, and with what tells cameras apart."""

import pytest

from sightflow.sources.addresses import as_device, has_no_such_host, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://camera/live", "rtsp://camera/live"),
        ("rtsp://camera:554/live", "rtsp://camera:554/live"),
        ("rtsp://me@camera/live", "rtsp://me@camera/live"),
        ("rtsp://me:tiger@camera:554/live", "rtsp://me@camera:554/live"),
        ("rtsp://me:@camera/live", "rtsp://me@camera/live"),
        ("rtsp://:tiger@camera/live", "rtsp://@camera/live"),
        ("rtsp://me:ti:ger@camera/live", "rtsp://me@camera/live"),
        ("rtsp://me:ti@ger@camera/live", "rtsp://me@camera/live"),
        ("rtsp://me:ti/ger@camera/live", "rtsp://me@camera/live"),
        ("rtsp://me:tiger?@camera/live", "rtsp://me@camera/live"),
        ("http://camera:8080/feed@2", "http://camera:8080/feed@2"),
        (
            "http://camera/x?user=me&pwd=tiger&channel=2",
            "http://camera/x?user=me&pwd=***&channel=2",
        ),
        ("http://camera/x?loginpas=tiger", "http://camera/x?loginpas=***"),
        ("http://camera/x?ApiKey=tiger#top", "http://camera/x?ApiKey=***#top"),
        ("/dev/video0", "/dev/video0"),
        ("a:b@c.mp4", "a:b@c.mp4"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "device"),
    [
        (0, "/dev/video0"),
        ("12", "/dev/video12"),
        ("/dev/video3", "/dev/video3"),
        ("clip.mp4", None),
        ("rtsp://10.0.0.7/0", None),
    ],
)
def test_a_number_is_a_camera_of_this_machine(url: str | int, device: str | None) -> None:
    assert as_device(url) == device


@pytest.mark.parametrize(
    ("url", "is_known_not_to_exist"),
    [
        ("rtsp://127.0.0.1/x", False),
        ("rtsp://localhost/x", False),
        (f"rtsp://{'a' * 70}.example/x", True),
        ("/dev/video0", False),
    ],
)
def test_a_host_that_cannot_be_is_known(url: str, is_known_not_to_exist: bool) -> None:
    assert has_no_such_host(url) is is_known_not_to_exist
