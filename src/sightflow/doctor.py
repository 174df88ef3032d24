"""What works on this machine, and what to do where something does not."""

import importlib
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from sightflow.errors import SightflowError

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One part of the system."""

    part: str
    works: bool | None
    """None: it is optional and not there."""
    found: str
    advice: str = ""


def examine(*, run_job: bool) -> list[Finding]:
    """Look at every part; with `run_job` also recognise a drawn picture on embedded Flink."""
    checks: list[Callable[[], Finding]] = [_python, _java, _flink, _jar, _models, _video, _gpu]
    findings = [check() for check in checks]
    findings += [_optional("S3 (s3://)", "s3fs", "s3"), _optional("GCS (gs://)", "gcsfs", "gcs")]
    findings.append(_optional("PyTorch (networks from scratch)", "torch", "train"))
    findings += [_optional("Kafka", "confluent-kafka", "kafka"), _connector()]
    if run_job:
        findings.append(_job())
    return findings


def _python() -> Finding:
    return Finding("Python", (3, 10) <= sys.version_info[:2] <= (3, 12), platform.python_version())


def _java() -> Finding:
    from sightflow.flink.java import SUPPORTED, find_java_home, java_version

    try:
        home = find_java_home()
    except SightflowError as error:
        return Finding("Java", False, "", str(error))
    number = java_version(home)
    return Finding("Java", number in SUPPORTED, f"{number} in {home}")


def _flink() -> Finding:
    wanted = next(
        (one for one in requires("sightflow") or () if one.startswith("apache-flink==")), ""
    ).partition(";")[0]
    try:
        found = version("apache-flink")
        importlib.import_module("pyflink.datastream")
    except (PackageNotFoundError, ImportError) as error:
        return Finding("Flink", False, str(error), f"pip install {wanted}")
    fits = wanted == f"apache-flink=={found}"
    return Finding("Flink", fits, found, "" if fits else f"pip install {wanted}")


def _jar() -> Finding:
    jar = Path(__file__).parent / "flink" / "jars" / "sightflow-flink.jar"
    advice = "" if jar.is_file() else "reinstall sightflow"
    return Finding("companion jar", jar.is_file(), jar.name, advice)


def _models() -> Finding:
    from sightflow.models import zoo, zoo_names

    try:
        for name in zoo_names():
            zoo(name).check()
    except SightflowError as error:
        return Finding("models", False, str(error), "reinstall sightflow")
    return Finding("models", bool(zoo_names()), ", ".join(zoo_names()))


def _video() -> Finding:
    try:
        import av
    except ImportError as error:
        return Finding("video", False, str(error), "pip install av")
    return Finding("video", True, f"PyAV {av.__version__}")


def _gpu() -> Finding:
    import onnxruntime

    providers = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    gpu = "CUDA" in providers
    advice = "" if gpu else "models run on the CPU; nothing to do"
    return Finding("GPU", gpu or None, f"ONNX Runtime offers {', '.join(providers)}", advice)


def _optional(part: str, package: str, extra: str) -> Finding:
    try:
        return Finding(part, True, f"{package} {version(package)}")
    except PackageNotFoundError:
        return Finding(part, None, "", f"pip install 'sightflow[{extra}]'")


def _connector() -> Finding:
    from sightflow.flink.jars import JARS_VARIABLE, KAFKA, kept_jar

    try:
        jar = kept_jar(KAFKA)
    except SightflowError as error:
        return Finding("Kafka on Flink", False, "", str(error))
    advice = f"{KAFKA} is fetched when it is needed; without a network see {JARS_VARIABLE}"
    return Finding("Kafka on Flink", bool(jar) or None, str(jar or ""), "" if jar else advice)


def _job() -> Finding:
    from sightflow.pipeline import Pipeline
    from sightflow.runners import run
    from sightflow.settings import RunSettings
    from sightflow.sinks.results import JsonLines
    from sightflow.sources.directory import Directory
    from sightflow.tasks.classify import Classify
    from sightflow.testing import draw_scene, encode_image

    with tempfile.TemporaryDirectory(prefix="sightflow-doctor-") as folder:
        Path(folder, "drawn.jpg").write_bytes(encode_image(draw_scene()))
        pipeline = (
            Pipeline(Directory(f"{folder}/drawn.jpg"), name="sightflow doctor")
            .apply("classify", Classify())
            .write("results", JsonLines(f"{folder}/results.jsonl"))
        )
        try:
            summary = run(pipeline, RunSettings(workers=1))
        except SightflowError as error:
            return Finding("a job on Flink", False, str(error).splitlines()[0])
    return Finding("a job on Flink", summary.ledger.recognised == 1, f"{summary.seconds:.1f} s")
