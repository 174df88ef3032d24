"""A cluster and a broker whose processes are killed, and what supervisors would start again."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster import Cluster
from tests.kafka import Broker

__all__ = ["KINDS", "Site"]

BROKER_DOWN_S = 1.0


@dataclass
class Site:
    """Where a job runs: JobManager, two TaskManagers, ZooKeeper; a broker where it needs one."""

    cluster: Cluster
    broker: Broker | None = None

    def kill(self, kind: str) -> None:
        """Kill a process of a kind, and start another as a supervisor would."""
        KINDS[kind](self)

    def orphans(self) -> list[int]:
        """Return the processes of this cluster that are alive and belong to none of its parts."""
        known = set(self.cluster.pids.values())
        conf = str(self.cluster.folder / "conf")
        return [pid for pid in _with_configuration(conf) if pid not in known]

    def kill_worker(self) -> None:
        """Let Python crash, as a native library would: with it goes the TaskManager it is in."""
        name = next(name for name in self.cluster.pids if name.startswith("taskmanager"))
        os.kill(self.cluster.pids[name], signal.SIGSEGV)
        while name in self.cluster.pids:
            time.sleep(0.05)
        self.cluster.start_taskmanager(wait=False)

    def kill_taskmanager(self) -> None:
        """Kill a TaskManager with SIGKILL."""
        self.cluster.kill_taskmanager()
        self.cluster.start_taskmanager(wait=False)

    def kill_jobmanager(self) -> None:
        """Kill the JobManager with SIGKILL; the next one finds the job in ZooKeeper."""
        self.cluster.kill_jobmanager()
        self.cluster.start_jobmanager(wait=False)

    def kill_broker(self) -> None:
        """Kill the broker with SIGKILL; it is down for a while."""
        assert self.broker is not None
        self.broker.kill()
        time.sleep(BROKER_DOWN_S)
        self.broker.start()


KINDS: Mapping[str, Callable[[Site], None]] = {
    "worker": Site.kill_worker,
    "taskmanager": Site.kill_taskmanager,
    "jobmanager": Site.kill_jobmanager,
    "broker": Site.kill_broker,
}
"""What can be killed."""


def _with_configuration(conf: str) -> list[int]:
    """Return the processes that were started with a configuration of Flink."""
    found = []
    for process in psutil.process_iter():
        try:
            is_zombie = process.status() == psutil.STATUS_ZOMBIE
            if not is_zombie and process.environ().get("FLINK_CONF_DIR") == conf:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
