"""What one life of a data directory remembers: what was sent, acknowledged, committed and shown, and what is wrong with it."""
import threading
import time
import zlib

# Every anomaly by its name. The explanation is printed with the first of its kind.
ANOMALIES = {
    "lost-acked": "a record that was acknowledged is not in the log",
    "duplicate": "a record of an idempotent producer stands in the log twice",
    "reorder": "records of one producer stand in another order than they were sent",
    "offset-gap": "a log that is not compacted has no record at an offset between its start and its end",
    "offset-order": "a record stands at another offset than its acknowledgement said, or acknowledgements run backwards",
    "corrupt": "a record cannot be read, is not what was sent, or was never sent",
    "changed-read": "an offset that was shown to a reader holds another record now",
    "vanished-read": "a record that was shown to a reader is gone",
    "offset-rewind": "a group's committed offset is behind one whose commit was acknowledged",
    "poll-skip": "a reader was shown an offset, but not the one before it",
    "kv-lost": "a key of a compacted topic has an older value than the last one acknowledged, or none",
    "aborted-read": "a read_committed reader was shown a record of an aborted transaction",
    "dirty-read": "a read_committed reader was shown a record of a transaction that nobody asked to commit",
    "torn-txn": "part of a transaction is committed, part is not",
    "lost-txn": "nothing of a committed transaction can be read",
    "lso-stuck": "the last stable offset stays behind the end though no transaction is open",
    "eos-lost": "a record that a consume-transform-produce loop had read by its committed offset is not in its output",
    "eos-duplicate": "a record stands in the output of a consume-transform-produce loop twice",
    "eos-reorder": "the output of a consume-transform-produce loop is in another order than its input",
    "eos-offset": "the offset committed within a transaction is not that of the last record of its output",
    "producer-fatal": "a producer gave up",
    "no-restart": "the broker does not serve after a restart, or its end was not the one asked for",
    "died": "the broker ended by itself",
    "stuck": "a client makes no progress though the broker serves",
}


# --- payloads: CLIENT:SEQUENCE:FILLER:CRC ----------------------------------------------------------------------------------

def payload(client, sequence, filler):
    """A value that knows whose it is, which, and whether it is whole. The sequence counts within client and partition (or key)."""
    body = b"%s:%d:%s:" % (client.encode(), sequence, filler)
    return body + b"%08x" % zlib.crc32(body)


def parse(value):
    """(client, sequence), or None if the value is not what payload() made."""
    if value is None or len(value) < 12 or b"%08x" % zlib.crc32(value[:-8]) != value[-8:]:
        return None
    client, sequence, _ = value.split(b":", 2)
    return client.decode(), int(sequence)


def fingerprint(key, value):
    return zlib.crc32(value or b"", zlib.crc32(key or b"")) << 1 | (value is None)


class World:
    """The memory of one life. Written by the clients' threads, each its own part; read when they are quiet."""

    def __init__(self, bootstrap, rng, topics, transactions=False, limit=60, quiet=False, request_ms=1000):
        self.bootstrap, self.rng, self.topics, self.transactions, self.limit = bootstrap, rng, topics, transactions, limit
        self.request_ms = request_ms  # how long a client waits for an answer: so short that a stopped broker is asked again
        self.quiet, self.over = quiet, False  # over: the broker is gone for good, what clients say about it is no news
        self.sent = {}       # (client, topic, partition) -> how many
        self.acked = {}      # (client, topic, partition) -> {sequence: offset, or -1 when the client was not told}
        self.shown = {}      # (topic, partition) -> {offset: fingerprint}: everything a reader was ever given
        self.commits = {}    # (group, topic, partition) -> [acknowledged, asked for]
        self.keys = {}       # key -> [(sequence is the place in the list) is it a tombstone?]
        self.keys_acked = {}  # key -> the highest sequence acknowledged
        self.outcome = {}    # (client, number of the transaction) -> ("committed", "aborted", "unknown" or "open", records)
        self.found = []      # [(anomaly, what)]
        self.lock = threading.Lock()
        self.stop, self.hold = threading.Event(), threading.Event()  # the clients' orders: end; send nothing new

    def anomaly(self, name, what):
        assert name in ANOMALIES, name
        if self.over:
            return
        with self.lock:
            n = sum(1 for other, _ in self.found if other == name)
            self.found.append((name, what))
            if not self.quiet and n < 5:
                print(f"  {time.strftime('%H:%M:%S')} {name}: {what}" + (f"  ({ANOMALIES[name]})" if n == 0 else ""), flush=True)

    def names(self):
        return {name for name, _ in self.found}

    def ack(self, client, topic, partition, sequence, offset):
        """An acknowledgement; whether offsets and sequences go up together is seen at the end (duplicates are told late)."""
        self.acked.setdefault((client, topic, partition), {})[sequence] = offset

    def show(self, reader, topic, partition, offset, key, value):
        shown, mark = self.shown.setdefault((topic, partition), {}), fingerprint(key, value)
        before = shown.setdefault(offset, mark)
        if before != mark:
            self.anomaly("changed-read", f"{topic}-{partition} offset {offset}: {reader} was shown something else before")

    def committed(self, group, topic, partition, offset, acknowledged):
        pair = self.commits.setdefault((group, topic, partition), [0, 0])
        pair[1] = max(pair[1], offset)
        if acknowledged:
            pair[0] = max(pair[0], offset)
