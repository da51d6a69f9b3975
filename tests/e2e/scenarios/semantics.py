"""What topics and groups mean to a client, beyond bytes out and back."""
import gzip
import struct
import subprocess
import time

from confluent_kafka import Consumer, TopicPartition

from harness import scenario
from raw import *


def codec_of(one): return struct.unpack_from(">h", one, 21)[0] & 7


@scenario()
def a_topics_codec_wins_over_the_producers(t):
    with t.broker.connect() as c:
        for wanted, number in (("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4), ("uncompressed", 0)):
            topic = f"{t.name}-{wanted}"
            assert c.create_topic(topic, configs={"compression.type": wanted}) == 0
            plain = b"".join(record(i, b"value %d" % i * 9, b"key", [(b"h", b"1")]) for i in range(50))
            assert c.produce(topic, 0, batch([b""] * 50, records=plain))[:2] == (0, 0)
            assert c.produce(topic, 0, batch([b""] * 50, records=gzip.compress(plain), attributes=1))[:2] == (0, 50)
            stored = list(c.read_all(topic, 0))
            assert {codec_of(one) for one in stored} == {number}, f"{wanted}: {[codec_of(one) for one in stored]}"
            consumer = Consumer({"bootstrap.servers": t.broker.bootstrap, "group.id": "x", "check.crcs": True})
            consumer.assign([TopicPartition(topic, 0, 0)])
            for i in range(100):
                m = consumer.poll(20)
                assert (m.offset(), m.value(), m.key(), m.headers()) == (i, b"value %d" % (i % 50) * 9, b"key", [("h", b"1")]), m.error()
            consumer.close()


@scenario()
def log_append_time_is_the_brokers(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, configs={"message.timestamp.type": "LogAppendTime"}) == 0
        before = int(time.time() * 1000)
        error, base, appended, _ = c.produce(t.name, 0, batch([b"a", b"b"], timestamp=1000))
        assert error == 0 and before - 1000 <= appended <= int(time.time() * 1000) + 1000, appended
        (one,) = c.read_all(t.name, 0)
        assert struct.unpack_from(">h", one, 21)[0] & 8, "the batch does not say that the time is the broker's"
        assert struct.unpack_from(">q", one, 35)[0] == appended
        assert struct.unpack_from(">I", one, 17)[0] == crc32c(one[21:]), "the checksum covers the old time"
        assert c.list_offset(t.name, 0, before - 1000) == (0, 0)


@scenario()
def offsets_are_found_by_time(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        now = int(time.time() * 1000)
        for i in range(100):
            assert c.produce(t.name, 0, batch([b"%d" % i], timestamp=now - 100_000 + 1000 * i))[0] == 0
        for i in (0, 1, 50, 99):
            assert c.list_offset(t.name, 0, now - 100_000 + 1000 * i) == (0, i)
            assert c.list_offset(t.name, 0, now - 100_000 + 1000 * i - 1) == (0, i)
        assert c.list_offset(t.name, 0, now + 60_000) == (0, -1), "no record is so late"


@scenario()
def old_segments_go_when_the_topic_is_too_large(t):
    broker = t.new_broker(properties={"log.retention.check.interval.ms": 500, "log.segment.delete.delay.ms": 100, "log.initial.task.delay.ms": 500})
    with broker.connect() as c:
        assert c.create_topic("t", configs={"segment.bytes": "1048576", "retention.bytes": "2097152"}) == 0
        for i in range(60):
            assert c.produce("t", 0, batch([b"x" * 100_000], crc=None))[:2] == (0, i)
        until(lambda: 20 <= c.list_offset("t", 0, -2)[1] <= 40, "no more than retention.bytes to stay")
        assert c.fetch("t", 0, 0, max_wait=0)[0] == OFFSET_OUT_OF_RANGE
        until(lambda: len(list((broker.data / "t-0").glob("*.log"))) <= 4, "the files to go")
        start = c.list_offset("t", 0, -2)[1]
    broker.stop()
    broker.start()
    with broker.connect() as c:
        assert c.list_offset("t", 0, -2)[1] >= start
        assert c.list_offset("t", 0) == (0, 60)


@scenario()
def records_deleted_stay_deleted_over_restarts(t):
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t") == 0
        for i in range(10):
            assert c.produce("t", 0, batch([b"%d" % i]))[0] == 0
        r = c.call(21, 1, array([string("t") + array([i32(0) + i64(7)])]) + i32(10000))
        r.i32()
        assert r.array(lambda: (r.string(), r.array(lambda: (r.i32(), r.i64(), r.i16())))) == [("t", [(0, 7, 0)])]
        assert c.list_offset("t", 0, -2) == (0, 7)
    for end in (broker.kill, broker.stop):
        if end == broker.kill and broker.kind == "kafka":
            continue  # its checkpoint is written once a minute
        end()
        broker.start()
        with broker.connect() as c:
            assert c.list_offset("t", 0, -2) == (0, 7), f"after {end.__name__}"
            assert c.list_offset("t", 0) == (0, 10)


@scenario()
def a_topic_created_again_is_another_one(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        first = c.metadata([t.name])[t.name][1]
        assert c.produce(t.name, 0, batch([b"old"]))[0] == 0
        t.tool("kafka-topics", "--delete", "--topic", t.name)
        until(lambda: c.metadata([t.name])[t.name][0] == UNKNOWN_TOPIC_OR_PARTITION, "the topic to be gone")
        assert c.create_topic(t.name) == 0
        assert c.metadata([t.name])[t.name][1] != first
        assert c.list_offset(t.name, 0) == (0, 0)
        assert c.produce(t.name, 0, batch([b"new"]))[:2] == (0, 0)


class Member:
    def __init__(self, t, **settings):
        self.events = []
        self.consumer = Consumer({"bootstrap.servers": t.broker.bootstrap, "group.id": t.name + "-g", "auto.offset.reset": "earliest",
                                  "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "enable.auto.commit": False, **settings})
        self.consumer.subscribe([t.name], on_assign=lambda c, p: self.events.append(("+", {x.partition for x in p})),
                                on_revoke=lambda c, p: self.events.append(("-", {x.partition for x in p})))

    def owned(self): return {p.partition for p in self.consumer.assignment()}


def poll_until(so, what, *members):
    def look():
        for m in members:
            m.consumer.poll(0.05)
        return so()
    until(look, what, seconds=40, pause=0)


@scenario()
def cooperative_members_keep_what_they_need_not_give_up(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, 4) == 0
    a = Member(t, **{"partition.assignment.strategy": "cooperative-sticky"})
    poll_until(lambda: a.owned() == {0, 1, 2, 3}, "one member to own all", a)
    b = Member(t, **{"partition.assignment.strategy": "cooperative-sticky"})
    poll_until(lambda: len(a.owned()) == len(b.owned()) == 2, "two members to share", a, b)
    given = set().union(*(p for sign, p in a.events if sign == "-"))
    assert given == b.owned(), f"the first member gave up {given}, the second one owns {b.owned()}"
    b.consumer.close()
    poll_until(lambda: a.owned() == {0, 1, 2, 3}, "the first member to own all again", a)
    a.consumer.close()


@scenario()
def a_static_member_comes_back_to_its_partitions_without_a_rebalance(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, 4) == 0
    a, b = Member(t, **{"group.instance.id": "a"}), Member(t, **{"group.instance.id": "b"})
    poll_until(lambda: len(a.owned()) == len(b.owned()) == 2, "two members to share", a, b)
    before, seen = b.owned(), len(a.events)
    b.consumer.close()  # a static member does not say that it leaves
    b = Member(t, **{"group.instance.id": "b"})
    poll_until(lambda: b.owned() == before, "the same partitions", a, b)
    assert len(a.events) == seen, f"the other member was disturbed: {a.events[seen:]}"
    a.consumer.close()
    b.consumer.close()


@scenario()
def a_member_that_dies_loses_its_partitions_when_its_session_ends(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, 2) == 0
    a = Member(t)
    b = subprocess.Popen(["kcat", "-b", t.broker.bootstrap, "-X", "session.timeout.ms=6000", "-G", t.name + "-g", t.name],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        poll_until(lambda: len(a.owned()) == 1, "two members to share", a)
    finally:
        b.kill()
        b.wait()
    poll_until(lambda: a.owned() == {0, 1}, "the dead member's partition", a)
    a.consumer.close()


@scenario()
def groups_go_on_after_a_kill_of_the_broker(t):
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t", 2) == 0
        for i in range(20):
            assert c.produce("t", i % 2, batch([b"%d" % i]))[0] == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "session.timeout.ms": 45000, "log_level": 0, "reconnect.backoff.max.ms": 200})
    consumer.subscribe(["t"])
    seen = []

    def read(n):
        def look():
            m = consumer.poll(0.2)
            if m and not m.error():
                seen.append((m.partition(), m.offset()))
            return len(seen) >= n
        until(look, f"{n} records", seconds=60, pause=0)

    read(20)
    consumer.commit(asynchronous=False)
    broker.kill()
    broker.start()
    with broker.connect() as c:
        assert c.offsets("g") == {("t", 0): (10, ""), ("t", 1): (10, "")}
        for i in range(20):
            assert c.produce("t", i % 2, batch([b"%d" % i]))[0] == 0
    read(40)
    assert len(set(seen)) == 40 and len(seen) == 40, "a record twice"
    consumer.commit(asynchronous=False)
    consumer.close()


@scenario(target="odradek")
def an_auto_created_topic_has_its_leader_in_the_very_answer(t):
    with t.broker.connect() as c:
        error, topic_id, parts = c.metadata([t.name], create=True)[t.name]
        assert (error, parts) == (0, [(0, 0, c.nodes[0][0])]) and int(topic_id, 16), "Apache Kafka says: ask again"
        assert c.produce(t.name, 0, batch([b"a"]))[:2] == (0, 0)
