"""Is each of many nasty files recognised or rejected with a reason, and is memory bounded?

    make bench-badfiles ARGS="DATA"

DATA is a folder with `bad_images/files`: damaged, huge and foreign ones. It is
not part of the project. One call of `sightflow classify` reads all of them.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import HERE, write_report
from memory import ROLES, watch


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "badfiles.json")
    arguments = parser.parse_args()
    files = arguments.data / "bad_images" / "files"
    n_files = sum(path.is_file() for path in files.rglob("*"))
    if not n_files:
        sys.exit(f"{files}: holds no files; this benchmark needs its data there")
    sightflow = str(Path(sys.executable).parent / "sightflow")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "results.jsonl")
        call = [sightflow, "classify", str(files.resolve()), "--pattern", "*"]
        samples = watch([*call, "--out", str(out), "--quiet"])  # ends here if it does not give 0
        summary = json.loads(out.with_suffix(".summary.json").read_text())
        lines = out.with_suffix(".rejected.jsonl").read_text().splitlines()
    report = {
        "files": n_files,
        "summary": summary,
        "lost": summary["read"] - summary["recognised"] - summary["rejected"],
        "without_a_reason": sum(not json.loads(line)["reason"] for line in lines),
        "peak_mib": {role: max(sample.get(role, 0) for sample in samples) for role in ROLES},
    }
    print(json.dumps(report, indent=2))
    write_report(arguments.out, report)


if __name__ == "__main__":
    main()
