"""librdkafka by confluent-kafka, to the contract of payload.py."""
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import payload

bootstrap, topic, group = sys.argv[1:]
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]


def fail(error, _):
    if error:
        raise KafkaException(error)


for codec in codecs:
    for acks in (0, 1, "all"):
        p = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "acks": acks, "linger.ms": 5,
                      "partitioner": "murmur2_random", "enable.idempotence": acks == "all", "batch.num.messages": 7})
        for key, value, headers in payload.records(codec, acks):
            p.produce(topic, value, key, headers=headers, on_delivery=fail)
        assert p.flush(30) == 0, "not all delivered"


def drain(c, how):
    for _ in range(len(codecs) * 3 * payload.COUNT):
        m = c.poll(20)
        assert m is not None, "nothing for 20 s"
        if m.error():
            raise KafkaException(m.error())
        payload.report(how, m.partition(), m.offset(), m.key(), m.value(), m.headers())


settings = {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "check.crcs": True}
c = Consumer(settings)
c.assign([TopicPartition(topic, p, 0) for p in c.list_topics(topic).topics[topic].partitions])
drain(c, "offset")
c.close()
c = Consumer(settings)
c.subscribe([topic])
drain(c, "group")
c.commit(asynchronous=False)
c.close()
