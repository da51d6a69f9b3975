"""What every scenario stands on: a broker of its own or the shared one, Kafka's tools, client programs, and the runner.

A scenario is a function whose name is the sentence that is true when it passes. It takes a Test and raises when it is not true.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import raw

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("ODRADEK_E2E_CACHE", pathlib.Path.home() / ".cache/odradek-e2e"))
BUILD = TOP / "build" / "e2e"  # what is compiled for the tests: the tool driver's class, the Go client

# A JVM that starts fast and stays small; the tools run for seconds, not hours.
JAVA = ["java", "-Xmx768m", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:-UsePerfData",
        f"-Dlog4j2.configurationFile={HERE}/java/log4j2.yaml", "-cp", f"{BUILD}/java:{CACHE}/kafka-4.3.1/*"]
SANITIZER = re.compile(r"Sanitizer|runtime error:|Assertion|assertion failed")

SCENARIOS = []


def scenario(phase="day", target=None, plain=False):
    """Registers a scenario. phase: "day" ones run first, two at a time; "evening" ones afterwards, in the order they are
    written, on what the day left in the shared broker. target: the only broker for which the sentence makes sense.
    plain: started brokers are the optimised build, because a sanitizer's own memory would hide what is measured."""
    def add(function):
        SCENARIOS.append((function, phase, target, plain))
        return function
    return add


# --- brokers -------------------------------------------------------------------------------------------------------------

_ports = set()
_ports_lock = threading.Lock()


def free_port():
    """A loopback port below the ephemeral range, handed out once per run."""
    with _ports_lock:
        while True:
            port = random.randrange(15000, 32000)
            if port in _ports:
                continue
            with socket.socket() as s:
                with contextlib.suppress(OSError):
                    s.bind(("127.0.0.1", port))
                    _ports.add(port)
                    return port


def kraft_properties(port, data, **more):
    """The server.properties of a single node, as Apache Kafka 4.3.1 needs it; Odradek must start from the very same file."""
    controller = free_port()
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"localhost:{controller}",
        "listeners": f"PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}",
        "advertised.listeners": f"PLAINTEXT://localhost:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 10,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        **more,
    }


class Broker:
    """One broker process and its directory. All of it lives under a directory that the run removes."""

    def __init__(self, kind, directory, command, tools, properties=None, port=None):
        self.kind, self.command, self.tools = kind, command, tools
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.port = port or free_port()
        self.addr = ("127.0.0.1", self.port)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.file = self.directory / "server.properties"
        self.log = self.directory / "broker.log"
        self.properties = kraft_properties(self.port, self.data, **(properties or {}))
        self.process = None

    def become(self, kind, command):
        """The same directory and properties, from now on for the other broker."""
        assert self.process is None
        self.kind, self.command = kind, command

    def write_properties(self):
        self.file.write_text("".join(f"{k}={v}\n" for k, v in self.properties.items()))

    def spawn(self, argv=None, env=None):
        """Starts the process without waiting for it to serve."""
        self.write_properties()
        if argv is None and self.kind == "kafka":
            if not (self.data / "meta.properties").exists():
                self.tools.run("kafka-storage", "format", "--standalone", "-t", "ODRADEK-e2e-clusterid0", "-c", str(self.file))
            argv = [*JAVA, "kafka.Kafka", str(self.file)]
        elif argv is None:
            argv = [*self.command, str(self.file)]
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        env = {**os.environ, "ASAN_OPTIONS": f"quarantine_size_mb=16:{os.environ.get('ASAN_OPTIONS', '')}", "UBSAN_OPTIONS": "print_stacktrace=1",
               **(env or {})}
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env, cwd=self.directory)
        return self

    def start(self, argv=None, env=None):
        self.spawn(argv, env)
        raw.until(self._serves, "the broker to serve", seconds=90, pause=0.02)
        if self.kind == "kafka":  # answers before it serves its partitions; Odradek must not
            with self.connect() as c:
                raw.until(lambda: all(c.list_offset(name, p)[0] == 0 for name, (_, _, parts) in c.metadata().items() for p, *_ in parts),
                          "every partition to serve", seconds=60)
        else:
            def started():
                return [line for line in self.new_log().splitlines() if re.search(r"\bstarted\b", line)]

            lines = raw.until(started, "the line that says 'started'", seconds=10, pause=0.005)  # written while the first connections are taken
            assert len(lines) == 1, f"one line says 'started', not {len(lines)}: {lines}"
            self.started_line = lines[0]
        return self

    def _serves(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the broker ended with {self.process.returncode}:\n{self.new_log()[-3000:]}")
        with contextlib.suppress(OSError, raw.Closed):
            with raw.Connection(self.addr, timeout=5) as c:
                c.metadata([])
                return len(c.nodes) == 1
        return False

    def new_log(self):
        """What the present process has logged."""
        with open(self.log, "rb") as f:
            f.seek(self.log_start)
            return f.read().decode(errors="replace")

    def reset_peak(self):
        """VmHWM begins anew."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def rss(self, what="VmRSS"):
        """Resident bytes; "VmHWM": the most there ever were."""
        return int(re.search(what + r":\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) * 1024

    def cpu(self):
        """CPU seconds used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self, seconds=30):
        """The exit code; what the process says about itself is then judged."""
        code = self.process.wait(seconds)
        self.process = None
        bad = SANITIZER.search(self.new_log()) if self.kind == "odradek" else None
        assert not bad, f"the broker's log speaks of {bad[0]}:\n{self.new_log()[max(0, bad.start() - 500):bad.start() + 4000]}"
        return code

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = self.wait()
        expected = 143 if self.kind == "kafka" else 0
        assert code == expected, f"after SIGTERM the exit code is {code}, not {expected}:\n{self.new_log()[-3000:]}"
        return time.monotonic() - began

    def kill(self):
        self.process.kill()
        assert self.wait() == -signal.SIGKILL

    def end(self):
        """Stops whatever still runs; for clearing up."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(20)
            if self.process.poll() is None:
                self.process.kill()
        if self.process:
            self.wait()

    def connect(self, timeout=20, client="raw"):
        return raw.Connection(self.addr, timeout, client)

    def crowd(self, n):
        """Yields n connections; every 40th is answered before the next, lest the listener's backlog drop some for a second."""
        for i in range(n):
            c = self.connect()
            if i % 40 == 0:
                c.api_versions()
            yield c


# --- Kafka's own tools ---------------------------------------------------------------------------------------------------

class Output(str):
    """What a command printed, with its stderr and exit code beside it."""
    def __new__(cls, out, err, code):
        self = super().__new__(cls, out)
        self.err, self.code = err, code
        return self


class Tools:
    """Kafka's command-line tools in one long-lived JVM, started when first needed."""

    def __init__(self):
        self.lock, self.process, self.answers, self.next_id = threading.Condition(), None, {}, 0

    def _start(self):
        self.process = subprocess.Popen([*JAVA, "ToolDriver", str(HERE / "java/tools.txt")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.lock:
                self.answers[answer["id"]] = answer
                self.lock.notify_all()
        with self.lock:
            self.process = None
            self.lock.notify_all()

    def run(self, tool, *args, stdin="", ok=True, timeout=90):
        """Runs one command. ok: it must end with 0."""
        with self.lock:
            if self.process is None:
                self._start()
            self.next_id = request = self.next_id + 1
            self.process.stdin.write(json.dumps({"id": request, "tool": tool, "args": [str(a) for a in args], "stdin": stdin}) + "\n")
            done = self.lock.wait_for(lambda: request in self.answers or self.process is None, timeout)
            assert done, f"{tool} {shlex.join(map(str, args))}: no end within {timeout} s"
            assert request in self.answers, "the JVM with Kafka's tools died"
            answer = self.answers.pop(request)
        if ok:
            assert answer["code"] == 0, f"{tool} {shlex.join(map(str, args))}: exit {answer['code']}\n{answer['out']}{answer['err']}"
        return Output(answer["out"], answer["err"], answer["code"])

    def close(self):
        with self.lock:
            process = self.process
        if process:
            process.stdin.close()
            process.wait(20)


def run_client(argv, stdin=None, timeout=120, env=None, ok=True):
    """Runs a client program; its output as text."""
    p = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
    if ok:
        assert p.returncode == 0, f"{shlex.join(map(str, argv))}: exit {p.returncode}\n{p.stdout[-2000:]}{p.stderr[-4000:]}"
    return Output(p.stdout, p.stderr, p.returncode)


# --- a scenario's surroundings -------------------------------------------------------------------------------------------

class Test:
    """What a scenario is given."""

    def __init__(self, run, function, plain):
        self.run, self.sentence, self.plain = run, function.__name__.replace("_", " "), plain
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="s-", dir=run.directory))
        self.started = []
        # Names of topics and groups begin with this, so that scenarios on the shared broker do not meet.
        self.name = f"{''.join(word[0] for word in function.__name__.split('_'))[:12]}-{random.randrange(1 << 20):05x}"

    @property
    def broker(self):
        return self.run.shared()

    @property
    def tools(self):
        return self.run.tools

    def tool(self, name, *args, **kw):
        """A Kafka tool against the shared broker."""
        return self.tools.run(name, "--bootstrap-server", self.broker.bootstrap, *args, **kw)

    def new_broker(self, kind=None, start=True, properties=None):
        broker = self.run.broker(self.directory / f"b{len(self.started)}", kind, self.plain, properties)
        self.started.append(broker)
        return broker.start() if start else broker

    def close(self):
        for broker in self.started:
            broker.end()


class Run:
    """One run of the suite."""

    def __init__(self, target, command, plain_command, keep=False):
        self.target, self.command, self.plain_command, self.keep = target, command, plain_command, keep
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="odradek-e2e-"))
        self.tools = Tools()
        self._shared, self._shared_lock, self._print_lock = None, threading.Lock(), threading.Lock()
        self.passed, self.failed, self.seconds = 0, [], {}
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def broker(self, directory, kind=None, plain=False, properties=None):
        return Broker(kind or self.target, directory, self.plain_command if plain else self.command, self.tools, properties)

    def shared(self):
        with self._shared_lock:
            if self._shared is None:
                self._shared = self.broker(self.directory / "shared").start()
            return self._shared

    def one(self, function, plain):
        test, began, error = Test(self, function, plain), time.monotonic(), None
        try:
            function(test)
        except BaseException:
            error = traceback.format_exc()
        try:
            test.close()
        except BaseException:
            error = (error or "") + traceback.format_exc()
        took = time.monotonic() - began
        with self._print_lock:
            print(f"{'FAIL' if error else 'ok  '} {took:6.1f} s  {test.sentence}", flush=True)
            if error:
                print("    " + error.rstrip().replace("\n", "\n    "), flush=True)
                for broker in test.started:
                    print(f"    log of {broker.directory.name}: ...{broker.new_log()[-1500:]}".replace("\n", "\n    "), flush=True)
                self.failed.append(test.sentence)
            else:
                self.passed += 1
        if not error and not self.keep:
            shutil.rmtree(test.directory, ignore_errors=True)

    def all(self, pattern, jobs):
        chosen = [s for s in SCENARIOS if re.search(pattern, s[0].__name__.replace("_", " ")) and s[2] in (None, self.target)]
        try:
            with ThreadPoolExecutor(jobs) as pool:
                list(pool.map(lambda s: self.one(s[0], s[3]), [s for s in chosen if s[1] == "day"]))
            for function, phase, _, plain in chosen:
                if phase == "evening":
                    self.one(function, plain)
        finally:
            self.finish()

    def finish(self):
        try:
            if self._shared:
                self._shared.end()
        except BaseException:
            print("FAIL           the shared broker ends without complaint\n" + traceback.format_exc(), flush=True)
            self.failed.append("the shared broker ends without complaint")
        self.tools.close()
        if self.failed and self._shared:
            print(f"the shared broker's log ends: ...{self._shared.new_log()[-3000:]}", file=sys.stderr)
        if not self.keep and not self.failed:
            shutil.rmtree(self.directory, ignore_errors=True)
        elif self.failed or self.keep:
            print(f"kept: {self.directory}")
