"""Idempotent producers, asked byte by byte: what a retrying client relies on."""
from harness import scenario
from raw import *


@scenario()
def a_batch_sent_twice_is_kept_once_and_answered_with_its_first_offset(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        pid, epoch = c.init_producer_id()
        data = [batch([b"%d" % i, b"%d'" % i], pid=pid, epoch=epoch, sequence=2 * i) for i in range(6)]
        for i, one in enumerate(data):
            assert c.produce(t.name, 0, one)[:2] == (0, 2 * i)
        for i in range(1, 6):  # the last five are remembered
            assert c.produce(t.name, 0, data[i])[:2] == (0, 2 * i), f"batch {i} again"
        assert c.list_offset(t.name, 0) == (0, 12)
        error, *_ = c.produce(t.name, 0, data[0])  # older than the five: nobody knows its offset any more
        assert error == OUT_OF_ORDER_SEQUENCE_NUMBER, f"an older duplicate: error {error}"
        assert c.list_offset(t.name, 0) == (0, 12)


@scenario()
def a_hole_in_the_sequence_is_refused(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        pid, epoch = c.init_producer_id()
        assert c.produce(t.name, 0, batch([b"a"], pid=pid, epoch=epoch, sequence=0))[0] == 0
        for sequence in (2, 100, 0x7FFFFFFF):
            error = c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch, sequence=sequence))[0]
            assert error == OUT_OF_ORDER_SEQUENCE_NUMBER, f"sequence {sequence}: {error}"
        assert c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch, sequence=1))[:2] == (0, 1)


@scenario()
def an_old_epoch_is_fenced_and_a_new_one_starts_at_sequence_0(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        pid, epoch = c.init_producer_id()
        assert c.produce(t.name, 0, batch([b"a"], pid=pid, epoch=epoch + 1, sequence=0))[0] == 0
        assert c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch, sequence=1))[0] == INVALID_PRODUCER_EPOCH
        assert c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch + 2, sequence=3))[0] == OUT_OF_ORDER_SEQUENCE_NUMBER
        assert c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch + 2, sequence=0))[:2] == (0, 1)


@scenario()
def sequences_wrap_after_the_largest(t):
    with t.broker.connect() as c:
        assert c.create_topic(t.name) == 0
        pid, epoch = c.init_producer_id()
        # An unknown producer may begin anywhere: its earlier records may have been deleted by retention.
        top = 0x7FFFFFFF
        assert c.produce(t.name, 0, batch([b"a"], pid=pid, epoch=epoch, sequence=top))[:2] == (0, 0)
        assert c.produce(t.name, 0, batch([b"b"], pid=pid, epoch=epoch, sequence=0))[:2] == (0, 1)
        assert c.produce(t.name, 0, batch([b"a"], pid=pid, epoch=epoch, sequence=top))[:2] == (0, 0)


@scenario()
def producer_ids_are_never_handed_out_twice(t):
    broker = t.new_broker()
    with broker.connect() as c:
        ids = [c.init_producer_id()[0] for _ in range(5)]
    broker.kill()
    broker.start()
    with broker.connect() as c:
        ids += [c.init_producer_id()[0] for _ in range(5)]
    broker.stop()
    broker.start()
    with broker.connect() as c:
        ids += [c.init_producer_id()[0] for _ in range(5)]
    assert len(set(ids)) == 15, ids


@scenario()
def duplicates_are_recognised_after_a_clean_stop_and_after_a_kill(t):
    broker = t.new_broker()
    with broker.connect() as c:
        assert c.create_topic("t") == 0
        pid, epoch = c.init_producer_id()
        data = [batch([b"%d" % i], pid=pid, epoch=epoch, sequence=i) for i in range(4)]
        for one in data[:3]:
            assert c.produce("t", 0, one)[0] == 0
    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        with broker.connect() as c:
            # the last batch: a snapshot, which a clean stop leaves, remembers one per producer
            assert c.produce("t", 0, data[2])[:2] == (0, 2), f"a retry after {end.__name__}"
            assert c.produce("t", 0, batch([b"x"], pid=pid, epoch=epoch, sequence=9))[0] == OUT_OF_ORDER_SEQUENCE_NUMBER
            assert c.list_offset("t", 0) == (0, 3)
    with broker.connect() as c:
        assert c.produce("t", 0, data[3])[:2] == (0, 3)
