"""The daemon itself: the files it starts from, the signals it takes, what it says."""
import socket
import subprocess

from harness import free_port, scenario
from raw import *

TUTORIAL_2019 = """\
broker.id=0
delete.topic.enable=true
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={data}
num.partitions=1
num.recovery.threads.per.data.dir=1
log.retention.hours=168
zookeeper.connect=192.168.119.10:2181
"""

# config/server.properties of the Apache Kafka 4.3.1 distribution, its settings only.
KRAFT_2026 = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:{port},CONTROLLER://:{other}
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{other}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={data}
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def works(broker):
    with broker.connect() as c:
        assert c.create_topic("t") in (0, TOPIC_ALREADY_EXISTS)
        assert c.produce("t", 0, batch([b"a"]))[0] == 0
        c.metadata([])
        return c.nodes[0]


@scenario(target="odradek")
def the_properties_of_a_2019_tutorial_start_the_broker(t):
    broker = t.new_broker(start=False)
    file = broker.directory / "tutorial.properties"
    file.write_text(TUTORIAL_2019.format(data=broker.data))
    argv = [*broker.command, str(file), "--override", f"listeners=PLAINTEXT://localhost:{broker.port}"]
    for _ in range(2):  # and again, from its own directory
        broker.start(argv)
        assert works(broker)[0] == 0, "broker.id=0"
        broker.stop()


@scenario(target="odradek")
def the_properties_of_kafka_4_3_1_start_the_broker(t):
    broker = t.new_broker(start=False)
    file = broker.directory / "kraft.properties"
    file.write_text(KRAFT_2026.format(data=broker.data, port=broker.port, other=free_port()))
    broker.start([*broker.command, str(file)])
    node = works(broker)
    assert node[:3] == (1, "localhost", broker.port), node


@scenario(target="odradek")
def the_environment_of_a_container_image_starts_the_broker(t):
    broker = t.new_broker(start=False)
    env = {"KAFKA_NODE_ID": "7", "KAFKA_PROCESS_ROLES": "broker,controller", "KAFKA_LISTENERS":
           f"PLAINTEXT://localhost:{broker.port},CONTROLLER://localhost:{free_port()}",
           "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{broker.port}", "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
           "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
           "KAFKA_CONTROLLER_QUORUM_VOTERS": "7@localhost:9093", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
           "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "3", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2",
           "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0", "KAFKA_NUM_PARTITIONS": "3", "KAFKA_LOG_DIRS": str(broker.data)}
    broker.start(broker.command[:1], env)
    with broker.connect() as c:
        c.metadata(["auto"], create=True)
        until(lambda: len(c.metadata(["auto"])["auto"][2]) == 3, "a topic with KAFKA_NUM_PARTITIONS partitions")
        assert c.nodes[0][0] == 7


@scenario(target="odradek")
def a_wrong_setting_stops_the_start_and_is_named(t):
    broker = t.new_broker(start=False)
    file = broker.directory / "wrong.properties"
    file.write_text(f"log.dirs={broker.data}\nlisteners=PLAINTEXT://localhost:{broker.port}\nnum.partitions=zero\n")
    for argv in ([*broker.command, str(file)], [broker.command[0], "check", str(file)]):
        p = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        said = p.stdout + p.stderr
        assert p.returncode not in (0, 99) and p.returncode > 0, f"exit {p.returncode}\n{said}"
        assert all(word in said for word in ("wrong.properties", "3", "num.partitions", "zero")), said
    assert not broker.data.exists(), "a start that was refused left something behind"


@scenario(target="odradek")
def check_says_what_a_file_means_without_starting(t):
    broker = t.new_broker(start=False)
    file = broker.directory / "old.properties"
    file.write_text(TUTORIAL_2019.format(data=broker.data) + "no.such.setting=1\n")
    p = subprocess.run([broker.command[0], "check", str(file)], capture_output=True, text=True, timeout=30)
    assert p.returncode == 0, p.stdout + p.stderr
    assert "zookeeper.connect" in p.stdout + p.stderr and "no.such.setting" in p.stdout + p.stderr, p.stdout + p.stderr
    assert not broker.data.exists()
    version = subprocess.run([broker.command[0], "version"], capture_output=True, text=True, timeout=30)
    assert version.returncode == 0 and any(ch.isdigit() for ch in version.stdout), version


@scenario(target="odradek")
def readiness_is_told_to_the_service_manager(t):
    broker = t.new_broker(start=False)
    path = str(broker.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(20)
        broker.start(env={"NOTIFY_SOCKET": path})
        told = s.recv(4096).decode()
        assert "READY=1" in told.splitlines(), told
        broker.stop()
        assert "STOPPING=1" in s.recv(4096).decode().splitlines()


@scenario()
def a_clean_stop_answers_or_closes_every_waiting_request(t):
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t") == 0
        waiting = [broker.connect() for _ in range(20)]
        for w in waiting:
            w.fetch("t", 0, 0, max_wait=120000, wait=False)
        seconds = broker.stop()
        assert seconds < 20, f"{seconds:.0f} s"
        for w in waiting:
            w.sock.settimeout(5)
            try:
                assert w.fetch_answer(w.read_frame()[1])[0] in (0, 6), "an error that a client would not retry"
            except Closed:
                pass
            w.close()


@scenario(target="odradek")
def a_second_broker_on_the_same_directory_is_refused(t):
    first, second = t.new_broker(), t.new_broker(start=False)
    second.properties["log.dirs"] = first.data
    second.spawn()
    assert second.wait() > 0
    assert str(first.data) in second.new_log(), second.new_log()
    works(first)


@scenario(target="odradek")
def several_directories_share_the_partitions(t):
    broker = t.new_broker(start=False)
    dirs = [broker.directory / f"d{i}" for i in range(3)]
    broker.properties["log.dirs"] = ",".join(map(str, dirs))
    broker.start()
    with broker.connect() as c:
        assert c.create_topic("t", 9) == 0
        for p in range(9):
            assert c.produce("t", p, batch([b"%d" % p]))[0] == 0
    assert [len(list(d.glob("t-*"))) for d in dirs] == [3, 3, 3]
    broker.stop()
    broker.start()
    with broker.connect() as c:
        for p in range(9):
            assert c.list_offset("t", p) == (0, 1)


@scenario(target="odradek")
def embedded_defaults_need_no_file(t):
    broker = t.new_broker(start=False)
    broker.start([*broker.command, "--override", f"listeners=PLAINTEXT://localhost:{broker.port}", "--override", f"log.dirs={broker.data}"])
    assert works(broker)[1:3] == ("localhost", broker.port)
