"""Every registered detector of drift keeps its promises; one of yours is found the same way."""

import pytest

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.testing import check_detector

AT_LEAST = 3
KINDS = known_kinds("detectors")


def test_the_detectors_were_found_and_each_has_a_name_of_its_own() -> None:
    assert len(KINDS) >= AT_LEAST
    names = [resolve_kind("detectors", kind).detector for kind in KINDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_promises_of_a_detector(kind: str) -> None:
    assert check_detector(resolve_kind("detectors", kind)()) < 200
