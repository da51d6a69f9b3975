"""Clients nobody here wrote: every codec and acks level out and back, by offset and by group."""
import pathlib
import subprocess
import sys
import threading

from confluent_kafka import Producer

from harness import BUILD, CACHE, HERE, run_client, scenario
from raw import murmur2_partition, records_of, until

sys.path.insert(0, str(HERE / "clients"))
import payload  # noqa: E402

PARTITIONS = 3
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
EVERYTHING = [(codec, acks) for codec in CODECS for acks in (0, 1, "all")]


def there_and_back(t, argv, combinations=EVERYTHING, env=None, broker=None):
    """Runs a client program by the contract of payload.py and judges what it read."""
    broker = broker or t.broker
    with broker.connect() as c:
        assert c.create_topic(t.name, PARTITIONS) == 0
    output = run_client([*argv, broker.bootstrap, t.name, t.name + "-g"], env=env)
    payload.check(output, combinations, lambda key: murmur2_partition(key, PARTITIONS))
    with broker.connect() as c:
        ends = {(t.name, p): c.list_offset(t.name, p)[1] for p in range(PARTITIONS)}
        committed = {tp: offset for tp, (offset, _) in c.offsets(t.name + "-g").items()}
        assert committed == ends, f"the group committed {committed}, the ends are {ends}"


def kafka_python(t, version, mode, **more):
    argv = [sys.executable, HERE / "clients/kafka_python.py", mode]
    env = {"PYTHONPATH": f"{CACHE}/kafka-python-{version}"}
    if mode == "roundtrip":
        codecs = [c for c in EVERYTHING if c[0] != "zstd" or version != "1.4.6"]
        there_and_back(t, argv, codecs, env)
    else:
        if mode == "share":
            with t.broker.connect() as c:
                assert c.create_topic(t.name, 4) == 0
        run_client([*argv, t.broker.bootstrap, t.name, t.name + "-g"], env=env)


@scenario()
def kafka_python_newest_there_and_back(t): kafka_python(t, "3.0.12", "roundtrip")


@scenario()
def kafka_python_2_0_2_there_and_back(t): kafka_python(t, "2.0.2", "roundtrip")


@scenario()
def kafka_python_1_4_6_there_and_back(t): kafka_python(t, "1.4.6", "roundtrip")


@scenario()
def two_consumers_of_kafka_python_newest_share_and_one_takes_over(t): kafka_python(t, "3.0.12", "share")


@scenario()
def two_consumers_of_kafka_python_2_0_2_share_and_one_takes_over(t): kafka_python(t, "2.0.2", "share")


@scenario()
def two_consumers_of_kafka_python_1_4_6_share_and_one_takes_over(t): kafka_python(t, "1.4.6", "share")


@scenario()
def the_admin_client_of_kafka_python_newest_does_its_work(t): kafka_python(t, "3.0.12", "admin")


@scenario()
def the_admin_client_of_kafka_python_2_0_2_does_its_work(t): kafka_python(t, "2.0.2", "admin")


@scenario()
def the_admin_client_of_kafka_python_1_4_6_does_its_work(t): kafka_python(t, "1.4.6", "admin")


@scenario()
def clients_that_speak_the_versions_of_2017_to_2020_are_understood(t): kafka_python(t, "2.0.2", "versions")


@scenario()
def librdkafka_there_and_back(t): there_and_back(t, [sys.executable, HERE / "clients/librdkafka.py"])


@scenario()
def franz_go_there_and_back(t): there_and_back(t, [BUILD / "franz-go"])


@scenario()
def kafkajs_there_and_back(t): there_and_back(t, ["node", CACHE / "js/client.js"])


@scenario(target="odradek")
def clients_notice_nothing_when_a_busy_loop_gives_connections_away(t):
    broker = t.new_broker(properties={"num.network.threads": 2})
    tasks = pathlib.Path(f"/proc/{broker.process.pid}/task")
    second = next(task for task in tasks.iterdir() if (task / "comm").read_text().strip() == "loop-1")
    stop = threading.Event()

    def turns():
        return int((second / "schedstat").read_text().split()[2])

    def bursts():  # each begins on the first loop, with whoever else is there
        while not stop.is_set():
            subprocess.run([BUILD.parent / "dev/tests/bench/load", "--broker", broker.bootstrap, "--count", "100000", "api-versions", "-c", "6", "-d", "40"],
                           check=True, stdout=subprocess.DEVNULL)

    before, load = turns(), threading.Thread(target=bursts)
    load.start()
    try:
        there_and_back(t, [BUILD / "franz-go"], broker=broker)
        until(lambda: turns() > before + 1000, "the second loop to have work", seconds=60)
    finally:
        stop.set()
        load.join()
    broker.stop()


@scenario()
def kcat_there_and_back(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name, PARTITIONS) == 0
    base = ["kcat", "-b", t.broker.bootstrap, "-X", "partitioner=murmur2_random", "-t", t.name]
    sent = []
    for codec, acks in EVERYTHING:
        lines = [(f"{codec}.{acks}.{i}", f"value {i} of {codec} {acks} " + "z" * (i * 7 % 90)) for i in range(20)]
        run_client([*base, "-P", "-z", codec, "-X", f"acks={acks}", "-K", ":"], stdin="".join(f"{k}:{v}\n" for k, v in lines))
        sent += lines
    form = ["-f", "%p %o %k %s\n"]
    by_offset = run_client([*base, "-C", "-o", "beginning", "-e", "-q", *form])
    # -e does not end a group's reader, -c does; leaving commits
    by_group = run_client(["kcat", "-b", t.broker.bootstrap, "-X", "auto.offset.reset=earliest", "-c", str(len(sent)), "-q", *form,
                           "-G", t.name + "-g", t.name])
    for output in (by_offset, by_group):
        lines = [line.split(" ", 3) for line in output.splitlines()]
        assert sorted((k, v) for _, _, k, v in lines) == sorted(sent)
        for partition, _, key, _ in lines:
            assert int(partition) == murmur2_partition(key.encode(), PARTITIONS), key
    listing = run_client(["kcat", "-L", "-b", t.broker.bootstrap, "-t", t.name])
    assert f'topic "{t.name}" with {PARTITIONS} partitions' in listing, listing
    one = run_client([*base, "-C", "-p", "1", "-o", "3", "-c", "2", "-q", "-f", "%o\n"])
    assert one.split() == ["3", "4"], one


@scenario()
def a_topic_nobody_created_is_there_with_a_leader_when_first_written(t):
    run_client(["kcat", "-b", t.broker.bootstrap, "-t", t.name, "-P", "-X", "allow.auto.create.topics=true"], stdin="hello\n")
    got = run_client(["kcat", "-b", t.broker.bootstrap, "-t", t.name, "-C", "-o", "beginning", "-e", "-q"])
    assert got == "hello\n", got


@scenario()
def an_idempotent_producer_of_librdkafka_keeps_order_over_many_batches(t):
    p, errors = Producer({"bootstrap.servers": t.broker.bootstrap, "enable.idempotence": True, "batch.num.messages": 10,
                          "linger.ms": 1}), []
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        for i in range(2000):
            p.produce(t.name, b"%d" % i, partition=0, on_delivery=lambda e, m: errors.append(e) if e else None)
            p.poll(0)
        assert p.flush(30) == 0 and not errors, errors[:3]
        values = [int(value) for one in c.read_all(t.name, 0) for _, _, value, _ in records_of(one)]
        assert values == list(range(2000))


@scenario()
def killed_under_live_producers_nothing_acknowledged_is_missing(t):
    """acks=all, three times killed with -9 while confluent-kafka produces: every acknowledged record is there, in order."""
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t", 2) == 0
    acked, failed, stop = {}, [], threading.Event()

    def delivered(error, message):
        if error:
            failed.append(error)
        else:
            acked[int(message.value())] = (message.partition(), message.offset())

    def produce():
        p = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 2, "delivery.timeout.ms": 60000,
                      "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 50, "logger": None, "log_level": 0})
        i = 0
        while not stop.is_set():
            p.produce("t", b"%d" % i, partition=i % 2, on_delivery=delivered)
            i += 1
            p.poll(0.001)
        p.flush(60)

    worker = threading.Thread(target=produce)
    worker.start()
    try:
        for _ in range(3):
            have = len(acked)
            until(lambda: len(acked) > have + 200, "records to be acknowledged", seconds=60)
            broker.kill()
            broker.start()
    finally:
        stop.set()
        worker.join()
    assert not failed, failed[:3]
    with broker.connect() as c:
        found = {}
        for partition in (0, 1):
            values = []
            for one in c.read_all("t", partition):
                for offset, _, value, _ in records_of(one):
                    values.append(int(value))
                    found[int(value)] = (partition, offset)
            assert values == sorted(set(values)), "out of order or twice"
    missing = [i for i, where in acked.items() if found.get(i) != where]
    assert not missing, f"{len(missing)} of {len(acked)} acknowledged records are not where they were: {missing[:5]}"
