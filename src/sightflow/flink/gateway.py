"""The Java process behind PyFlink: started with the right runtime, quiet, and ended with us."""

import atexit
import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from pyflink import java_gateway, pyflink_gateway_server

from sightflow.errors import SetupError
from sightflow.flink.archive import archive_of, make_in_background
from sightflow.flink.java import JVM_FLAGS, find_java_home
from sightflow.flink.reporters import reporter_jars

__all__ = [
    "end_lost",
    "log_directory",
    "run_in_worker",
    "start_gateway",
    "start_in_background",
]

_JAR = Path(__file__).parent / "jars" / "sightflow-client.jar"
"""What is there when Java starts; the other jar of ours goes with a job."""
_END_TIMEOUT_S = 10
_IN_WORKER = "PYFLINK_GATEWAY_DISABLED"
"""Set where functions of SQL run, which on embedded Flink is here; processes that we start inherit
it, and none of them could start Java."""
_starting = threading.Lock()


@functools.cache
def log_directory() -> Path:
    """Return the folder of Flink's logs and scratch files; it goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="sightflow-flink-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def start_gateway() -> None:
    """Start the Java process where none runs; PyFlink finds it from then on.

    Raises:
        SetupError: Java is missing or does not start.
    """
    logging.getLogger("py4j.java_gateway").disabled = True  # what it logs, it raises as well
    logging.getLogger().addFilter(_not_of_py4j)
    os.environ.pop(_IN_WORKER, None)
    with _starting:
        if _java().poll() is not None:  # it was killed, or crashed, under an earlier job
            _java.cache_clear()
            java_gateway._gateway = None
            _java()


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return record.module != "java_gateway"


def end_lost() -> None:
    """End the Java process whose connection was lost, so that the next job starts another.

    One that was killed takes a moment to be gone.
    """
    with _starting:
        _java().kill()
        _java().wait(_END_TIMEOUT_S)


def start_in_background() -> None:
    """Begin to start the Java process; what goes wrong is told where it is needed."""

    def start() -> None:
        with suppress(Exception):  # the run starts it again, and raises what goes wrong
            start_gateway()

    threading.Thread(target=start, name="flink-start", daemon=True).start()


def run_in_worker(code: str) -> None:
    """Run Python code inside the Java process, in the interpreter that all its workers share.

    Raises:
        Py4JError: the code failed, or the Java process is gone.
    """
    jvm = java_gateway.get_gateway().jvm
    exec_type = getattr(jvm.pemja.core, "PythonInterpreterConfig$ExecType").MULTI_THREAD
    builder = jvm.pemja.core.PythonInterpreterConfig.newBuilder()
    config = builder.setPythonExec(sys.executable).setExcType(exec_type).build()
    interpreter = jvm.pemja.core.PythonInterpreter(config)
    try:
        interpreter.exec(code)
    finally:
        interpreter.close()


@functools.cache
def _java() -> "subprocess.Popen[bytes]":
    """Start the Java process and return it."""
    java_home = find_java_home()
    launch = java_gateway.launch_gateway_server_process
    started: list[subprocess.Popen[bytes]] = []

    def launch_here(env: dict[str, str], args: list[str]) -> "subprocess.Popen[bytes]":
        started.append(launch(_adapted(env), args))
        _copy_to_log(started[0].stderr, log_directory() / "stderr.log")
        atexit.register(_end, started[0])
        return started[0]

    java_gateway.launch_gateway_server_process = launch_here
    pyflink_gateway_server.Popen = _started_quietly
    try:
        with _environment(java_home):
            java_gateway.get_gateway()
    except Exception as error:  # PyFlink raises nothing more special
        path = log_directory() / "stderr.log"
        log = path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""
        raise SetupError(f"Java in {java_home} does not start: {error}\n{log}") from error
    finally:
        java_gateway.launch_gateway_server_process = launch
        pyflink_gateway_server.Popen = subprocess.Popen
    return started[0]


def _started_quietly(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start Java from its archive of classes, with its standard output in the log, not in ours.

    Jars that come behind those of the archive do not matter to it.
    """
    classpath = command.index("-cp") + 1
    jars = list(filter(None, command[classpath].split(os.pathsep)))
    command[classpath] = os.pathsep.join([*jars, str(_JAR), *reporter_jars()])
    with suppress(OSError, RuntimeError):  # no home, no such jar: Java starts without
        java_home = Path(command[0]).parents[1]
        archive = archive_of(java_home, jars)
        if archive.exists():
            command.insert(1, f"-XX:SharedArchiveFile={archive}")
        else:
            make_in_background(java_home, jars, JVM_FLAGS)
    with open(log_directory() / "stdout.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, **options)


def _adapted(env: dict[str, str]) -> dict[str, str]:
    """Let the Python inside Java be this one, and scratch files lie in one place."""
    own = find_spec("cv2")  # it puts its folder into the path while it is imported
    hidden = set(own.submodule_search_locations or ()) if own else set()
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p and p not in hidden)
    env["JVM_ARGS"] = " ".join([*JVM_FLAGS, *_places(), env.get("JVM_ARGS", "")])
    env["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), env.get("PATH", "")])
    return env


def _places() -> list[str]:
    """Return the options that keep what Java writes in one place."""
    folder = log_directory()
    return [f"-Djava.io.tmpdir={folder}", f"-XX:ErrorFile={folder}/crash-%p.log"]


@contextmanager
def _environment(java_home: Path) -> Iterator[None]:
    """Set what PyFlink reads from this process's environment while it starts Java."""
    changes = {"JAVA_HOME": str(java_home), "FLINK_LOG_DIR": str(log_directory())}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _copy_to_log(stream: IO[bytes] | None, path: Path) -> None:
    """Empty a pipe into a file for ever: a full pipe would stop the Java process."""
    path.touch()

    def copy() -> None:
        if stream is not None:
            with open(path, "ab") as log:
                shutil.copyfileobj(stream, log, 1)

    threading.Thread(target=copy, name="flink-stderr", daemon=True).start()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the Java process: it leaves when its standard input closes; wait for that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not stop the cleaning up
    if process.poll() is None:
        java_gateway.get_gateway().shutdown()  # so that nothing calls into Java from now on
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
