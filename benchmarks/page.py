"""What do people who look at a run cost it?

    make bench-page
    make bench-page ARGS="--images 1000 --rounds 2"

The same pictures are classified without a live page, with one that nobody looks at, and with ten
viewers. A viewer does what the browser does: it follows the state and loads each new picture. Each
way runs once in each round, in an order that rotates. The rate is of the images after the first
result; `cpu_s` is what the command and its Java used, which other load on the machine changes less.
Viewers are one light process here, and its time is told: elsewhere they would take none of it.
"""

import argparse
import re
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench import HERE, link_pictures, machine, median, spread, write_report

N_VIEWERS = 10
WAYS = {"without": None, "unwatched": 0, "watched": N_VIEWERS}
"""Viewers of the page, by the name of the way; None: there is no page."""


@dataclass
class Viewer:
    """One that looks: a connection for the state, and one for pictures."""

    port: int
    buffer: bytes = b""
    n_states: int = 0
    n_pictures: int = 0
    seen: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask for the state."""
        self.state = self._asking("/state")
        self.pictures = socket.create_connection(("127.0.0.1", self.port))

    def _asking(self, path: str) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port))
        opened.sendall(self._request(path))
        return opened

    def _request(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()

    def read(self) -> bool:
        """Take what came; return whether more will."""
        data = self.state.recv(1 << 20)
        *complete, self.buffer = (self.buffer + data).split(b"\n\n")
        for message in complete:
            if (start := message.find(b"data: ")) >= 0:
                self.n_states += 1
                self._load(orjson.loads(message[start + 6 :].split(b"\r\n")[0])["sources"])
        return bool(data)

    def _load(self, sources: list[dict[str, Any]]) -> None:
        for source in sources:
            if self.seen.get(source["slot"]) != source["version"]:
                self.seen[source["slot"]] = source["version"]
                path = f"/frames/{source['slot']}?v={source['version']}"
                self.pictures.sendall(self._request(path))
                self.n_pictures += self._receive()

    def _receive(self) -> bool:
        """Read one answer; return whether it has a picture: a newer one may be there already."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.pictures.recv(1 << 20)
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status not in (200, 204):
            sys.exit(f"a picture must be there or have gone; got {status}")
        found = re.search(rb"content-length: (\d+)", head)
        missing = int(found[1] if found else 0) - len(body)
        while missing > 0:
            missing -= len(self.pictures.recv(1 << 20))
        return status == 200


def look(url: str, n_viewers: int) -> None:
    """Look with so many viewers until the run is over; print what they saw."""
    viewers = [Viewer(urlsplit(url).port or 80) for _ in range(n_viewers)]
    with selectors.DefaultSelector() as waiting:
        for viewer in viewers:
            waiting.register(viewer.state, selectors.EVENT_READ, viewer)
        while waiting.get_map():
            for key, _ in waiting.select(timeout=60):
                if not key.data.read():
                    waiting.unregister(key.fileobj)
    seen = {
        "states": sum(viewer.n_states for viewer in viewers),
        "pictures": sum(viewer.n_pictures for viewer in viewers),
        "viewer_cpu_s": round(_cpu_s(resource.RUSAGE_SELF), 2),
    }
    print(orjson.dumps(seen).decode())


def measure(pictures: Path, n_viewers: int | None) -> dict[str, Any]:
    """Return the rate of one run, and what viewers saw of it."""
    with tempfile.TemporaryDirectory() as folder:
        out, before = Path(folder, "results.jsonl"), _cpu_s(resource.RUSAGE_CHILDREN)
        call = [str(Path(sys.executable).parent / "sightflow"), "classify", str(pictures)]
        call += ["--out", str(out), *([] if n_viewers is None else ["--page=0"])]
        job = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
        assert job.stderr is not None
        seen = {}
        if n_viewers is not None:
            url = next(word for word in job.stderr.readline().split() if word.startswith("http"))
        threading.Thread(target=job.stderr.read, daemon=True).start()
        if n_viewers:
            seen = _seen(url, n_viewers)
        if job.wait():
            sys.exit(f"{' '.join(call)}: has failed")
        used = _cpu_s(resource.RUSAGE_CHILDREN) - before - seen.get("viewer_cpu_s", 0)
        summary = orjson.loads(out.with_suffix(".summary.json").read_bytes())
    took = summary["last_result_s"] - summary["first_result_s"]
    rate = summary["recognised"] / took
    return {"images_per_s": rate, "seconds": summary["seconds"], "cpu_s": used, **seen}


def _cpu_s(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _seen(url: str, n_viewers: int) -> dict[str, Any]:
    call = [sys.executable, __file__, "--look", url, "--viewers", str(n_viewers)]
    return dict(orjson.loads(subprocess.run(call, check=True, capture_output=True).stdout))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder with .jpg files [made ones]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "page.json")
    parser.add_argument("--look", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--viewers", type=int, default=N_VIEWERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look:
        look(arguments.look, arguments.viewers)
        return
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        link_pictures(arguments.pictures, pictures, arguments.images)
        for number in range(arguments.rounds):
            order = [*WAYS][number % 3 :] + [*WAYS][: number % 3]
            for way in order:
                runs[way].append(measure(pictures, WAYS[way]))
                print(number, way, runs[way][-1], flush=True)
    write_report(arguments.out, _report(runs, arguments.images))


def _report(runs: dict[str, list[dict[str, Any]]], n_images: int) -> dict[str, Any]:
    rates = {way: [one["images_per_s"] for one in of_way] for way, of_way in runs.items()}
    beside = {
        way: [mine / plain for mine, plain in zip(rates[way], rates["without"], strict=True)]
        for way in ("unwatched", "watched")
    }
    watched = runs["watched"]
    return {
        "machine": machine(),
        "images": n_images,
        "viewers": N_VIEWERS,
        "images_per_s": {
            way: {"median": median(found), "range": spread(found)} for way, found in rates.items()
        },
        "cpu_s": {way: median([one["cpu_s"] for one in found]) for way, found in runs.items()},
        "beside_without": {way: median(ratios) for way, ratios in beside.items()},
        "beside_without_range": {way: spread(ratios) for way, ratios in beside.items()},
        "seen": {name: median([one[name] for one in watched]) for name in _SEEN},
    }


_SEEN = ("states", "pictures", "viewer_cpu_s")


if __name__ == "__main__":
    main()
