"""List the classes that Java loads for a job, for the archive that makes it start faster.

    python tools/list_classes.py

Runs two small jobs, one over files and one over a stream, and writes
src/sightflow/flink/jars/classes.txt.gz. To be run again for another version of Flink.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "sightflow" / "flink" / "jars" / "classes.txt.gz"

JOBS = """
from tests.pictures import fill_folder
from tests.steps import Bright
from tests.streams import Offered
from pathlib import Path
from sightflow import Directory, JsonLines, Pipeline, RunSettings, run
scratch = Path({scratch!r})
sources = Directory(str(fill_folder(scratch / "photos", 60))), Offered(60, interval_s=0.02)
for i, source in enumerate(sources):
    pipeline = Pipeline(source).apply("bright", Bright())
    out = JsonLines(str(scratch / f"{{i}}.jsonl"))
    run(pipeline.write("out", out), RunSettings(checkpoint_interval_ms=500))
"""


def main() -> None:
    """Run the jobs and write the list."""
    with tempfile.TemporaryDirectory() as scratch:
        loaded = Path(scratch, "classes.txt")
        flags = f"-Xshare:off -XX:DumpLoadedClassList={loaded}"
        environment = os.environ | {"JVM_ARGS": flags, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", JOBS.format(scratch=scratch)]
        subprocess.run(command, env=environment, check=True, timeout=300)
        lines = loaded.read_text().splitlines()
    names = [line.split()[0] for line in lines if line[0] not in "@#" and "source:" not in line]
    names = sorted(name for name in set(names) if "$$" not in name and "/$Proxy" not in name)
    TARGET.write_bytes(gzip.compress("".join(f"{name}\n" for name in names).encode(), mtime=0))
    print(f"wrote {TARGET.relative_to(ROOT)}: {len(names)} classes")


if __name__ == "__main__":
    main()
