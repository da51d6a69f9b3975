"""Kafka's tools exactly as a user starts them: a JVM each. Few, for each costs seconds."""
import json
import signal
import subprocess
import time

from harness import TOP, run_client, scenario
from raw import batch, until

KAFKA = TOP / "scripts/e2e-kafka"


@scenario()
def a_user_creates_lists_and_describes_a_topic(t):
    where = ["--bootstrap-server", t.broker.bootstrap]
    assert f"Created topic {t.name}." in run_client([KAFKA, "kafka-topics", *where, "--create", "--topic", t.name])
    assert t.name in run_client([KAFKA, "kafka-topics", *where, "--list"]).splitlines()


@scenario()
def a_console_consumer_shows_what_is_produced_while_it_waits_and_leaves_at_ctrl_c(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        consumer = subprocess.Popen([KAFKA, "kafka-console-consumer", "--bootstrap-server", t.broker.bootstrap, "--topic", t.name,
                                     "--group", t.name + "-g", "--from-beginning"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            for word in ("first", "second", "third"):
                assert c.produce(t.name, 0, batch([word.encode()]))[0] == 0
                assert consumer.stdout.readline() == word + "\n"
            consumer.send_signal(signal.SIGINT)
            consumer.wait(30)
        finally:
            consumer.kill()
        until(lambda: c.offsets(t.name + "-g") == {(t.name, 0): (3, "")}, "the position it committed when it left")


@scenario()
def the_verifiable_producer_and_consumer_agree(t):
    where = ["--bootstrap-server", t.broker.bootstrap, "--topic", t.name]
    sent = run_client([KAFKA, "kafka-verifiable-producer", *where, "--max-messages", "500", "--acks", "-1"])
    sent = [json.loads(line) for line in sent.splitlines()]
    assert len([line for line in sent if line["name"] == "producer_send_success"]) == 500, sent[-3:]
    assert [line for line in sent if line["name"] == "tool_data"][0]["acked"] == 500
    got = run_client([KAFKA, "kafka-verifiable-consumer", *where, "--group-id", t.name, "--max-messages", "500", "--reset-policy", "earliest"])
    got = [json.loads(line) for line in got.splitlines()]
    assert sum(line["count"] for line in got if line["name"] == "records_consumed") == 500
    assert all(line["success"] for line in got if line["name"] == "offsets_committed")


@scenario()
def perf_tests_of_some_size_lose_nothing(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, 3) == 0
    for codec, acks in (("none", "1"), ("lz4", "all"), ("zstd", "all")):
        t.tools.run("kafka-producer-perf-test", "--topic", t.name, "--num-records", 20000, "--record-size", 300, "--throughput", -1,
                    "--bootstrap-server", t.broker.bootstrap, "--command-property", f"acks={acks}", "--command-property",
                    f"compression.type={codec}")
    began = time.monotonic()
    out = t.tool("kafka-consumer-perf-test", "--topic", t.name, "--num-records", 60000, "--timeout", 30000)
    numbers = out.splitlines()[1].split(", ")
    assert int(numbers[4]) == 60000, f"{out} after {time.monotonic() - began:.0f} s"
    with t.broker.connect() as c:
        assert sum(c.list_offset(t.name, p)[1] for p in range(3)) == 60000
