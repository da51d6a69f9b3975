"""Transcripts: commands of Kafka's tools with what the real Apache Kafka 4.3.1 printed for them (golden/*.txt).

  # a remark
  % sorted            what follows holds for the next command's output: `sorted` ignores its order, `digits` its numbers,
                      `subset` allows lines to be absent or UNSUPPORTED
  % consumer G T      a member of group G reads topic T (librdkafka, client id "member"), until `% leave`
  $ kafka-topics --create --topic a
  < standard input, line by line
  what it printed, stderr (without log lines) behind stdout
  [exit 1]            where the exit code is not 0

Ids, ports, times and widths are taken out before comparing. `scripts/record-golden` runs the commands against Apache Kafka
and writes the answers anew; everything else in the files stays.
"""
import difflib
import re
import shlex

from confluent_kafka import Consumer

from raw import until

# Where Odradek differs from Apache Kafka by intent: what Kafka printed -> what Odradek prints.
BY_INTENT = [
    # On one node the disk is the follower: flushed before acks=all is answered.
    ("flush.messages=9223372036854775807", "flush.messages=1"),
    ("log.flush.interval.messages=9223372036854775807", "log.flush.interval.messages=1"),
]
NO_BOOTSTRAP = {"kafka-dump-log"}
LOG_LINE = re.compile(r"\[20\d\d-|\s+at |\s+\.\.\. |Caused by|\s*\([\w.]+\)$")


def normal(text, broker):
    text = text.replace(str(broker.data), "DATA")
    text = re.sub(rf"(localhost|127\.0\.0\.1):{broker.port}", "BROKER", text).replace(str(broker.port), "PORT")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"(TopicId: |Cluster ID: |\()[\w-]{22}\b", r"\1ID", text)
    text = re.sub(r"\b1[789]\d{11}\b", "TIME", text)
    text = re.sub(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d[:.]\d+Z?", "TIME", text)
    return [re.sub(r"[ \t]+", " ", line).strip() for line in text.splitlines() if line.strip()]


def loosen(lines, hints):
    if "subset" in hints:
        lines = [line.rstrip(",") for line in lines if not line.rstrip(",").endswith("UNSUPPORTED")]
    if "digits" in hints:
        lines = [re.sub(r"[\d.]*\d", "N", line) for line in lines]
    return sorted(lines) if "sorted" in hints or "subset" in hints else lines


class Member:
    """A live consumer in a group."""

    def __init__(self, broker, group, topic):
        self.consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "client.id": "member",
                                  "auto.offset.reset": "earliest", "enable.auto.commit": False})
        self.consumer.subscribe([topic])
        until(lambda: self.consumer.poll(0.2) or self.consumer.assignment(), "an assignment")
        self.consumer.pause(self.consumer.assignment())

    def leave(self):
        self.consumer.close()


def play(path, broker, tools):
    """Runs the commands of a transcript; yields (its lines up to the answer, recorded answer, new answer, hints)."""
    lines, at, member = path.read_text().splitlines(), 0, None
    while at < len(lines):
        head, hints = [], []
        while at < len(lines) and not lines[at].startswith("$ "):
            line = lines[at]
            head.append(line)
            at += 1
            if line.startswith("% consumer "):
                member = Member(broker, *line.split()[2:])
            elif line == "% leave":
                member.leave()
            elif line.startswith("% "):
                hints += line[2:].split()
            else:
                assert not line or line.startswith("#"), f"what is {line!r}?"
        if at == len(lines):
            yield head, [], [], []
            return
        tool, *args = shlex.split(lines[at][2:])
        head.append(lines[at])
        at += 1
        stdin = ""
        while at < len(lines) and lines[at].startswith("< "):
            head.append(lines[at])
            stdin += lines[at][2:] + "\n"
            at += 1
        recorded = []
        while at < len(lines) and not re.match(r"[$#%<] |#$|$", lines[at]):
            recorded.append(lines[at])
            at += 1
        args = [str(path.parent / arg) if arg.endswith(".json") else arg for arg in args]
        where = [] if tool in NO_BOOTSTRAP else ["--bootstrap-server", broker.bootstrap]
        output = tools.run(tool, *args, *where, stdin=stdin, ok=False)
        errors = "\n".join(line for line in output.err.splitlines() if not LOG_LINE.match(line))
        answer = normal(output + "\n" + errors, broker) + ([f"[exit {output.code}]"] if output.code else [])
        yield head, recorded, answer, hints


def record(path, broker, tools):
    out = []
    for head, _, answer, hints in play(path, broker, tools):
        out += head + loosen(answer, hints)
    path.write_text("\n".join(out) + "\n")


def compare(path, broker, tools):
    """Plays the whole transcript; raises with a diff of all that differs."""
    differences = []
    for head, recorded, answer, hints in play(path, broker, tools):
        if broker.kind != "kafka":
            for kafka, odradek in BY_INTENT:
                recorded = [line.replace(kafka, odradek) for line in recorded]
        recorded, answer = loosen(recorded, hints), loosen(answer, hints)
        if "subset" in hints:
            recorded = [line for line in recorded if line in answer]
        if recorded != answer:
            differences += [*head, *list(difflib.unified_diff(recorded, answer, "Apache Kafka", broker.kind, lineterm=""))[2:], ""]
    assert not differences, "differs from what Apache Kafka prints:\n" + "\n".join(differences)
