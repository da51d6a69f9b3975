"""The live clients: stock librdkafka and kafka-python, each in a thread of its own, going on through every restart."""
import contextlib
import logging
import random
import sys
import threading
import time
import traceback

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

import harness
from world import parse, payload

sys.path.insert(0, f"{harness.CACHE}/kafka-python-3.0.12")
import kafka  # noqa: E402

QUIET = logging.getLogger("librdkafka")  # what matters is told by callbacks
QUIET.disabled = True

# What a reader may be told while the broker is away.
CORRUPT = {KafkaError._BAD_MSG, KafkaError.INVALID_MSG, KafkaError._BAD_COMPRESSION}
VANISHED = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


def common(world, **more):
    return {"bootstrap.servers": world.bootstrap, "broker.address.family": "v4", "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "retry.backoff.max.ms": 100,
            # Its default, to start again from the bootstrap servers, costs it up to two seconds with a single broker.
            "metadata.recovery.strategy": "none", "log_level": 0, "logger": QUIET, "error_cb": lambda e: None, **more}


class Client(threading.Thread):
    """One client. `progress` grows with every sign of life that matters: an acknowledgement, a commit, a record shown."""

    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world, self.progress, self.rng = world, 0, random.Random(f"{world.rng.random()} {name}")

    def run(self):
        try:
            self.work()
        except Exception:
            kind = "producer-fatal" if isinstance(self, (Numbered, Keys, Transactions)) else "stuck"
            self.world.anomaly(kind, f"{self.name} ended: {traceback.format_exc()}")

    def filler(self):
        size = self.rng.choice((10, 30, 100, 100, 300, 300, 1000, 4000))
        return (b"%x" % self.rng.getrandbits(64)) * (size // 16 + 1)

    def pause(self):
        """Between two bursts of a producer; the world may hold everybody back."""
        time.sleep(self.rng.random() * 0.1)
        while self.world.hold.is_set() and not self.world.stop.is_set():
            self.poll()
            time.sleep(0.005)

    def poll(self):
        """Hears what the broker says meanwhile."""


# --- producers -------------------------------------------------------------------------------------------------------------

class Numbered(Client):
    """A producer of numbered records to all partitions of its topic. acks=all and idempotent, or acks=1 and neither."""

    def __init__(self, world, name, topic, idempotent=True, codec="none"):
        super().__init__(world, name)
        self.topic, self.idempotent, self.codec = topic, idempotent, codec
        self.outstanding = 0

    def open(self):
        self.fatal = None
        more = {"enable.idempotence": True} if self.idempotent else {"acks": 1, "max.in.flight": 1}
        self.producer = Producer(common(self.world, **{
            "linger.ms": 2, "batch.num.messages": 40, "message.timeout.ms": 300000, "request.timeout.ms": self.world.request_ms,
            "compression.type": self.codec, "sticky.partitioning.linger.ms": 0, **more}))

    def send(self, partition, sequence, value):
        def delivered(error, message):
            self.delivered(partition, sequence, error, message.offset())
        self.producer.produce(self.topic, value, partition=partition, on_delivery=delivered)

    def poll(self):
        self.producer.poll(0)

    def close(self):
        return self.producer.flush(self.world.limit)

    def delivered(self, partition, sequence, error, offset):
        self.outstanding -= 1
        if error is None:
            self.world.ack(self.name, self.topic, partition, sequence, -1 if offset is None else offset)
            self.progress += 1
        elif not self.fatal:
            self.fatal = str(error)
            self.world.anomaly("producer-fatal", f"{self.name}: {self.topic}-{partition} record {sequence}: {error}")

    def work(self):
        self.open()
        partitions = self.world.topics[self.topic]
        while not self.world.stop.is_set() and not self.fatal:
            self.pause()
            if self.outstanding > 3000:
                self.poll()
                continue
            for _ in range(self.rng.choice((1, 5, 20, 50))):
                partition = self.rng.randrange(partitions)
                key = self.name, self.topic, partition
                sequence = self.world.sent.get(key, 0)
                self.world.sent[key] = sequence + 1
                self.outstanding += 1
                self.send(partition, sequence, payload(self.name, sequence, self.filler()))
            self.poll()
        if not self.fatal and (left := self.close()):
            self.world.anomaly("stuck", f"{self.name}: {left} records are not acknowledged")


class NumberedKafkaPython(Numbered):
    """The same by kafka-python."""

    def open(self):
        self.fatal = None
        self.producer = kafka.KafkaProducer(
            bootstrap_servers=self.world.bootstrap, enable_idempotence=True, acks="all", linger_ms=2, batch_size=4000,
            request_timeout_ms=self.world.request_ms + 500, delivery_timeout_ms=300000, max_block_ms=60000, reconnect_backoff_ms=10,
            reconnect_backoff_max_ms=100, retry_backoff_ms=20, compression_type=None if self.codec == "none" else self.codec)

    def send(self, partition, sequence, value):
        future = self.producer.send(self.topic, value, partition=partition)
        future.add_callback(lambda meta: self.delivered(partition, sequence, None, meta.offset))
        future.add_errback(lambda error: self.delivered(partition, sequence, error, -1))

    def poll(self):
        pass

    def close(self):
        try:
            self.producer.flush(self.world.limit)
        except kafka.errors.KafkaTimeoutError:
            pass
        left = self.outstanding
        with contextlib.suppress(kafka.errors.KafkaError):
            self.producer.close(timeout=1)
        return left


class Keys(Client):
    """The writer of a compacted topic: few keys, many versions, some of them tombstones. A header bears the version."""
    KEYS = 60

    def work(self):
        self.producer = Producer(common(self.world, **{"enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": 300000,
                                                       "request.timeout.ms": self.world.request_ms}))
        while not self.world.stop.is_set():
            self.pause()
            if len(self.producer) > 3000:
                self.poll()
                continue
            for _ in range(self.rng.choice((1, 5, 30))):
                n = self.rng.randrange(self.KEYS)
                key, tombstone = b"key-%d" % n, self.rng.random() < 0.1
                versions = self.world.keys.setdefault(key, [])
                version = len(versions)
                versions.append(tombstone)
                self.producer.produce("kv", None if tombstone else payload(self.name, version, self.filler()), key,
                                      partition=n % self.world.topics["kv"], headers=[("v", b"%d" % version)],
                                      on_delivery=lambda error, _, key=key, version=version: self.delivered(error, key, version))
            self.poll()
        if left := self.producer.flush(self.world.limit):
            self.world.anomaly("stuck", f"{self.name}: {left} records are not acknowledged")

    def poll(self):
        self.producer.poll(0)

    def delivered(self, error, key, version):
        if error:
            self.world.anomaly("producer-fatal", f"{self.name}: {key.decode()} version {version}: {error}")
        else:
            self.world.keys_acked[key] = max(version, self.world.keys_acked.get(key, -1))
            self.progress += 1


class Transactions(Client):
    """Transactions of a few records over all partitions of its topic: most are committed, some aborted, some abandoned."""

    def open(self):
        self.producer = Producer(common(self.world, **{"transactional.id": self.name, "linger.ms": 1, "transaction.timeout.ms": 60000,
                                                       "request.timeout.ms": self.world.request_ms}))
        self.insist(lambda: self.producer.init_transactions(self.world.limit))

    def insist(self, call):
        """Calls until it works or the producer says that it never will."""
        while True:
            try:
                return call()
            except KafkaException as e:
                if not e.args[0].retriable() or self.world.stop.is_set() and self.world.hold.is_set():
                    raise

    def work(self):
        self.open()
        number = 0
        while not self.world.stop.is_set():
            self.pause()
            if self.world.hold.is_set():
                continue
            number += 1
            self.one(number)
        self.producer = None

    def one(self, number):
        name, count = f"{self.name}.{number}", self.rng.randrange(1, 12)
        ending = self.rng.choices(("committed", "aborted", "abandoned"), (70, 20, 10))[0]
        self.world.outcome[name] = "open", count
        try:
            self.producer.begin_transaction()
            for i in range(count):
                self.producer.produce("tx", payload(name, i, self.filler()), partition=i % self.world.topics["tx"])
            if self.rng.random() < 0.3:
                time.sleep(self.rng.random() * 0.1)
            if ending == "committed":
                self.world.outcome[name] = "unknown", count
                self.insist(lambda: self.producer.commit_transaction(self.world.limit))
            elif ending == "aborted":
                self.insist(lambda: self.producer.abort_transaction(self.world.limit))
            else:
                self.producer.flush(0.05)
                self.open()
            self.world.outcome[name] = ("committed" if ending == "committed" else "aborted"), count
            self.progress += 1
        except KafkaException as e:
            error = e.args[0]
            if error.txn_requires_abort():
                self.insist(lambda: self.producer.abort_transaction(self.world.limit))
                self.world.outcome[name] = "aborted", count
            elif error.fatal():
                # Fenced by itself at a lost answer: legal as long as the transaction is whole. A new producer under the same id.
                if ending != "committed":
                    self.world.outcome[name] = "aborted", count
                self.open()
            else:
                raise


class Pipeline(Transactions):
    """Consume, transform, produce: what it read and how far it read are committed in one transaction."""
    GROUP = "pipeline"

    def work(self):
        self.open()
        self.consumer = Consumer(common(self.world, **{"group.id": self.GROUP, "enable.auto.commit": False, "auto.offset.reset": "earliest",
                                                       "isolation.level": "read_committed", "fetch.wait.max.ms": 50,
                                                       "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}))
        self.consumer.subscribe(["in"])
        while not self.world.stop.is_set():
            if self.world.hold.is_set():
                time.sleep(0.01)
                continue
            messages = [m for m in self.consumer.consume(100, 0.1) if not m.error()]
            if messages:
                self.copy(messages)
        self.consumer.close()
        self.producer = None

    def copy(self, messages):
        try:
            self.producer.begin_transaction()
            ends = {}
            for m in messages:
                self.producer.produce("out", m.value(), partition=m.partition())
                ends[m.partition()] = m.offset() + 1
            positions = [TopicPartition("in", p, o) for p, o in ends.items()]
            self.insist(lambda: self.producer.send_offsets_to_transaction(positions, self.consumer.consumer_group_metadata(), self.world.limit))
            self.insist(lambda: self.producer.commit_transaction(self.world.limit))
            self.progress += 1
        except KafkaException as e:
            if e.args[0].txn_requires_abort():
                self.insist(lambda: self.producer.abort_transaction(self.world.limit))
            elif e.args[0].fatal():
                self.open()
            else:
                raise
            self.rewind()

    def rewind(self):
        """Back to what is committed: the transaction may or may not have been."""
        assigned = self.consumer.assignment()
        for position in self.insist(lambda: self.consumer.committed(assigned, self.world.limit)) if assigned else []:
            position.offset = OFFSET_BEGINNING if position.offset < 0 else position.offset
            self.insist(lambda: self.consumer.seek(position))


# --- readers ---------------------------------------------------------------------------------------------------------------

class Tail(Client):
    """Reads the ends of all its topics by assignment and remembers everything it is ever shown."""

    def __init__(self, world, name, topics, isolation="read_uncommitted"):
        super().__init__(world, name)
        self.read, self.isolation = topics, isolation

    def work(self):
        consumer = Consumer(common(self.world, **{"group.id": self.name, "enable.auto.commit": False, "auto.offset.reset": "error",
                                                  "check.crcs": True, "isolation.level": self.isolation, "fetch.wait.max.ms": 50}))
        consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in self.read for p in range(self.world.topics[t])])
        contiguous, last = {"a", "b", "one"}, {}
        while not self.world.stop.is_set():
            for m in consumer.consume(500, 0.05):
                topic, partition, offset = m.topic(), m.partition(), m.offset()
                if m.error():
                    judge_error(self, m)
                    continue
                before = last.get((topic, partition), -1)
                if topic in contiguous and offset > before + 1:
                    self.world.anomaly("poll-skip", f"{self.name}: {topic}-{partition}: shown {offset} after {before}")
                last[topic, partition] = offset
                self.world.show(self.name, topic, partition, offset, m.key(), m.value())
                if topic == "tx":
                    self.judge_transaction(m)
                self.progress += 1
        consumer.close()

    def judge_transaction(self, m):
        name = (parse(m.value()) or ("?", 0))[0]
        state = self.world.outcome.get(name, ("open", 0))[0]
        if state in ("aborted", "open"):
            anomaly = "aborted-read" if state == "aborted" else "dirty-read"
            self.world.anomaly(anomaly, f"{self.name}: {m.topic()}-{m.partition()} {m.offset()}: {name}")


def judge_error(client, m):
    code, where = m.error().code(), f"{m.topic()}-{m.partition()} at {m.offset()}"
    if code in CORRUPT:
        client.world.anomaly("corrupt", f"{client.name}: {where}: {m.error()}")
    elif code in VANISHED:
        client.world.anomaly("vanished-read", f"{client.name}: {where}: {m.error()}")


class Group(Client):
    """A group's only member: reads, commits, now and then leaves and comes back, and begins where it had committed."""

    def __init__(self, world, name, topics):
        super().__init__(world, name)
        self.read, self.next, self.fresh, self.reopen = topics, {}, {}, False

    def open(self):
        self.consumer = Consumer(common(self.world, **{
            "group.id": self.name, "enable.auto.commit": False, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50,
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "partition.assignment.strategy": "range"}))
        self.consumer.subscribe(self.read, on_assign=lambda _, parts: self.assigned(parts))

    def close(self):
        self.consumer.close()

    def poll(self):
        """[(topic, partition, offset)]"""
        out = []
        for m in self.consumer.consume(200, 0.05):
            if m.error():
                judge_error(self, m)
            else:
                out.append((m.topic(), m.partition(), m.offset()))
        return out

    def commit(self, positions):
        """True if the broker said yes."""
        try:
            answer = self.consumer.commit(offsets=[TopicPartition(t, p, o) for (t, p), o in positions.items()], asynchronous=False)
            return all(tp.error is None for tp in answer)
        except KafkaException:
            return False

    def assigned(self, partitions):
        """What is committed by now is where it begins, at least: it asks only once, and may commit more before it is told."""
        for tp in partitions:
            self.fresh[tp.topic, tp.partition] = self.world.commits.get((self.name, tp.topic, tp.partition), (0, 0))[0]

    def seen(self, topic, partition, offset):
        """The first record after an assignment is the committed one; after that, and before it takes effect, one by one."""
        where = f"{self.name}: {topic}-{partition}"
        if (topic, partition) in self.fresh and offset != self.next.get((topic, partition)):
            acknowledged, asked = self.fresh.pop((topic, partition)), self.world.commits.get((self.name, topic, partition), (0, 0))[1]
            if offset < acknowledged:
                self.world.anomaly("offset-rewind", f"{where}: begins at {offset}, {acknowledged} was committed")
            elif offset > asked:
                self.world.anomaly("poll-skip", f"{where}: begins at {offset}, no more than {asked} was ever committed")
        elif offset != self.next.get((topic, partition), offset):
            expected = self.next[topic, partition]
            self.world.anomaly("poll-skip" if offset > expected else "offset-rewind", f"{where}: shown {offset} where {expected} is next")
        self.next[topic, partition] = offset + 1

    def work(self):
        self.open()
        uncommitted, enough = {}, 1
        while not self.world.stop.is_set():
            if self.reopen and not uncommitted:
                self.reopen = False
                self.close()
                self.next.clear()
                self.open()
            for topic, partition, offset in self.poll():
                self.seen(topic, partition, offset)
                uncommitted[topic, partition] = offset + 1
                enough -= 1
            if uncommitted and enough <= 0:
                for (topic, partition), offset in uncommitted.items():
                    self.world.committed(self.name, topic, partition, offset, False)
                if self.commit(uncommitted):
                    for (topic, partition), offset in uncommitted.items():
                        self.world.committed(self.name, topic, partition, offset, True)
                    self.progress += 1
                uncommitted, enough = {}, self.rng.randrange(1, 200)
        self.close()


class GroupKafkaPython(Group):
    """The same by kafka-python. It forgets that it was joining when poll() times out meanwhile (3.0.12), and then says nothing any
    more, not even a heartbeat: so its poll is long, and it begins anew after PATIENCE seconds without a record."""
    PATIENCE = 8

    def open(self):
        client = self

        class Listener(kafka.ConsumerRebalanceListener):
            def on_partitions_revoked(self, revoked):
                pass

            def on_partitions_assigned(self, assigned):
                client.assigned(assigned)

        self.consumer = self.insist(lambda: kafka.KafkaConsumer(
            bootstrap_servers=self.world.bootstrap, group_id=self.name, enable_auto_commit=False, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=300, request_timeout_ms=7000, fetch_max_wait_ms=50, reconnect_backoff_ms=10,
            reconnect_backoff_max_ms=100, retry_backoff_ms=20))
        self.consumer.subscribe(self.read, listener=Listener())
        self.heard = time.monotonic()

    def insist(self, call):
        """It may say that nobody listens; that is no news here."""
        while True:
            try:
                return call()
            except kafka.errors.KafkaError:
                if self.world.stop.is_set():
                    return None
                time.sleep(0.02)

    def close(self):
        with contextlib.suppress(kafka.errors.KafkaError):
            self.consumer.close(autocommit=False, timeout_ms=2000)

    def poll(self):
        records = self.insist(lambda: self.consumer.poll(timeout_ms=1000, max_records=200))
        if self.world.stop.is_set():
            return []
        if records:
            self.heard = time.monotonic()
        elif time.monotonic() - self.heard > self.PATIENCE:
            self.reopen = True
        return [(tp.topic, tp.partition, r.offset) for tp, some in records.items() for r in some]

    def commit(self, positions):
        try:
            self.consumer.commit({kafka.TopicPartition(*tp): kafka.OffsetAndMetadata(o, "", -1) for tp, o in positions.items()}, timeout_ms=5000)
            return True
        except kafka.errors.KafkaError:
            return False
