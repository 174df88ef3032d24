"""What is installed here goes along to a cluster: what Sightflow requires, and its extras."""

from importlib.metadata import PackageNotFoundError, distribution

from sightflow.flink import bundle


def names() -> set[str]:
    return {one.metadata["Name"].lower() for one in bundle._packed()}


def test_extras_that_are_installed_go_along_with_what_they_require() -> None:
    assert {"sightflow", "onnxruntime", "s3fs", "aiobotocore", "confluent-kafka"} <= names()


def test_an_extra_that_is_not_installed_is_left_out(monkeypatch) -> None:
    def found(name: str):
        if name == "aiobotocore":
            raise PackageNotFoundError(name)
        return distribution(name)

    monkeypatch.setattr(bundle, "distribution", found)
    assert "s3fs" not in names()
    assert "confluent-kafka" in names()


def test_networks_of_pytorch_stay_here() -> None:
    assert "torch" not in names()
