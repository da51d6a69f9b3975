"""The checker checked: a directory is damaged on purpose after a clean stop, and the right anomaly must be reported.

One short life without faults makes the directory; each case starts from a copy of it and of its history. The first case
damages nothing and must report nothing.
"""
import copy
import shutil
import signal
import struct
import time
import traceback

from confluent_kafka import Producer

import raw
from check import check
from clients import Group, Numbered, common
from life import Figures, Life
from world import parse, payload

GROUPS = ("group", "group-python")
CASES = []


def case(*expected, keep=(), transactions=False):
    """Registers a case: a function that damages a directory. keep: clients that live through it. transactions: only with them."""
    def add(function):
        CASES.append((function, set(expected), keep, transactions))
        return function
    return add


# --- the files of a partition ----------------------------------------------------------------------------------------------

def largest_segment(data, topic, partition):
    return max((data / f"{topic}-{partition}").glob("*.log"), key=lambda f: f.stat().st_size)


def last_segment(data, topic, partition):
    return max(f for f in (data / f"{topic}-{partition}").glob("*.log") if f.stat().st_size)


def batches_of(segment):
    found = [data for _, _, data in raw.batches(segment.read_bytes())]
    assert len(found) >= 4, f"{segment}: only {len(found)} batches"
    return found


def rewrite(segment, batches):
    """Puts batches in place of the segment's; what is derived from it goes, so that only the damage itself shows."""
    segment.write_bytes(b"".join(batches))
    for suffix in (".index", ".timeindex"):
        segment.with_suffix(suffix).unlink(missing_ok=True)
    for snapshot in segment.parent.glob("*.snapshot"):
        if int(snapshot.stem) > int(segment.stem):
            snapshot.unlink()


def at_offset(batch, base):
    return struct.pack(">q", base) + batch[8:]  # the base offset is outside the CRC


def base(batch):
    return struct.unpack(">q", batch[:8])[0]


def end(batch):
    return base(batch) + struct.unpack_from(">i", batch, 23)[0] + 1


# --- what is done to a directory -------------------------------------------------------------------------------------------

@case()
def nothing_is_damaged(data, life):
    pass


@case("lost-acked", "vanished-read")
def batches_are_cut_off_a_log(data, life):
    segment = last_segment(data, "a", 0)
    whole = batches_of(segment)
    with open(segment, "r+b") as f:
        f.truncate(sum(map(len, whole[:-3])))


@case("kv-lost")
def batches_are_cut_off_a_compacted_log(data, life):
    for p in range(2):
        for segment in sorted((data / f"kv-{p}").glob("*.log"))[1:]:
            rewrite(segment, [])


@case("corrupt")
def a_bit_is_flipped_in_the_middle_of_a_log(data, life):
    segment = largest_segment(data, "b", 0)
    content, whole = bytearray(segment.read_bytes()), batches_of(segment)
    content[sum(map(len, whole[:len(whole) // 2])) + 90] ^= 4
    segment.write_bytes(content)


@case("offset-gap", "lost-acked", "vanished-read")
def a_batch_is_taken_out_of_the_middle(data, life):
    segment = largest_segment(data, "a", 1)
    whole = batches_of(segment)
    del whole[len(whole) // 2]
    rewrite(segment, whole)


@case("changed-read", "corrupt", "lost-acked")
def a_batch_is_replaced_by_another_with_a_good_checksum(data, life):
    segment = largest_segment(data, "one", 0)
    whole = batches_of(segment)
    old = whole[1]
    values = [b"something else"] * (end(old) - base(old))
    whole[1] = raw.batch(values, base=base(old), leader_epoch=0, timestamp=struct.unpack_from(">q", old, 27)[0])
    rewrite(segment, whole)


@case("duplicate")
def a_batch_is_appended_again(data, life):
    segment = last_segment(data, "b", 1)
    whole = batches_of(segment)
    rewrite(segment, [*whole, at_offset(whole[-1], end(whole[-1]))])


@case("reorder", "offset-order", "changed-read")
def two_batches_change_places(data, life):
    segment = largest_segment(data, "b", 0)
    whole = batches_of(segment)
    i = len(whole) // 2
    first = base(whole[i])
    second = at_offset(whole[i + 1], first)
    whole[i:i + 2] = second, at_offset(whole[i], end(second))
    rewrite(segment, whole)


@case("offset-rewind")
def the_committed_offsets_are_emptied(data, life):
    for directory in data.glob("__consumer_offsets-*"):
        for segment in directory.glob("*.log"):
            rewrite(segment, [])


@case("no-restart")
def the_directory_says_that_it_is_another_nodes(data, life):
    file = data / "meta.properties"
    file.write_text(file.read_text().replace("node.id=1", "node.id=77"))


@case("producer-fatal", keep=("a2",))
def batches_are_cut_off_under_a_waiting_producer(data, life):
    for p in range(3):
        segment = last_segment(data, "a", p)
        whole = batches_of(segment)
        rewrite(segment, whole[:-3])


def without_a_transaction(data, life, partitions):
    """Takes the records of one committed transaction out of some partitions of its topic."""
    name = next(name for name, (outcome, count) in life.world.outcome.items() if outcome == "committed" and count >= 4)
    for p in partitions:
        for segment in (data / f"tx-{p}").glob("*.log"):
            whole = [b for _, _, b in raw.batches(segment.read_bytes())]
            left = [b for b in whole if not any((parse(value) or "?")[0] == name for _, _, value, _ in raw.records_of(b))]
            if len(left) < len(whole):
                rewrite(segment, left)


@case("torn-txn", transactions=True)
def half_a_transaction_is_taken_out(data, life): without_a_transaction(data, life, [0])


@case("lost-txn", transactions=True)
def a_whole_transaction_is_taken_out(data, life): without_a_transaction(data, life, [0, 1])


@case("eos-lost", transactions=True)
def output_is_taken_out_of_the_middle(data, life):
    segment = largest_segment(data, "out", 0)
    whole = batches_of(segment)
    i = len(whole) // 2
    del whole[i:i + 2]  # records or a marker; of two neighbours one at least is records
    rewrite(segment, whole)


# --- what is done to a running broker --------------------------------------------------------------------------------------

@case("aborted-read", "lso-stuck", transactions=True)
def a_transaction_stays_open_and_is_shown(data, life):
    def running():
        producer = Producer(common(life.world, **{"transactional.id": "open", "transaction.timeout.ms": 60000}))
        producer.init_transactions(life.world.limit)
        producer.begin_transaction()
        producer.produce("tx", payload("open.1", 0, b"x"), partition=0)
        producer.flush(life.world.limit)
        life.world.outcome["open.1"] = "open", 1
        name = next(name for name, (outcome, _) in life.world.outcome.items() if outcome == "committed")
        life.world.outcome[name] = "aborted", 1
        check(life.world, GROUPS)
    return running


@case("poll-skip")
def a_group_is_moved_forward(data, life):
    def running():
        work(life, [Numbered(life.world, "a9", "a")])
        with life.broker.connect() as c:
            for p in range(3):
                c.commit("group", "a", p, life.world.commits["group", "a", p][1] + 5)
        work(life, [Group(life.world, "group", ["a"])])
    return running


@case("stuck")
def the_broker_stands_still(data, life):
    def running():
        life.clients = [Numbered(life.world, "a9", "a")]
        life.clients[0].start()
        life.broker.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        life.all_progress(1)
        life.broker.process.send_signal(signal.SIGCONT)
        life.quiesce()
    return running


@case("died")
def the_broker_is_killed_by_somebody_else(data, life):
    def running():
        life.clients = [Group(life.world, "nobody", ["a"])]
        life.broker.process.kill()
        life.broker.process.wait()
        life.all_progress(1)
    return running


def work(life, clients):
    """Lets clients work for a moment."""
    life.clients = clients
    life.world.stop.clear()
    for client in clients:
        client.start()
    life.all_progress()
    time.sleep(0.3)
    life.quiesce()


# --- the cases' run --------------------------------------------------------------------------------------------------------

def made(run, seed, only=None):
    """A life that worked for a moment and was stopped cleanly."""
    life = Life(run, seed, Figures(), "self-test", quiet=True, limit=20 if run.target == "odradek" else 60)
    # Few segments, so that every log has a good part in one.
    for topic in ("a", "b", "one"):
        life.configs[topic] = {"segment.ms": 60000}
    assert life.start(timed=False), life.world.found
    life.begin(only)
    assert life.all_progress() is not None, life.world.found
    time.sleep(1.5)
    return life


def put_back(life, saved):
    shutil.rmtree(life.broker.data)
    shutil.copytree(saved, life.broker.data)


def history(world):
    """A copy of what the world remembers, to be put into it again."""
    return copy.deepcopy({k: getattr(world, k) for k in ("sent", "acked", "shown", "commits", "keys", "keys_acked", "outcome")})


def one(life, function):
    then = function(life.broker.data, life)
    if life.start(timed=False):
        if then:
            then()
        elif life.clients:
            life.world.hold.clear()
            time.sleep(1)
            life.quiesce()
        if life.alive() and not then:
            check(life.world, GROUPS)


def self_test(run, seed):
    """(cases passed, cases failed)"""
    passed, failed = 0, []
    life = made(run, seed)
    life.quiesce()
    check(life.world, GROUPS)
    assert not life.world.found, f"before any damage: {life.world.found}"
    assert life.end(signal.SIGTERM), life.world.found
    saved, remembered = life.broker.directory / "saved", history(life.world)
    shutil.copytree(life.broker.data, saved)

    for function, expected, keep, transactions in CASES:
        if transactions and not life.world.transactions:
            continue
        began, now = time.monotonic(), life
        try:
            if keep:
                now = made(run, seed + 1, keep)
                now.world.hold.set()
                raw.until(lambda: all(c.outstanding == 0 for c in now.clients), "every record to be acknowledged")
                assert now.end(signal.SIGTERM), now.world.found
            else:
                put_back(life, saved)
                life.clients, life.world.found = [], []
                vars(life.world).update(copy.deepcopy(remembered))
                life.world.stop.clear()
            one(now, function)
            names = now.world.names()
            # Damage may show in more ways than the one that names it; an undamaged directory shows none.
            good = expected <= names if expected else not names
        except Exception:
            good, names = False, traceback.format_exc()
        if now.alive():
            now.broker.process.kill()
            now.broker.process.wait()
        sentence = function.__name__.replace("_", " ")
        print(f"{'ok  ' if good else 'FAIL'} {time.monotonic() - began:6.1f} s  {sentence}: "
              f"{', '.join(sorted(names)) or 'no anomaly' if isinstance(names, set) else names}", flush=True)
        if good:
            passed += 1
        else:
            failed.append(sentence)
            for what in now.world.found[:10]:
                print(f"    {what}")
    run.failed += failed
    if not failed:
        shutil.rmtree(life.broker.directory, ignore_errors=True)
    return passed, len(failed)
