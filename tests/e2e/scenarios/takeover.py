"""One directory, two brokers: Odradek opens what Apache Kafka has made, and the reverse."""
import json
import re

from confluent_kafka import Consumer, Producer, TopicPartition

from harness import run_client, scenario
from raw import *
from scenarios.zz_evening import found_clean, inventory


def same(before, after):
    for what in before:
        assert before[what] == after[what], f"{what}: Kafka had {before[what]}, Odradek has {after[what]}"


def committed_values(broker, topic):
    c = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "x", "isolation.level": "read_committed", "enable.partition.eof": True,
                  "enable.auto.commit": False})
    c.assign([TopicPartition(topic, 0, 0)])
    values = []
    while not (m := c.poll(20)).error():
        values.append(m.value())
    c.close()
    return values


@scenario(target="odradek")
def odradek_opens_what_apache_kafka_made_and_kafka_opens_it_again(t):
    broker = t.new_broker("kafka", properties={"log.segment.bytes": 1048576, "log.index.interval.bytes": 512})
    command = t.run.command
    with broker.connect() as c:
        for topic, configs in (("plain", {}), ("tidy", {"cleanup.policy": "compact", "compression.type": "zstd"}), ("txn", {}), ("gone", {})):
            assert c.create_topic(topic, 2, configs) == 0
        for i in range(30):
            for topic in ("plain", "tidy"):
                records = b"".join(record(k, b"x" * 3000, key=b"key %d" % (i * 20 + k)) for k in range(20))
                assert c.produce(topic, i % 2, batch([b""] * 20, records=records))[0] == 0
        pid, epoch = c.init_producer_id()
        assert c.produce("plain", 0, batch([b"once"], pid=pid, epoch=epoch, sequence=0))[0] == 0
    p = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": "t1", "log_level": 0})
    p.init_transactions(30)
    for i in range(6):
        p.begin_transaction()
        p.produce("txn", b"%d" % i, partition=0)
        (p.abort_transaction if i % 2 else p.commit_transaction)(30)
    g = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    g.subscribe(["plain"])
    assert g.poll(30)
    g.commit(asynchronous=False)
    g.close()
    t.tools.run("kafka-topics", "--bootstrap-server", broker.bootstrap, "--delete", "--topic", "gone")
    before, values = inventory(broker), committed_values(broker, "txn")
    assert values == [b"0", b"2", b"4"]

    # While Kafka lives there, Odradek is kept out.
    intruder = t.new_broker("odradek", start=False)
    intruder.command, intruder.properties["log.dirs"] = command, broker.data
    intruder.spawn()
    assert intruder.wait() > 0, "two brokers in one directory"

    broker.stop()
    broker.become("odradek", command)
    broker.start()
    same(before, inventory(broker))
    assert committed_values(broker, "txn") == values
    with broker.connect() as c:
        again = batch([b"once"], pid=pid, epoch=epoch, sequence=0)
        assert c.produce("plain", 0, again)[:2] == (0, 300), "Kafka's producers are remembered"
        assert c.init_producer_id()[0] > pid, "a producer id of Kafka's day is handed out again"
        again = batch([b"by Odradek"], pid=pid, epoch=epoch, sequence=1)
        assert c.produce("plain", 0, again)[:2] == (0, 301)
        assert c.create_topic("new", 2) == 0
        assert c.produce("new", 0, batch([b"by Odradek"]))[0] == 0
        assert c.create_topic("gone") == 0
    after = inventory(broker)
    broker.stop()
    broker.become("kafka", None)
    broker.start()
    same(after, inventory(broker))
    assert committed_values(broker, "txn") == values
    with broker.connect() as c:
        assert c.produce("plain", 0, again)[:2] == (0, 301), "Odradek's producers are remembered"
    found_clean(broker)


# --- after a crash (K4) --------------------------------------------------------------------------------------------------

PARTITIONS = 12


def crashed_with_a_journal(t):
    """An Odradek that was killed with a live commit journal; and how many records each partition of "t" has."""
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t", PARTITIONS) == 0
        for round_ in range(40):  # many partitions in one commit: that is what the journal is for
            for p in range(PARTITIONS):
                c.produce("t", p, batch([b"%d by Odradek" % round_]), wait=False)
            for _ in range(PARTITIONS):
                assert c.produce_answer(c.read_frame()[1])[0] == 0
    broker.kill()
    journal = broker.data / "odradek.journal"
    assert journal.exists() and any(journal.read_bytes()[:1 << 16]), "a journal with groups"
    return broker, 40


def quorum_epoch(broker):
    return json.loads((broker.data / "__cluster_metadata-0/quorum-state").read_text())["leaderEpoch"]


def kafka_writes(broker, n):
    broker.become("kafka", None)
    broker.start()
    with broker.connect() as c:
        for p in range(PARTITIONS):
            assert c.produce("t", p, batch([b"by Kafka"]))[:2] == (0, n)


def odradek_finds_all(broker, command, n, reason):
    """The journal is set aside with one line, and what Kafka wrote is there."""
    broker.become("odradek", command)
    broker.start()
    lines = [line for line in broker.new_log().splitlines() if "journal" in line]
    assert len(lines) == 1 and "commit journal set aside, not replayed" in lines[0] and reason in lines[0], lines
    assert (broker.data / "odradek.journal.stale").exists()
    with broker.connect() as c:
        for p in range(PARTITIONS):
            values = [v for one in c.read_all("t", p) for _, _, v, _ in records_of(one)]
            assert values == [b"%d by Odradek" % i for i in range(n)] + [b"by Kafka"], f"t-{p}: {values[-3:]}"
            assert c.produce("t", p, batch([b"again"]))[:2] == (0, n + 1)


@scenario(target="odradek")
def a_journal_from_before_kafka_wrote_is_set_aside_after_kafkas_clean_stop_and_after_its_kill(t):
    """K4, J14. Kafka raises the quorum epoch at every start, before it touches a partition: a journal of an earlier epoch is disowned."""
    for end, reason in (("stop", "a clean stop came after it"), ("kill", "another run led the quorum since")):
        broker, n = crashed_with_a_journal(t)
        epoch = quorum_epoch(broker)
        kafka_writes(broker, n)
        assert quorum_epoch(broker) > epoch, "Kafka begins a quorum epoch at its start"
        getattr(broker, end)()
        odradek_finds_all(broker, t.run.command, n, reason)


@scenario(target="odradek")
def after_a_kill_check_repair_makes_the_directory_kafkas(t):
    broker, n = crashed_with_a_journal(t)
    out = run_client([broker.command[0], "check", "--repair", broker.data])
    assert not list(broker.data.glob("odradek.journal*")), out
    kafka_writes(broker, n)
    found_clean(broker)


# --- growing -------------------------------------------------------------------------------------------------------------

@scenario(target="odradek")
def a_grown_directory_has_two_replicas_in_sync_and_comes_back_with_a_warning(t):
    """docs/growing.md, and the way back in the wrong order: broker 2 has led last."""
    broker, command = t.new_broker(), t.run.command
    with broker.connect() as c:
        assert c.create_topic("orders", 3) == 0
        for i in range(30):
            assert c.produce("orders", i % 3, batch([b"%d" % i]))[0] == 0
        c.commit("shop", "orders", 0, 5)
    broker.stop()
    broker.become("kafka", None)
    broker.properties["advertised.listeners"] = broker.properties["listeners"]
    broker.start()
    found_clean(broker)
    second = t.new_broker("kafka", start=False)
    controllers = broker.properties["controller.quorum.bootstrap.servers"]
    second.properties = {**{k: v for k, v in second.properties.items() if not k.startswith("controller.quorum")}, "process.roles": "broker", "node.id": 2,
                         "listeners": f"PLAINTEXT://localhost:{second.port}", "controller.quorum.bootstrap.servers": controllers}
    second.file.write_text("".join(f"{k}={v}\n" for k, v in second.properties.items()))
    t.tools.run("kafka-storage", "format", "-t", cluster_id(broker), "-c", second.file)
    second.spawn()

    def both():
        with broker.connect() as c:
            c.metadata([])
            return len(c.nodes) == 2
    until(both, "the second broker to join", seconds=60)
    plan = second.directory / "two.json"
    topics = {"orders": 3, "__consumer_offsets": 10}
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": p, "replicas": [1, 2]} for topic, n in topics.items() for p in range(n)]}))
    tool = lambda name, *args: t.tools.run(name, "--bootstrap-server", broker.bootstrap, *args)
    tool("kafka-reassign-partitions", "--reassignment-json-file", plan, "--execute")

    def in_sync():
        isr = re.findall(r"Isr: (\S*)", tool("kafka-topics", "--describe"))
        return len(isr) == 13 and all(sorted(one.split(",")) == ["1", "2"] for one in isr)
    until(in_sync, "both replicas of every partition to be in sync", seconds=60)
    before = inventory_of(broker)
    broker.stop()  # first the controller's node: broker 2 leads all, and nobody is left to tell it otherwise
    second.process.kill()
    second.process.wait()
    second.process = None

    broker.become("odradek", command)
    broker.start()
    warned = [line for line in broker.new_log().splitlines() if "in sync on other brokers only" in line]
    assert len(warned) == 1 and warned[0].startswith("warn ") and "count=13" in warned[0], broker.new_log()
    assert inventory_of(broker) == before


def cluster_id(broker):
    return re.search(r"cluster\.id=(\S+)", (broker.data / "meta.properties").read_text())[1]


def inventory_of(broker):
    with broker.connect() as c:
        return [[v for one in c.read_all("orders", p) for _, _, v, _ in records_of(one)] for p in range(3)], c.offsets("shop")
