"""What is optional and not there comes with an advice that works."""

import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest

from sightflow import doctor


def test_the_extras_that_are_advised_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", missing)
    advised = [finding.advice for finding in doctor.examine(run_job=False)]
    extras = re.findall(r"pip install 'sightflow\[(\w+)\]'", "\n".join(advised))
    assert extras == ["s3", "gcs", "train", "kafka"]
    assert set(extras) <= set(metadata("sightflow").get_all("Provides-Extra") or ())
