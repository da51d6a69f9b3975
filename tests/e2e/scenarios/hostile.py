"""Bad input: each gets Kafka's error or a closed connection, and the broker goes on."""
import contextlib
import gzip
import random
import re
import resource
import socket
import struct
import threading
import time
import zlib

from harness import HERE, TOP, scenario
from raw import *


def still_serves(t):
    with t.broker.connect() as c:
        assert len(c.api_versions()) > 20


def refused(t, data, within=10):
    """Sends bytes that are no request; the broker must hang up, and serve the next one."""
    with t.broker.connect() as c:
        try:
            c.send_bytes(data)
        except ConnectionError:
            pass  # it hung up before everything was sent
        assert c.is_closed(within), f"{data[:40].hex()}...: the connection stays open"
    still_serves(t)


@scenario()
def random_bytes_close_the_connection_and_nothing_else(t):
    noise = random.Random(7)
    for _ in range(30):
        # The length is made plausible, so that the noise reaches the decoder.
        body = noise.randbytes(noise.randrange(8, 400))
        with t.broker.connect() as c:
            c.send_bytes(i32(len(body)) + body)
            try:
                c.read_frame()  # a few first bytes happen to be a request that gets an error
            except Closed:
                pass
    still_serves(t)


@scenario()
def noise_behind_a_valid_header_never_ends_the_broker(t):
    noise = random.Random(8)
    with t.broker.connect() as c:
        apis = c.api_versions()
    # Never a body that can mean something lasting: what needs names, ids or records is refused as noise sooner or later.
    for api, (low, high) in sorted(apis.items()):
        for version in {low, high}:
            for _ in range(3):
                with t.broker.connect(timeout=3) as c:
                    c.send_bytes(frame(api, version, noise.randbytes(noise.randrange(0, 200))))
                    try:
                        c.read_frame()
                    except (Closed, TimeoutError):
                        pass
    still_serves(t)


@scenario()
def impossible_frame_lengths_close_the_connection(t):
    for length in (-1, -(1 << 31), (1 << 31) - 1, 104857601):
        refused(t, i32(length) + b"x" * 20)
    refused(t, i32(0))


@scenario()
def truncated_frames_are_dropped_with_their_connection(t):
    whole = frame(METADATA, 4, array([string("a")]) + i8(0))
    for cut in (1, 3, 4, 5, 9, len(whole) - 1):
        with t.broker.connect() as c:
            c.send_bytes(whole[:cut])
    still_serves(t)
    # A frame whose length is true, but whose content ends early.
    for cut in (3, 8, 11, 14, len(whole) - 5):
        refused(t, i32(cut) + whole[4:4 + cut])


@scenario()
def counts_and_lengths_larger_than_the_frame_are_refused(t):
    refused(t, frame(METADATA, 4, i32((1 << 31) - 1) + string("a") + i8(0)))
    refused(t, frame(METADATA, 4, i32(1) + i16(32767) + b"abc" + i8(0)))
    refused(t, frame(METADATA, 12, b"\xff\xff\xff\xff\x0f" + b"\0", flexible=True))
    refused(t, frame(METADATA, 12, b"\xff" * 12 + b"\0", flexible=True))
    refused(t, frame(PRODUCE, 7, string(None) + i16(1) + i32(1000) + i32((1 << 31) - 1)))
    refused(t, frame(FETCH, 11, i32(-1) + i32(0) * 3 + i8(0) + i32(0) + i32(-1) + i32(0x7FFFFFF0)))
    # null where the protocol has none
    refused(t, frame(LIST_OFFSETS, 4, i32(-1) + i8(0) + array([string(None) + array([])])))


@scenario()
def an_unknown_api_closes_the_connection(t):
    refused(t, frame(999, 0, b""))
    refused(t, frame(-1, 0, b""))


@scenario()
def a_version_that_is_not_served_closes_the_connection(t):
    refused(t, frame(METADATA, 99, b"", flexible=True))
    refused(t, frame(FETCH, -1, b""))
    refused(t, frame(FETCH, 3, i32(-1) + i32(0) * 3 + array([])))


@scenario()
def api_versions_of_the_future_is_answered_in_version_0_with_error_35(t):
    with t.broker.connect() as c:
        r = c.call(API_VERSIONS, 99, b"", flexible=True)
        assert r.i16() == UNSUPPORTED_VERSION
        ranges = r.array(lambda: (r.i16(), r.i16(), r.i16()))
        assert [row for row in ranges if row[0] == API_VERSIONS and row[2] >= 3], ranges
        assert r.left() == 0
        # the connection still works: the client now asks in a version both know
        assert c.api_versions()[API_VERSIONS]


@scenario()
def a_batch_that_lies_is_refused_and_nothing_of_it_is_kept(t):
    good = batch([b"a", b"b"])
    lies = {
        "bad CRC": (batch([b"a"], crc=1), CORRUPT_MESSAGE),
        "a flipped bit": (good[:-1] + bytes([good[-1] ^ 1]), CORRUPT_MESSAGE),
        "count above the records": (batch([b"a"], count=2), INVALID_RECORD),
        "last delta and count differ": (batch([b"a"], last_delta=5), INVALID_RECORD),
        "compressed deltas with a hole": (batch([b"a", b"b"], attributes=1, records=gzip.compress(
            record(0, b"a") + record(2, b"b"))), None),
        "control bit from a client": (batch([b"a"], attributes=0x20), INVALID_RECORD),
        "no record at all": (batch([], last_delta=0), INVALID_RECORD),
        "a record longer than its batch": (batch([b"a"], records=varint(1000) + b"a"), None),
        "a record of endless length": (batch([b"a"], records=b"\xff" * 10 + b"\x01"), None),
        "headers that are not there": (batch([b"a"], records=varint(8) + b"\0\0\0" + varbytes(None) + varbytes(None) + varint(1 << 24)), None),
        "a time in the far future": (batch([b"a"], timestamp=1 << 62), INVALID_TIMESTAMP),
        "a transaction nobody began": (batch([b"a"], attributes=0x10, pid=1, epoch=0, sequence=0), 53),
        "length below the smallest": (batch([b"a"], length=10), CORRUPT_MESSAGE),
        "codec 7": (batch([b"a"], attributes=7), None),
        "gzip that is not": (batch([b"a"], attributes=1), None),
        "snappy that is not": (batch([b"a"], attributes=2), None),
        "lz4 that is not": (batch([b"a"], attributes=3), None),
        "zstd that is not": (batch([b"a"], attributes=4), None),
        "two batches in one request": (good + good, INVALID_RECORD),
    }
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        for lie, (data, expected) in lies.items():
            try:
                error, base, *_ = c.produce(t.name, 0, data)
            except Closed:
                c.close()
                c = t.broker.connect()
                assert expected is None, f"{lie}: closed instead of error {expected}"
                continue
            assert error != 0 and base == -1, f"{lie}: accepted at {base}"
            assert expected in (None, error), f"{lie}: error {error}, Kafka says {expected}"
        assert c.list_offset(t.name, 0) == (0, 0), "something of a refused batch was kept"
        assert c.produce(t.name, 0, good)[:2] == (0, 0)
        c.close()


@scenario()
def old_message_formats_are_refused_as_kafka_does(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        for magic in (0, 1):
            body = struct.pack(">bb", magic, 0) + (i64(0) if magic else b"") + i32(-1) + i32(1) + b"a"
            message = i64(0) + i32(len(body) + 4) + struct.pack(">I", zlib.crc32(body)) + body
            try:
                assert c.produce(t.name, 0, message)[0] != 0
            except Closed:
                c = t.broker.connect()
        c.close()
    still_serves(t)


@scenario()
def a_record_larger_than_the_topic_takes_gets_message_too_large(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, configs={"max.message.bytes": "10000"}) == 0
        assert c.produce(t.name, 0, batch([b"x" * 20000]))[0] == MESSAGE_TOO_LARGE
        assert c.produce(t.name, 0, batch([b"x" * 9000]))[0] == 0
        assert c.create_topic(t.name + "-d") == 0
        assert c.produce(t.name + "-d", 0, batch([b"x" * 1048589], crc=0))[0] == MESSAGE_TOO_LARGE


@scenario()
def unknown_topics_and_partitions_get_their_error(t):
    with t.broker.connect() as c:
        assert c.metadata([t.name])[t.name][0] == UNKNOWN_TOPIC_OR_PARTITION
        assert c.produce(t.name, 0, batch([b"a"]))[0] == UNKNOWN_TOPIC_OR_PARTITION
        assert c.fetch(t.name, 0, 0, max_wait=0)[0] == UNKNOWN_TOPIC_OR_PARTITION
        assert c.list_offset(t.name, 0)[0] == UNKNOWN_TOPIC_OR_PARTITION
        assert c.create_topic(t.name) == 0
        for partition in (1, -1, 1 << 30):
            assert c.produce(t.name, partition, batch([b"a"]))[0] == UNKNOWN_TOPIC_OR_PARTITION
            assert c.fetch(t.name, partition, 0, max_wait=0)[0] == UNKNOWN_TOPIC_OR_PARTITION
        assert c.fetch(t.name, 0, 1, max_wait=0)[0] == OFFSET_OUT_OF_RANGE
        assert c.fetch(t.name, 0, -5, max_wait=0)[0] == OFFSET_OUT_OF_RANGE
        assert c.fetch(t.name, 0, 0, max_wait=0)[0] == 0
        assert c.produce(t.name, 0, batch([b"a"]), acks=2)[0] == INVALID_REQUIRED_ACKS


@scenario()
def topic_names_follow_kafkas_rules(t):
    with t.broker.connect() as c:
        for bad in ("", ".", "..", "../x", "a/b", "a b", "a\0b", "a\nb", "x" * 250, "é", "a:b"):
            assert c.create_topic(bad) == INVALID_TOPIC, f"{bad!r}: not refused"
            if bad:
                assert c.metadata([bad], create=True)[bad][0] == INVALID_TOPIC, f"{bad!r}: Metadata"
        assert c.create_topic("x" * 200 + t.name) == 0
        assert c.create_topic(t.name + ".a_b") == 0
        assert c.create_topic(t.name + "_a.b") == INVALID_TOPIC, "'.' and '_' collide"
        assert c.create_topic(t.name + ".a_b") == TOPIC_ALREADY_EXISTS
        assert c.create_topic(t.name + "-p", partitions=0) == INVALID_PARTITIONS
        assert c.create_topic(t.name + "-r", replication=3) == INVALID_REPLICATION_FACTOR
        assert c.create_topic(t.name + "-c", configs={"no.such.key": "1"}) == INVALID_CONFIG
        assert c.create_topic(t.name + "-c", configs={"retention.ms": "soon"}) == INVALID_CONFIG
        assert c.create_topic(t.name + "-m", partitions=10001) == POLICY_VIOLATION, "more than Kafka takes at once"
        assert c.message == "Excessively large number of partitions per request.", c.message
        assert c.create_topic(t.name + "-m", partitions=10000) == POLICY_VIOLATION, "with the topic's own record it is one more than Kafka takes"
        assert c.message == "Unable to perform excessively large batch operation.", c.message
        more = lambda n: c.call(CREATE_PARTITIONS, 0, array([string(t.name + ".a_b") + i32(n) + array(None)]) + i32(30000) + i8(1))
        for n, error in (10001, 0), (10002, UNKNOWN):
            r = more(n)
            r.i32()
            assert r.array(lambda: (r.string(), r.i16(), r.string())) == [(t.name + ".a_b", error, None)], n
        twice = [string(n) + i32(1) + i16(1) + array([]) + array([]) for n in (t.name + "-t", t.name + "-o", t.name + "-t")]
        r = c.call(CREATE_TOPICS, 4, array(twice) + i32(30000) + i8(0))
        r.i32()
        answers = {(name, error, message) for name, error, message in r.array(lambda: (r.string(), r.i16(), r.string()))}
        assert answers == {(t.name + "-t", INVALID_REQUEST, "Duplicate topic name."), (t.name + "-o", 0, None)}, answers


@scenario()
def acks_0_is_not_answered_and_an_error_closes_the_connection(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        c.produce(t.name, 0, batch([b"a"]), acks=0)
        c.api_versions()  # the next answer is this one's
        until(lambda: c.list_offset(t.name, 0) == (0, 1), "the record sent with acks=0")
        c.produce(t.name, 7, batch([b"a"]), acks=0)
        assert c.is_closed(), "an error nobody can be told closes the connection"
    still_serves(t)


@scenario()
def pipelined_requests_are_answered_in_their_order(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        sent = []
        for i in range(60):
            if i % 3 == 0:
                sent.append(c.produce(t.name, 0, batch([b"%d" % i]), acks=(-1, 1)[i % 2], wait=False))
            elif i % 3 == 1:
                sent.append(c.fetch(t.name, 0, 0, max_wait=20, min_bytes=1 << 20, wait=False))
            else:
                sent.append(c.send(API_VERSIONS, 0, b""))
        assert [c.read_frame()[0] for _ in sent] == sent


@scenario()
def connections_that_are_torn_down_in_any_state_leave_the_broker_whole(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        states = {
            "silent": lambda c: None,
            "half a length": lambda c: c.send_bytes(b"\0\0"),
            "half a request": lambda c: c.send_bytes(frame(API_VERSIONS, 0, b"")[:9]),
            "an answer under way": lambda c: c.send(METADATA, 4, array(None) + i8(0)),
            "a fetch that waits": lambda c: c.fetch(t.name, 0, 0, max_wait=60000, wait=False),
            "a record being written": lambda c: c.produce(t.name, 0, batch([b"a"]), wait=False),
        }
        for _ in range(20):
            for state in states.values():
                torn = t.broker.connect()
                torn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                state(torn)
                torn.close()  # by RST
        assert c.produce(t.name, 0, batch([b"z"]))[0] == 0
        assert not [one for one in c.read_all(t.name, 0) if records_of(one)[0][2] not in (b"a", b"z")]


@scenario()
def twenty_thousand_unknown_topics_in_one_question_are_answered(t):
    with t.broker.connect(timeout=60) as c:
        names = [f"{t.name}-{i}" for i in range(20000)]
        answer = c.metadata(names)
        assert len(answer) == 20000 and all(error == UNKNOWN_TOPIC_OR_PARTITION for error, *_ in answer.values())


@scenario(plain=True)
def a_small_batch_that_unpacks_to_much_does_not_fill_the_memory(t):
    broker = t.new_broker()
    with broker.connect(timeout=60) as c:
        assert c.create_topic("t", configs={"compression.type": "lz4"}) == 0  # so that it must be unpacked and packed again
        before, size = broker.rss(), 400 << 20
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        head = b"\0\0\0" + varint(-1) + varint(size)
        packed = packer.compress(varint(len(head) + size + 1) + head)
        for _ in range(size >> 20):
            packed += packer.compress(bytes(1 << 20))
        packed += packer.compress(varint(0)) + packer.flush()
        try:
            c.produce("t", 0, batch([b""], attributes=1, records=packed))
        except Closed:
            pass
        if broker.kind == "odradek":
            assert broker.rss() - before < 200 << 20, f"{(broker.rss() - before) >> 20} MiB after a bomb of {len(packed)} bytes"
    works(broker)


def works(broker):
    with broker.connect() as c:
        assert c.produce("t", 0, batch([b"still there"]))[0] == 0


@scenario(plain=True, target="odradek")  # Apache Kafka pays thirty times as much
def ten_thousand_parked_fetches_make_an_append_no_dearer(t):
    broker, parked = t.new_broker(), []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with broker.connect() as c:
        assert c.create_topic("t") == 0
        one = batch([b"x" * 100])

        def cost():
            """The broker's CPU seconds for 3,000 appends, sent ten at a time."""
            before = broker.cpu()
            for _ in range(300):
                for _ in range(10):
                    c.produce("t", 0, one, acks=1, wait=False)
                for _ in range(10):
                    assert c.produce_answer(c.read_frame()[1])[0] == 0
            return broker.cpu() - before

        cost()  # warm
        alone = min(cost() for _ in range(3))
        end = c.list_offset("t", 0)[1]
        try:
            for fetcher in broker.crowd(min(10000, limit - 500)):
                parked.append(fetcher)
                fetcher.fetch("t", 0, end, max_wait=300000, min_bytes=50 << 20, max_bytes=100 << 20, wait=False)
            c.api_versions()
            crowded = min(cost() for _ in range(3))
        finally:
            for p in parked:
                p.close()
        assert crowded < 2 * alone + 0.1, f"{crowded:.2f} s of CPU with {len(parked)} fetches parked, {alone:.2f} s without"


@scenario(plain=True)
def two_thousand_silent_connections_cost_little_and_hinder_nobody(t):
    broker = t.new_broker()
    with broker.connect() as honest:
        assert honest.create_topic("t") == 0
        before, silent = broker.rss(), []
        try:
            for i, c in enumerate(broker.crowd(2000)):
                silent.append(c)
                if i % 2 and broker.kind == "odradek":  # Apache Kafka takes the announced memory at once and dies of it
                    c.send_bytes(i32(90_000_000) + b"\0\0")  # announces much, sends nothing more
            assert honest.produce("t", 0, batch([b"a"]))[0] == 0
            with broker.connect() as late:
                assert late.produce("t", 0, batch([b"b"]))[0] == 0
            grown = broker.rss() - before
            if broker.kind == "odradek":
                assert grown < 40 << 20, f"2,000 silent connections cost {grown >> 20} MiB"
        finally:
            for c in silent:
                c.close()
        assert honest.produce("t", 0, batch([b"c"]))[:2] == (0, 2)


@scenario(plain=True)
def a_client_that_never_reads_does_not_fill_the_memory(t):
    broker = t.new_broker()
    with broker.connect() as honest:
        assert honest.create_topic("t") == 0
        for _ in range(8):
            assert honest.produce("t", 0, batch([b"x" * 900_000], crc=None))[0] == 0
        before = broker.rss()
        with broker.connect() as deaf:
            deaf.sock.settimeout(2)
            ask = b"".join(frame(FETCH, 11, i32(-1) + i32(0) + i32(1) + i32(50 << 20) + i8(0) + i32(0) + i32(-1)
                                 + array([string("t") + array([i32(0) + i32(-1) + i64(0) + i64(-1) + i32(50 << 20)])])
                                 + array([]) + string("")) for _ in range(1000))
            try:
                deaf.send_bytes(ask * 10)
            except (TimeoutError, ConnectionError):
                pass
            for _ in range(20):
                assert honest.list_offset("t", 0) == (0, 8)
                time.sleep(0.02)
            if broker.kind == "odradek":
                assert broker.rss() - before < 100 << 20, f"{(broker.rss() - before) >> 20} MiB for one deaf client"


# The first flexible version of each API (its request header ends with tags); 47 has none.
FLEXIBLE = {0: 9, 1: 12, 2: 6, 3: 9, 8: 8, 9: 6, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 18: 3, 19: 5, 20: 4, 21: 2, 22: 2,
            23: 4, 32: 4, 33: 2, 35: 2, 37: 2, 42: 2, 44: 1, 46: 0, 47: 99, 60: 0, 74: 0, 75: 0}


def vectors(kind):
    """The encodings by Apache Kafka's codec that the wire tests keep: (name, version, bytes)."""
    r = Reader(gzip.decompress((TOP / "tests/wire/vectors.bin.gz").read_bytes()))
    r.take(r.data.index(b"\n") + 1)
    while r.left():
        name = r.take(r.data.index(b"\0", r.at) - r.at).decode()
        r.take(1)
        version, encoded, _ = r.i16(), r.bytes(), r.bytes()
        if name.endswith(kind):
            yield name.removesuffix(kind), version, encoded


@scenario(target="odradek")
def every_well_formed_request_gets_an_answer_that_can_be_sent(t):
    broker, asked = t.new_broker(), 0
    names = dict(re.findall(r"^(\w+)\((\d+)\)", (HERE / "golden/api-versions.txt").read_text(), re.M))
    with broker.connect() as c:
        served = c.api_versions()
    for name, version, body in vectors("Request"):
        api = int(names.get(name, -1))
        if api in FLEXIBLE and served[api][0] <= version <= served[api][1]:
            asked += 1
            with broker.connect(timeout=0.5) as c:
                c.send_bytes(frame(api, version, body, flexible=version >= FLEXIBLE[api]))
                try:
                    c.read_frame()
                except (Closed, TimeoutError):
                    pass  # refused, or it waits as it was asked to
    assert asked > 250, f"only {asked} requests"
    bad = [line for line in broker.new_log().splitlines() if "cannot be encoded" in line or "internal error" in line or line.startswith("error")]
    assert not bad, f"{len(bad)} complaints: " + "\n".join(sorted(set(bad))[:10])
    works_after(broker)


def works_after(broker):
    with broker.connect() as c:
        assert c.create_topic("works") == 0
        assert c.produce("works", 0, batch([b"a"]))[:2] == (0, 0)


@scenario(plain=True, target="odradek")
def a_hundred_producers_and_a_hundred_consumers_stay_within_the_memory_they_were_given(t):
    """odradek.memory.max holds for requests that execute and for answers that nobody takes; the honest ones get through."""
    partitions, rounds, size = 20, 5, 100_000
    broker = t.new_broker(properties={"odradek.memory.max": 16 << 20})
    with broker.connect() as c:
        assert c.create_topic("t", partitions) == 0
    value, failures, deaf = batch([b"x" * size], crc=None), [], []

    def guarded(work, i):
        try:
            with broker.connect() as c:
                c.sock.settimeout(60)
                work(c, i % partitions)
        except Exception as e:  # a thread's failure is the scenario's
            failures.append(repr(e))

    def produce(c, partition):
        for _ in range(rounds):
            c.produce("t", partition, value, wait=False)
        for _ in range(rounds):
            assert c.produce_answer(c.read_frame()[1])[0] == 0

    def consume(c, partition):
        end, at = rounds * 100 // partitions, 0
        while at < end:
            error, _, _, data = c.fetch("t", partition, at, max_bytes=1 << 20)
            assert error == 0
            at += sum(1 for _ in batches(data or b""))

    def ask(c):  # answers small enough to be copied
        c.sock.settimeout(0.5)
        one = frame(FETCH, 11, i32(-1) + i32(0) + i32(1) + i32(30_000) + i8(0) + i32(0) + i32(-1)
                    + array([string("small") + array([i32(0) + i32(-1) + i64(0) + i64(-1) + i32(30_000)])]) + array([]) + string(""))
        with contextlib.suppress(TimeoutError, ConnectionError):
            c.send_bytes(one * 3000)

    try:
        with broker.connect() as c:
            assert c.create_topic("small", 1) == 0
            for _ in range(40):
                assert c.produce("small", 0, batch([b"y" * 1000]))[0] == 0
        for c in broker.crowd(40):
            deaf.append(c)
            ask(c)
        threads = [threading.Thread(target=guarded, args=(work, i)) for i in range(100) for work in (produce, consume)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[:3]
    finally:
        for c in deaf:
            c.close()
    peak = broker.rss("VmHWM")
    assert peak < 64 << 20, f"{peak >> 20} MiB at most"
    works(broker)


@scenario(plain=True, target="odradek")
def requests_that_decode_or_answer_to_far_more_than_they_are_stay_within_the_memory_they_were_given(t):
    """Thousands of topics in one request, small requests with large answers, counts that become structures, requests that never end and answers
    that nobody reads: from many connections at once, each sending ahead. Without a cap each kind takes from a hundred megabytes to gigabytes."""
    topics, connections, ahead, cap = 1000, 24, 4, 16 << 20
    broker = t.new_broker(properties={"odradek.memory.max": cap, "offsets.topic.num.partitions": 1})
    cstring = lambda s: uvarint(len(s) + 1) + s.encode()
    carray = lambda items: uvarint(len(items) + 1) + b"".join(items)
    names = [f"topic-{i:05}" for i in range(topics)]

    def create(names, validate_only, configs=lambda i: []):
        rows = [cstring(n) + i32(1) + i16(1) + carray([]) + carray(configs(i)) + b"\0" for i, n in enumerate(names)]
        return CREATE_TOPICS, 7, carray(rows) + i32(60_000) + i8(validate_only) + b"\0"

    each_its_own = lambda i: [cstring("retention.ms") + cstring(str(10_000_000 + i)) + b"\0"]
    commit = cstring("g") + i32(-1) + cstring("") + b"\0" + carray(
        [cstring(n) + carray([i32(0) + i64(5) + i32(-1) + cstring("") + b"\0"]) + b"\0" for n in names]) + b"\0"
    resource = lambda kind, name: i8(kind) + cstring(name) + b"\0" + b"\0"
    floods = {
        "CreateTopics": create([f"v-{i}" for i in range(3 * topics)], 1),
        "CreateTopics, configs": create([f"w-{i}" for i in range(topics)], 1, each_its_own),
        "Metadata": (METADATA, 12, uvarint(0) + i8(0) + i8(0) + b"\0"),
        "DescribeConfigs": (DESCRIBE_CONFIGS, 4, carray([resource(2, n) for n in names]) + i8(1) + i8(1) + b"\0"),
        "DescribeConfigs, broker": (DESCRIBE_CONFIGS, 4, carray([resource(4, "1")] * 30) + i8(1) + i8(1) + b"\0"),
        "ListOffsets": (LIST_OFFSETS, 7, i32(-1) + i8(0) + carray(
            [cstring(n) + carray([i32(0) + i32(-1) + i64(-1) + b"\0"]) + b"\0" for n in names]) + b"\0"),
        "OffsetCommit": (OFFSET_COMMIT, 8, commit),
        "OffsetFetch": (OFFSET_FETCH, 8, carray([cstring("g") + uvarint(0) + b"\0"]) + i8(0) + b"\0"),
    }
    with broker.connect(timeout=60) as c:
        c.call(*create(names, 0), flexible=True)
        until(lambda: c.list_offset(names[-1], 0)[0] == 0, "the topics to serve")

        def committed():
            c.call(FIND_COORDINATOR, 4, i8(0) + carray([cstring("g")]) + b"\0", flexible=True)
            r = c.call(OFFSET_COMMIT, 8, commit, flexible=True)
            return r.i32() == 0 and r.uvarint() == topics + 1 and r.cstring() == names[0] and r.uvarint() == 2 and (r.i32(), r.i16()) == (0, 0)

        until(committed, "the group's coordinator to serve")
    with broker.connect() as c:
        assert c.create_topic("t") == 0
    time.sleep(2.5)  # what starting took is given back
    before, failures = broker.rss(), []

    def flood(request):
        try:
            with broker.connect(timeout=120) as c:
                sender = threading.Thread(target=c.send_bytes, args=(frame(*request, flexible=True) * ahead,))
                sender.start()
                for _ in range(ahead):
                    assert len(c.read_frame()[1].data) > 1000
                sender.join()
        except Exception as e:
            failures.append(repr(e))

    def deaf(data):
        with contextlib.suppress(ConnectionError, TimeoutError), broker.connect(timeout=2) as c:
            c.send_bytes(data)
            time.sleep(2)

    value = batch([b"x" * 900_000], crc=None)

    def produce(_):
        try:
            with broker.connect(timeout=120) as c:
                for _ in range(ahead):
                    assert c.produce("t", 0, value)[0] == 0
        except Exception as e:
            failures.append(repr(e))

    peaks, over = {}, threading.Event()

    def honest():
        try:
            with broker.connect(timeout=60) as c:
                while not over.wait(0.02):
                    assert c.produce("t", 0, batch([b"honest"]))[0] == 0
        except Exception as e:
            failures.append("honest: " + repr(e))

    def under(what, work, *args, n=connections):
        broker.reset_peak()
        over.clear()
        threads = [threading.Thread(target=work, args=args) for _ in range(n)]
        beside = threading.Thread(target=honest)
        for thread in (beside, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        beside.join()
        assert not failures, (what, failures[:3])
        peaks[what] = (broker.rss("VmHWM") - before) / (1 << 20)

    for what, request in floods.items():
        under(what, flood, request)
    under("half a large request", deaf, i32(7_000_000) + frame(METADATA, 12, b"")[4:] + bytes(1 << 20), n=2 * connections)
    under("half a small request", deaf, i32(16_000) + bytes(15_000), n=8 * connections)
    under("answers to all topics that nobody reads", deaf, frame(*floods["Metadata"], flexible=True) * 1000, n=2 * connections)
    under("large answers that nobody reads", deaf, frame(*floods["ListOffsets"], flexible=True) * 20, n=2 * connections)
    under("Produce", produce, None, n=2 * connections)
    broker.reset_peak()
    empty_names = frame(42, 2, uvarint((2 << 20) + 1) + b"\1" * (2 << 20) + b"\0", flexible=True)  # DeleteGroups: a byte becomes a structure
    for c in broker.crowd(8):
        with c, contextlib.suppress(ConnectionError):
            c.send_bytes(empty_names)
            assert c.is_closed()
    peaks["DeleteGroups"] = (broker.rss("VmHWM") - before) / (1 << 20)
    assert max(peaks.values()) < (cap >> 20) + 8, f"MiB at most above {before >> 20}: {peaks}"
    with broker.connect() as c:  # larger than anybody may be: refused from its length
        c.send_bytes(i32(cap // 2) + bytes(8))
        assert c.is_closed()
    until(lambda: broker.rss() - before < 8 << 20, "the memory to be given back")
    works_after(broker)
