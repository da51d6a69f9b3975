/* Producer state. The first part follows the cases of Kafka's ProducerStateManagerTest that apply to a leader's log. */
#include "leaf.h"
#include "pstate.h"
#include <odradek/batch.h>

enum { PID = 1, NONE = -1 };
#define NEVER  INT64_MAX
#define DAY_MS 86400000LL

static struct pstate_batch data(int64_t pid, int16_t epoch, int32_t seq, int64_t first, int64_t last, int64_t ts, bool txn)
{
    return (struct pstate_batch){ .producer_id = pid,
                                  .epoch = epoch,
                                  .transactional = txn,
                                  .base_sequence = seq,
                                  .last_sequence = seq < 0 ? -1 : sequence_add(seq, (int32_t)(last - first)),
                                  .first_offset = first,
                                  .last_offset = last,
                                  .max_timestamp = ts,
                                  .marker = PSTATE_NO_MARKER };
}

static struct pstate_batch marker(int64_t pid, int16_t epoch, enum pstate_marker m, int64_t offset, int32_t coordinator)
{
    return (struct pstate_batch){ .producer_id = pid,
                                  .epoch = epoch,
                                  .transactional = true,
                                  .control = true,
                                  .base_sequence = -1,
                                  .last_sequence = -1,
                                  .first_offset = offset,
                                  .last_offset = offset,
                                  .max_timestamp = 1000,
                                  .marker = m,
                                  .coordinator_epoch = coordinator };
}

/* Checks as for a client, applies when allowed. */
static int append(struct pstate *ps, struct pstate_batch b)
{
    int rc = pstate_check(ps, &b, true, NULL);
    if (rc == 0) {
        pstate_apply(ps, &b, NULL, NULL);
        pstate_set_end(ps, b.last_offset + 1);
    }
    return rc;
}

static int append_one(struct pstate *ps, int16_t epoch, int32_t seq, int64_t offset, bool txn)
{
    return append(ps, data(PID, epoch, seq, offset, offset, 1000, txn));
}

static int end_txn(struct pstate *ps, int16_t epoch, enum pstate_marker m, int64_t offset)
{
    return append(ps, marker(PID, epoch, m, offset, 0));
}

static void replay(struct pstate *ps, struct pstate_batch b)
{
    pstate_apply(ps, &b, NULL, NULL);
    pstate_set_end(ps, b.last_offset + 1);
}

static struct pstate_view view(const struct pstate *ps, int64_t pid)
{
    struct pstate_view v;
    assert_true(pstate_find(ps, pid, &v));
    return v;
}

static struct pstate fresh[4]; /* pstates must not move; each test frees what it took */
static struct pstate *new_state(int i)
{
    pstate_init(&fresh[i], 0);
    return &fresh[i];
}

/* ---- Kafka's cases --------------------------------------------------------------------------------------------------- */

static void basic_id_mapping(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(append_one(ps, 0, 0, 0, false), 0);
    assert_int_equal(append_one(ps, 0, 1, 1, false), 0);
    assert_int_equal(append_one(ps, 0, 5, 2, false), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append_one(ps, 1, 0, 2, false), 0);
    assert_int_equal(append_one(ps, 0, 0, 3, false), E_INVALID_PRODUCER_EPOCH);
    assert_int_equal(view(ps, PID).epoch, 1);
    pstate_free(ps);
}

static void append_txn_marker_with_no_producer_state(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(end_txn(ps, 2, PSTATE_COMMIT, 27), 0);
    assert_int_equal(view(ps, PID).epoch, 2);
    assert_int_equal(view(ps, PID).last_sequence, -1);
    assert_int_equal(append_one(ps, 0, 0, 28, false), E_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append_one(ps, 2, 17, 28, false), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append_one(ps, 2, 0, 39, false), 0);
    assert_int_equal(view(ps, PID).last_sequence, 0);
    pstate_free(ps);
}

static void producer_sequence_wrap_around(void **state)
{
    struct pstate *ps = new_state(0);
    replay(ps, data(PID, 15, INT32_MAX, 735, 735, 1000, false));
    assert_int_equal(append_one(ps, 15, 1, 1235, false), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append_one(ps, 15, 0, 1235, false), 0);
    assert_int_equal(view(ps, PID).last_sequence, 0);
    pstate_free(ps);
}

static void producer_sequence_with_wrap_around_batch_record(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_batch b = data(PID, 15, INT32_MAX - 10, 2000, 2020, 1000, false);
    struct pstate_dup dup;
    assert_int_equal(b.last_sequence, 9);
    replay(ps, b);
    assert_int_equal(pstate_check(ps, &b, true, &dup), E_DUPLICATE_BATCH);
    assert_int_equal(dup.first_offset, 2000);
    assert_int_equal(dup.last_offset, 2020);
    assert_int_equal(append_one(ps, 15, 10, 2021, false), 0);
    pstate_free(ps);
}

static void no_validation_on_first_entry(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(append_one(ps, 5, 16, 735, false), 0); /* a client, too: the state may have been lost */
    assert_int_equal(view(ps, PID).last_sequence, 16);
    assert_int_equal(view(ps, PID).last_offset, 735);
    pstate_free(ps);
}

static void control_record_bumps_producer_epoch(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(append_one(ps, 0, 0, 0, false), 0);
    assert_int_equal(end_txn(ps, 1, PSTATE_ABORT, 1), 0);
    assert_int_equal(view(ps, PID).epoch, 1);
    assert_int_equal(view(ps, PID).txn_start, -1);
    assert_int_equal(view(ps, PID).last_sequence, -1);
    assert_int_equal(append_one(ps, 1, 0, 2, false), 0);
    pstate_free(ps);
}

static void out_of_sequence_after_control_record_epoch_bump(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(append_one(ps, 0, 0, 0, true), 0);
    assert_int_equal(append_one(ps, 0, 1, 1, true), 0);
    assert_int_equal(end_txn(ps, 1, PSTATE_ABORT, 2), 0);
    assert_int_equal(append_one(ps, 1, 2, 3, true), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append_one(ps, 2, 2, 3, true), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append_one(ps, 1, 0, 3, true), 0);
    pstate_free(ps);
}

static void non_transactional_append_with_ongoing_transaction(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(append_one(ps, 0, 0, 0, true), 0);
    assert_int_equal(append_one(ps, 0, 1, 1, false), E_INVALID_TXN_STATE);
    assert_int_equal(append_one(ps, 0, 1, 1, true), 0);
    pstate_free(ps);
}

static void first_unstable_offset(void **state)
{
    struct pstate *ps = new_state(0);
    assert_true(pstate_first_undecided(ps) == NEVER && pstate_first_unstable(ps) == NEVER);
    append_one(ps, 5, 0, 99, true);
    assert_int_equal(pstate_first_undecided(ps), 99);
    assert_int_equal(pstate_first_unstable(ps), 99);
    append(ps, data(2, 5, 0, 105, 105, 1000, true));
    assert_int_equal(pstate_first_undecided(ps), 99);
    end_txn(ps, 5, PSTATE_COMMIT, 109);
    assert_int_equal(pstate_first_undecided(ps), 105);
    assert_int_equal(pstate_first_unstable(ps), 99);
    pstate_set_watermark(ps, 100);
    assert_int_equal(pstate_first_unstable(ps), 99);
    pstate_set_watermark(ps, 109); /* the marker itself is not below it yet */
    assert_int_equal(pstate_first_unstable(ps), 99);
    pstate_set_watermark(ps, 110);
    assert_int_equal(pstate_first_unstable(ps), 105);
    append(ps, marker(2, 5, PSTATE_ABORT, 112, 0));
    assert_true(pstate_first_undecided(ps) == NEVER);
    assert_int_equal(pstate_first_unstable(ps), 105);
    pstate_set_watermark(ps, 113);
    assert_true(pstate_first_unstable(ps) == NEVER);
    pstate_free(ps);
}

static void last_stable_offset_completed_txn(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_done done;
    for (int i = 0; i < 3; i++) append(ps, data(PID + i, 0, 0, 100 + i * 25, 100 + i * 25, 1000, true));

    struct pstate_batch m = marker(PID, 0, PSTATE_COMMIT, 200, 0);
    assert_true(pstate_apply(ps, &m, NULL, &done));
    assert_int_equal(done.stable_offset, 125);
    assert_int_equal(done.first_offset, 100);
    assert_int_equal(done.last_offset, 200);
    assert_false(done.aborted);
    m = marker(PID + 2, 0, PSTATE_ABORT, 220, 0);
    assert_true(pstate_apply(ps, &m, NULL, &done));
    assert_int_equal(done.stable_offset, 125);
    assert_true(done.aborted);
    pstate_set_watermark(ps, 221);
    assert_int_equal(pstate_first_unstable(ps), 125);
    m = marker(PID + 1, 0, PSTATE_COMMIT, 300, 0);
    assert_true(pstate_apply(ps, &m, NULL, &done));
    assert_int_equal(done.stable_offset, 301);
    pstate_set_watermark(ps, 301);
    assert_true(pstate_first_unstable(ps) == NEVER);
    pstate_free(ps);
}

static void skip_empty_transactions(void **state)
{
    struct pstate *ps = new_state(0);
    append(ps, data(PID, 0, 0, 16, 20, 1000, true));
    pstate_set_watermark(ps, 21);
    assert_int_equal(pstate_first_unstable(ps), 16);

    static const int64_t ended[] = { 21, 22, 23, 28, 29 };
    static const bool had_data[] = { true, false, false, true, false };
    struct pstate_done done;
    for (size_t i = 0; i < ARRAY_LEN(ended); i++) {
        if (ended[i] == 28) append(ps, data(PID, 0, 5, 24, 27, 1000, true));
        struct pstate_batch m = marker(PID, 0, i % 2 ? PSTATE_ABORT : PSTATE_COMMIT, ended[i], 0);
        assert_int_equal(pstate_check(ps, &m, false, NULL), 0);
        assert_int_equal(pstate_apply(ps, &m, NULL, &done), had_data[i]);
    }
    assert_int_equal(done.first_offset, 24);
    append(ps, data(PID, 0, 9, 30, 31, 1000, true));
    pstate_set_watermark(ps, 32);
    assert_int_equal(pstate_first_unstable(ps), 30);
    pstate_free(ps);
}

static void pid_expiration_timeout(void **state)
{
    struct pstate *ps = new_state(0);
    append(ps, data(PID, 5, 0, 1, 1, 1000, false));
    pstate_expire(ps, 1000 + DAY_MS - 1, DAY_MS);
    assert_int_equal(pstate_count(ps), 1);
    pstate_expire(ps, 1000 + DAY_MS, DAY_MS);
    assert_int_equal(pstate_count(ps), 0);
    assert_int_equal(append_one(ps, 5, 1, 2, false), 0); /* forgotten: any sequence */
    pstate_free(ps);
}

static void producers_with_ongoing_transactions_dont_expire(void **state)
{
    struct pstate *ps = new_state(0);
    append_one(ps, 5, 0, 99, true);
    pstate_expire(ps, 10 * DAY_MS, DAY_MS);
    assert_int_equal(pstate_count(ps), 1);
    assert_int_equal(pstate_first_undecided(ps), 99);
    end_txn(ps, 5, PSTATE_COMMIT, 100);
    pstate_expire(ps, 10 * DAY_MS, DAY_MS);
    assert_int_equal(pstate_count(ps), 0);
    assert_int_equal(pstate_first_unstable(ps), 99); /* held back by its marker all the same */
    pstate_free(ps);
}

static void sequence_not_validated_for_coordinators(void **state)
{
    struct pstate *ps = new_state(0);
    for (int64_t offset = 99; offset < 110; offset++) {
        struct pstate_batch b = data(PID, 0, -1, offset, offset, 1000, true);
        assert_int_equal(pstate_check(ps, &b, false, NULL), 0);
        pstate_apply(ps, &b, NULL, NULL);
    }
    struct pstate_batch old = data(PID, -1, -1, 110, 110, 1000, true);
    assert_int_equal(pstate_check(ps, &old, false, NULL), E_INVALID_PRODUCER_EPOCH);
    pstate_free(ps);
}

static void old_epoch_for_control_record(void **state)
{
    struct pstate *ps = new_state(0);
    append_one(ps, 5, 0, 99, true);
    assert_int_equal(end_txn(ps, 3, PSTATE_COMMIT, 100), E_INVALID_PRODUCER_EPOCH);
    assert_int_equal(pstate_first_undecided(ps), 99);
    pstate_free(ps);
}

static void coordinator_fencing(void **state)
{
    struct pstate *ps = new_state(0);
    append_one(ps, 5, 0, 99, true);
    assert_int_equal(append(ps, marker(PID, 5, PSTATE_COMMIT, 100, 1)), 0);
    assert_int_equal(view(ps, PID).coordinator_epoch, 1);
    assert_int_equal(append(ps, marker(PID, 5, PSTATE_COMMIT, 101, 1)), 0);
    assert_int_equal(append(ps, marker(PID, 5, PSTATE_COMMIT, 102, 2)), 0);
    assert_int_equal(append(ps, marker(PID, 5, PSTATE_COMMIT, 103, 1)), E_TRANSACTION_COORDINATOR_FENCED);
    pstate_free(ps);
}

/* transaction.version 2: a marker must raise the epoch; sent again, when the transaction is over, it is taken. */
static void markers_of_transaction_version_2_raise_the_epoch(void **state)
{
    struct pstate *ps = new_state(0);
    append_one(ps, 5, 0, 99, true);
    struct pstate_batch m = marker(PID, 5, PSTATE_COMMIT, 100, 1);
    m.txn_version = 2;
    assert_int_equal(pstate_check(ps, &m, false, NULL), E_INVALID_PRODUCER_EPOCH);
    m.epoch = 6;
    assert_int_equal(pstate_check(ps, &m, false, NULL), 0);
    pstate_apply(ps, &m, NULL, NULL);
    assert_int_equal(pstate_check(ps, &m, false, NULL), 0); /* the retry */
    m.epoch = 5;
    assert_int_equal(pstate_check(ps, &m, false, NULL), E_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append_one(ps, 6, 0, 101, true), 0);
    m.epoch = 6; /* of the transaction before: not this one's end */
    assert_int_equal(pstate_check(ps, &m, false, NULL), E_INVALID_PRODUCER_EPOCH);

    struct pstate *last = new_state(1);
    append_one(last, INT16_MAX, 0, 99, true);
    m.epoch = INT16_MAX; /* cannot be raised */
    assert_int_equal(pstate_check(last, &m, false, NULL), 0);
    pstate_free(ps);
    pstate_free(last);
}

static void append_empty_control_batch(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_batch b = marker(PID, 0, PSTATE_NO_MARKER, 15, 0);
    assert_int_equal(pstate_check(ps, &b, false, NULL), 0);
    assert_false(pstate_apply(ps, &b, NULL, NULL));
    assert_int_equal(pstate_count(ps), 0);
    pstate_free(ps);
}

static void late_transactions_are_seen_by_the_oldest(void **state)
{
    struct pstate *ps = new_state(0);
    assert_int_equal(pstate_oldest_txn_ms(ps), -1);
    append(ps, data(PID, 0, 0, 0, 0, 5000, true));
    append(ps, data(2, 0, 0, 1, 1, 4000, true));
    assert_int_equal(pstate_oldest_txn_ms(ps), 5000);
    append(ps, data(PID, 0, 1, 2, 2, 6000, true));
    assert_int_equal(pstate_oldest_txn_ms(ps), 6000);
    end_txn(ps, 0, PSTATE_COMMIT, 3);
    assert_int_equal(pstate_oldest_txn_ms(ps), 4000);
    pstate_clear(ps, 0);
    assert_int_equal(pstate_oldest_txn_ms(ps), -1);
    pstate_free(ps);
}

/* ---- duplicates ------------------------------------------------------------------------------------------------------ */

static void the_last_five_batches_are_recognised(void **state)
{
    struct pstate *ps = new_state(0);
    for (int64_t i = 0; i < 20; i++) {
        assert_int_equal(append(ps, data(PID, 0, i * 10, i * 100, i * 100 + 9, 1000 + i, false)), 0);
        for (int64_t back = 0; back <= i; back++) {
            struct pstate_batch again = data(PID, 0, (i - back) * 10, 777777, 777786, 1, false);
            struct pstate_dup dup = { 0 };
            int rc = pstate_check(ps, &again, true, &dup);
            assert_int_equal(rc, back < PSTATE_BATCHES ? E_DUPLICATE_BATCH : E_OUT_OF_ORDER_SEQUENCE_NUMBER);
            if (rc != E_DUPLICATE_BATCH) continue;
            assert_int_equal(dup.first_offset, (i - back) * 100);
            assert_int_equal(dup.last_offset, (i - back) * 100 + 9);
            assert_int_equal(dup.timestamp, 1000 + i - back);
        }
    }
    pstate_free(ps);
}

static void a_duplicate_has_the_same_sequences_and_epoch(void **state)
{
    struct pstate *ps = new_state(0);
    append(ps, data(PID, 3, 0, 0, 9, 1000, false));
    struct pstate_batch part = data(PID, 3, 0, 0, 4, 1000, false), tail = data(PID, 3, 5, 0, 4, 1000, false);
    assert_int_equal(pstate_check(ps, &part, true, NULL), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(pstate_check(ps, &tail, true, NULL), E_OUT_OF_ORDER_SEQUENCE_NUMBER);
    struct pstate_batch old = data(PID, 2, 0, 0, 9, 1000, false), newer = data(PID, 4, 0, 0, 9, 1000, false);
    assert_int_equal(pstate_check(ps, &old, true, NULL), E_INVALID_PRODUCER_EPOCH);
    assert_int_equal(pstate_check(ps, &newer, true, NULL), 0);
    pstate_free(ps);
}

static void duplicates_are_found_in_a_transaction_and_after_its_end(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_batch b = data(PID, 0, 0, 0, 9, 1000, true);
    append(ps, b);
    assert_int_equal(pstate_check(ps, &b, true, NULL), E_DUPLICATE_BATCH);
    end_txn(ps, 0, PSTATE_COMMIT, 10);
    assert_int_equal(pstate_check(ps, &b, true, NULL), E_DUPLICATE_BATCH);
    assert_int_equal(append_one(ps, 0, 10, 11, true), 0); /* sequences go on over the marker */
    pstate_free(ps);
}

static void batches_without_a_producer_change_nothing(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_batch b = data(NONE, -1, -1, 0, 9, 1000, false);
    struct pstate_run run = { 0 };
    assert_int_equal(pstate_check(ps, &b, true, NULL), 0);
    assert_false(pstate_apply(ps, &b, &run, NULL));
    assert_int_equal(pstate_run_mark(&run), 0);
    assert_int_equal(pstate_count(ps), 0);
    assert_int_equal(pstate_max_producer_id(ps), -1);
    pstate_free(ps);
}

/* ---- runs ------------------------------------------------------------------------------------------------------------ */

/* Everything that can be asked of a state, as text, so that two can be compared. */
static struct bytes dump(const struct pstate *ps)
{
    struct bytes out = { 0 };
    struct arena a;
    struct pstate_view *v;
    arena_init(&a);
    int n = pstate_list(ps, &a, &v);
    for (int i = 0; i < n; i++) {
        bytes_printf(&out, "%lld e%d c%d s%d o%lld t%lld x%lld:", (long long)v[i].producer_id, v[i].epoch, v[i].coordinator_epoch,
                     v[i].last_sequence, (long long)v[i].last_offset, (long long)v[i].last_timestamp, (long long)v[i].txn_start);
        for (int32_t seq = 0; seq < 150; seq++) { /* which batches of one record would be duplicates, and of what */
            struct pstate_batch b = data(v[i].producer_id, v[i].epoch, seq, 0, 0, 0, false);
            struct pstate_dup dup;
            if (pstate_check(ps, &b, true, &dup) == E_DUPLICATE_BATCH)
                bytes_printf(&out, " %d@%lld/%lld", seq, (long long)dup.first_offset, (long long)dup.timestamp);
        }
        bytes_printf(&out, "\n");
    }
    bytes_printf(&out, "unstable %lld undecided %lld\n", (long long)pstate_first_unstable(ps),
                 (long long)pstate_first_undecided(ps));
    arena_free(&a);
    return out;
}

static void assert_same(const struct pstate *a, const struct pstate *b)
{
    struct bytes x = dump(a), y = dump(b);
    assert(x.p && y.p);
    if (x.n != y.n || memcmp(x.p, y.p, x.n) != 0)
        fail_msg("\n" S_FMT "is not\n" S_FMT, S_ARG(bytes_slice(&x)), S_ARG(bytes_slice(&y)));
    bytes_free(&x);
    bytes_free(&y);
}

static void batches_of_one_run_see_each_other(void **state)
{
    struct pstate *ps = new_state(0);
    struct pstate_run run = { 0 };
    struct pstate_batch first = data(PID, 0, 0, 0, 4, 1000, false), second = data(PID, 0, 5, 5, 9, 1000, false);
    pstate_apply(ps, &first, &run, NULL);
    assert_int_equal(pstate_check(ps, &first, true, NULL), E_DUPLICATE_BATCH);
    assert_int_equal(pstate_check(ps, &second, true, NULL), 0);
    pstate_apply(ps, &second, &run, NULL);
    pstate_run_undo(ps, &run, 0);
    assert_int_equal(pstate_count(ps), 0);
    assert_int_equal(pstate_check(ps, &first, true, NULL), 0);
    pstate_run_free(&run);
    pstate_free(ps);
}

static void one_append_of_a_run_is_taken_back_alone(void **state)
{
    struct pstate *ps = new_state(0), *want = new_state(1);
    struct pstate_run run = { 0 };
    struct pstate_batch kept = data(PID, 0, 0, 0, 4, 1000, true), refused = data(2, 0, 0, 5, 9, 1000, true),
                        end = marker(PID, 0, PSTATE_ABORT, 10, 0);
    pstate_apply(ps, &kept, &run, NULL);
    size_t mark = pstate_run_mark(&run);
    pstate_apply(ps, &refused, &run, NULL);
    pstate_apply(ps, &end, &run, NULL);
    pstate_run_undo(ps, &run, mark);
    pstate_apply(want, &kept, NULL, NULL);
    assert_same(ps, want);
    pstate_run_keep(&run);
    assert_int_equal(pstate_run_mark(&run), 0);
    pstate_run_free(&run);
    pstate_free(ps);
    pstate_free(want);
}

/* Random batches, good and odd, in runs; half of the runs are taken back, wholly or in part. The state is the one that the
 * kept batches alone make. */
static void a_run_taken_back_was_never_there(void **state)
{
    enum { BATCHES = 40 };
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = world_sim_new(seed);
        struct pstate *ps = new_state(0), *want = new_state(1);
        struct pstate_run run = { 0 };
        int64_t offset = 0;
        for (int round = 0; round < 40; round++) {
            struct pstate_batch b[BATCHES];
            size_t marks[BATCHES + 1];
            int n = 1 + (int)rnd_below(w->rnd, BATCHES);
            for (int i = 0; i < n; i++) {
                int64_t pid = (int64_t)rnd_below(w->rnd, 5);
                struct pstate_view v = { .last_sequence = -1 };
                pstate_find(ps, pid, &v);
                int16_t epoch = (int16_t)MAX(v.epoch + (rnd_below(w->rnd, 12) == 0), 0);
                b[i] = rnd_below(w->rnd, 4) == 0
                           ? marker(pid, epoch, (enum pstate_marker)rnd_below(w->rnd, 2), offset, (int32_t)rnd_below(w->rnd, 3))
                           : data(pid, epoch, epoch == v.epoch ? (v.last_sequence + 1) % 140 : 0, offset, offset, 1000 + offset,
                                  rnd_below(w->rnd, 3) > 0);
                marks[i] = pstate_run_mark(&run);
                pstate_apply(ps, &b[i], &run, NULL);
                offset++;
            }
            int keep = rnd_below(w->rnd, 2) ? n : (int)rnd_below(w->rnd, (uint64_t)n);
            if (keep < n) {
                pstate_run_undo(ps, &run, marks[keep]);
                offset -= n - keep;
            }
            pstate_run_keep(&run);
            for (int i = 0; i < keep; i++) pstate_apply(want, &b[i], NULL, NULL);
            if (rnd_below(w->rnd, 3) == 0) {
                int64_t watermark = offset - (int64_t)rnd_below(w->rnd, 20);
                pstate_set_watermark(ps, watermark);
                pstate_set_watermark(want, watermark);
            }
            assert_same(ps, want);
        }
        pstate_run_free(&run);
        pstate_free(ps);
        pstate_free(want);
        world_free(&w);
    }
}

/* ---- the facts of a batch -------------------------------------------------------------------------------------------- */

/* The abort marker Kafka wrote at offset 65 for producer 10. */
#define KAFKA_ABORT                                                                                                              \
    "0000000000000041000000420000000002e6911ad4003000000000000001a20104ae4a000001a20104ae4a000000000000000a0000ffffffff00000001" \
    "2000000008000000000c00000000000000"

static void a_marker_of_kafka_is_read(void **state)
{
    struct bytes raw = hex(KAFKA_ABORT);
    struct pstate_batch b;
    assert_int_equal(pstate_batch_of(raw.p, raw.n, &b), 0);
    assert_int_equal(b.producer_id, 10);
    assert_int_equal(b.epoch, 0);
    assert_true(b.control && b.transactional);
    assert_int_equal(b.marker, PSTATE_ABORT);
    assert_int_equal(b.coordinator_epoch, 0);
    assert_int_equal(b.first_offset, 65);
    assert_int_equal(b.last_offset, 65);
    assert_int_equal(b.max_timestamp, 0x1a20104ae4a);
    assert_int_equal(b.last_sequence, -1);
    bytes_free(&raw);
}

static void a_marker_made_here_is_read_back(void **state)
{
    struct bytes out = { 0 };
    struct pstate_batch b;
    assert_true(batch_put_marker(&out, 70, 123456, 3, 44, 5, true, 9) > 0);
    assert_int_equal(pstate_batch_of(out.p, out.n, &b), 0);
    assert_int_equal(b.marker, PSTATE_COMMIT);
    assert_int_equal(b.producer_id, 44);
    assert_int_equal(b.epoch, 5);
    assert_int_equal(b.coordinator_epoch, 9);
    assert_int_equal(b.first_offset, 70);
    assert_int_equal(b.max_timestamp, 123456);
    bytes_free(&out);
}

static void load_batch(struct slice bytes)
{
    struct pstate_batch b;
    struct batch_head h;
    if (batch_parse_head(bytes.p, bytes.n, &h) < 0) return;
    pstate_batch_of(bytes.p, bytes.n, &b);
}
static void no_bytes_break_the_batch_reader(void **state)
{
    struct bytes raw = hex(KAFKA_ABORT);
    mutate(bytes_slice(&raw), load_batch);
    bytes_free(&raw);
}

/* ---- snapshots ------------------------------------------------------------------------------------------------------- */

/* What Kafka left of the log that ends with that marker: one producer, its transaction over. */
#define KAFKA_SNAPSHOT \
    "000186c0f5d700000001000000000000000a00000000003b000000000000004000000009000001a20104ae4a00000000ffffffffffffffff"

static void a_log_replayed_gives_kafkas_snapshot(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    for (int64_t i = 0; i < 6; i++) {
        struct pstate_batch end = marker(10, 0, i % 2 ? PSTATE_ABORT : PSTATE_COMMIT, i * 11 + 10, 0);
        end.max_timestamp = 0x1a20104ae4a;
        replay(ps, data(10, 0, i * 10, i * 11, i * 11 + 9, 1795313413328, true));
        replay(ps, end);
    }
    struct bytes want = hex(KAFKA_SNAPSHOT), is = { 0 };
    pstate_encode(ps, &is);
    assert_int_equal(is.n, want.n);
    assert_memory_equal(is.p, want.p, want.n);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    assert_file(w, DIR "/00000000000000000066.snapshot", bytes_slice(&want));
    bytes_free(&is);
    bytes_free(&want);
    pstate_free(ps);
    world_free(&w);
}

static void kafkas_snapshots_are_read(void **state)
{
    struct pstate *ps = new_state(0);
    struct bytes
        txn = hex(KAFKA_SNAPSHOT),
        empty = hex("000148674bc700000000"),
        plain = hex(
            "00016c2cdac9000000010000000000000006000000000da50000000000000da50000002b0000018bcfe65256ffffffffffffffffffffffff");
    assert_int_equal(pstate_decode(ps, bytes_slice(&txn), 66, 0, DAY_MS, NULL), 0);
    struct pstate_view v = view(ps, 10);
    assert_int_equal(v.last_sequence, 59);
    assert_int_equal(v.last_offset, 64);
    assert_int_equal(v.last_timestamp, 0x1a20104ae4a);
    assert_int_equal(v.coordinator_epoch, 0);
    assert_int_equal(v.txn_start, -1);
    assert_int_equal(ps->end, 66);
    assert_int_equal(ps->snap, 66);
    assert_int_equal(pstate_file_max_id(bytes_slice(&txn)), 10);
    struct pstate_batch again = data(10, 0, 50, 0, 9, 1, true); /* its last batch, sent again */
    struct pstate_dup dup;
    assert_int_equal(pstate_check(ps, &again, true, &dup), E_DUPLICATE_BATCH);
    assert_int_equal(dup.first_offset, 55);

    assert_int_equal(pstate_decode(ps, bytes_slice(&plain), 3494, 0, DAY_MS, NULL), 0);
    assert_int_equal(pstate_count(ps), 1);
    assert_int_equal(view(ps, 6).last_offset, 0xda5);
    assert_int_equal(view(ps, 6).coordinator_epoch, -1);
    assert_int_equal(pstate_decode(ps, bytes_slice(&empty), 17, 0, DAY_MS, NULL), 0);
    assert_int_equal(pstate_count(ps), 0);
    bytes_free(&txn);
    bytes_free(&empty);
    bytes_free(&plain);
    pstate_free(ps);
}

static void a_snapshot_makes_the_round(void **state)
{
    struct pstate *ps = new_state(0), *back = new_state(1);
    for (int64_t i = 0; i < 300; i++) {
        replay(ps, data(i, (int16_t)(i % 7), i, i * 2, i * 2, 1000 + i, i % 3 == 0));
        if (i % 6 != 0) continue;
        struct pstate_batch end = marker(i, (int16_t)(i % 7), PSTATE_COMMIT, i * 2 + 1, i);
        end.max_timestamp = 1000 + i; /* the one time stamp a snapshot has is the last batch's and the producer's */
        replay(ps, end);
    }
    struct bytes file = { 0 };
    pstate_encode(ps, &file);
    assert_int_equal(pstate_decode(back, bytes_slice(&file), ps->end, 0, DAY_MS, NULL), 0);
    pstate_set_watermark(ps, ps->end); /* ended transactions are below the watermark when a snapshot is read */
    assert_same(ps, back);
    assert_int_equal(pstate_first_undecided(back), 6);
    assert_int_equal(pstate_file_max_id(bytes_slice(&file)), 299);
    bytes_free(&file);
    pstate_free(ps);
    pstate_free(back);
}

static void reload(struct pstate *ps, struct world *w, int64_t start, int64_t end, int64_t now)
{
    assert_int_equal(pstate_load(ps, w->fs, DIR, start, end, now, DAY_MS, NULL), 0);
}

static void assert_snapshots(struct world *w, int n, const int64_t *want)
{
    struct arena a;
    int64_t *is;
    int count;
    arena_init(&a);
    assert_int_equal(pstate_snapshots(w->fs, DIR, &a, &is, &count), 0);
    assert_int_equal(count, n);
    for (int i = 0; i < n; i++) assert_int_equal(is[i], want[i]);
    arena_free(&a);
}
#define SNAPSHOTS(w, ...) assert_snapshots((w), (int)ARRAY_LEN(((int64_t[]){ __VA_ARGS__ })), (int64_t[]){ __VA_ARGS__ })

static struct world *five_snapshots(struct pstate *ps)
{
    struct world *w = disk_new(1);
    for (int i = 0; i < 5; i++) {
        append_one(ps, 0, i, i, false);
        assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    }
    SNAPSHOTS(w, 1, 2, 3, 4, 5);
    return w;
}

static void truncate_and_reload_removes_out_of_range_snapshots(void **state)
{
    struct pstate *ps = new_state(0);
    struct world *w = five_snapshots(ps);
    reload(ps, w, 1, 3, 1000);
    SNAPSHOTS(w, 2, 3);
    assert_int_equal(ps->end, 3);
    assert_int_equal(view(ps, PID).last_sequence, 2);
    pstate_free(ps);
    world_free(&w);
}

static void recover_from_snapshot_unfinished_transaction(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 0, true);
    append_one(ps, 0, 1, 1, true);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 3, 100 * DAY_MS); /* long ago, but open */
    assert_int_equal(view(ps, PID).txn_start, 0);
    assert_int_equal(pstate_first_unstable(ps), 0);
    assert_int_equal(append_one(ps, 0, 2, 2, true), 0);
    pstate_free(ps);
    world_free(&w);
}

static void recover_from_snapshot_finished_transaction(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 0, true);
    append_one(ps, 0, 1, 1, true);
    end_txn(ps, 0, PSTATE_ABORT, 2);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 3, 1000);
    assert_int_equal(view(ps, PID).txn_start, -1);
    assert_true(pstate_first_unstable(ps) == NEVER);
    assert_int_equal(append_one(ps, 0, 2, 3, true), 0);
    pstate_free(ps);
    world_free(&w);
}

static void producer_state_after_fencing_abort_marker(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 0, true);
    end_txn(ps, 1, PSTATE_ABORT, 1);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 2, 1000);
    assert_int_equal(view(ps, PID).epoch, 1);
    assert_int_equal(view(ps, PID).last_offset, -1);
    assert_int_equal(append_one(ps, 0, 1, 2, true), E_INVALID_PRODUCER_EPOCH);
    pstate_free(ps);
    world_free(&w);
}

static void coordinator_fenced_after_reload(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 99, true);
    append(ps, marker(PID, 0, PSTATE_COMMIT, 100, 1));
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 101, 1000);
    assert_int_equal(end_txn(ps, 0, PSTATE_COMMIT, 101), E_TRANSACTION_COORDINATOR_FENCED);
    pstate_free(ps);
    world_free(&w);
}

static void expired_producers_are_not_loaded(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append(ps, data(1, 0, 0, 0, 0, 1000, false));
    append(ps, data(2, 0, 0, 1, 1, 5000, false));
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 2, 1000 + DAY_MS);
    assert_int_equal(pstate_count(ps), 1);
    assert_true(pstate_find(ps, 2, &(struct pstate_view){ 0 }));
    pstate_free(ps);
    world_free(&w);
}

static void snapshots_before_an_offset_are_removed(void **state)
{
    struct pstate *ps = new_state(0);
    struct world *w = five_snapshots(ps);
    assert_int_equal(pstate_remove_before(w->fs, DIR, 3), 0);
    SNAPSHOTS(w, 3, 4, 5);
    pstate_free(ps);
    world_free(&w);
}

static void a_snapshot_is_skipped_if_the_offset_is_unchanged(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 0, false);
    assert_true(pstate_snapshot_due(ps));
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    assert_false(pstate_snapshot_due(ps));
    int64_t calls = sim_fs_calls(w);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    assert_int_equal(sim_fs_calls(w), calls);
    pstate_free(ps);
    world_free(&w);
}

static void first_unstable_offset_after_truncation(void **state)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 99, true);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    end_txn(ps, 0, PSTATE_COMMIT, 105);
    pstate_set_watermark(ps, 106);
    assert_true(pstate_first_unstable(ps) == NEVER);
    append_one(ps, 0, 1, 106, false);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    reload(ps, w, 0, 106, 1000);
    assert_int_equal(ps->end, 100); /* the rest is for replay */
    assert_int_equal(pstate_first_unstable(ps), 99);
    pstate_free(ps);
    world_free(&w);
}

static void damaged_load(struct slice content)
{
    struct world *w = disk_new(1);
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 0, false);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    append_one(ps, 0, 1, 1, false);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    SNAPSHOTS(w, 1, 2);
    disk_put(w, DIR "/00000000000000000002.snapshot", content);
    reload(ps, w, 0, 2, 1000);
    SNAPSHOTS(w, 1); /* the bad one is gone, the one before it was taken */
    assert_int_equal(ps->end, 1);
    assert_int_equal(view(ps, PID).last_sequence, 0);
    pstate_free(ps);
    world_free(&w);
}

static void a_damaged_snapshot_is_removed_and_an_older_one_taken(void **state)
{
    struct bytes good = hex(KAFKA_SNAPSHOT);
    struct slice s = bytes_slice(&good);
    log_threshold = LOG_ERROR;
    damaged_load(S(""));
    damaged_load(S("12345678901234567890123456789012345678901234567890123456"));
    damaged_load((struct slice){ s.p, s.n / 2 });
    good.p[1] = 2; /* another version */
    damaged_load(s);
    good.p[1] = 1;
    good.p[20] ^= 1; /* a flipped bit */
    damaged_load(s);
    log_threshold = LOG_INFO;
    bytes_free(&good);
}

static void an_io_error_stops_the_load_and_removes_nothing(void **state)
{
    struct pstate *ps = new_state(0);
    struct world *w = five_snapshots(ps);
    struct why why = { "" };
    sim_fault(w, (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_PREAD });
    assert_int_equal(pstate_load(ps, w->fs, DIR, 0, 5, 1000, DAY_MS, &why), E_IO);
    assert_non_null(strstr(why.text, ".snapshot"));
    sim_fault(w, (struct sim_fault){ 0 });
    SNAPSHOTS(w, 1, 2, 3, 4, 5);
    pstate_free(ps);
    world_free(&w);
}

static void stray_snapshots_are_removed_but_the_one_of_the_clean_stop(void **state)
{
    struct world *w = disk_new(1);
    disk_put(w, DIR "/00000000000000000002.snapshot", S(""));
    disk_put(w, DIR "/00000000000000000005.snapshot", S(""));
    disk_put(w, DIR "/00000000000000000042.snapshot", S(""));
    disk_put(w, DIR "/2.snapshot", S("")); /* not a name of ours */
    disk_put(w, DIR "/00000000000000000003.snapshot.tmp", S(""));
    assert_int_equal(pstate_remove_stray(w->fs, DIR, (int64_t[]){ 5 }, 1), 0);
    SNAPSHOTS(w, 5, 42);
    assert_int_equal(pstate_remove_stray(w->fs, DIR, (int64_t[]){ 42 }, 1), 0);
    SNAPSHOTS(w, 42);
    disk_put(w, DIR "/00000000000000000040.snapshot", S(""));
    assert_int_equal(pstate_remove_stray(w->fs, DIR, (int64_t[]){ 41, 50 }, 2), 0);
    assert_snapshots(w, 0, NULL);
    world_free(&w);
}

static void a_moved_log_start_keeps_producers_and_releases_transactions(void **state)
{
    struct pstate *ps = new_state(0);
    append_one(ps, 0, 0, 10, true);
    end_txn(ps, 0, PSTATE_COMMIT, 11);
    pstate_set_start(ps, 12);
    assert_true(pstate_first_unstable(ps) == NEVER);
    assert_int_equal(pstate_count(ps), 1);
    pstate_set_start(ps, 50);
    assert_int_equal(ps->end, 50);
    assert_true(pstate_snapshot_due(ps));
    pstate_free(ps);
}

static struct pstate_batch before_crash, in_crash;
static void write_old(struct world *w)
{
    struct pstate *ps = new_state(0);
    before_crash = data(PID, 0, 0, 0, 9, 1000, false);
    in_crash = data(PID, 0, 10, 10, 19, 1000, false);
    replay(ps, before_crash);
    assert_int_equal(pstate_snapshot(ps, w->fs, DIR), 0);
    pstate_free(ps);
}
static int write_new(struct world *w)
{
    struct pstate *ps = new_state(0);
    replay(ps, before_crash);
    replay(ps, in_crash);
    int rc = pstate_snapshot(ps, w->fs, DIR);
    pstate_free(ps);
    return rc;
}
static void newest_that_was_written(struct world *w, bool acted)
{
    struct pstate *ps = new_state(0);
    reload(ps, w, 0, 20, 1000);
    if (acted) assert_int_equal(ps->end, 20);
    assert_int_equal(view(ps, PID).last_sequence, ps->end - 1);
    assert_true(ps->end == 10 || ps->end == 20);
    pstate_free(ps);
}
static void a_power_cut_leaves_the_old_snapshot_and_the_new_one_whole_or_not(void **state)
{
    crash_everywhere(write_old, write_new, newest_that_was_written);
}

static void load_snapshot(struct slice bytes)
{
    struct pstate *ps = new_state(2);
    pstate_decode(ps, bytes, 100, 0, DAY_MS, NULL);
    pstate_file_max_id(bytes);
    struct bytes out = dump(ps); /* walks all it holds */
    bytes_free(&out);
    pstate_free(ps);
}
/* With the checksum made right again, so that the entries are read. */
static void load_sealed(struct slice bytes)
{
    char *copy = malloc(bytes.n + 1);
    memcpy(copy, bytes.p, bytes.n);
    if (bytes.n >= 10) put_be32(copy + 2, crc32c(0, copy + 6, bytes.n - 6));
    load_snapshot((struct slice){ copy, bytes.n });
    free(copy);
}
static void no_bytes_break_the_loader(void **state)
{
    struct pstate *ps = new_state(0);
    for (int64_t i = 0; i < 4; i++) replay(ps, data(i, 1, i, i * 2, i * 2 + 1, 1000 + i, i % 2));
    struct bytes file = { 0 };
    pstate_encode(ps, &file);
    mutate(bytes_slice(&file), load_snapshot);
    mutate(bytes_slice(&file), load_sealed);
    bytes_free(&file);
    pstate_free(ps);
}

static void a_producer_named_twice_counts_once(void **state)
{
    struct pstate *ps = new_state(0);
    replay(ps, data(7, 0, 0, 5, 5, 1000, true));
    struct bytes file = { 0 };
    pstate_encode(ps, &file);
    bytes_put(&file, (uint8_t[PSTATE_ENTRY_SIZE]){ 0 }, PSTATE_ENTRY_SIZE);
    memcpy(file.p + 56, file.p + 10, PSTATE_ENTRY_SIZE);
    put_be64(file.p + 56 + 38, 9); /* with another open transaction */
    put_be32(file.p + 6, 2);
    put_be32(file.p + 2, crc32c(0, file.p + 6, file.n - 6));
    assert_int_equal(pstate_decode(ps, bytes_slice(&file), 10, 0, DAY_MS, NULL), 0);
    assert_int_equal(pstate_count(ps), 1);
    assert_int_equal(view(ps, 7).txn_start, 9);
    assert_int_equal(pstate_first_unstable(ps), 9);
    bytes_free(&file);
    pstate_free(ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic_id_mapping),
        cmocka_unit_test(append_txn_marker_with_no_producer_state),
        cmocka_unit_test(producer_sequence_wrap_around),
        cmocka_unit_test(producer_sequence_with_wrap_around_batch_record),
        cmocka_unit_test(no_validation_on_first_entry),
        cmocka_unit_test(control_record_bumps_producer_epoch),
        cmocka_unit_test(out_of_sequence_after_control_record_epoch_bump),
        cmocka_unit_test(non_transactional_append_with_ongoing_transaction),
        cmocka_unit_test(first_unstable_offset),
        cmocka_unit_test(last_stable_offset_completed_txn),
        cmocka_unit_test(skip_empty_transactions),
        cmocka_unit_test(pid_expiration_timeout),
        cmocka_unit_test(producers_with_ongoing_transactions_dont_expire),
        cmocka_unit_test(sequence_not_validated_for_coordinators),
        cmocka_unit_test(old_epoch_for_control_record),
        cmocka_unit_test(coordinator_fencing),
        cmocka_unit_test(markers_of_transaction_version_2_raise_the_epoch),
        cmocka_unit_test(append_empty_control_batch),
        cmocka_unit_test(late_transactions_are_seen_by_the_oldest),
        cmocka_unit_test(the_last_five_batches_are_recognised),
        cmocka_unit_test(a_duplicate_has_the_same_sequences_and_epoch),
        cmocka_unit_test(duplicates_are_found_in_a_transaction_and_after_its_end),
        cmocka_unit_test(batches_without_a_producer_change_nothing),
        cmocka_unit_test(batches_of_one_run_see_each_other),
        cmocka_unit_test(one_append_of_a_run_is_taken_back_alone),
        cmocka_unit_test(a_run_taken_back_was_never_there),
        cmocka_unit_test(a_marker_of_kafka_is_read),
        cmocka_unit_test(a_marker_made_here_is_read_back),
        cmocka_unit_test(no_bytes_break_the_batch_reader),
        cmocka_unit_test(a_log_replayed_gives_kafkas_snapshot),
        cmocka_unit_test(kafkas_snapshots_are_read),
        cmocka_unit_test(a_snapshot_makes_the_round),
        cmocka_unit_test(truncate_and_reload_removes_out_of_range_snapshots),
        cmocka_unit_test(recover_from_snapshot_unfinished_transaction),
        cmocka_unit_test(recover_from_snapshot_finished_transaction),
        cmocka_unit_test(producer_state_after_fencing_abort_marker),
        cmocka_unit_test(coordinator_fenced_after_reload),
        cmocka_unit_test(expired_producers_are_not_loaded),
        cmocka_unit_test(snapshots_before_an_offset_are_removed),
        cmocka_unit_test(a_snapshot_is_skipped_if_the_offset_is_unchanged),
        cmocka_unit_test(first_unstable_offset_after_truncation),
        cmocka_unit_test(a_damaged_snapshot_is_removed_and_an_older_one_taken),
        cmocka_unit_test(an_io_error_stops_the_load_and_removes_nothing),
        cmocka_unit_test(stray_snapshots_are_removed_but_the_one_of_the_clean_stop),
        cmocka_unit_test(a_moved_log_start_keeps_producers_and_releases_transactions),
        cmocka_unit_test(a_power_cut_leaves_the_old_snapshot_and_the_new_one_whole_or_not),
        cmocka_unit_test(no_bytes_break_the_loader),
        cmocka_unit_test(a_producer_named_twice_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
