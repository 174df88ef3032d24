"""How good is a head that has seen each photo once? The shipped backbone, a head on its features.

    make bench-heads ARGS="DATA"

DATA is a folder with `scenes` (a folder of photos for each of seven scenes) and `ants_bees/train`
(ants, bees). It is not part of the project. `sightflow train examples/scenes.yaml` learns in one
pass; a fifth of the photos is held out, and the network is tested with them at the end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import HERE, write_report

PHOTOS = {"scenes": "scenes", "ants_bees": "ants_bees/train"}
"""Where the photos of a head lie, by its name."""


def train(photos: Path, folder: Path) -> dict[str, Any]:
    """Train a head and return how many photos it was tested with, and how many were right."""
    sightflow = str(Path(sys.executable).parent / "sightflow")
    call = [sightflow, "train", str(HERE.parent / "examples" / "scenes.yaml"), "--quiet"]
    call += ["--data", str(photos), "--registry", str(folder / "models")]
    subprocess.run([*call, "--out", str(folder / "training")], check=True)
    lines = (folder / "training" / "events.jsonl").read_text().splitlines()
    (test,) = (event for event in map(json.loads, lines) if event["kind"] == "tested")
    figures = test["figures"]
    return {"tested": int(figures["n"]), "test_accuracy": figures["accuracy"]}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "heads.json")
    arguments = parser.parse_args()
    heads: dict[str, Any] = {}
    for name, place in PHOTOS.items():
        photos = arguments.data / place
        if not photos.is_dir():
            sys.exit(f"{photos}: no such folder; this benchmark needs its photos there")
        with tempfile.TemporaryDirectory() as folder:
            heads[name] = train(photos, Path(folder))
        print(name, json.dumps(heads[name]), flush=True)
    write_report(arguments.out, {"heads": heads})


if __name__ == "__main__":
    main()
