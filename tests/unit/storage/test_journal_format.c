/* The journal's groups as bytes and the ring's arithmetic (J4, J5, J7, J13). */
#include "internal.h"
#include "test.h"
#include <stdlib.h>

static const struct journal_ids OURS = { .dir = { { 1 } }, .run = { { 2 } }, .cluster = "cluster", .epoch = 7 };

/* A group of one entry of n bytes, padded, at the end of `file`. */
static void put_group(struct bytes *file, const struct journal_ids *ids, int64_t seq, int64_t oldest, int64_t first, uint32_t n)
{
    size_t length = JOURNAL_HEAD + JOURNAL_ENTRY + n, at = file->n;
    uint8_t *p = bytes_room(file, (size_t)journal_padded((int64_t)length));
    memset(p, 0, (size_t)journal_padded((int64_t)length));
    struct journal_entry e = {
        .topic_id = { { 9 } }, .partition = 3, .base = 5, .at = 77, .first = first, .last = first + 1, .n = n
    };
    journal_put_entry(p + JOURNAL_HEAD, &e);
    memset(p + JOURNAL_HEAD + JOURNAL_ENTRY, 'x', n);
    struct journal_head h = {
        .ids = *ids, .kind = JOURNAL_GROUP, .entries = 1, .seq = seq, .oldest = oldest, .length = (int64_t)length
    };
    struct iovec v = { p + JOURNAL_HEAD, JOURNAL_ENTRY + n };
    journal_put_head(p, &h, NULL, NULL);
    uint32_t crc = crc32c(crc32c(0, p + 12, JOURNAL_HEAD - 12), v.iov_base, v.iov_len);
    put_be32(p + 8, crc);
    file->n = at + (size_t)journal_padded((int64_t)length);
}

static void a_group_comes_back_as_it_was_put(void **state)
{
    struct bytes f = { 0 };
    struct journal_head h;
    struct journal_entry e;
    size_t at = JOURNAL_HEAD;
    put_group(&f, &OURS, 4, 2, 10, 5000);
    assert_int_equal(f.n, 2 * JOURNAL_BLOCK);
    assert_true(journal_get_head(f.p, f.n, &h));
    assert_true(journal_ids_eq(&h.ids, &OURS));
    assert_int_equal(h.seq, 4);
    assert_int_equal(h.oldest, 2);
    assert_int_equal(h.entries, 1);
    assert_int_equal(journal_get_entry(f.p, &h, &at, &e), 1);
    assert_int_equal(e.partition, 3);
    assert_int_equal(e.base, 5);
    assert_int_equal(e.at, 77);
    assert_int_equal(e.first, 10);
    assert_int_equal(e.last, 11);
    assert_int_equal(e.n, 5000);
    assert_int_equal(e.bytes[4999], 'x');
    assert_int_equal(journal_get_entry(f.p, &h, &at, &e), 0);
    bytes_free(&f);
}

static void a_group_with_any_byte_changed_is_no_group(void **state) /* J5 */
{
    struct bytes f = { 0 };
    struct journal_head h;
    put_group(&f, &OURS, 1, 1, 0, 300);
    for (size_t i = 0; i < JOURNAL_HEAD + JOURNAL_ENTRY + 300; i++) {
        f.p[i] ^= 0x20;
        assert_false(journal_get_head(f.p, f.n, &h));
        f.p[i] ^= 0x20;
    }
    assert_true(journal_get_head(f.p, f.n, &h));
    for (size_t n = 0; n < JOURNAL_HEAD + JOURNAL_ENTRY + 300; n += 7) assert_false(journal_get_head(f.p, n, &h)); /* torn */
    bytes_free(&f);
}

static void an_entry_that_reaches_out_of_its_group_is_refused(void **state)
{
    struct bytes f = { 0 };
    struct journal_head h;
    struct journal_entry e;
    put_group(&f, &OURS, 1, 1, 0, 300);
    assert_true(journal_get_head(f.p, f.n, &h));
    const struct {
        size_t at;
        uint32_t v;
    } wrong[] = { { 20, 301 }, { 20, 0 }, { 16, UINT32_MAX }, { 24, UINT32_MAX }, { 32, INT32_MAX }, { 44, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        uint8_t save[4], *p = f.p + JOURNAL_HEAD + wrong[i].at;
        size_t at = JOURNAL_HEAD;
        memcpy(save, p, 4);
        put_be32(p, wrong[i].v);
        assert_int_equal(journal_get_entry(f.p, &h, &at, &e), E_CORRUPT);
        memcpy(p, save, 4);
    }
    bytes_free(&f);
}

static void the_chain_is_from_the_oldest_live_to_the_newest(void **state) /* J13 */
{
    struct bytes f = { 0 };
    struct journal_scan s;
    put_group(&f, &OURS, 5, 3, 40, 100); /* the ring went around: the newest stand first */
    put_group(&f, &OURS, 6, 4, 50, 9000);
    put_group(&f, &OURS, 2, 1, 10, 100);
    put_group(&f, &OURS, 3, 2, 20, 100);
    put_group(&f, &OURS, 4, 2, 30, 100);
    journal_scan(f.p, f.n, &s);
    assert_false(s.mixed);
    assert_int_equal(s.oldest, 4);
    assert_int_equal(s.newest, 6);
    assert_int_equal(s.missing, 0);
    assert_int_equal(s.n, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(s.v[i].head.seq, 4 + i);
    journal_scan_free(&s);
    bytes_free(&f);
}

static void a_group_that_is_not_whole_is_damage_in_the_chain_and_a_torn_tail_behind_it(void **state) /* J13 */
{
    struct bytes f = { 0 };
    struct journal_scan s;
    for (int i = 1; i <= 4; i++) put_group(&f, &OURS, i, 1, 10 * i, 100);
    f.p[3 * JOURNAL_BLOCK + 200] ^= 1;
    journal_scan(f.p, f.n, &s);
    assert_int_equal(s.newest, 3);
    assert_int_equal(s.missing, 0);
    journal_scan_free(&s);
    f.p[3 * JOURNAL_BLOCK + 200] ^= 1;
    f.p[JOURNAL_BLOCK + 200] ^= 1;
    journal_scan(f.p, f.n, &s);
    assert_int_equal(s.newest, 4);
    assert_int_equal(s.missing, 2);
    assert_int_equal(s.n, 3);
    journal_scan_free(&s);
    bytes_free(&f);
}

static void groups_of_several_runs_or_owners_are_nobodys(void **state) /* J5 */
{
    for (int what = 0; what < 4; what++) {
        struct bytes f = { 0 };
        struct journal_scan s;
        struct journal_ids other = OURS;
        if (what == 0) other.run.b[3] = 1;
        if (what == 1) other.dir.b[3] = 1;
        if (what == 2) other.cluster[0] = 'C';
        if (what == 3) other.epoch++;
        put_group(&f, &OURS, 1, 1, 0, 100);
        put_group(&f, &other, 2, 1, 10, 100);
        journal_scan(f.p, f.n, &s);
        assert_true(s.mixed);
        journal_scan_free(&s);
        bytes_free(&f);
    }
}

static void zeroes_and_noise_hold_no_group(void **state)
{
    struct journal_scan s;
    uint8_t *p = mem_zalloc(64 * KiB);
    journal_scan(p, 64 * KiB, &s);
    assert_int_equal(s.newest, 0);
    journal_scan_free(&s);
    for (int i = 0; i < 64 * KiB; i++) p[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int i = 0; i < 16; i++) memcpy(p + i * JOURNAL_BLOCK, "ODRJRNL1", 8);
    journal_scan(p, 64 * KiB, &s);
    assert_int_equal(s.newest, 0);
    journal_scan_free(&s);
    journal_scan(NULL, 0, &s);
    assert_int_equal(s.newest, 0);
    mem_free(p);
}

/* ---- the ring --------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t rng;
static uint64_t rnd(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (rng >> 11) % n;
}

/* Groups of random length are written, released in order and told late, the file grows: no group is put over one that was not told (J7), nothing
 * reaches beyond the ring (J4), and a full ring can always tell what was released. */
static void no_group_is_put_over_one_that_may_be_needed(void **state)
{
    enum { MAX_GROUPS = 4000 };
    static struct ring_group put[MAX_GROUPS + 1];
    int64_t refused = 0, told_alone = 0, around = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct ring r;
        int64_t seq = 1, live = 1, told = 1, last_at = 0;
        rng = seed * 0x9e3779b97f4a7c15u;
        ring_init(&r, (int64_t)(4 + rnd(12)) * JOURNAL_BLOCK);
        while (seq < MAX_GROUPS) {
            int64_t len = (int64_t)(1 + rnd(seed % 3 ? 3 : 9)) * JOURNAL_BLOCK;
            struct ring_spot s;
            int64_t more = (int64_t)rnd(3);
            if (rnd(3) > 0) live = MIN(seq, live + more);
            if (rnd(200) == 0 && r.grown == r.size) r.grown = r.size + (int64_t)(1 + rnd(8)) * JOURNAL_BLOCK;
            if (!ring_find(&r, len, false, &s)) {
                refused++;
                live = MIN(seq, live + 1);
                if (live == told) continue;
                len = JOURNAL_BLOCK;
                assert_true(ring_find(&r, len, true, &s));
                told_alone++;
            }
            assert_true(s.at >= 0 && s.at % JOURNAL_BLOCK == 0 && s.at + len <= s.size);
            for (int64_t g = told; g < seq; g++) {
                assert_true(s.at + len <= put[g].at || s.at >= put[g].at + put[g].len);
                if (s.filler >= 0) assert_true(s.filler + JOURNAL_BLOCK <= put[g].at || s.filler >= put[g].at + put[g].len);
            }
            if (s.filler >= 0) assert_true(s.at + len <= s.filler);
            around += s.at < last_at;
            last_at = s.at;
            ring_take(&r, &s, seq, len);
            put[seq] = (struct ring_group){ seq, s.at, len };
            assert_true(ring_used(&r) <= r.size);
            assert_true(ring_since(&r, seq) == len && ring_since(&r, seq + 1) == 0 && ring_since(&r, told) == ring_used(&r));
            seq++;
            told = live; /* the group said so, and was synced */
            ring_forget(&r, told);
        }
        ring_free(&r);
    }
    assert_true(refused > 100 && told_alone > 100 && around > 1000);
}

static void a_group_larger_than_the_ring_has_no_place(void **state)
{
    struct ring r;
    struct ring_spot s;
    ring_init(&r, 4 * JOURNAL_BLOCK);
    assert_false(ring_find(&r, 4 * JOURNAL_BLOCK, false, &s));
    assert_true(ring_find(&r, 3 * JOURNAL_BLOCK, false, &s));
    ring_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_comes_back_as_it_was_put),
        cmocka_unit_test(a_group_with_any_byte_changed_is_no_group),
        cmocka_unit_test(an_entry_that_reaches_out_of_its_group_is_refused),
        cmocka_unit_test(the_chain_is_from_the_oldest_live_to_the_newest),
        cmocka_unit_test(a_group_that_is_not_whole_is_damage_in_the_chain_and_a_torn_tail_behind_it),
        cmocka_unit_test(groups_of_several_runs_or_owners_are_nobodys),
        cmocka_unit_test(zeroes_and_noise_hold_no_group),
        cmocka_unit_test(no_group_is_put_over_one_that_may_be_needed),
        cmocka_unit_test(a_group_larger_than_the_ring_has_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
