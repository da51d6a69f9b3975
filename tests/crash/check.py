"""Reads everything when all is quiet, and compares it with what the world remembers."""
import contextlib
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from clients import CORRUPT, common
from world import fingerprint, parse

CONTIGUOUS = {"a", "b", "one", "in"}  # neither compacted nor with transaction markers
IDEMPOTENT = {"a", "b", "in"}


def read(world, topics, isolation="read_uncommitted"):
    """{(topic, partition): [(offset, key, value, headers)]} from the start to the end. Damage is reported and stepped over."""
    eofs, log, tries = set(), {(t, p): [] for t in topics for p in range(world.topics[t])}, {}
    consumer = Consumer(common(world, **{"group.id": "check", "enable.auto.commit": False, "auto.offset.reset": "error", "check.crcs": True,
                                         "enable.partition.eof": True, "isolation.level": isolation, "fetch.wait.max.ms": 20}))
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in log])
    deadline = time.monotonic() + world.limit
    while len(eofs) < len(log):
        for m in consumer.consume(2000, 0.05):
            tp, error = (m.topic(), m.partition()), m.error()
            if error is None:
                if not log[tp] or m.offset() > log[tp][-1][0]:
                    log[tp].append((m.offset(), m.key(), m.value(), m.headers() or []))
                eofs.discard(tp)
            elif error.code() == KafkaError._PARTITION_EOF:
                eofs.add(tp)
            elif error.code() in CORRUPT:
                # Some clients' readers skip a bad batch, some stay before it: step over it in growing strides.
                tries[tp] = tries.get(tp, 0) + 1
                at = log[tp][-1][0] + 1 if log[tp] else 0
                if tries[tp] < 4:
                    world.anomaly("corrupt", f"{tp[0]}-{tp[1]} behind {at}: {error}")
                if tries[tp] > 1:
                    with contextlib.suppress(KafkaException):  # not while it is being reset; the next error comes
                        consumer.seek(TopicPartition(*tp, at + (1 << min(tries[tp] - 2, 20))))
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                eofs.add(tp)  # a stride past the end
        if time.monotonic() > deadline:
            world.anomaly("stuck", f"the end of {sorted(set(log) - eofs)} is not reached in {world.limit} s")
            break
    consumer.close()
    return log


def check(world, groups=()):
    """Reports every anomaly. The clients are quiet and the broker serves."""
    plain = [t for t in world.topics if t not in ("tx", "out")]
    log = read(world, plain)
    for tp, records in log.items():
        check_partition(world, tp, records)
    if "kv" in world.topics:
        check_keys(world, log)
    check_groups(world, groups)
    if world.transactions:
        try:
            check_transactions(world, read(world, ["tx", "out"], "read_committed"), log)
        except KafkaException as e:
            world.anomaly("stuck", f"what the broker should tell about transactions is not told: {e}")


def check_partition(world, tp, records):
    topic, partition = tp
    where, at, stands = f"{topic}-{partition}", {}, {}
    last_offset, last_sequence = -1, {}
    for offset, key, value, _ in records:
        at[offset] = fingerprint(key, value)
        if topic in CONTIGUOUS and offset != last_offset + 1:
            world.anomaly("offset-gap", f"{where}: {offset} follows {last_offset}")
        last_offset = offset
        known = parse(value)
        if known is None:
            if topic != "kv" or value is not None:
                world.anomaly("corrupt", f"{where} {offset}: not a value that was sent: {value[:40] if value else value}")
            continue
        if topic == "kv":
            continue
        client, sequence = known
        if sequence >= world.sent.get((client, topic, partition), 0):
            world.anomaly("corrupt", f"{where} {offset}: record {sequence} of {client} was never sent here")
            continue
        if topic in IDEMPOTENT:
            before = last_sequence.get(client, -1)
            if (client, sequence) in stands:
                world.anomaly("duplicate", f"{where}: record {sequence} of {client} at {stands[client, sequence]} and {offset}")
            elif sequence < before:
                world.anomaly("reorder", f"{where} {offset}: record {sequence} of {client} behind {before}")
            last_sequence[client] = max(before, sequence)
        stands.setdefault((client, sequence), []).append(offset)

    for (client, t, p), acked in world.acked.items():
        if (t, p) != tp:
            continue
        before = -1
        for sequence in sorted(acked):
            offset, found = acked[sequence], stands.get((client, sequence), ())
            if not found:
                world.anomaly("lost-acked", f"{where}: record {sequence} of {client}, acknowledged at {offset}")
            elif offset >= 0 and offset not in found:
                world.anomaly("offset-order", f"{where}: record {sequence} of {client}, acknowledged at {offset}, stands at {found}")
            if 0 <= offset <= before and t in IDEMPOTENT:
                world.anomaly("offset-order", f"{where}: record {sequence} of {client} acknowledged at {offset}, one before it at {before}")
            before = max(before, offset)

    for offset, mark in world.shown.get(tp, {}).items():
        if offset not in at:
            if topic != "kv":
                world.anomaly("vanished-read", f"{where} {offset} was shown; the log ends at {last_offset + 1}")
        elif at[offset] != mark:
            world.anomaly("changed-read", f"{where} {offset} is not what was shown")
    for offset, mark in at.items():
        world.shown.setdefault(tp, {})[offset] = mark  # a check is a reader too: the next one must see the same


def check_keys(world, log):
    latest = {}
    for p in range(world.topics["kv"]):
        for offset, key, value, headers in log["kv", p]:
            version, before = int(dict(headers).get("v", b"-1")), latest.get(key, (-1, None))[0]
            known = parse(value)
            if value is not None and known is not None and known[1] != version:
                world.anomaly("corrupt", f"kv-{p} {offset}: {key} says version {version} and bears {known[1]}")
            if version == before:
                world.anomaly("duplicate", f"kv-{p} {offset}: version {version} of {key} again")
            elif version < before:
                world.anomaly("reorder", f"kv-{p} {offset}: version {version} of {key} behind {before}")
            else:
                latest[key] = version, value is None
    for key, acked in world.keys_acked.items():
        version = latest.get(key, (-1, None))[0]
        if key not in latest and any(world.keys[key][acked:]):
            continue  # a tombstone at or behind the last acknowledged version, cleaned away
        if version < acked:
            world.anomaly("kv-lost", f"{key.decode()}: version {acked} was acknowledged, the topic has {version if version >= 0 else 'none'}")


def check_groups(world, groups):
    """The committed offsets as a stranger is told them."""
    for group in groups:
        mine = {(t, p): pair for (g, t, p), pair in world.commits.items() if g == group}
        consumer = Consumer(common(world, **{"group.id": group, "enable.auto.commit": False}))
        try:
            told = consumer.committed([TopicPartition(t, p) for t, p in mine], world.limit) if mine else []
        except KafkaException as e:
            world.anomaly("stuck", f"{group}: committed offsets are not told: {e}")
            told = []
        for tp in told:
            acknowledged, asked = mine[tp.topic, tp.partition]
            offset = max(tp.offset, 0)
            if offset < acknowledged:
                world.anomaly("offset-rewind", f"{group}: {tp.topic}-{tp.partition} is at {tp.offset}, {acknowledged} was committed")
            elif offset > asked:
                world.anomaly("poll-skip", f"{group}: {tp.topic}-{tp.partition} is at {tp.offset}, no more than {asked} was ever committed")
        consumer.close()


def check_transactions(world, committed, log):
    seen = {}
    for p in range(world.topics["tx"]):
        for offset, _, value, _ in committed["tx", p]:
            known = parse(value)
            if known is None or known[0] not in world.outcome:
                world.anomaly("corrupt", f"tx-{p} {offset}: not a value that was sent")
                continue
            if known[1] in seen.setdefault(known[0], set()):
                world.anomaly("duplicate", f"tx-{p} {offset}: record {known[1]} of {known[0]} again")
            seen[known[0]].add(known[1])
    for name, (outcome, count) in world.outcome.items():
        have = len(seen.get(name, ()))
        if have and outcome in ("aborted", "open"):
            world.anomaly("aborted-read", f"{have} of {count} records of {name}, which was {outcome}")
        elif 0 < have < count:
            world.anomaly("torn-txn", f"{have} of {count} records of {name}, which was {outcome}")
        elif have == 0 and outcome == "committed":
            world.anomaly("lost-txn", f"all {count} records of {name}")

    for p in range(world.topics["out"]):
        inputs = [r[2] for r in log["in", p]]
        place, last, outputs = {value: i for i, value in enumerate(inputs)}, -1, [r[2] for r in committed["out", p]]
        for value in outputs:
            i = place.get(value)
            if i is None:
                world.anomaly("corrupt", f"out-{p}: a record that is not in the input")
            elif i == last:
                world.anomaly("eos-duplicate", f"out-{p}: input {i} again")
            elif i < last:
                world.anomaly("eos-reorder" if outputs.count(value) == 1 else "eos-duplicate", f"out-{p}: input {i} behind {last}")
            elif i > last + 1:
                world.anomaly("eos-lost", f"out-{p}: input {i} follows {last}")
            last = max(last, i if i is not None else -1)
        consumer = Consumer(common(world, **{"group.id": "pipeline", "enable.auto.commit": False}))
        offset = max(consumer.committed([TopicPartition("in", p)], world.limit)[0].offset, 0)
        consumer.close()
        if offset != last + 1:
            world.anomaly("eos-offset", f"in-{p}: committed {offset}, the output ends with input {last}")

    parts = [TopicPartition(t, p) for t in ("tx", "out") for p in range(world.topics[t])]
    admin = AdminClient(common(world))

    def ends(isolation):
        asked = admin.list_offsets({tp: OffsetSpec.latest() for tp in parts}, isolation_level=isolation)
        return {(tp.topic, tp.partition): future.result().offset for tp, future in asked.items()}

    stable, high = ends(IsolationLevel.READ_COMMITTED), ends(IsolationLevel.READ_UNCOMMITTED)
    for tp in high:
        if stable[tp] != high[tp]:
            world.anomaly("lso-stuck", f"{tp[0]}-{tp[1]}: the last stable offset is {stable[tp]}, the end is {high[tp]}")
