"""What a request costs as there is more of everything else: partitions, connections, groups, segments; and with one loop or two.

The cost is the broker's CPU per request: it is what the broker must do, and steadier than any latency. Each axis has a broker of its own,
with log.flush.interval.messages as Kafka has it, so that the disk has no say. Flat lines are the aim.
"""
import contextlib
import json
import subprocess

import brokers
import chart

SMALL = "-c 16 -d 5"
FETCH = "fetch @ -c 16 -d 4 --partitions {n} --max-bytes 1024 --step {step}"


def partitions(bench, target, n):
    topic = f"all-{n}"
    target.create(topic, n)
    target.create(f"one-{n}", 1)
    try:
        yield "produce, all in turn", topic, f"produce @ {SMALL} --partitions {n} --rotate"
        yield "produce to 6", topic, f"produce @ {SMALL} --partitions 6"
        yield "fetch of 6", topic, FETCH.format(n=6, step=7)
        yield "Metadata of one", f"one-{n}", "metadata @ -c 4 -d 2"
    finally:
        target.delete(topic)


def connections(bench, target, n):
    topic = f"c-{n}"
    target.create(topic, 6)
    yield "produce, on all in turn", topic, f"produce @ -c {n} --total 10 --partitions 6"
    with others(target, n):
        yield "produce on 16 more", topic, f"produce @ {SMALL} --partitions 6"


@contextlib.contextmanager
def others(target, n):
    """So many idle connections for the while."""
    p = subprocess.Popen([str(brokers.TOOLS / "load"), "--broker", target.address, "idle", "-c", str(n), "--hold", "600"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        line = p.stderr.readline()
        assert "all open" in line, f"the idle connections did not open: {line}"
        yield
    finally:
        p.kill()
        p.wait()
        p.stderr.close()


def groups(bench, target, n):
    topic = f"g-{n}"
    target.create(topic, 1)
    with target.connect() as c:
        c.coordinator_ready("g-000000")
    yield "OffsetCommit, groups in turn", topic, f"commit @ -c 16 -d 1 --groups {n}"


def segments(bench, target, n):
    """Segments of 1 MiB, the smallest there may be, of batches of about 1 KiB."""
    topic, batches = f"s-{n}", max(200, n * 1048576 // 1150)
    target.create(topic, 1, {"segment.bytes": 1048576})
    bench.load(target, "produce @ -c 6 -d 5 --records 10", topic, count=batches)
    with target.connect() as c:
        _, end = c.list_offset(topic, 0)
    yield "fetch anywhere", topic, FETCH.format(n=1, step=int(end * 0.381966) | 1)
    yield "produce", topic, f"produce @ {SMALL}"
    target.delete(topic)


AXES = [("partitions", "partitions", partitions, (10, 100, 1000, 10000)), ("connections", "connections", connections, (10, 100, 1000, 10000)),
        ("groups", "groups", groups, (1, 10, 100, 1000)), ("segments", "segments per partition", segments, (1, 10, 100, 1000))]
LOOPS = {"ApiVersions": ("api-versions -c 16 -d 8", "per_s"), "Metadata": ("metadata @ -c 16 -d 2", "per_s"),
         "produce 1×100 B": (f"produce @ {SMALL} --partitions 6", "per_s"),
         "produce 64×1 KiB": ("produce @ -c 6 -d 2 --partitions 6 --records 64 --size 1024", "MB_per_s"),
         "fetch 1 MiB": ("fetch @ -c 6 -d 2 --partitions 6 --step 960", "MB_per_s")}


def start(host, **more):
    return host.start("odradek", "odradek", {"log.flush.interval.messages": brokers.NEVER, **more})


def run(bench, out, meta, pattern):
    """Writes growth.json and a chart for each axis into the directory `out`; prints what is measured as it comes."""
    out.mkdir(parents=True, exist_ok=True)
    result = {**meta, "axes": {}, "loops": {}}
    for name, label, work, sizes in AXES:
        if not pattern.search(name):
            continue
        target, curves = start(bench.host), {}
        for n in sizes[:3] if bench.quick else sizes:
            for curve, topic, flows in work(bench, target, n):
                figures, _ = bench.load(target, flows, topic)
                curves.setdefault(curve, []).append((n, figures["cpu_us"], figures["per_s"], figures["p50"], figures["p99"]))
                print(f"{name:12} {n:6}  {curve:30} {figures['cpu_us']:8.2f} µs CPU {figures['per_s']:10,.0f} /s  p99 {figures['p99']:8.0f} µs", flush=True)
        bench.host.forget(target.process)
        result["axes"][name] = {c: [dict(zip(("n", "cpu_us", "per_s", "p50", "p99"), p)) for p in points] for c, points in curves.items()}
        (out / f"growth-{name}.svg").write_text(chart.lines(f"What a request costs, with more {name}", label, "µs of the broker's CPU",
                                                            {c: [p[:2] for p in points] for c, points in curves.items()}))
    for loops in (1, 2) if pattern.search("loops") else ():
        target = start(bench.host, **{"num.network.threads": loops})
        target.create("loops", 6)
        for name, (flows, figure) in LOOPS.items():
            figures, _ = bench.load(target, flows, "loops")
            cost = "cpu_us" if figure == "per_s" else "cpu_gb"
            result["loops"].setdefault(name, {})[loops] = {k: figures[k] for k in (figure, cost, "p99")}
            print(f"{loops} loop{'s' if loops > 1 else ' '}  {name:20} {figures[figure]:12,.0f} {figure:9} {figures[cost]:8.2f} {cost}  p99 {figures['p99']:8.0f} µs", flush=True)
        bench.host.forget(target.process)
    (out / "growth.json").write_text(json.dumps(result, indent=1) + "\n")
