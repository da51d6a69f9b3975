#!/usr/bin/env python3
"""Measures Odradek beside Apache Kafka 4.3.1 and prints a table with ratios.

  scripts/bench                        the whole table: half an hour on two cores
  scripts/bench --quick                the same table roughly, in two minutes
  scripts/bench --only produce --repeat 5 --json FILE
  scripts/bench --target odradek       one broker alone; HOST:PORT for one that runs already, HOST:PORT,PID to see its CPU
  scripts/bench --list                 names the rows
  scripts/bench --rivals               beside other brokers that do the same work: kfake (Go) and nisshi (Rust), where they can be built
  scripts/bench --growth [DIR]         cost per request with more partitions, connections, groups, segments; charts into docs/
  scripts/bench --flame produce|produce-safe|bulk|fetch|fetch-large    a flame graph into docs/, and what each part costs
  scripts/bench --limits               what this machine does without a broker

Brokers are measured alternately, row by row, each run with a new topic that is deleted afterwards; the figure is the median of the
runs. docs/performance.md says what each row measures.
"""
import argparse
import json
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import brokers
import flame
import growth
import report
import rivals
import rows


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="less of everything, once")
    p.add_argument("--only", default="", metavar="REGEX", help="rows whose name matches")
    p.add_argument("--skip", metavar="REGEX", help="without rows whose name matches")
    p.add_argument("--repeat", type=int, metavar="N", help="runs of each row and broker (3; 1 with --quick)")
    p.add_argument("--target", action="append", metavar="odradek|kafka|HOST:PORT[,PID]")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="everything measured")
    p.add_argument("--directory", type=pathlib.Path, metavar="DIR", help="where the brokers' data goes (the temporary directory)")
    p.add_argument("--rivals", action="store_true", help="also other brokers")
    p.add_argument("--growth", nargs="?", const=brokers.TOP / "docs", type=pathlib.Path, metavar="DIR")
    p.add_argument("--flame", choices=list(flame.LOADS))
    p.add_argument("--limits", action="store_true")
    p.add_argument("--list", action="store_true", help="names the rows")
    return p.parse_args()


def sides_of(args, host, wanted):
    """Starts what is measured: {side: Target}, "" for a broker that runs already."""
    targets = args.target or ["odradek", *(["kafka"] if brokers.kafka_is_there() else [])]
    sides = {}
    for name in targets:
        if name == "odradek":
            if "odradek" in wanted:
                sides["odradek"] = host.start("odradek", "odradek")
            if "cache" in wanted:
                sides["cache"] = host.start("cache", "odradek", {"log.flush.interval.messages": brokers.NEVER})
        elif name == "kafka":
            if not brokers.kafka_is_there():
                sys.exit("no Apache Kafka here: it needs Java and Maven")
            if wanted & {"kafka", "kafka-sync"}:
                kafka = host.start("kafka", "kafka")
                sides["kafka"] = kafka
                sides["kafka-sync"] = brokers.Target("kafka-sync", kafka.addr, kafka.pid, kafka.process, {"flush.messages": 1})
        else:
            address, _, pid = name.partition(",")
            hostname, _, port = address.rpartition(":")
            sides[address] = brokers.Target(address, (hostname or "127.0.0.1", int(port)), int(pid or 0))
    if args.rivals:
        sides.update(rivals.start(host))
    if not args.target and "kafka" not in sides:
        print("bench: no Apache Kafka here (it needs Java and Maven): Odradek alone", file=sys.stderr)
    return sides


def beside_cache(row, target):
    return isinstance(target, rivals.Rival) and "cache" in row.sides


def one(bench, row, target, n):
    """One run; the topic is new, and gone afterwards."""
    topic = f"bench-{row.name}-{n}"
    if row.partitions:
        target.create(topic, row.partitions)
    try:
        if row.megabytes:
            bench.touch(row.megabytes * bench.volume)
        if row.partitions:
            brokers.settle(bench.host.directory)
        return row.work(bench, target, topic)
    finally:
        if row.partitions:
            target.delete(topic)


def measure(bench, row, sides, repeat):
    """Runs of every side in turn, first one way round, then the other: {side: [figures]}. "limit" is the machine itself."""
    sides = {**sides, **({"limit": None} if row.limit else {})}
    out = {side: [] for side in sides}
    warm = not bench.quick and not row.once and row.network
    for n in range(-1 if warm else 0, 1 if row.once else repeat):
        for side in list(sides) if n % 2 == 0 else reversed(list(sides)):
            try:
                if side == "limit":
                    figures = bench.limit(row.limit)
                else:
                    figures = one(bench, row, sides[side], n + 1)
                if n >= 0:
                    out[side].append(figures)
            except (rows.Failed, AssertionError, OSError, brokers.raw.Closed) as e:
                print(f"bench: {row.name}: {side}: {e}", file=sys.stderr)
    return out


def limits(bench):
    for what in ("echo", "connect", "memory", "append", "sync", "send", "ingest", "start", "create"):
        argv = [str(brokers.TOOLS / "limits"), what, str(bench.host.directory), "--seconds", "0.3" if bench.quick else "2"]
        subprocess.run(argv, check=True)


def warm_up(bench, targets):
    """Kafka's JVM compiles what is used much: it is given a while of everything. (And every row of the whole table runs once uncounted.)"""
    for t in targets:
        t.create("warm-up", 6)
        bench.load(t, "produce @ -c 2 -d 2 --partitions 6 + fetch @ -c 2 --partitions 6 --max-bytes 65536 --step 97 + metadata @ + api-versions -c 2 -d 4",
                   "warm-up", seconds=5 if bench.quick else 20)
        t.delete("warm-up")


def medians(runs):
    return {k: statistics.median([r[k] for r in runs if k in r]) for k in (runs[0] if runs else {})}


def main():
    args = parse()
    chosen = [r for r in rows.table() if re.search(args.only, r.name) and not (args.skip and re.search(args.skip, r.name))]
    if args.list:
        for row in rows.table():
            print(f"{row.name:20} {row.title}")
        return 0
    if args.quick:
        chosen = [r for r in chosen if r.quick]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the brokers and their directory go too
    directory = pathlib.Path(tempfile.mkdtemp(prefix="odradek-bench-", dir=args.directory))
    host = brokers.Host(directory)
    bench = rows.Bench(host, args.quick)
    began, results = time.monotonic(), []
    meta = {"date": time.strftime("%Y-%m-%d %H:%M"), "commit": brokers.commit(), "machine": brokers.machine(), "quick": args.quick,
            "repeat": args.repeat or (1 if args.quick else 3)}
    try:
        if args.growth:
            return growth.run(bench, args.growth, meta, re.compile(args.only))
        if args.flame:
            return flame.run(bench, args.flame, brokers.TOP / "docs", 2 if args.quick else 6)
        if args.limits:
            return limits(bench)
        sides = sides_of(args, host, {s for r in chosen for s in r.sides})
        time.sleep(1 if args.quick else 8)  # the brokers are idle from here on
        others = [s for s in sides if s not in report.KNOWN]
        print(report.head(meta, others), flush=True)
        cold = [t for s, t in sides.items() if s == "kafka"]
        for row in chosen:
            here = {s: t for s, t in sides.items() if s in row.sides or (row.network and (":" in s or beside_cache(row, t)))}
            if not here:
                continue
            if cold and not row.once:
                warm_up(bench, cold)
                cold = []
            runs = measure(bench, row, here, meta["repeat"])
            results.append(report.result(row, runs, {s: medians(r) for s, r in runs.items()}))
            print(report.lines(results[-1], others), flush=True)
            if args.json:
                args.json.write_text(json.dumps({**meta, "rows": results}, indent=1) + "\n")
    finally:
        host.end()
        shutil.rmtree(directory, ignore_errors=True)
    missed = [g for r in results for g in r["goals"] if not g["met"]]
    print(f"\n{sum(len(r['goals']) for r in results) - len(missed)} goals reached, {len(missed)} missed, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main() or 0)
