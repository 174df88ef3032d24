"""What a TaskManager does first with the functions of a job: unpack what came with them.

This file travels as text beside each job and is read by whatever Python the TaskManager has. So it
needs nothing but the standard library, and brings Sightflow itself where that has to be unpacked.
All jobs of a TaskManager share one Python, and with it what was imported first.
"""

import hashlib
import importlib
import io
import json
import logging
import os
import pickle
import shutil
import sys
import threading
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["ENVIRONMENT", "FAILURE", "PACKAGES", "WEIGHTS", "digest_of", "unpack"]

FAILURE = "sightflow-failure:"
"""Begins an error of Python in a message of Java."""
ENVIRONMENT = "environment.zip"
PACKAGES, WEIGHTS = "packages", "weights"

_UNPACKING = threading.RLock()


def unpack(needs: dict[str, Any], payload: bytes) -> Any:
    """Return a function of the job that was sent with what it needs.

    Args:
        needs: `run` and `environment`, names of folders that Flink unpacked into the path (the
            second may be None); `python`, its version; `versions` of packages that both sides
            have; `code`, the digest of Sightflow.
        payload: the function, pickled by `flink.parcels`.

    Raises:
        RuntimeError: its message holds an error as `flink.failures` reads it.
    """
    with _UNPACKING:
        try:
            _check_python(needs["python"])
            _forget_ended()
            run = _unpacked(needs["run"])
            if needs["environment"] is not None:
                _activate(needs["environment"])
            _check_versions(needs["versions"])
            _check_sightflow(needs["code"])
            _use_packages(run / PACKAGES)
            _log_to_stderr()
            return _Unpickler(io.BytesIO(payload), run).load()
        except Exception as error:
            failure = {"type": "SetupError", "message": f"TaskManager: {error}", "traceback": ""}
            raise RuntimeError(f"{FAILURE}{json.dumps(failure)}") from error


def digest_of(package: Path) -> str:
    """Return what tells the code of a package from others."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Unpickler(pickle.Unpickler):
    """Finds here what is elsewhere where the job was submitted."""

    def __init__(self, file: io.BytesIO, run: Path) -> None:
        super().__init__(file)
        self._run = run

    def persistent_load(self, pid: Any) -> Any:
        """Return the files of the run, or a model."""
        kind, *what = pid
        if kind == "files":
            from sightflow.flink.runfiles import RunFiles

            return RunFiles(self._run)
        from sightflow.models import ModelFile, zoo

        if kind == "zoo":
            return zoo(what[0])
        name, card, address = what
        return ModelFile(str(self._run / WEIGHTS / name), card, address)


def _unpacked(name: str) -> Path:
    """Return a folder that Flink unpacked; those of ended attempts are gone."""
    for entry in sys.path:
        if os.path.basename(entry) == name and os.path.isdir(entry):
            return Path(entry)
    raise FileNotFoundError(f"{name} came with the job and is not in the path: {sys.path}")


def _forget_ended() -> None:
    """Take the folders of ended attempts out of the path, which Flink only ever adds to."""
    sys.path[:] = [p for p in sys.path if "python-dist-" not in p or os.path.exists(p)]


def _check_python(wanted: tuple[int, int]) -> None:
    if sys.version_info[:2] != tuple(wanted):
        raise RuntimeError(
            f"has Python {sys.version_info[0]}.{sys.version_info[1]} and the job was submitted "
            f"from {wanted[0]}.{wanted[1]}; both must be the same: submit from the other, or name "
            "another Python of the TaskManagers"
        )


def _check_versions(wanted: dict[str, str]) -> None:
    for name, one in wanted.items():
        try:
            here = version(name)
        except PackageNotFoundError:
            raise RuntimeError(f"needs {name} {one}; `pip install {name}=={one}`") from None
        if here.split(".")[:2] != one.split(".")[:2]:
            raise RuntimeError(
                f"has {name} {here} and the job was submitted with {one}; install the same"
            )


_CODE = dict[Path, str]()


def _check_sightflow(wanted: str) -> None:
    try:
        sightflow = importlib.import_module("sightflow")
    except ImportError as error:
        raise RuntimeError(
            "has no Sightflow: install the one that submits, or send it with the job (`env` auto)"
        ) from error
    place = Path(str(sightflow.__file__)).parent
    if place not in _CODE:
        _CODE[place] = digest_of(place)
    if _CODE[place] != wanted:
        raise RuntimeError(
            f"has another Sightflow, in {place}, than the one that submits; install the same, or "
            "send it with the job (`env` auto) to TaskManagers that have none"
        )


def _activate(name: str) -> None:
    """Put a sent environment into the path, from a place that stays when its job has ended."""
    sent = _unpacked(name)
    place = _own_folder(sent) / f"{name}-unpacked"
    loaded = getattr(sys.modules.get("sightflow"), "__file__", None)
    if loaded is not None and not loaded.startswith(f"{place}{os.sep}"):
        raise RuntimeError(
            f"has Sightflow loaded from {loaded}, for another job, and all its jobs share one "
            "Python: restart the TaskManagers, or take a cluster for each environment"
        )
    if not place.exists():
        draft = place.with_name(f".{name}")
        shutil.rmtree(draft, ignore_errors=True)
        with zipfile.ZipFile(sent / ENVIRONMENT) as packed:
            packed.extractall(draft)
        draft.rename(place)
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
        importlib.invalidate_caches()


def _own_folder(sent: Path) -> Path:
    """Return the folder of this process among the scratch files of Flink.

    Those of processes that are gone are removed.
    """
    above = [p for p in sent.parents if p.name.startswith("python-dist-")]
    scratch = above[0].parent if above else sent.parent
    own = scratch / f"sightflow-{os.getpid()}"
    if own not in _OWN:
        for path in scratch.glob("sightflow-*"):
            if path == own or not Path("/proc", path.name.partition("-")[2]).exists():
                shutil.rmtree(path, ignore_errors=True)
        own.mkdir(exist_ok=True)
        _OWN.add(own)
    return own


_OWN = set[Path]()


def _use_packages(folder: Path) -> None:
    """Put the packages of the user into the path; those of an earlier job are forgotten."""
    if not folder.is_dir() or str(folder) in sys.path:
        return
    for name in {path.name.partition(".")[0] for path in folder.iterdir()}:
        for loaded in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[loaded]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _log_to_stderr() -> None:
    """Let the log of the TaskManager have what Sightflow logs."""
    logger = logging.getLogger("sightflow")
    if not any(type(handler) is logging.StreamHandler for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("sightflow: %(message)s"))
        logger.addHandler(handler)
