"""A life: one data directory with its broker, its clients, and the faults between them."""
import contextlib
import random
import signal
import subprocess
import time

import raw
from check import check
from clients import Group, GroupKafkaPython, Keys, Numbered, NumberedKafkaPython, Pipeline, Tail, Transactions
from world import World

ROUNDS = 25  # of a whole life
FAULTS = {"kill": 6, "kill during recovery": 2, "stop and continue": 1, "terminate": 1}
KAFKA_EXIT = {"kafka": 143, "odradek": 0}


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] if values else float("nan")


class Figures:
    """What the run counts, over all its lives."""

    def __init__(self):
        self.rounds, self.records, self.restarts, self.again, self.faults = 0, 0, [], [], dict.fromkeys(FAULTS, 0)
        self.slowest = {}  # which client was the last to be again, how often

    def report(self):
        print("survived: " + ", ".join(f"{n} {name}" for name, n in self.faults.items()))
        for name, values in (("restart to serving", self.restarts), ("all clients again", self.again)):
            if values:
                print(f"{name}: p50 {percentile(values, .5) * 1000:.0f} ms, p99 {percentile(values, .99) * 1000:.0f} ms, "
                      f"most {max(values) * 1000:.0f} ms ({len(values)})")
        if self.slowest:
            print("last to be again: " + ", ".join(f"{name} {n}" for name, n in sorted(self.slowest.items(), key=lambda kv: -kv[1])))


class Life:
    """One data directory with its broker, clients and history."""

    def __init__(self, run, seed, figures, name="life", quiet=False, limit=60):
        self.seed, self.rng, self.figures = seed, random.Random(seed), figures
        rng = self.rng
        self.broker = run.broker(run.directory / f"{name}-{seed}", properties={
            "offsets.topic.num.partitions": 3, "transaction.state.log.num.partitions": 3, "log.cleaner.backoff.ms": 200,
            "auto.create.topics.enable": "false", "num.recovery.threads.per.data.dir": 2})
        self.world = World(self.broker.bootstrap, rng, {"a": 3, "b": 2, "one": 1, "kv": 2}, quiet=quiet, limit=limit,
                           request_ms=1000 if self.broker.kind == "odradek" else 10000)
        self.clients = []
        # Rolls make sealed segments, snapshots and new files; a larger flush.messages leaves more to recover.
        self.configs = {t: {"segment.ms": rng.choice((300, 1000, 5000)), "flush.messages": rng.choice((1, 1, 1000))} for t in "ab"}
        self.configs["one"] = {"segment.ms": 700, "compression.type": rng.choice(("producer", "zstd"))}
        self.configs["kv"] = {"cleanup.policy": "compact", "segment.ms": 300, "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": 100,
                              "min.compaction.lag.ms": 0}

    # --- the broker

    def alive(self):
        return self.broker.process is not None and self.broker.process.poll() is None

    def start(self, timed=True):
        """Starts the broker and waits until it serves; False if it does not."""
        began = time.monotonic()
        self.broker.spawn()
        if not self.serves():
            return False
        if timed:
            self.figures.restarts.append(time.monotonic() - began)
        return True

    def serves(self):
        deadline = time.monotonic() + (60 if self.broker.kind == "odradek" else 120)
        while True:
            if self.broker.process.poll() is not None:
                self.world.anomaly("no-restart", f"it ended with {self.broker.process.returncode}: {self.broker.new_log()[-1500:]}")
                return False
            with contextlib.suppress(OSError, raw.Closed, TimeoutError):
                with raw.Connection(self.broker.addr, timeout=5) as c:
                    topics = c.metadata()
                    if len(c.nodes) == 1 and all(c.list_offset(t, p)[0] == 0 for t, (_, _, parts) in topics.items() for p, *_ in parts):
                        return True
            if time.monotonic() > deadline:
                self.world.anomaly("no-restart", f"it runs but does not serve: {self.broker.new_log()[-1500:]}")
                return False
            time.sleep(0.003)

    def end(self, number, seconds=60):
        """Sends a signal that must end the process, and judges how it ended."""
        process = self.broker.process
        if process.poll() is not None:
            self.world.anomaly("died", f"exit code {process.returncode}: {self.broker.new_log()[-1500:]}")
            return False
        process.send_signal(number)
        try:
            code = self.broker.wait(seconds)
        except AssertionError as e:
            self.world.anomaly("died", str(e))
            return False
        except subprocess.TimeoutExpired:
            self.world.anomaly("no-restart", f"it does not end within {seconds} s of signal {number}")
            process.kill()
            process.wait()
            return False
        if number == signal.SIGTERM and code != KAFKA_EXIT[self.broker.kind]:
            self.world.anomaly("no-restart", f"after SIGTERM it ended with {code}: {self.broker.new_log()[-1500:]}")
            return False
        return True

    # --- the clients

    def begin(self, only=None):
        """Creates the topics and starts the clients. only: names of clients."""
        w = self.world
        with self.broker.connect() as conn:
            apis = conn.api_versions()
            w.transactions = all(api in apis for api in (24, 25, 26, 28))
            if w.transactions:
                w.topics.update({"tx": 2, "in": 2, "out": 2})
                self.configs["tx"] = {"segment.ms": self.rng.choice((300, 5000))}
            for topic, partitions in w.topics.items():
                assert conn.create_topic(topic, partitions, {k: str(v) for k, v in self.configs.get(topic, {}).items()}) == 0, conn.message
        self.clients = [
            Numbered(w, "a1", "a", codec="lz4"), Numbered(w, "a2", "a"), NumberedKafkaPython(w, "b1", "b"),
            Numbered(w, "one1", "one", idempotent=False, codec="snappy"), Keys(w, "keys"), Tail(w, "tail", ["a", "b", "one", "kv"]),
            Group(w, "group", ["a"]), GroupKafkaPython(w, "group-python", ["b"])]
        if w.transactions:
            self.clients += [Transactions(w, "tx1"), Transactions(w, "tx2"), Numbered(w, "in1", "in"), Pipeline(w, "eos"),
                             Tail(w, "committed-tail", ["tx", "out"], "read_committed")]
        self.clients = [x for x in self.clients if only is None or x.name in only]
        for client in self.clients:
            client.start()

    def all_progress(self, seconds=None):
        """Waits until every client has got somewhere since now; the seconds it took, or None."""
        began, marks = time.monotonic(), [c.progress for c in self.clients]
        seconds, slowest = seconds or self.world.limit, None
        while late := [c.name for c, mark in zip(self.clients, marks) if c.progress == mark]:
            if not self.alive():
                self.world.anomaly("died", f"exit code {self.broker.process.returncode}: {self.broker.new_log()[-1500:]}")
            if self.world.found:
                return None
            if time.monotonic() - began > seconds:
                self.world.anomaly("stuck", f"no progress in {seconds} s: {', '.join(late)}")
                return None
            slowest = late[-1]
            time.sleep(0.005)
        if slowest:
            self.figures.slowest[slowest] = self.figures.slowest.get(slowest, 0) + 1
        return time.monotonic() - began

    def quiesce(self):
        """No new work; what is under way is finished, then the clients end."""
        self.world.stop.set()
        for client in self.clients:
            client.join(self.world.limit + 10)
            if client.is_alive():
                self.world.anomaly("stuck", f"{client.name} does not end")

    # --- the rounds

    def fault(self, kind):
        """One fault; True when the broker serves again."""
        last = self.figures.restarts[-1] if self.figures.restarts else 0.05
        if kind == "stop and continue":
            self.broker.process.send_signal(signal.SIGSTOP)
            time.sleep(self.rng.choice((0.05, 0.3, 1.5)) * self.rng.random() * 1.5)
            self.broker.process.send_signal(signal.SIGCONT)
            return self.serves()
        if not self.end(signal.SIGTERM if kind == "terminate" else signal.SIGKILL):
            return False
        if kind == "kill during recovery":
            for _ in range(self.rng.randrange(1, 4)):
                self.broker.spawn()
                time.sleep(self.rng.random() * last * 1.2)
                if not self.end(signal.SIGKILL):
                    return False
        return self.start()

    def round(self):
        time.sleep(self.rng.choice((0.05, 0.3, 0.8)) * self.rng.random())
        if self.rng.random() < 0.2:
            for client in self.clients:
                client.reopen = True
        kind = self.rng.choices(list(FAULTS), list(FAULTS.values()))[0]
        if not self.fault(kind):
            return False
        took = self.all_progress()
        if took is None:
            return False
        self.figures.again.append(took)
        self.figures.faults[kind] += 1
        self.figures.rounds += 1
        return True

    def live(self, rounds):
        if not self.start(timed=False):
            return False
        self.begin()
        if self.all_progress() is not None:
            for _ in range(rounds):
                if not self.round() or self.world.found:
                    break
        if not self.alive():
            self.world.over, self.world.limit = True, 1
            self.world.hold.set()
        self.quiesce()
        if self.alive():
            check(self.world, ("group", "group-python"))
            # What was checked must be there once more after a last kill.
            if self.end(signal.SIGKILL) and self.start():
                check(self.world, ("group", "group-python"))
                self.end(signal.SIGTERM)
        self.figures.records += sum(len(acked) for acked in self.world.acked.values())
        return not self.world.found
