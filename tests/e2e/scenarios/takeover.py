"""One directory, two brokers: Odradek opens what Apache Kafka has made, and the reverse."""
from confluent_kafka import Consumer, Producer, TopicPartition

from harness import scenario
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
