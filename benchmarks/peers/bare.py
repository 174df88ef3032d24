"""Plain Python processes, one for each core: what is there to win without any framework?

They take the next batch from a shared counter, write a file each, and the files are merged in the
order of the paths.
"""

import argparse
import json
import multiprocessing
import sys
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any

from recognise import Recogniser, list_pictures, parse_arguments


def work(arguments: argparse.Namespace, paths: list[str], taken: Any, part: Path) -> None:
    """Recognise batch after batch until none is left."""
    size = arguments.batch_size
    recognise = Recogniser(arguments.model, arguments.labels, size, arguments.decoder)
    with open(part, "w") as file:
        while True:
            with taken.get_lock():
                start, taken.value = taken.value, taken.value + size
            if start >= len(paths):
                return
            for row in recognise(paths[start : start + size]):
                file.write(json.dumps(row) + "\n")


def merge(parts: list[Path], out: Path) -> None:
    """Write the lines of all parts, sorted: a line begins with its path."""
    lines = sorted(line for part in parts for line in part.read_bytes().splitlines(keepends=True))
    out.write_bytes(b"".join(lines))


def main() -> None:
    """Start the processes and wait for them."""
    arguments = parse_arguments(__doc__)
    out = Path(arguments.out)
    parts = [out.with_name(f"{out.name}.{i}") for i in range(arguments.workers)]
    paths = list_pictures(arguments.pictures)
    context: ForkContext = multiprocessing.get_context("fork")
    taken = context.Value("q", 0)
    processes = [
        context.Process(target=work, args=(arguments, paths, taken, part)) for part in parts
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("a process failed")
    merge(parts, out)
    for part in parts:
        part.unlink()


if __name__ == "__main__":
    main()
