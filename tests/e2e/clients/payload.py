"""The records every client sends and must read back, and how it reports them; the Go and JavaScript clients say the same in
their languages.

Each client sends COUNT records per codec and acks level to one topic, reads all of it by offset and by group, and prints a line

  how partition offset key value headers        (how: "offset" or "group"; bytes in hex, "-" for null; headers as k=v,...)

for each record. `check` knows what must be there, so a client cannot agree with itself about something wrong.
"""
COUNT = 40


def name(codec, acks):
    return "%s/%s" % (codec or "none", {-1: "all", "-1": "all"}.get(acks, acks))


def records(codec, acks):
    """Yields (key, value, headers). Some values and keys are null, some values empty, lengths from 0 to some hundreds."""
    tag = name(codec, acks)
    for i in range(COUNT):
        key = None if i % 19 == 5 else ("%s/%d" % (tag, i)).encode()
        value = None if i % 17 == 3 else ("%s/%d:" % (tag, i)).encode() + bytes((i * 31 + j) & 0xFF for j in range(i * 13 % 400))
        yield key, value, [("n", b"%d" % i), ("empty", b"")] if i % 5 == 0 else []


def text(b):
    return "-" if b is None else "x" + bytes(b).hex()


def report(how, partition, offset, key, value, headers):
    print(how, partition, offset, text(key), text(value), ",".join("%s=%s" % (k, text(v)) for k, v in headers or []) or "-")


def check(output, combinations, partition_of):
    """Compares a client's report with what it must have read. partition_of(key) is where the key belongs."""
    expected = sorted((text(k), text(v), ",".join("%s=%s" % (n, text(b)) for n, b in h) or "-")
                      for codec, acks in combinations for k, v, h in records(codec, acks))
    for how in ("offset", "group"):
        lines = [line.split(" ") for line in output.splitlines() if line.startswith(how + " ")]
        got = sorted(tuple(line[3:]) for line in lines)
        missing, strange = [r for r in expected if r not in set(got)], [r for r in got if r not in set(expected)]
        assert got == expected, f"by {how}: {len(got)} of {len(expected)} records; missing {missing[:3]}, strange {strange[:3]}"
        places = [(line[1], int(line[2])) for line in lines]
        assert len(set(places)) == len(places), f"by {how}: an offset twice"
        for partition in {p for p, _ in places}:
            offsets = [o for p, o in places if p == partition]
            assert offsets == sorted(offsets), f"by {how}: partition {partition} out of order"
        for _, partition, _, key, *_ in lines:
            if key != "-":
                assert int(partition) == partition_of(bytes.fromhex(key[1:])), f"key {bytes.fromhex(key[1:])} in {partition}"
