"""A Spark cluster of its own for a test: a standalone master and workers of one core each, as processes."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import free_port

LOCAL = "127.0.0.1"
START_S = 120
QUICK_TO_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java's options for processes that live for seconds."""
SETTINGS = f"""
spark.driver.extraJavaOptions {QUICK_TO_START}
spark.executor.extraJavaOptions {QUICK_TO_START}
spark.executor.memory 512m
spark.ui.enabled false
spark.scheduler.minRegisteredResourcesRatio 1.0
spark.scheduler.maxRegisteredResourcesWaitingTime 60s
"""
"""Work begins when all workers take part."""


def missing() -> str:
    """What keeps a cluster from being started here, with the remedy; empty: nothing."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        return "Java is not installed: apt-get install default-jre-headless"
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed: make spark"
    return ""


class Cluster:
    """A running master at the address ``url``, and its workers; sessions want ``environment``."""

    def __init__(self, folder: Path):
        self._folder = folder
        (folder / "spark-defaults.conf").write_text(SETTINGS)
        self._port, self._page = free_port(), free_port()
        self.url = f"spark://{LOCAL}:{self._port}"
        self._master = self._start("Master", "--port", self._port, "--webui-port", self._page)
        self._workers: list[subprocess.Popen] = []

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make Spark quick to start and keep it to this machine."""
        return {
            "SPARK_CONF_DIR": str(self._folder),
            "SPARK_LOCAL_DIRS": str(self._folder),
            "SPARK_LOCAL_IP": LOCAL,
            "SPARK_DAEMON_JAVA_OPTS": QUICK_TO_START,
        }

    def have_workers(self, workers: int) -> None:
        """Start workers until there are so many, and return when the master counts them all."""
        options = ("--cores", 1, "--memory", "1g", "--work-dir", self._folder / "work", "--webui-port", 0)
        while len(self._workers) < workers:
            self._workers.append(self._start("Worker", *options, self.url))
        deadline = time.monotonic() + START_S
        while self._alive() != workers:
            assert time.monotonic() < deadline, f"{self._alive()} of {workers} workers after {START_S} s"
            time.sleep(0.1)

    def kill_a_worker(self) -> None:
        """SIGKILL to the newest worker and to what it runs, as when a machine loses power."""
        killed = self._workers.pop()
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()

    def stop(self) -> None:
        """End all processes."""
        for process in [*self._workers, self._master]:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _alive(self) -> int:
        try:
            with urllib.request.urlopen(f"http://{LOCAL}:{self._page}/json/", timeout=5) as page:
                return page.read().count(b'"ALIVE"') - 1  # the master is alive as well
        except OSError:
            return 0

    def _start(self, role: str, *arguments: object) -> subprocess.Popen:
        import pyspark

        program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        with (self._folder / f"{role}-{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                [str(program), f"org.apache.spark.deploy.{role.lower()}.{role}", "--host", LOCAL, *map(str, arguments)],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster that lives as long as the block, and then the Java process of this one's sessions ends as well."""
    from pyspark import SparkContext

    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()
        if SparkContext._gateway:
            SparkContext._gateway.shutdown()
            SparkContext._gateway.proc.stdin.close()
            SparkContext._gateway = SparkContext._jvm = None
