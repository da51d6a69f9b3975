"""The brokers that are measured: started on a directory of their own, or already there."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
import raw  # noqa: E402

TOP = harness.TOP
TOOLS = TOP / "build/release/tests/bench"
ODRADEK = [str(TOP / "build/release/bin/odradek"), "run"]
KAFKA_JARS = harness.CACHE / "kafka-4.3.1"
NEVER = 2**63 - 1  # flush.messages: leave it to the page cache

# As Kafka's own start script runs it. (The end-to-end tests' small, quick-starting JVM would be unfair here.)
SERVER_JAVA = ["java", "-server", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
               "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]
JAVA_REST = [f"-Dlog4j2.configurationFile={TOP}/tests/e2e/java/log4j2.yaml", "-cp", f"{KAFKA_JARS}/*"]
# Topics are gone soon after they are deleted, so that every run finds the same disk; the coordinator has Kafka's default of partitions.
COMMON = {"log.segment.delete.delay.ms": 1000, "offsets.topic.num.partitions": 50}


def kafka_is_there():
    return shutil.which("java") is not None and KAFKA_JARS.is_dir()


def serves(c, topic, partitions):
    """Every partition of the topic answers ListOffsets, asked in one request."""
    body = raw.array([raw.i32(p) + raw.i32(-1) + raw.i64(-1) for p in range(partitions)])
    r = c.call(raw.LIST_OFFSETS, 4, raw.i32(-1) + raw.i8(0) + raw.array([raw.string(topic) + body]))
    r.i32()
    ((_, rows),) = r.array(lambda: (r.string(), r.array(lambda: (r.i32(), r.i16(), r.i64(), r.i64(), r.i32()))))
    return len(rows) == partitions and all(error == 0 for _, error, *_ in rows)


class Target:
    """A broker as the rows see it. process: a harness.Broker; None for one that somebody else started. configs: of the topics made there."""

    def __init__(self, name, addr, pid=0, process=None, configs=None):
        self.name, self.addr, self.pid, self.process, self.configs = name, addr, pid, process, configs or {}
        self.address = f"{addr[0]}:{addr[1]}"

    def connect(self):
        return raw.Connection(self.addr, timeout=120)

    def rss_mb(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def cpu(self):
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock of a process's CPU time, as clock_getcpuclockid(3) gives it

    def wakeups(self):
        """How often its threads have gone to sleep so far."""
        n = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            n += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1])
        return n

    def create(self, topic, partitions, configs=None):
        """Creates a topic and waits until every partition answers. Brokers take a little less than 10,000 partitions at once."""
        with self.connect() as c:
            body = raw.string(topic) + raw.i32(min(partitions, 9000)) + raw.i16(1) + raw.array([])
            body += raw.array([raw.string(k) + raw.string(str(v)) for k, v in {**self.configs, **(configs or {})}.items()])
            r = c.call(raw.CREATE_TOPICS, 4, raw.array([body]) + raw.i32(60000) + raw.i8(0))
            r.i32()
            ((_, error, message),) = r.array(lambda: (r.string(), r.i16(), r.string()))
            assert error == 0, f"{self.name}: CreateTopics {topic}: error {error}: {message}"
            for n in range(9000, partitions, 9000):
                more = raw.string(topic) + raw.i32(min(partitions, n + 9000)) + raw.array(None)
                r = c.call(raw.CREATE_PARTITIONS, 0, raw.array([more]) + raw.i32(60000) + raw.i8(0))
                r.i32()
                ((_, error, message),) = r.array(lambda: (r.string(), r.i16(), r.string()))
                assert error == 0, f"{self.name}: CreatePartitions {topic}: error {error}: {message}"
            raw.until(lambda: serves(c, topic, partitions), f"{partitions} partitions of {topic} to serve", seconds=120, pause=0.002)

    def delete(self, topic):
        with self.connect() as c:
            r = c.call(20, 1, raw.array([raw.string(topic)]) + raw.i32(60000))
            r.i32()
            ((_, error),) = r.array(lambda: (r.string(), r.i16()))
            assert error == 0, f"{self.name}: DeleteTopics {topic}: error {error}"


class Host:
    """Starts brokers below one directory, and ends them all."""

    def __init__(self, directory):
        self.directory, self.started, self.n = pathlib.Path(directory), [], 0

    def make(self, kind, properties=None):
        """A broker that is not yet started; its directory stays when it is started again."""
        self.n += 1
        broker = harness.Broker(kind, self.directory / f"{kind}-{self.n}", ODRADEK, None, {**COMMON, **(properties or {})})
        self.started.append(broker)
        if kind == "kafka":
            broker.write_properties()
            p = subprocess.run(["java", "-XX:TieredStopAtLevel=1", *JAVA_REST, "kafka.tools.StorageTool", "format", "--standalone", "-t",
                                "ODRADEK-bench-cluster", "-c", str(broker.file)], capture_output=True, text=True)
            assert p.returncode == 0, f"kafka-storage format: {p.stdout}{p.stderr}"
        return broker

    def argv(self, broker):
        if broker.kind == "kafka":
            return [*SERVER_JAVA, *JAVA_REST, "kafka.Kafka", str(broker.file)]
        return [*ODRADEK, str(broker.file)]

    def target(self, name, broker, **more):
        return Target(name, broker.addr, broker.process.pid, broker, **more)

    def start(self, name, kind, properties=None, **more):
        broker = self.make(kind, properties)
        broker.start(self.argv(broker))
        return self.target(name, broker, **more)

    def forget(self, broker):
        """Ends it and removes its directory."""
        broker.end()
        self.started.remove(broker)
        shutil.rmtree(broker.directory, ignore_errors=True)

    def end(self):
        for broker in self.started:
            broker.end()


def settle(directory):
    """What was written is on the disk, so that nobody pays for the one before."""
    subprocess.run(["sync", "-f", str(directory)], check=True)


def commit():
    def git(*args):
        return subprocess.run(["git", "-C", str(TOP), *args], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return {"cpu": cpu[1] if cpu else "?", "cores": os.cpu_count(), "memory_gb": round(memory / 1048576, 1), "kernel": os.uname().release}
