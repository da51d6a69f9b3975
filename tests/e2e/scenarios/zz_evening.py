"""After the day: what the scenarios left in the shared broker survives restarts, a kill, and a change of broker."""
import hashlib
import re

from harness import scenario
from raw import *

LEFT = {}  # what the shared broker held before it was stopped


def inventory(broker):
    """Everything a client can see that must last: topics with ids, configs and every byte of every batch, groups' positions."""
    with broker.connect() as c:
        names = sorted(name for name in c.metadata() if not name.startswith("__"))
        topics = c.metadata(names)
        out = {"cluster": c.cluster_id, "configs": c.topic_configs(names), "topics": {}, "groups": {}}
        for name in names:
            error, topic_id, parts = topics[name]
            assert error == 0, f"{name}: {error}"
            held = []
            for partition, error, leader in parts:
                assert error == 0 and leader == c.nodes[0][0], f"{name}-{partition}: error {error}, leader {leader}"
                digest = hashlib.sha256()
                for one in c.read_all(name, partition):
                    digest.update(one)
                held.append((c.list_offset(name, partition, -2), c.list_offset(name, partition, -1), digest.hexdigest()))
            out["topics"][name] = topic_id, held
        for group, _ in c.groups():
            if positions := c.offsets(group):
                out["groups"][group] = positions
    return out


def leave_something(t):
    """A topic and a group of the scenario's own, so that it has something to find where no other has run; and the inventory."""
    with t.broker.connect() as c:
        assert c.create_topic(t.name, 2, {"retention.ms": "-1"}) == 0
        for i in range(10):
            assert c.produce(t.name, i % 2, batch([b"left behind %d" % i]))[0] == 0
        c.commit(t.name + "-g", t.name, 1, 3)
    LEFT.update(inventory(t.broker))


def stands(broker):
    """Compares with what was there; says what differs, not everything."""
    now = inventory(broker)
    for what in ("topics", "groups", "configs"):
        before, after = LEFT[what], now[what]
        assert before.keys() == after.keys(), f"{what}: {before.keys() ^ after.keys()}"
        for name in before:
            assert before[name] == after[name], f"{what}: {name}: was {before[name]}, is {after[name]}"
    assert now["cluster"] == LEFT["cluster"]


def found_clean(kafka):
    """Kafka took the directory over as one that a Kafka left in good order (K3, K6, K8)."""
    complaints = [line for line in kafka.new_log().splitlines() if re.search(r"clean shutdown file|[Uu]nclean|[Ss]tray|corrupt|truncat", line)]
    assert not complaints, complaints[:3]
    assert not list(kafka.data.glob("*-stray")), "stray partitions"


@scenario(phase="evening")
def everything_stands_after_a_clean_restart(t):
    leave_something(t)
    t.broker.stop()
    t.broker.start()
    stands(t.broker)


@scenario(phase="evening")
def everything_stands_after_a_kill(t):
    leave_something(t)
    for _ in range(2):
        t.broker.kill()
        t.broker.start()
        stands(t.broker)


@scenario(phase="evening")
def kafka_dump_log_finds_every_segment_and_index_valid(t):
    leave_something(t)
    t.broker.stop()
    try:
        files = sorted(t.broker.data.glob("*-*/*.log"))
        plain = [f for f in files if not f.parent.name.startswith("__")]
        records = 0
        for decoder, some in (("--print-data-log", plain),
                              ("--offsets-decoder", [f for f in files if f.parent.name.startswith("__consumer_offsets")]),
                              ("--cluster-metadata-decoder", [f for f in files if f.parent.name.startswith("__cluster_metadata")])):
            assert some, f"no segment for {decoder}"
            out = t.tools.run("kafka-dump-log", "--files", ",".join(map(str, some)), decoder, "--deep-iteration", timeout=300)
            headers = [line for line in out.splitlines() if line.startswith("baseOffset:")]
            bad = [line for line in headers if "isvalid: true" not in line]
            assert headers and not bad, f"{decoder}: {len(bad)} of {len(headers)} batches are not valid: {bad[:2]}"
            assert not re.search(r"Found|Mismatch|corrupt|Could not", out + out.err), re.findall(r".*(?:Found|Mismatch|corrupt|Could not).*", out + out.err)[:5]
            if decoder == "--print-data-log":
                records = len(re.findall(r"^\| offset: ", out, re.M))
        held = sum(end[1] - start[1] for _, parts in LEFT["topics"].values() for start, end, _ in parts)
        assert records >= held, f"{records} records in the files, {held} to be read"
        indexes = [f for f in t.broker.data.glob("*-*/*.*index") if f.suffix in (".index", ".timeindex") and f.stat().st_size]
        if indexes:
            out = t.tools.run("kafka-dump-log", "--files", ",".join(map(str, indexes)), "--index-sanity-check", timeout=300)
            assert out.count("passed sanity check") == len(indexes), out[-2000:]
            out = t.tools.run("kafka-dump-log", "--files", ",".join(map(str, indexes)), "--verify-index-only", timeout=300)
            assert not re.search(r"Mismatches|timestamp mismatch|out of order", out + out.err), (out + out.err)[-2000:]
    finally:
        t.broker.start()


@scenario(phase="evening", target="odradek")
def apache_kafka_takes_the_directory_over_and_gives_it_back(t):
    broker, command = t.broker, t.broker.command
    leave_something(t)
    broker.stop()
    try:
        broker.become("kafka", None)
        broker.start()
        stands(broker)
        found_clean(broker)
        with broker.connect() as c:
            assert c.produce(t.name, 0, batch([b"written by Kafka"]))[0] == 0
            assert c.create_topic("made-by-kafka", 2) == 0
            assert c.produce("made-by-kafka", 1, batch([b"written by Kafka"]))[0] == 0
        LEFT.update(inventory(broker))
        broker.stop()
    finally:
        broker.end()
        broker.become("odradek", command)
        broker.start()
    stands(broker)
    with broker.connect() as c:
        assert c.produce("made-by-kafka", 0, batch([b"written by Odradek"]))[:2] == (0, 0)
