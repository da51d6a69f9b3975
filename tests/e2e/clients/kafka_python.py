"""A day with kafka-python, any version from 1.4.6: run with its directory as PYTHONPATH.

  kafka_python.py roundtrip BOOTSTRAP TOPIC GROUP   the contract of payload.py
  kafka_python.py share BOOTSTRAP TOPIC GROUP       two consumers in a group, one leaves
  kafka_python.py versions BOOTSTRAP TOPIC GROUP    as if the broker were of years ago: old versions of every request
  kafka_python.py admin BOOTSTRAP TOPIC GROUP       topics, configs and groups by the admin client
"""
import sys
import threading
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

import payload

VERSION = tuple(int(n) for n in kafka.__version__.split(".")[:2])
mode, bootstrap, topic, group = sys.argv[1:]
PATIENT_MS = 10000  # records end a poll before; one that ends while a slow disk keeps SyncGroup waiting makes 3.0.12 spin for ever


def consumer(**settings):
    return KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", **settings)


def drain(c, how, n):
    deadline = time.time() + 40
    while n and time.time() < deadline:
        for records in c.poll(timeout_ms=PATIENT_MS).values():
            for r in records:
                n -= 1
                payload.report(how, r.partition, r.offset, r.key, r.value, r.headers)


def roundtrip():
    codecs = [None, "gzip", "snappy", "lz4"] + (["zstd"] if VERSION >= (2, 0) else [])
    for codec in codecs:
        for acks in (0, 1, "all"):
            p = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks=acks, linger_ms=5, batch_size=2000)
            for key, value, headers in payload.records(codec, acks):
                p.send(topic, key=key, value=value, headers=headers)
            p.flush(30)
            p.close()
    total = len(codecs) * 3 * payload.COUNT
    c = consumer()
    c.topics()  # fetches what partitions_for_topic() only looks up
    c.assign([TopicPartition(topic, i) for i in sorted(c.partitions_for_topic(topic))])
    c.seek_to_beginning()
    drain(c, "offset", total)
    c.close()
    c = consumer(group_id=group, enable_auto_commit=False)
    c.subscribe([topic])
    drain(c, "group", total)
    c.commit()
    c.close()
    # A second life of the group starts where the first one committed.
    p = KafkaProducer(bootstrap_servers=bootstrap)
    p.send(topic, value=b"behind the commit").get(30)
    p.close()
    c = consumer(group_id=group)
    c.subscribe([topic])
    seen, deadline = [], time.time() + 40
    while not seen and time.time() < deadline:
        seen += [r.value for records in c.poll(timeout_ms=PATIENT_MS).values() for r in records]
    assert seen == [b"behind the commit"], "%d records, not the one" % len(seen)
    c.close()


class Member(threading.Thread):
    """A consumer in its own thread, as an application has it: old versions block in poll() until a rebalance is over."""

    def __init__(self, got):
        super().__init__(daemon=True)
        self.consumer = consumer(group_id=group, session_timeout_ms=10000, heartbeat_interval_ms=500)
        self.consumer.subscribe([topic])
        self.got, self.owned, self.leave = got, set(), threading.Event()
        self.start()

    def run(self):
        while not self.leave.is_set():
            for records in self.consumer.poll(timeout_ms=1000).values():
                self.got.extend((r.partition, r.offset) for r in records)
            self.owned = {tp.partition for tp in self.consumer.assignment()}
        self.consumer.close()  # commits and leaves
        self.owned = set()


def share():
    got, parts = [], {0, 1, 2, 3}
    a, b = Member(got), Member(got)
    p = KafkaProducer(bootstrap_servers=bootstrap)

    def until(so):
        deadline = time.time() + 40
        while not so():
            assert time.time() < deadline, "a has %s, b has %s, %d records" % (a.owned, b.owned, len(got))
            time.sleep(0.05)

    def send_40():
        for i in range(40):
            p.send(topic, value=b"%d" % i, partition=i % 4)
        p.flush()

    until(lambda: len(a.owned) == len(b.owned) == 2 and a.owned | b.owned == parts)
    send_40()
    until(lambda: len(got) >= 40)
    b.leave.set()
    until(lambda: a.owned == parts)
    send_40()
    until(lambda: len(got) >= 80)
    a.leave.set()
    for member in (a, b):
        member.join(20)
    assert len(got) == len(set(got)) == 80, "a record came twice"
    p.close()


def versions():
    for version in (1, 0), (1, 1), (2, 0), (2, 1), (2, 3), (2, 5):
        name = "%s-%d.%d" % ((topic,) + version)
        p = KafkaProducer(bootstrap_servers=bootstrap, api_version=version)
        for i in range(10):
            p.send(name, key=b"k%d" % i, value=b"v%d" % i, timestamp_ms=1000000 + i).get(10)
        p.close()
        c = consumer(group_id=group + name, api_version=version, enable_auto_commit=False)
        c.subscribe([name])
        got, deadline = [], time.time() + 20
        while len(got) < 10 and time.time() < deadline:
            got += [r.value for records in c.poll(timeout_ms=300).values() for r in records]
        assert got == [b"v%d" % i for i in range(10)], "as %s: %s" % (version, got)
        tp = TopicPartition(name, 0)
        assert c.beginning_offsets([tp]) == {tp: 0} and c.end_offsets([tp]) == {tp: 10}
        assert c.offsets_for_times({tp: 1000005})[tp].offset == 5
        c.commit()
        assert c.committed(tp) == 10
        c.close()


def admin():
    a = KafkaAdminClient(bootstrap_servers=bootstrap)
    a.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "86400000"})])
    try:
        a.create_topics([NewTopic(topic, 2, 1)])
        raise AssertionError("created twice")
    except TopicAlreadyExistsError:
        pass
    p = KafkaProducer(bootstrap_servers=bootstrap)
    for i in range(10):
        p.send(topic, value=b"%d" % i, partition=i % 2).get(10)
    p.close()
    a.create_partitions({topic: NewPartitions(3)})
    c = consumer(group_id=group, enable_auto_commit=False)
    c.subscribe([topic])
    deadline = time.time() + 30
    while len(c.assignment()) < 3 and time.time() < deadline:
        c.poll(timeout_ms=200)
    c.commit({tp: kafka.OffsetAndMetadata(*([5, "", -1] if VERSION >= (2, 1) else [5, ""])) for tp in c.assignment()})
    assert c.partitions_for_topic(topic) == {0, 1, 2}
    assert c.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)] == 5
    c.close()

    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    assert "86400000" in str(a.describe_configs([resource]))
    a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "3600000"})])
    assert "3600000" in str(a.describe_configs([resource]))
    assert group in str(a.list_consumer_groups() if VERSION < (3, 0) else a.list_groups())
    described = a.describe_consumer_groups([group]) if VERSION < (3, 0) else a.describe_groups([group])
    assert "Empty" in str(described), described
    if VERSION < (3, 0):
        offsets = a.list_consumer_group_offsets(group)
    else:
        offsets = a.list_group_offsets([group])[group]
    assert sorted(tp.partition for tp in offsets) == [0, 1, 2] and "offset=5" in str(offsets), offsets
    if VERSION >= (2, 0):
        (a.delete_consumer_groups if VERSION < (3, 0) else a.delete_groups)([group])
    a.delete_topics([topic])
    try:
        a.delete_topics([topic])
        raise AssertionError("deleted twice")
    except UnknownTopicOrPartitionError:
        pass
    a.close()


{"roundtrip": roundtrip, "share": share, "versions": versions, "admin": admin}[mode]()
