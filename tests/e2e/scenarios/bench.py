"""The programs that measure: what they say they did is what the broker has."""
import json
import subprocess

from harness import BUILD, scenario
from raw import *

LOAD = BUILD.parent / "dev/tests/bench/load"


def load(broker, count, *args, ok=True):
    """By a count, not by the clock: what a slow disk answers in some tenths of a second may be nothing at all."""
    argv = [str(LOAD), "--broker", broker.bootstrap, "--pid", str(broker.process.pid), "--count", str(count), *args]
    p = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert p.returncode == (0 if ok else 1), f"{argv}: exit {p.returncode}: {p.stdout[-500:]}{p.stderr[-500:]}"
    return json.loads(p.stdout)


@scenario()
def the_load_generator_counts_what_the_broker_has(t):
    broker = t.broker
    with broker.connect() as c:
        assert c.create_topic(t.name, 3) == 0
        bulk, produced = load(broker, 60, "produce", "--topic", t.name, "--rate", "200", "-d", "5", "--records", "70", "--size", "1000", "--codec", "lz4",
                              "+", "produce", "--topic", t.name, "-c", "4", "-d", "5", "--partitions", "3", "--rotate", "--acks", "all")["flows"]
        ends = [c.list_offset(t.name, p)[1] for p in range(3)]
        assert sum(ends) == produced["acknowledged"] + bulk["acknowledged"], "every acknowledged record, and none more"
        assert bulk["acknowledged"] % 70 == 0 and bulk["answers"] > 0
        assert produced["acknowledged"] >= produced["answers"] == produced["latency_us"]["n"] and produced["errors"] == {}
        stored = [records_of(one) for one in c.read_all(t.name, 2)]  # the rotation's share of it: one record a batch
        assert len(stored) == ends[2] > 0 and all(len(records[0][2]) == 100 for records in stored)

        once = load(broker, 10, "fetch", "--topic", t.name, "--max-bytes", "1")["flows"][0]
        assert once["answers"] == 9 and once["MB"] > 0 and once["empty"] == 0, "a tenth is not measured"


@scenario()
def the_load_generator_sees_its_own_stamps_and_all_kinds_of_answers(t):
    broker = t.broker
    with broker.connect() as c:
        assert c.create_topic(t.name, 1) == 0
        c.coordinator_ready("g-000001")
        for _ in range(10):  # a disk that stands still before the measured part leaves none that was due in it
            sent, tail = load(broker, 90, "produce", "--topic", t.name, "--rate", "300", "-d", "5", "--stamp", "+", "tail", "--topic", t.name)["flows"]
            assert tail["age_us"]["n"] == sent["stamped"] and tail["errors"] == {}, f"each record that was due is seen, once: {sent} {tail}"
            if sent["stamped"] > 0:
                break
        assert sent["stamped"] > 0
        for flow in (["api-versions", "-c", "4", "-d", "8"], ["metadata", "--topic", t.name], ["commit", "--topic", t.name, "--groups", "3"],
                     ["produce", "--topic", t.name, "-c", "20", "--total", "7"]):
            out = load(broker, 200, *flow)
            assert out["flows"][0]["answers"] > 0 and out["flows"][0]["errors"] == {}, out
            assert out["broker_cpu_s"] > 0 and out["broker_rss_kb"] > 0, out
        out = load(broker, 10, "produce", "--topic", f"{t.name}-no-such", "--records", "2", ok=False)
        assert list(out["flows"][0]["errors"]) == [str(UNKNOWN_TOPIC_OR_PARTITION)] and out["flows"][0]["acknowledged"] == 0, out
    out = json.loads(subprocess.run([str(LOAD), "--broker", broker.bootstrap, "idle", "-c", "100", "--hold", "0"], capture_output=True,
                                    check=True).stdout)
    assert out["connections"] == 100 and out["per_s"] > 0


@scenario(target="odradek")
def the_load_generator_times_a_start(t):
    broker = t.new_broker(start=False)
    broker.start()
    with broker.connect() as c:
        assert c.create_topic("here", 3) == 0
    broker.stop()

    def start(*topic):
        argv = [str(LOAD), "--broker", broker.bootstrap, "start", "--partitions", "3", *topic, "--", *broker.command, str(broker.file)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60)
    out = json.loads(start("--topic", "here").stdout)
    assert 0 < out["answers_ms"] <= out["serves_ms"] and out["rss_kb"] > 0
    broker.properties["log.dirs"] = "/dev/null/nowhere"
    broker.write_properties()
    failed = start()
    assert failed.returncode == 2 and "the broker ended" in failed.stderr, failed.stderr
