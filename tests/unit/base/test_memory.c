/* Pools, arenas, counted buffers, byte strings, budgets. */
#include "pool.h"
#include "test.h"

static void pool_empty(void)
{
    mem_pool_trim();
    mem_pool_trim();
    assert_int_equal(pool_idle(), 0);
}

static void a_trim_gives_back_only_what_nobody_needed_since_the_last_one(void **state)
{
    pool_empty();
    void *a = pool_get(POOL_4K), *b = pool_get(POOL_4K);
    pool_put(a, POOL_4K);
    pool_put(b, POOL_4K);
    assert_int_equal(pool_idle(), 2 * pool_size(POOL_4K));
    mem_pool_trim(); /* both were in use a moment ago */
    assert_int_equal(pool_idle(), 2 * pool_size(POOL_4K));
    a = pool_get(POOL_4K);
    pool_put(a, POOL_4K); /* one of them is needed again */
    mem_pool_trim();
    assert_int_equal(pool_idle(), pool_size(POOL_4K));
    mem_pool_trim();
    assert_int_equal(pool_idle(), 0);
}

static void a_pool_does_not_keep_more_than_its_limit(void **state)
{
    static void *p[2000];
    pool_empty();
    for (size_t i = 0; i < ARRAY_LEN(p); i++) p[i] = pool_get(POOL_16K);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) pool_put(p[i], POOL_16K);
    assert_in_range(pool_idle(), 1, 9 * MiB);
    pool_empty();
}

static void classes_hold_what_they_promise(void **state)
{
    assert_int_equal(pool_class(1), POOL_256);
    for (int c = 0; c < POOL_CLASSES; c++) {
        assert_int_equal(pool_class(pool_size(c)), c);
        assert_int_equal(pool_class(pool_size(c) + 1), c + 1 < POOL_CLASSES ? c + 1 : -1);
    }
}

static void arena_pieces_are_aligned_and_do_not_overlap(void **state)
{
    struct arena a;
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        static uint8_t *p[500];
        static size_t n[500];
        uint64_t x = 88172645463325252u;
        for (int i = 0; i < 500; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            n[i] = i % 50 == 49 ? 20000 + x % 100000 : i % 100 == 50 ? 3000000 : x % 600;
            p[i] = arena_alloc(&a, n[i]);
            assert_int_equal((uintptr_t)p[i] & 15, 0);
            memset(p[i], i & 255, n[i]);
        }
        for (int i = 0; i < 500; i++)
            for (size_t k = 0; k < n[i]; k += 97) assert_int_equal(p[i][k], i & 255);
        arena_free(&a);
        assert_int_equal(a.used, 0);
    }
}

static void a_steady_user_of_arenas_takes_nothing_new_from_the_system(void **state)
{
    struct arena a;
    pool_empty();
    arena_init(&a);
    void *first = arena_alloc(&a, 100);
    arena_free(&a);
    size_t idle = pool_idle();
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(arena_alloc(&a, 100), first);
        arena_free(&a);
        assert_int_equal(pool_idle(), idle);
    }
    pool_empty();
}

static void an_embedded_block_comes_first_and_comes_back(void **state)
{
    _Alignas(16) char mem[512];
    struct arena a;
    arena_init_in(&a, mem, sizeof(mem));
    for (int i = 0; i < 3; i++) {
        char *p = arena_zalloc(&a, 200), *q = arena_zalloc(&a, 1000), *large = arena_zalloc(&a, 100000);
        assert_true(p >= mem && p < mem + sizeof(mem));
        assert_false(q >= mem && q < mem + sizeof(mem));
        assert_non_null(large);
        arena_free(&a);
    }
    arena_init_in(&a, mem, 8); /* too small to be of use */
    assert_non_null(arena_alloc(&a, 1));
    arena_free(&a);
    mem_unpoison(mem, sizeof(mem));
}

static void an_arena_is_charged_for_what_it_holds_beyond_its_free_part(void **state)
{
    struct mem_budget b = { .limit = 2 };
    struct arena a;
    arena_init(&a);
    a.budget = &b;
    for (int round = 0; round < 2; round++) {
        (void)arena_alloc(&a, 1000);
        assert_int_equal(b.used, 0);
        for (int i = 0; i < 300; i++) {
            (void)arena_alloc(&a, i % 3 ? 1000 : 20000);
            assert_int_equal(b.used, a.held > ARENA_FREE ? a.held - ARENA_FREE : 0);
        }
        assert_true(a.held > a.used && b.used > 0);
        arena_free(&a);
        assert_int_equal(b.used, 0);
    }
}

static void arena_try_says_no_past_the_limit_and_to_absurd_sizes(void **state)
{
    struct arena a;
    arena_init(&a);
    a.limit = 1000;
    assert_non_null(arena_try(&a, 600));
    assert_null(arena_try(&a, 401));
    assert_non_null(arena_try(&a, 400));
    assert_null(arena_try(&a, 1));
    a.limit = 0;
    assert_null(arena_try(&a, SIZE_MAX));
    assert_null(arena_try(&a, SIZE_MAX - 20));
    arena_free(&a);
}

static void arena_text_is_copied_and_null_stays_null(void **state)
{
    struct arena a;
    arena_init(&a);
    char from[] = "abc";
    struct slice s = arena_copy(&a, slice_of(from));
    from[0] = 'x';
    assert_slice(s, "abc");
    assert_null(arena_copy(&a, slice_of(NULL)).p);
    assert_slice(arena_copy(&a, S("")), "");
    s = arena_printf(&a, "%d-%s", 42, "z");
    assert_slice(s, "42-z");
    assert_int_equal(s.p[s.n], 0);
    arena_free(&a);
}

static void freed_memory_cannot_be_read_unnoticed(void **state)
{
#if ODR_ASAN
    struct arena a;
    arena_init(&a);
    char *p = arena_alloc(&a, 40);
    assert_false(__asan_address_is_poisoned(p + 39));
    assert_true(__asan_address_is_poisoned(p + 40)); /* overrun */
    arena_free(&a);
    assert_true(__asan_address_is_poisoned(p));
    struct buf *b = buf_new(100), *same = b;
    assert_false(__asan_address_is_poisoned(b->data + 99));
    assert_true(__asan_address_is_poisoned(b->data + 100));
    buf_unref(&b);
    assert_true(__asan_address_is_poisoned(same->data));
#else
    skip();
#endif
}

static void *drop_elsewhere(void *arg)
{
    struct buf *b = arg;
    buf_unref(&b);
    return NULL;
}

static void a_buffer_lives_until_its_last_reference_goes_on_any_thread(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 4096, 65536, 1048576, 5000000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf *b = buf_new(sizes[i]), *second = buf_ref(b);
        assert_int_equal(b->cap, sizes[i]);
        assert_int_equal(b->len, 0);
        memset(b->data, 0x5a, sizes[i]);
        buf_unref(&b);
        assert_null(b);
        if (sizes[i]) assert_int_equal(second->data[sizes[i] - 1], 0x5a);
        pthread_t t;
        assert_int_equal(pthread_create(&t, NULL, drop_elsewhere, second), 0);
        pthread_join(t, NULL);
    }
    struct buf *none = NULL;
    buf_unref(&none);
}

enum { HANDS = 4, ROUNDS = 5000 };
static void *share(void *arg)
{
    struct buf *b = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct buf *mine = buf_ref(b), *own = buf_new((size_t)i % 9000);
        buf_unref(&mine);
        buf_unref(&own);
    }
    buf_unref(&b);
    return NULL;
}

static void threads_share_a_buffer(void **state)
{
    struct buf *b = buf_new(10);
    pthread_t t[HANDS];
    for (int i = 0; i < HANDS; i++) assert_int_equal(pthread_create(&t[i], NULL, share, buf_ref(b)), 0);
    for (int i = 0; i < HANDS; i++) pthread_join(t[i], NULL);
    assert_int_equal(b->refs, 1);
    buf_unref(&b);
}

static void byte_strings_grow(void **state)
{
    struct bytes b = { 0 };
    assert_non_null(bytes_room(&b, 0));
    bytes_put(&b, NULL, 0);
    for (int i = 0; i < 1000; i++) bytes_printf(&b, "%d,", i % 10);
    bytes_put(&b, "end", 3);
    assert_int_equal(b.n, 2003);
    assert_memory_equal(b.p + 1990, "5,6,7,8,9,end", 13);
    bytes_free(&b);
    assert_null(b.p);
}

static void a_budget_says_no_and_charges_nothing_past_its_limit(void **state)
{
    struct mem_budget b = { .limit = 200 }, endless = { 0 };
    assert_int_equal(mem_room(&b, 0), 100);
    assert_true(mem_charge(&b, 0, 60));
    assert_false(mem_charge(&b, 0, 101));
    assert_int_equal(b.used, 60);
    assert_false(mem_short(&b));
    assert_true(mem_charge(&b, 0, 40));
    assert_true(mem_short(&b));
    mem_uncharge(&b, 100);
    assert_int_equal(b.used, 0);
    assert_false(mem_charge(&b, 0, INT64_MAX));
    assert_true(mem_charge(&endless, 0, 1LL << 60));
    assert_false(mem_charge(&endless, 0, INT64_MAX)); /* no overflow either */
    assert_int_equal(mem_room(&endless, 0), INT64_MAX);
}

/* Whoever asks, the sum stays within the limit; and as long as nobody takes without asking, somebody may go on. */
static void of_those_who_share_a_budget_one_may_always_grow_to_half_of_it(void **state)
{
    enum { WHO = 5, LIMIT = 1000, HALF = LIMIT / 2 };
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 200; round++) {
        struct mem_budget b = { .limit = LIMIT };
        int64_t own[WHO] = { 0 };
        for (int i = 0; i < 300; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            int who = (int)(x % WHO);
            int64_t n = (int64_t)(x >> 8) % 60 + 1, room = mem_room(&b, own[who]);
            assert_int_equal(mem_charge(&b, own[who], n), n <= room);
            if (n <= room) own[who] += n;
            assert_in_range(b.used, 0, LIMIT);
            assert_in_range(own[who], 0, HALF);
        }
        bool somebody = false;
        for (int who = 0; who < WHO; who++) somebody = somebody || own[who] == HALF || mem_room(&b, own[who]) > 0;
        assert_true(somebody);
    }
    struct mem_budget b = { .limit = LIMIT };
    mem_charge_over(&b, HALF + 10); /* without asking: nobody may go on, until he is let */
    assert_false(mem_charge(&b, 5, 1));
    b.slack = 10;
    assert_true(mem_charge(&b, 5, HALF - 5));
}

static void what_an_arena_pays_for_ahead_is_not_charged_again(void **state)
{
    struct mem_budget b = { .limit = 2 * MiB };
    struct arena a;
    arena_init(&a);
    assert_true(arena_pay(&a, 0, 10 * MiB)); /* no budget */
    a.budget = &b;
    assert_true(arena_pay(&a, 0, ARENA_FREE));
    assert_int_equal(b.used, 0);
    assert_true(arena_pay(&a, 0, 500 * KiB));
    assert_int_equal(b.used, 500 * KiB - ARENA_FREE);
    assert_true(arena_pay(&a, 900 * KiB, 400 * KiB)); /* it is there */
    (void)arena_alloc(&a, 250 * KiB);
    assert_int_equal(b.used, 500 * KiB - ARENA_FREE);
    mem_charge_over(&b, 600 * KiB);
    assert_false(arena_pay(&a, 600 * KiB, 300 * KiB)); /* with what its owner has beside it, more than half */
    mem_uncharge(&b, 600 * KiB);
    assert_true(arena_pay(&a, 0, 300 * KiB));
    arena_settle(&a, 50 * KiB);
    assert_int_equal(b.used, a.held + 50 * KiB - ARENA_FREE);
    arena_settle(&a, 0);
    assert_int_equal(b.used, a.held - ARENA_FREE);
    arena_free(&a);
    assert_int_equal(b.used, 0);
}

static void no_thread_keeps_more_idle_memory_than_it_may(void **state)
{
    void *p[64];
    pool_empty();
    mem_pool_most(100 * KiB);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) p[i] = pool_get(i % 2 ? POOL_4K : POOL_16K);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) pool_put(p[i], i % 2 ? POOL_4K : POOL_16K);
    assert_in_range(pool_idle(), 80 * KiB, 100 * KiB);
    mem_pool_most(SIZE_MAX);
    pool_empty();
}

static void copies_of_text_end_in_nul(void **state)
{
    char *z = mem_strdup((struct slice){ "abcdef", 3 });
    assert_string_equal(z, "abc");
    mem_free(z);
    z = mem_strdup(slice_of(NULL));
    assert_string_equal(z, "");
    z = mem_realloc(z, 100);
    mem_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trim_gives_back_only_what_nobody_needed_since_the_last_one),
        cmocka_unit_test(a_pool_does_not_keep_more_than_its_limit),
        cmocka_unit_test(classes_hold_what_they_promise),
        cmocka_unit_test(arena_pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_steady_user_of_arenas_takes_nothing_new_from_the_system),
        cmocka_unit_test(an_embedded_block_comes_first_and_comes_back),
        cmocka_unit_test(an_arena_is_charged_for_what_it_holds_beyond_its_free_part),
        cmocka_unit_test(arena_try_says_no_past_the_limit_and_to_absurd_sizes),
        cmocka_unit_test(arena_text_is_copied_and_null_stays_null),
        cmocka_unit_test(freed_memory_cannot_be_read_unnoticed),
        cmocka_unit_test(a_buffer_lives_until_its_last_reference_goes_on_any_thread),
        cmocka_unit_test(threads_share_a_buffer),
        cmocka_unit_test(byte_strings_grow),
        cmocka_unit_test(a_budget_says_no_and_charges_nothing_past_its_limit),
        cmocka_unit_test(of_those_who_share_a_budget_one_may_always_grow_to_half_of_it),
        cmocka_unit_test(what_an_arena_pays_for_ahead_is_not_charged_again),
        cmocka_unit_test(no_thread_keeps_more_idle_memory_than_it_may),
        cmocka_unit_test(copies_of_text_end_in_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
