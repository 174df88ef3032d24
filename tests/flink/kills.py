"""What tests do to jobs that keep their state."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from sightflow.engine.delivery import Progress
from sightflow.flink.runfiles import RunFiles

__all__ = ["in_the_middle", "java_of", "keeping", "kill_java"]


def in_the_middle(state: Path, act: Any) -> threading.Thread:
    """Do something once there is a checkpoint and some results are delivered."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        files = RunFiles(state)
        while time.monotonic() < deadline:
            known = files.progress.exists()
            done = Progress.decode(files.progress.read_bytes()).ledger.read if known else 0
            if done > 100 and list(files.checkpoints.glob("*/chk-*/_metadata")):
                act()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def java_of(pid: int) -> psutil.Process:
    """Return the Java process in which the jobs of a process run; a broker is another one."""
    below = psutil.Process(pid).children(recursive=True)
    (java,) = [p for p in below if any("PythonGatewayServer" in word for word in p.cmdline())]
    return java


def kill_java() -> None:
    os.kill(java_of(os.getpid()).pid, signal.SIGKILL)


def keeping(state: Path) -> dict[str, Any]:
    return {"checkpoint_interval_ms": 100, "state_dir": str(state)}
