/* Lists and maps against plain arrays. */
#include "test.h"

struct thing {
    struct map_node node;
    uint32_t key;
    bool in, seen;
};

static bool thing_eq(const struct map_node *n, const void *key)
{
    return container_of(n, const struct thing, node)->key == *(const uint32_t *)key;
}

enum { THINGS = 600 };

/* Few hash values, so that chains are long; every answer is compared with the array. */
static void a_map_holds_what_was_put_and_not_removed(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *w = world_sim_new(seed);
        static struct thing t[THINGS];
        struct map m = { 0 };
        uint64_t spread = seed % 2 ? UINT64_MAX : 7;
        size_t n = 0;
        memset(t, 0, sizeof(t));
        assert_null(map_find(&m, 1, thing_eq, &(uint32_t){ 1 }));
        assert_null(map_next(&m, NULL));
        for (int op = 0; op < 5000; op++) {
            uint32_t k = (uint32_t)rnd_below(w->rnd, THINGS);
            uint64_t hash = hash_bytes(&k, sizeof(k)) & spread;
            struct map_node *found = map_find(&m, hash, thing_eq, &k);
            assert_ptr_equal(found, t[k].in ? &t[k].node : NULL);
            if (t[k].in) {
                map_remove(&m, &t[k].node);
                n--;
            } else {
                t[k].key = k;
                map_put(&m, hash, &t[k].node);
                n++;
            }
            t[k].in = !t[k].in;
            assert_int_equal(m.n, n);
        }
        size_t walked = 0;
        for (struct map_node *at = map_next(&m, NULL); at; at = map_next(&m, at), walked++) {
            struct thing *x = container_of(at, struct thing, node);
            assert_true(x->in && !x->seen);
            x->seen = true;
        }
        assert_int_equal(walked, n);
        for (struct map_node *at = map_next(&m, NULL), *next; at; at = next) { /* removing while walking */
            next = map_next(&m, at);
            map_remove(&m, at);
        }
        assert_int_equal(m.n, 0);
        map_free(&m);
        assert_null(m.slots);
        world_free(&w);
    }
}

struct item {
    struct list link;
    int v;
};

static int sum(struct list *l)
{
    int n = 0;
    list_each (it, l) n = n * 10 + container_of(it, struct item, link)->v;
    return n;
}

static void a_list_pushes_pops_takes_and_removes(void **state)
{
    struct list a, b;
    struct item x[5];
    list_init(&a);
    memset(x, 0, sizeof(x));
    for (int i = 0; i < 5; i++) {
        x[i].v = i + 1;
        assert_false(list_linked(&x[i].link));
        if (i < 4) list_push(&a, &x[i].link);
        else list_push_front(&a, &x[i].link);
        assert_true(list_linked(&x[i].link));
    }
    assert_int_equal(sum(&a), 51234);
    list_remove(&x[1].link);
    assert_false(list_linked(&x[1].link));
    list_take(&b, &a);
    assert_true(list_empty(&a));
    assert_int_equal(sum(&b), 5134);
    list_each_safe (it, next, &b) {
        if (container_of(it, struct item, link)->v == 1) list_remove(it);
    }
    assert_int_equal(sum(&b), 534);
    assert_ptr_equal(list_pop(&b), &x[4].link);
    list_take(&a, &b);
    list_take(&b, &a);
    assert_int_equal(sum(&b), 34);
    list_pop(&b);
    list_pop(&b);
    assert_null(list_pop(&b));
    list_take(&a, &b);
    assert_true(list_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_holds_what_was_put_and_not_removed),
        cmocka_unit_test(a_list_pushes_pops_takes_and_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
