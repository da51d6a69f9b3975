"""The table: what is done, with whom beside whom, and what is to be reached.

A row runs on several sides: "odradek" is Odradek as it comes (flush.messages=1: acknowledged and visible only when on disk), "cache" is
Odradek told to trust the page cache as Kafka does, "kafka" is Apache Kafka as it comes, "kafka-sync" is Kafka with flush.messages=1.
"""
import dataclasses
import json
import shlex
import statistics
import subprocess
import time

import brokers

CACHE, SAFE, BOTH = ("cache", "kafka"), ("odradek", "kafka"), ("odradek", "kafka", "kafka-sync")
UNITS = {"per_s": "/s", "MB_per_s": "MB/s", "p50": "µs p50", "p99": "µs p99", "p999": "µs p99.9", "cpu_us": "µs CPU each",
         "cpu_gb": "CPU-s/GB", "seconds": "s", "ms": "ms", "rss_mb": "MB", "kb_each": "KB each", "cpu_pct": "% CPU", "wakeups": "wake-ups/s"}
MORE_IS_BETTER = ("per_s", "MB_per_s")


@dataclasses.dataclass
class Goal:
    """figure op value; of the ratio to Kafka's figure (against: whose), or of the figure itself."""
    figure: str
    op: str
    value: float
    absolute: bool = False
    against: str = "kafka"

    def text(self):
        v = f"1/{round(1 / self.value)}" if self.value < 1 and abs(1 / self.value - round(1 / self.value)) < 0.01 and self.value != 1 else f"{self.value:g}"
        of = " × the machine's" if self.against == "limit" else " ×"
        return f"{'≥' if self.op == '>=' else '≤'} {v}{' ' + UNITS[self.figure] if self.absolute else of}"

    def met(self, got):
        return got >= self.value if self.op == ">=" else got <= self.value


def at_least(figure, value, **kw): return Goal(figure, ">=", value, **kw)
def at_most(figure, value, **kw): return Goal(figure, "<=", value, **kw)


@dataclasses.dataclass
class Row:
    name: str
    title: str
    sides: tuple
    work: object      # function(bench, target, topic) -> {figure: value}
    goals: list
    partitions: int = 6   # of the topic made for each run; 0: none
    megabytes: int = 0    # written in a run: so much page cache is touched beforehand
    shown: tuple = ()     # figures without a goal that belong in the table
    quick: bool = True
    once: bool = False    # does not get better by repeating
    limit: object = None  # the Limit of the machine that it is near
    network: bool = True  # needs no more than an address

    @property
    def safe(self):
        return "odradek" in self.sides


@dataclasses.dataclass
class Limit:
    """What the machine does without a broker: `figure` of the row beside `theirs` of the program's; and more such pairs of the same line."""
    words: str
    args: str  # of tests/bench/limits.c; "@" is the directory
    figure: str
    theirs: str
    times: float = 1
    more: dict = dataclasses.field(default_factory=dict)


class Failed(Exception):
    """A measurement that did not come about."""


class Bench:
    """How long, how much, and the programs that measure."""

    def __init__(self, host, quick):
        self.host, self.quick = host, quick
        self.warm, self.seconds = (0.3, 0.7) if quick else (1.0, 3.0)
        self.volume = 0.15 if quick else 1.0  # of a row's megabytes

    def program(self, name, args, timeout=300):
        argv = [str(brokers.TOOLS / name), *args]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
        if p.returncode != 0 or not p.stdout.startswith("{"):
            raise Failed(f"{shlex.join(argv)}: exit {p.returncode}: {(p.stderr or p.stdout)[-300:]}")
        return json.loads(p.stdout)

    def touch(self, megabytes):
        """Writes so much page cache and lets it go: what follows need not wait for the host to back the guest's memory."""
        subprocess.run([str(brokers.TOOLS / "limits"), "touch", str(self.host.directory), str(int(megabytes * 1e6))], check=True)

    def load(self, t, flows, topic, seconds=None, count=None):
        """Runs the load generator; "@" in the flows stands for the topic. The first flow's figures, and all it said."""
        how = ["--count", str(count)] if count else ["--warm", str(self.warm), "--seconds", str(seconds or self.seconds)]
        pid = ["--pid", str(t.pid)] if t.pid else []
        flows = [f"--topic={topic}" if w == "@" else w for w in flows.split()]
        out = self.program("load", ["--broker", t.address, *pid, *how, *flows])
        return figures(out, 0, t.pid), out

    def limit(self, limit):
        """The best of the ways to do it."""
        argv = [str(brokers.TOOLS / "limits"), *limit.args.replace("@", str(self.host.directory)).split(), "--seconds", "0.3" if self.quick else "1.5"]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        if p.returncode != 0:
            raise Failed(f"{shlex.join(argv)}: {p.stderr}")
        best = max if limit.figure in MORE_IS_BETTER else min
        line = best((json.loads(line) for line in p.stdout.splitlines()), key=lambda f: f[limit.theirs])
        return {limit.figure: line[limit.theirs] * limit.times, **{mine: line[theirs] for mine, theirs in limit.more.items()}}

    def rk(self, t, what, topic, count, *conf):
        pid = ["--pid", str(t.pid)] if t.pid else []
        more = [w for c in conf for w in ("-X", c)]
        out = self.program("rk", [what, "--broker", t.address, *pid, "--topic", topic, "--partitions", "6", "--count", str(count), "--size", "1024",
                                  *more])
        f = {"MB_per_s": out["MB_per_s"], "per_s": out["per_s"]}
        if t.pid:
            f["cpu_gb"] = out["broker_cpu_s"] / out["MB"] * 1000
        return f


def figures(out, i, pid):
    flow = out["flows"][i]
    f = {"per_s": flow["per_s"], "MB_per_s": flow["MB_per_s"], **{k: flow["latency_us"][k] for k in ("p50", "p99", "p999")}}
    if pid and flow["answers"]:
        f["cpu_us"] = out["broker_cpu_s"] * 1e6 / flow["answers"]
    if pid and flow["MB"]:
        f["cpu_gb"] = out["broker_cpu_s"] / flow["MB"] * 1000
    return f


# --- kinds of work -------------------------------------------------------------------------------------------------------

def load(flows):
    return lambda b, t, topic: b.load(t, flows, topic)[0]


def volume(flows, megabytes, request_bytes):
    """The same volume on every side, however fast it is."""
    def work(b, t, topic):
        return b.load(t, flows, topic, count=max(1000, int(megabytes * b.volume * 1e6 / request_bytes)))[0]
    return work


def after_fill(fill, megabytes, request_bytes, flows):
    """A fetch of what was written just before."""
    def work(b, t, topic):
        b.load(t, fill, topic, count=max(1000, int(megabytes * b.volume * 1e6 / request_bytes)))
        return b.load(t, flows, topic)[0]
    return work


def end_to_end(acks):
    def work(b, t, topic):
        _, out = b.load(t, f"produce @ --rate 1000 --stamp --acks {acks} + tail @", topic, seconds=2 if b.quick else 10)
        return {**figures(out, 0, t.pid), **{k: out["flows"][1]["age_us"][k] for k in ("p50", "p99", "p999")}}
    return work


def beside_bulk(b, t, topic):
    """The small producer is what is looked at; the bulk keeps its 200 MB/s, or the run says how much it kept."""
    flows = "produce @ -c 1 --acks all --rate 500 + produce @ -c 4 --partitions 6 -d 5 --records 200 --size 1000 --rate 1000 --acks all"
    f, out = b.load(t, flows, topic, seconds=1.5 if b.quick else 8)
    f["bulk_MB_per_s"] = out["flows"][1]["MB_per_s"]
    return f


def librdkafka(*conf):
    return lambda b, t, topic: b.rk(t, "produce", topic, int(1000000 * b.volume), *conf)


def librdkafka_consume(b, t, topic):
    n = int(1000000 * b.volume)
    b.load(t, "produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", topic, count=n // 64 + 3000)
    return b.rk(t, "consume", topic, n)


def idle_connections(b, t, topic):
    pid = ["--pid", str(t.pid)] if t.pid else []
    out = b.program("load", ["--broker", t.address, *pid, "idle", "-c", "2000" if b.quick else "10000", "--hold", "1"])
    return {k: out[k] for k in ("per_s", "kb_each") if t.pid or k == "per_s"}


def idle(b, t, topic):
    seconds = 3 if b.quick else 10
    cpu, wakeups, began = t.cpu(), t.wakeups(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {"cpu_pct": (t.cpu() - cpu) / took * 100, "wakeups": (t.wakeups() - wakeups) / took, "rss_mb": t.rss_mb()}


def resident(b, t, topic):
    return {"rss_mb": t.rss_mb()}


def kind_of(t):
    return "kafka" if t.name.startswith("kafka") else "odradek"


def started(partitions):
    """From the start of the process until it answers for every partition, in a directory that was stopped clean before."""
    def work(b, t, topic):
        broker = b.host.make(kind_of(t))
        try:
            if partitions or broker.kind == "odradek":  # Kafka's is already formatted
                broker.start(b.host.argv(broker))
                target = b.host.target(t.name, broker)
                for i in range(0, partitions, 1000):
                    target.create(f"p{i}", 1000)
                broker.end()
                broker.process = None
            broker.write_properties()
            topics = [w for i in range(0, partitions, 1000) for w in ("--topic", f"p{i}")]
            argv = ["--broker", broker.bootstrap, "start", "--partitions", "1000", *topics, "--", *b.host.argv(broker)]
            return {"ms": statistics.median(b.program("load", argv)["serves_ms"] for _ in range(1 if b.quick else 3))}
        finally:
            b.host.forget(broker)
    return work


def create(b, t, topic):
    """1,000 partitions until all have a leader, then 4,000 more; the memory that the broker has then."""
    broker = b.host.make(kind_of(t))
    try:
        broker.start(b.host.argv(broker))
        target, out = b.host.target(t.name, broker), {}
        for figure, n in (("seconds", 1000),) if b.quick else (("seconds", 1000), ("seconds_4000", 4000)):
            began = time.monotonic()
            target.create(f"c{n}", n)
            out[figure] = time.monotonic() - began
        time.sleep(1)
        return {**out, "rss_mb": target.rss_mb()}
    finally:
        b.host.forget(broker)


def durable(partitions):
    """Every partition has a batch in flight; acknowledged when on the disk."""
    conns = min(16, partitions)
    return load(f"produce @ -c {conns} -d {max(5, -(-partitions // conns))} --partitions {partitions} --rotate --acks all")


def in_flight(n):
    """Group commit at its best: each sync takes all that is in flight."""
    return Limit(f"an fdatasync for each {n:,}", "sync @ --block 4096", "per_s", "per_s", times=n)


def ingest(block):
    """The same bytes over the same sockets into files, and nothing else: no broker can be cheaper."""
    return Limit("recv and pwrite alone", f"ingest @ --block {block} -c 6 -d 2", "MB_per_s", "MB_per_s", more={"cpu_gb": "cpu_s_per_GB"})


# --- the table ------------------------------------------------------------------------------------------------------------

def table():
    mb = 2000
    return [
        Row("idle", "idle", SAFE, idle, [at_most("cpu_pct", 0.05, absolute=True), at_most("wakeups", 1, absolute=True),
                                         at_most("rss_mb", 8, absolute=True)], partitions=0, once=True, network=False),
        Row("idle-connections", "10,000 idle connections that said ApiVersions", SAFE, idle_connections,
            [at_most("kb_each", 4, absolute=True), at_least("per_s", 5)], partitions=0, once=True,
            limit=Limit("a bare epoll server", "connect", "per_s", "per_s")),
        Row("api-versions", "ApiVersions, 16 connections × 8 in flight", CACHE, load("api-versions -c 16 -d 8"),
            [at_least("per_s", 12), at_most("cpu_us", 1 / 12)], partitions=0,
            limit=Limit("echo", "echo -c 16 -d 8", "per_s", "per_s")),
        Row("metadata", "Metadata, 4 × 2", CACHE, load("metadata @ -c 4 -d 2"), [at_least("per_s", 8)], shown=("cpu_us",),
            limit=Limit("echo", "echo -c 4 -d 2", "per_s", "per_s")),
        Row("produce-1", "produce 1×100 B, acks=1, 1 × 1", CACHE, load("produce @"), [at_least("per_s", 2), at_most("p99", 1 / 2)], shown=("p50",),
            limit=Limit("echo", "echo -c 1 -d 1", "per_s", "per_s")),
        Row("produce-16x5", "produce 1×100 B, acks=1, 16 × 5", CACHE, load("produce @ -c 16 -d 5 --partitions 6"),
            [at_least("per_s", 10), at_most("p99", 1 / 4), at_most("cpu_us", 1 / 10)],
            limit=Limit("echo", "echo -c 16 -d 5", "per_s", "per_s")),
        Row("produce-16x5-all", "the same, acks=all", SAFE, load("produce @ -c 16 -d 5 --partitions 6 --acks all"),
            [at_least("per_s", 5), at_most("p99", 1)], shown=("cpu_us",), limit=in_flight(80)),
        Row("produce-100x100B", "produce 100×100 B, 6 × 2", CACHE, volume("produce @ -c 6 -d 2 --partitions 6 --records 100", mb, 10000),
            [at_least("MB_per_s", 5), at_most("cpu_gb", 1 / 6)], megabytes=mb,
            limit=ingest(10800)),
        Row("produce-64x1K", "produce 64×1 KiB, 6 × 2", CACHE, volume("produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", mb, 65536),
            [at_least("MB_per_s", 4), at_most("cpu_gb", 1 / 5)], megabytes=mb,
            limit=ingest(66400)),
        Row("produce-900x1K-all", "produce 900×1 KiB, acks=all, 6 × 2", SAFE,
            volume("produce @ -c 6 -d 2 --partitions 6 --records 900 --size 1024 --acks all", mb, 921600),
            [at_least("MB_per_s", 2), at_most("cpu_gb", 1 / 4)], megabytes=mb,
            limit=Limit("fdatasync", "sync @ --block 1048576", "MB_per_s", "MB_per_s")),
        Row("beside-bulk", "small produce beside 200 MB/s of bulk", SAFE, beside_bulk, [at_most("p99", 1 / 4)], megabytes=mb,
            shown=("p50", "p999"), limit=Limit("fdatasync", "sync @ --block 4096", "p50", "p50_us")),
        Row("rk-acks1", "librdkafka produce 1 KiB, acks=1", CACHE, librdkafka("acks=1"), [at_least("MB_per_s", 1.3), at_most("cpu_gb", 1 / 4)],
            megabytes=1100, limit=ingest(1000000)),
        Row("rk-idempotent", "… idempotent", CACHE, librdkafka("enable.idempotence=true"), [at_least("MB_per_s", 1.3), at_most("cpu_gb", 1 / 4)],
            megabytes=1100, quick=False, limit=ingest(1000000)),
        Row("rk-idempotent-safe", "… idempotent", SAFE, librdkafka("enable.idempotence=true"),
            [at_least("MB_per_s", 1.3), at_most("cpu_gb", 1 / 4)], megabytes=1100,
            limit=Limit("fdatasync", "sync @ --block 1048576", "MB_per_s", "MB_per_s")),
        Row("rk-lz4", "… lz4, acks=all", CACHE, librdkafka("compression.codec=lz4"), [at_least("MB_per_s", 1.3), at_most("cpu_gb", 1 / 4)],
            megabytes=1100, limit=ingest(1000000)),
        Row("rk-consume", "librdkafka consume 1 KiB", CACHE, librdkafka_consume, [at_least("MB_per_s", 1), at_most("cpu_gb", 0.7)],
            megabytes=1400, limit=Limit("sending", "send @ --block 1048576 -c 1", "MB_per_s", "MB_per_s")),
        Row("fetch-1M", "fetch 1 MiB, 1 × 1", CACHE,
            after_fill("produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", 600, 65536, "fetch @ --step 960"),
            [at_least("MB_per_s", 1), at_most("cpu_gb", 0.8), at_least("MB_per_s", 0.85, against="limit")], megabytes=600,
            limit=Limit("sending", "send @ --block 1048576 -c 1", "MB_per_s", "MB_per_s")),
        Row("fetch-1M-6x2", "fetch 1 MiB, 6 × 2", CACHE,
            after_fill("produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", 600, 65536, "fetch @ -c 6 -d 2 --partitions 6 --step 960"),
            [at_least("MB_per_s", 1), at_most("cpu_gb", 0.8), at_least("MB_per_s", 0.85, against="limit")], megabytes=600,
            limit=Limit("sending", "send @ --block 1048576 -c 2", "MB_per_s", "MB_per_s")),
        Row("fetch-1K", "fetch 1 KiB, 16 × 4", CACHE,
            after_fill("produce @ -c 6 -d 5 --partitions 6", 10, 100, "fetch @ -c 16 -d 4 --partitions 6 --max-bytes 1024 --step 7"),
            [at_least("per_s", 10), at_most("cpu_us", 1 / 10)],
            limit=Limit("echo", "echo -c 16 -d 4", "per_s", "per_s")),
        Row("end-to-end", "end to end, 1,000 msg/s, acks=1", CACHE, end_to_end("1"),
            [at_most("p50", 0.5), at_most("p99", 1 / 8), at_most("p999", 1 / 4)], partitions=1,
            limit=Limit("two echoes at that rate", "echo -c 1 -d 1 --rate 1000", "p50", "p50_us", times=2)),
        Row("end-to-end-all", "end to end, 1,000 msg/s, acks=all", SAFE, end_to_end("all"), [at_most("p50", 1.5), at_most("p99", 1 / 2)],
            partitions=1, shown=("p999",), limit=Limit("fdatasync", "sync @ --block 4096", "p50", "p50_us")),
        Row("durable-1", "produce 1×100 B, acks=all, 1 partition", BOTH, durable(1), [], partitions=1, shown=("per_s", "p99"), limit=in_flight(5)),
        Row("durable-10", "… 10 partitions", BOTH, durable(10), [], partitions=10, shown=("per_s", "p99"), quick=False, limit=in_flight(50)),
        Row("durable-100", "… 100 partitions", BOTH, durable(100), [], partitions=100, shown=("per_s", "p99"), quick=False,
            limit=in_flight(112)),
        Row("durable-1000", "… 1,000 partitions", BOTH, durable(1000), [at_least("per_s", 20, against="kafka-sync")], partitions=1000,
            shown=("p99",), limit=in_flight(1008)),
        Row("rss-after", "memory after these loads", SAFE, resident, [at_most("rss_mb", 32, absolute=True)], partitions=0, once=True,
            network=False),
        Row("rss-after-cache", "memory after these loads", CACHE, resident, [at_most("rss_mb", 32, absolute=True)], partitions=0, once=True,
            network=False),
        Row("start", "process start → answers, empty", SAFE, started(0), [at_most("ms", 5, absolute=True)], partitions=0, once=True, network=False,
            limit=Limit("a process that does nothing", "start", "ms", "ms")),
        Row("start-1000", "… 1,000 partitions", SAFE, started(1000), [at_most("ms", 20, absolute=True)], partitions=0, once=True, network=False,
            quick=False,
            limit=Limit("a process that does nothing", "start", "ms", "ms")),
        Row("start-10000", "… 10,000 partitions", ("odradek",), started(10000), [at_most("ms", 150, absolute=True)], partitions=0, once=True,
            network=False, quick=False,
            limit=Limit("a process that does nothing", "start", "ms", "ms")),
        Row("create", "create 1,000 partitions; 4,000 more; memory then", SAFE, create,
            [at_most("seconds", 1 / 10), at_most("seconds_4000", 1 / 10), at_most("rss_mb", 24, absolute=True)], partitions=0, network=False,
            limit=Limit("1,000 directories with a file, synced at once", "create @", "seconds", "seconds")),
    ]


UNITS["seconds_4000"] = "s for 4,000 more"
