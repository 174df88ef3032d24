"""The checks for plug-ins: they pass what keeps its promises and find what does not."""

from dataclasses import dataclass

import pytest
from tests.streams import Offered

from sightflow.protocols import Context, Stream
from sightflow.records import EncodedImage
from sightflow.testing import check_stream


def test_a_stream_that_keeps_its_promises_passes() -> None:
    images = check_stream(Offered(9, broken=(2,), missing=(5,)))
    assert [isinstance(image, EncodedImage) for image in images].count(False) == 1
    assert len(images) == 9


def test_a_stream_without_images_passes() -> None:
    assert check_stream(Offered(0)) == []


@dataclass(frozen=True)
class Forgetful(Offered):
    """It starts anew whatever the position."""

    def open_stream(self, context: Context, position: str | None) -> Stream:
        return super().open_stream(context, None)


def test_a_stream_that_ignores_its_position_is_found() -> None:
    with pytest.raises(AssertionError, match="opened at the position behind an image"):
        check_stream(Forgetful(4))
