"""A tiny Kafka protocol client: just enough of the wire, byte by byte, to ask a broker what stock clients would not.

Old, non-flexible versions are used wherever the broker offers them, so that every layout fits on a line here.
Nothing is shared with the broker's own schema: this file is the second opinion.
"""
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 8, 9, 10
LIST_GROUPS, API_VERSIONS, CREATE_TOPICS, INIT_PRODUCER_ID, DESCRIBE_CONFIGS, CREATE_PARTITIONS = 16, 18, 19, 22, 32, 37

# Kafka's error codes that scenarios speak of.
NONE, UNKNOWN = 0, -1
OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION = 1, 2, 3
MESSAGE_TOO_LARGE, COORDINATOR_LOAD_IN_PROGRESS, INVALID_TOPIC = 10, 14, 17
INVALID_REQUIRED_ACKS, UNSUPPORTED_VERSION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS = 21, 35, 36, 37
INVALID_REPLICATION_FACTOR, INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION = 38, 40, 42, 44
OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH = 45, 47
UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD, UNKNOWN_TOPIC_ID, INVALID_TIMESTAMP = 76, 87, 100, 32
FETCH_SESSION_TOPIC_ID_ERROR = 106


class Closed(Exception):
    """The broker closed the connection instead of answering."""


def crc32c(data, _table=[]):
    if not _table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
            _table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def murmur2_partition(key, partitions):
    """The partition that Kafka's default partitioner gives a key."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for (k,) in struct.iter_unpack("<I", key[:whole]):
        k = k * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


# --- writing -------------------------------------------------------------------------------------------------------------

def i8(v): return struct.pack(">b", v)
def i16(v): return struct.pack(">h", v)
def i32(v): return struct.pack(">i", v)
def i64(v): return struct.pack(">q", v)
def string(s): return i16(-1) if s is None else i16(len(s.encode())) + s.encode()
def array(items): return i32(-1) if items is None else i32(len(items)) + b"".join(items)
def uvarint(n):
    out = b""
    while n > 0x7F:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])
def varint(n): return uvarint(n << 1 ^ n >> 63 if n >= 0 else (n << 1 ^ -1) & (1 << 64) - 1)
def varbytes(b): return varint(-1) if b is None else varint(len(b)) + b


def record(delta, value, key=None, headers=(), timestamp_delta=0):
    body = i8(0) + varint(timestamp_delta) + varint(delta) + varbytes(key) + varbytes(value) + varint(len(headers))
    body += b"".join(varbytes(k) + varbytes(v) for k, v in headers)
    return varint(len(body)) + body


def batch(values, *, base=0, attributes=0, pid=-1, epoch=-1, sequence=-1, timestamp=None, records=None, count=None,
          last_delta=None, magic=2, crc=None, length=None, leader_epoch=-1):
    """A record batch v2. Whatever is given by name overrides what would be right: that is how lies are told."""
    n = len(values)
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    if records is None:
        records = b"".join(record(i, v) for i, v in enumerate(values))
    body = struct.pack(">hiqqqhii", attributes, n - 1 if last_delta is None else last_delta, timestamp, timestamp, pid, epoch,
                       sequence, n if count is None else count) + records
    crc = crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", base, 9 + len(body) if length is None else length, leader_epoch, magic, crc) + body


# --- reading -------------------------------------------------------------------------------------------------------------

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.at, f"answer ends early: {n} bytes wanted at {self.at} of {len(self.data)}"
        self.at += n
        return self.data[self.at - n:self.at]

    def _int(self, fmt): return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]
    def i8(self): return self._int(">b")
    def i16(self): return self._int(">h")
    def i32(self): return self._int(">i")
    def i64(self): return self._int(">q")
    def string(self): return None if (n := self.i16()) < 0 else self.take(n).decode()
    def bytes(self): return None if (n := self.i32()) < 0 else self.take(n)
    def array(self, item): return [item() for _ in range(self.i32())]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def varint(self): return (n := self.uvarint()) >> 1 ^ -(n & 1)
    def varbytes(self): return None if (n := self.varint()) < 0 else self.take(n)
    def cstring(self): return None if (n := self.uvarint()) == 0 else self.take(n - 1).decode()
    def carray(self, item): return [item() for _ in range(self.uvarint() - 1)]

    def tags(self):
        for _ in range(self.uvarint()):
            self.uvarint()
            self.take(self.uvarint())

    def left(self): return len(self.data) - self.at


def batches(data):
    """Yields (base offset, last offset, bytes) of every whole batch."""
    at = 0
    while len(data) - at >= 61:
        base, length = struct.unpack_from(">qi", data, at)
        if len(data) - at < 12 + length:
            return
        last_delta = struct.unpack_from(">i", data, at + 23)[0]
        yield base, base + last_delta, data[at:at + 12 + length]
        at += 12 + length


def records_of(batch_bytes):
    """The (offset, key, value, headers) of an uncompressed batch."""
    base, count, r = struct.unpack_from(">q", batch_bytes)[0], struct.unpack_from(">i", batch_bytes, 57)[0], Reader(batch_bytes)
    r.take(61)
    out = []
    for _ in range(count):
        r.varint(), r.i8(), r.varint()
        offset = base + r.varint()
        key, value = r.varbytes(), r.varbytes()
        out.append((offset, key, value, [(r.varbytes(), r.varbytes()) for _ in range(r.varint())]))
    return out


# --- a connection --------------------------------------------------------------------------------------------------------

def frame(api, version, body, correlation=1, client="raw", flexible=False):
    head = struct.pack(">hhi", api, version, correlation) + string(client) + (b"\0" if flexible else b"")
    return i32(len(head) + len(body)) + head + body


class Connection:
    def __init__(self, addr, timeout=20, client="raw"):
        self.client = client
        self.sock = socket.create_connection(addr, timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self): return self
    def __exit__(self, *_): self.close()
    def close(self): self.sock.close()
    def send_bytes(self, data): self.sock.sendall(data)

    def _read(self, n):
        data = bytearray()
        while len(data) < n:
            try:
                piece = self.sock.recv(min(n - len(data), 1 << 20))
            except ConnectionError as e:
                raise Closed(str(e)) from None
            if not piece:
                raise Closed(f"closed after {len(data)} of {n} bytes")
            data += piece
        return bytes(data)

    def read_frame(self):
        """The next answer as (correlation id, Reader behind it)."""
        data = self._read(struct.unpack(">i", self._read(4))[0])
        r = Reader(data)
        return r.i32(), r

    def is_closed(self, within=10):
        """True once the broker closes; False if it keeps the connection (or says something) for so long."""
        self.sock.settimeout(within)
        try:
            return not self.sock.recv(1)
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def send(self, api, version, body, flexible=False):
        self.correlation += 1
        try:
            self.send_bytes(frame(api, version, body, self.correlation, self.client, flexible))
        except ConnectionError as e:
            raise Closed(str(e)) from None
        return self.correlation

    def call(self, api, version, body, flexible=False):
        sent = self.send(api, version, body, flexible)
        got, r = self.read_frame()
        assert got == sent, f"answer to {got} where {sent} was asked"
        if flexible and api != API_VERSIONS:
            r.tags()
        return r

    # Each of the following: what a stock client would ask, one old version, the answer as plain Python.

    def api_versions(self):
        r = self.call(API_VERSIONS, 0, b"")
        error = r.i16()
        assert error == 0, f"ApiVersions: {error}"
        return {k: (lo, hi) for k, lo, hi in r.array(lambda: (r.i16(), r.i16(), r.i16()))}

    def features_epoch(self):
        """FinalizedFeaturesEpoch; None when the answer has none. Version 3."""
        name = uvarint(4) + b"raw"
        r = self.call(API_VERSIONS, 3, name + name + b"\0", flexible=True)
        assert (error := r.i16()) == 0, f"ApiVersions: {error}"
        r.carray(lambda: (r.i16(), r.i16(), r.i16(), r.tags()))
        r.i32()
        tags = {}
        for _ in range(r.uvarint()):
            tag = r.uvarint()
            tags[tag] = r.take(r.uvarint())
        return struct.unpack(">q", tags[1])[0] if 1 in tags else None

    def metadata(self, topics=None, create=False):
        """-> {name: (error, topic id as hex, [(partition, error, leader)])}; topics None: all. Version 12: topic ids."""
        if topics is None:
            body = uvarint(0)
        else:
            body = uvarint(len(topics) + 1) + b"".join(bytes(16) + uvarint(len(t.encode()) + 1) + t.encode() + b"\0" for t in topics)
        r = self.call(METADATA, 12, body + i8(create) + i8(0) + b"\0", flexible=True)
        r.i32()

        def node():
            out = r.i32(), r.cstring(), r.i32(), r.cstring()
            r.tags()
            return out

        def partition():
            error, index, leader, epoch = r.i16(), r.i32(), r.i32(), r.i32()
            self.placed[index] = epoch, r.carray(r.i32), r.carray(r.i32), r.carray(r.i32)
            r.tags()
            return index, error, leader

        def topic():
            error, name, topic_id, _ = r.i16(), r.cstring(), r.take(16).hex(), r.i8()
            self.placed = self.placements[name] = {}
            parts = sorted(r.carray(partition))
            r.i32(), r.tags()
            return name, (error, topic_id, parts)

        self.placements = {}  # {topic: {partition: (leader epoch, replicas, in-sync replicas, offline replicas)}}
        self.nodes, self.cluster_id, self.controller = r.carray(node), r.cstring(), r.i32()
        return dict(r.carray(topic))

    def create_topic(self, name, partitions=1, configs=None, replication=1):
        body = string(name) + i32(partitions) + i16(replication) + array([])
        body += array([string(k) + string(v) for k, v in (configs or {}).items()])
        r = self.call(CREATE_TOPICS, 4, array([body]) + i32(30000) + i8(0))
        r.i32()
        ((_, error, message),) = r.array(lambda: (r.string(), r.i16(), r.string()))
        self.message = message
        if error == 0:
            until(lambda: all(self.list_offset(name, p)[0] == 0 for p in range(partitions)), f"every partition of {name} to serve")
        return error

    def produce(self, topic, partition, data, acks=-1, version=7, timeout=30000, wait=True):
        """-> (error, base offset, log append time, log start offset)"""
        body = string(None) + i16(acks) + i32(timeout)
        body += array([string(topic) + array([i32(partition) + i32(len(data)) + data])])
        if acks == 0 or not wait:
            return self.send(PRODUCE, version, body)
        return self.produce_answer(self.call(PRODUCE, version, body))

    @staticmethod
    def produce_answer(r):
        ((_, ((_, *answer),)),) = r.array(lambda: (r.string(), r.array(lambda: (r.i32(), r.i16(), r.i64(), r.i64(), r.i64()))))
        return tuple(answer)

    def fetch(self, topic, partition, offset, max_wait=500, min_bytes=1, max_bytes=1 << 20, wait=True):
        """-> (error, high watermark, log start, bytes)"""
        body = i32(-1) + i32(max_wait) + i32(min_bytes) + i32(max_bytes) + i8(0) + i32(0) + i32(-1)
        body += array([string(topic) + array([i32(partition) + i32(-1) + i64(offset) + i64(-1) + i32(max_bytes)])])
        body += array([]) + string("")
        if not wait:
            return self.send(FETCH, 11, body)
        return self.fetch_answer(self.call(FETCH, 11, body))

    @staticmethod
    def fetch_answer(r):
        r.i32()
        error = r.i16()
        r.i32()
        if error:
            return error, -1, -1, b""

        def part():
            _, error, high, _, start = r.i32(), r.i16(), r.i64(), r.i64(), r.i64()
            r.array(lambda: (r.i64(), r.i64()))
            r.i32()
            return error, high, start, r.bytes() or b""

        ((_, (answer,)),) = r.array(lambda: (r.string(), r.array(part)))
        return answer

    def fetch_session(self, version, session, epoch, topics):
        """Versions 12 (topics by name) and 13 (by id, as hex) -> (error, session id, {topic: {partition: error}}). topics: {topic: partitions}"""
        key = lambda topic: bytes.fromhex(topic) if version >= 13 else uvarint(len(topic) + 1) + topic.encode()
        carray = lambda items: uvarint(len(items) + 1) + b"".join(items)
        body = i32(-1) + i32(100) + i32(0) + i32(1 << 20) + i8(0) + i32(session) + i32(epoch)
        body += carray([key(t) + carray([i32(p) + i32(-1) + i64(0) + i32(-1) + i64(-1) + i32(1 << 20) + b"\0" for p in ps]) + b"\0" for t, ps in topics.items()])
        r = self.call(FETCH, version, body + carray([]) + uvarint(1) + b"\0", flexible=True)
        r.i32()
        error, session, out = r.i16(), r.i32(), {}

        def part():
            at, error = r.i32(), r.i16()
            r.take(24), r.carray(lambda: (r.i64(), r.i64(), r.tags())), r.i32()
            r.take(max(r.uvarint() - 1, 0)), r.tags()
            return at, error

        def topic():
            name = r.take(16).hex() if version >= 13 else r.cstring()
            out[name] = dict(r.carray(part))
            r.tags()

        r.carray(topic)
        return error, session, out

    def list_offset(self, topic, partition, timestamp=-1, committed=False):
        """-> (error, offset); timestamp -1 latest, -2 earliest; committed: as a read_committed consumer asks, the last stable offset"""
        body = i32(-1) + i8(committed) + array([string(topic) + array([i32(partition) + i32(-1) + i64(timestamp)])])
        r = self.call(LIST_OFFSETS, 4, body)
        r.i32()
        ((_, ((_, error, _, offset, _),)),) = r.array(
            lambda: (r.string(), r.array(lambda: (r.i32(), r.i16(), r.i64(), r.i64(), r.i32()))))
        return error, offset

    def read_all(self, topic, partition):
        """Every whole batch from the log's start to the high watermark, in order."""
        error, offset = self.list_offset(topic, partition, -2)
        assert error == 0, f"{topic}-{partition}: earliest offset: error {error}"
        error, end = self.list_offset(topic, partition)
        assert error == 0, f"{topic}-{partition}: latest offset: error {error}"
        while offset < end:
            error, _, _, data = self.fetch(topic, partition, offset)
            assert error == 0, f"{topic}-{partition} at {offset}: error {error}"
            assert data, f"{topic}-{partition}: nothing at {offset}, the end is {end}"
            for _, last, raw in batches(data):
                yield raw
                offset = last + 1

    def init_producer_id(self):
        def ask():
            r = self.call(INIT_PRODUCER_ID, 1, string(None) + i32(60000))
            r.i32()
            error, pid, epoch = r.i16(), r.i64(), r.i16()
            assert error in (0, COORDINATOR_LOAD_IN_PROGRESS), f"InitProducerId: {error}"
            return error == 0 and (pid, epoch)
        return until(ask, "a producer id")

    def coordinator_ready(self, group):
        def ask():
            r = self.call(FIND_COORDINATOR, 1, string(group) + i8(0))
            r.i32()
            return r.i16() == 0
        until(ask, f"a coordinator for {group}")

    def groups(self):
        answer = []

        def told():
            r = self.call(LIST_GROUPS, 2, b"")
            r.i32()
            error = r.i16()
            if error == 14:  # a start still loads some
                return False
            assert error == 0, f"ListGroups: {error}"
            answer.extend(r.array(lambda: (r.string(), r.string())))
            return True

        until(told, "groups that are loaded")
        return sorted(answer)

    def commit(self, group, topic, partition, offset):
        """A position committed from outside the group, as tools do."""
        self.coordinator_ready(group)
        r = self.call(OFFSET_COMMIT, 2, string(group) + i32(-1) + string("") + i64(-1)
                      + array([string(topic) + array([i32(partition) + i64(offset) + string("")])]))
        ((_, ((_, error),)),) = r.array(lambda: (r.string(), r.array(lambda: (r.i32(), r.i16()))))
        assert error == 0, f"OffsetCommit {group}: {error}"

    def offsets(self, group):
        """All committed positions of a group: {(topic, partition): (offset, metadata)}"""
        self.coordinator_ready(group)
        r = self.call(OFFSET_FETCH, 5, string(group) + array(None))
        r.i32()
        out = {}
        for topic, parts in r.array(lambda: (r.string(), r.array(lambda: (r.i32(), r.i64(), r.i32(), r.string(), r.i16())))):
            for partition, offset, _, metadata, error in parts:
                assert error == 0, f"{group} {topic}-{partition}: error {error}"
                out[topic, partition] = offset, metadata
        assert (error := r.i16()) == 0, f"OffsetFetch {group}: {error}"
        return out

    def stable_offset(self, group, topic, partition):
        """-> (error, offset) as a consumer with isolation.level=read_committed asks; version 7."""
        name = lambda s: uvarint(len(s.encode()) + 1) + s.encode()
        r = self.call(OFFSET_FETCH, 7, name(group) + uvarint(2) + name(topic) + uvarint(2) + i32(partition) + b"\0" + i8(1) + b"\0", flexible=True)
        r.i32()
        assert r.uvarint() == 2 and r.cstring() == topic and r.uvarint() == 2 and r.i32() == partition
        offset, _, _, error = r.i64(), r.i32(), r.cstring(), r.i16()
        return error, offset

    def topic_configs(self, topics):
        """The configs set on the topics themselves: {topic: {key: value}}"""
        r = self.call(DESCRIBE_CONFIGS, 1, array([i8(2) + string(t) + array(None) for t in topics]) + i8(0))
        r.i32()

        def entry():
            name, value, _, source, _ = r.string(), r.string(), r.i8(), r.i8(), r.i8()
            r.array(lambda: (r.string(), r.string(), r.i8()))
            return name, value, source

        out = {}
        for error, _, _, topic, entries in r.array(lambda: (r.i16(), r.string(), r.i8(), r.string(), r.array(entry))):
            assert error == 0, f"DescribeConfigs {topic}: {error}"
            out[topic] = {name: value for name, value, source in entries if source == 1}
        return out


def until(check, what, seconds=30, pause=0.05):
    """Asks again until it is so: for what a broker promises soon, not at once."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(pause)
    return answer
