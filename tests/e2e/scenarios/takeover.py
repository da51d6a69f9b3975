"""One directory, two brokers: Odradek opens what Apache Kafka has made, and the reverse."""
import fcntl
import json
import re
import shutil

from harness import run_client, scenario
from raw import *
from scenarios.zz_evening import found_clean, inventory


def check(t, *what, code=0):
    """What `odradek check` says."""
    out = run_client([t.run.command[0], "check", *what], ok=False)
    assert out.code == code, out
    return out


@scenario(target="odradek")
def an_identity_is_adopted_where_it_is_open_and_a_contradiction_is_an_error(t):
    broker = t.new_broker(start=False, properties={"node.id": 7, "odradek.cluster.id": "ours-ours-ours-ours-01"})
    broker.start()
    broker.stop()
    told = "belongs to       node 7 of cluster ours-ours-ours-ours-01"
    assert told in check(t, broker.data)
    for properties, reason in (({"node.id": 8}, "belongs to node 7, but the configuration says 8"),
                               ({"odradek.cluster.id": "another-another-anoth0"}, "belongs to cluster ours-ours-ours-ours-01, but the configuration says another")):
        wrong = t.new_broker(start=False)
        wrong.properties.update({"log.dirs": broker.data, "node.id": 7, **properties})
        wrong.spawn()
        assert wrong.wait() == 65 and reason in wrong.new_log(), wrong.new_log()
        assert told in check(t, broker.data) and "stopped          clean" in check(t, broker.data), "nothing was touched"
        with open(broker.data / ".lock", "r+b") as lock:  # K1: as Java locks it
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for key in ("node.id", "odradek.cluster.id", "process.roles", "controller.quorum.bootstrap.servers"):
        del broker.properties[key]
    broker.start()
    with broker.connect() as c:
        c.metadata([])
        assert (c.nodes[0][0], c.controller, c.cluster_id) == (7, 7, "ours-ours-ours-ours-01")
    with open(broker.data / ".lock", "r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise AssertionError("another process can lock the directory of a running broker")
        except BlockingIOError:
            pass


@scenario(target="odradek")
def a_directory_of_zookeepers_time_goes_to_odradek_and_on_to_kafka(t):
    """K6."""
    broker, command = t.new_broker(), t.run.command
    with broker.connect() as c:
        assert c.create_topic("old", 3) == 0
        for i in range(30):
            assert c.produce("old", i % 3, batch([b"%d" % i]))[0] == 0
        c.commit("g", "old", 1, 4)
    before = inventory(broker)
    broker.stop()
    # As such a broker leaves it: the metadata was elsewhere, topics had no ids.
    shutil.rmtree(broker.data / "__cluster_metadata-0")
    for f in [broker.data / "bootstrap.checkpoint", *broker.data.glob("*/partition.metadata")]:
        f.unlink()
    (broker.data / ".kafka_cleanshutdown").write_text("")
    (broker.data / "meta.properties").write_text(f"version=0\nbroker.id=1\ncluster.id={before['cluster']}\n")
    out = check(t, broker.data)
    assert "Apache Kafka of ZooKeeper's time" in out or "(ZooKeeper's time)" in out, out
    assert "settings were kept in ZooKeeper and are not here" in out, out
    broker.start()
    assert len(re.findall("topics of ZooKeeper's time taken over; their settings were not in the directory", broker.new_log())) == 1, broker.new_log()
    now = inventory(broker)
    assert now["groups"] == before["groups"] and now["topics"]["old"][1] == before["topics"]["old"][1]
    broker.stop()
    broker.become("kafka", None)
    broker.start()
    found_clean(broker)
    assert inventory(broker) == now


@scenario(target="odradek")
def one_of_several_log_dirs_is_not_opened_without_the_one_with_the_metadata_log(t):
    broker = t.new_broker(start=False)
    dirs = [broker.directory / name for name in ("d1", "d2", "d3")]
    broker.properties["log.dirs"] = f"{dirs[0]},{dirs[1]}"
    broker.start()
    with broker.connect() as c:
        assert c.create_topic("t", 4) == 0
        for p in range(4):
            assert c.produce("t", p, batch([b"x"]))[0] == 0
    before = inventory(broker)
    broker.stop()
    broker.properties["log.dirs"] = str(dirs[1])
    assert broker.spawn().wait() == 65
    assert "is in none of log.dirs: name all of that node's log directories" in broker.new_log(), broker.new_log()
    assert "Name all of log.dirs" in check(t, dirs[1], code=65)
    broker.properties["log.dirs"] = ",".join(map(str, reversed(dirs)))  # and a new one is welcome
    broker.start()
    assert inventory(broker) == before


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
    """K4, K7, J14. Kafka starts beside our files, and raises the quorum epoch at every start, before it touches a partition: a journal of an earlier epoch is disowned."""
    for end, reason in (("stop", "a clean stop came after it"), ("kill", "led the quorum since")):
        broker, n = crashed_with_a_journal(t)
        epoch = quorum_epoch(broker)
        kafka_writes(broker, n)
        assert quorum_epoch(broker) > epoch, "Kafka begins a quorum epoch at its start"
        getattr(broker, end)()
        odradek_finds_all(broker, t.run.command, n, reason)


@scenario(target="odradek")
def after_a_kill_check_repair_makes_the_directory_kafkas(t):
    broker, n = crashed_with_a_journal(t)
    out = check(t, "--repair", broker.data)
    assert not list(broker.data.glob("odradek.journal*")), out
    kafka_writes(broker, n)
    found_clean(broker)


@scenario(target="odradek")
def what_a_killed_kafka_had_not_touched_survives_the_next_kafkas_retention(t):
    """K3. Killed, Kafka leaves the indexes of segments as it allocated them, full of zeroes; where a clean marker vouches for them, it reads 1970 there."""
    broker, command = t.new_broker(), t.run.command
    with broker.connect() as c:
        for topic in ("quiet", "aged"):
            assert c.create_topic(topic, 2) == 0
            assert c.produce(topic, 0, batch([b"precious"]))[0] == 0
    broker.stop()
    broker.become("kafka", None)
    broker.start()
    broker.kill()
    broker.become("odradek", command)
    broker.start()
    broker.stop()
    assert not [f for f in broker.data.glob("*/*index") if f.stat().st_size > 100], "indexes are cut"
    broker.properties.update({"log.retention.check.interval.ms": 300, "log.initial.task.delay.ms": 300})
    broker.become("kafka", None)
    broker.start()
    found_clean(broker)
    with broker.connect() as c:
        t.tools.run("kafka-configs", "--bootstrap-server", broker.bootstrap, "--alter", "--entity-type", "topics", "--entity-name", "aged", "--add-config", "retention.ms=1")
        until(lambda: c.list_offset("aged", 0, -2) == (0, 1), "retention to run")
        assert c.list_offset("quiet", 0, -2) == (0, 0), "the record was deleted as one of 1970"
        assert [v for one in c.read_all("quiet", 0) for _, _, v, _ in records_of(one)] == [b"precious"]


# --- growing -------------------------------------------------------------------------------------------------------------

@scenario(target="odradek")
def a_grown_directory_has_two_replicas_in_sync_and_comes_back_with_a_warning(t):
    """K2, K5: docs/growing.md, and the way back in the wrong order: broker 2 has led last."""
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


# --- older releases ------------------------------------------------------------------------------------------------------

# The newest version of a metadata record that a Kafka of this metadata.version reads; records without a row: 0 (Kafka's MetadataVersion).
RECORD_VERSIONS = {
    "REGISTER_BROKER_RECORD": ((7, 1), (8, 2), (17, 3), (30, 4)),
    "PARTITION_RECORD": ((7, 0), (17, 1), (23, 2)),
    "PARTITION_CHANGE_RECORD": ((7, 0), (17, 1), (23, 2)),
    "BROKER_REGISTRATION_CHANGE_RECORD": ((7, 1), (17, 2), (30, 3)),
}
SINCE = {"BEGIN_TRANSACTION_RECORD": 13, "END_TRANSACTION_RECORD": 13, "ABORT_TRANSACTION_RECORD": 13}


def metadata_records(t, broker):
    """Every record of log and snapshots, as Kafka prints it: {"type", "version", "data"}."""
    files = sorted(f for f in (broker.data / "__cluster_metadata-0").glob("*.*") if f.suffix in (".log", ".checkpoint"))
    out = t.tools.run("kafka-dump-log", "--cluster-metadata-decoder", "--files", ",".join(map(str, files)))
    assert not re.search(r"Could not|Failed", out + out.err), out.err
    return [json.loads(payload) for payload in re.findall(r"payload: (\{\"type\".*\})$", out, re.M)]


@scenario(target="odradek")
def directories_of_releases_from_3_3_on_keep_their_level_and_go_back(t):
    """K2, K12."""
    for release, level in (("3.3-IV3", 7), ("3.5-IV2", 11), ("3.7-IV4", 19), ("4.0-IV3", 25)):
        broker, command = t.new_broker("kafka", start=False), t.run.command
        broker.properties["controller.quorum.voters"] = "1@" + broker.properties.pop("controller.quorum.bootstrap.servers")
        broker.properties["metadata.log.max.record.bytes.between.snapshots"] = 3000
        broker.file.write_text("".join(f"{k}={v}\n" for k, v in broker.properties.items()))
        t.tools.run("kafka-storage", "format", "-t", "ODRADEK-e2e-clusterid0", "-c", broker.file, "--release-version", release)
        if level == 7:
            broker.start()
            with broker.connect() as c:
                assert c.create_topic("by-kafka", 2, {"retention.ms": "12345678"}) == 0
                assert c.produce("by-kafka", 1, batch([b"by Kafka"]))[0] == 0
            broker.stop()
        broker.become("odradek", command)
        broker.start()
        with broker.connect() as c:
            for i in range(12):
                assert c.create_topic(f"t{i}", 3, {"cleanup.policy": "compact"}) == 0
                assert c.produce(f"t{i}", 0, batch([b""], records=record(0, b"by Odradek", key=b"k")))[0] == 0
            c.commit("g", "t0", 0, 1)
            pid = c.init_producer_id()[0]
        t.tools.run("kafka-topics", "--bootstrap-server", broker.bootstrap, "--delete", "--topic", "t11")
        before = inventory(broker)
        broker.kill()
        broker.start()
        assert inventory(broker) == before
        broker.stop()
        assert list((broker.data / "__cluster_metadata-0").glob("*[1-9]-*.checkpoint")), "a snapshot of Odradek's"

        records = metadata_records(t, broker)
        assert {"REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", "CONFIG_RECORD", "PRODUCER_IDS_RECORD"} <= {r["type"] for r in records}
        for r in records:
            newest = max((v for since, v in RECORD_VERSIONS.get(r["type"], ((0, 0),)) if since <= level), default=0)
            assert r["version"] <= newest and SINCE.get(r["type"], 0) <= level, f"{release} does not read {r}"
            if r["type"] == "FEATURE_LEVEL_RECORD" and r["data"]["name"] == "metadata.version":
                assert r["data"]["featureLevel"] == level, r
        out, voters = check(t, broker.data), ", with controller.quorum.voters" if level < 21 else ""  # from 3.9 on kraft.version 1 was begun (K2)
        assert f"metadata.version {level} ({release})\n" in out and f"Apache Kafka     {release[:3]} and later{voters}\n" in out, out
        if level not in (7, 25):  # the versions of the records say it; a JVM costs seconds
            continue
        broker.become("kafka", None)
        broker.start()
        found_clean(broker)
        now = inventory(broker)
        assert now == before, f"{release}: was {before}, Kafka has {now}"
        with broker.connect() as c:
            assert c.init_producer_id()[0] > pid
        out = t.tools.run("kafka-features", "--bootstrap-server", broker.bootstrap, "describe")
        assert re.search(rf"Feature: metadata.version\s.*FinalizedVersionLevel: {release}\s", out), out
        broker.stop()
