#include "world.h"

#include <errno.h>

/* The power fails at every single file call of a day's work: what was answered is there afterwards, whole, and epochs and offsets only rise. */

enum { NAMES = 4, OPS = 24 };
struct model {
    struct {
        int partitions; /* 0: no such topic */
        int64_t retention;
        struct uuid id;
    } t[NAMES];
};
static const char *const names[NAMES] = { "a", "b", "c", "d" };

static uint64_t dice(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

/* One random change. False when it failed; *next is then what may be there as well. */
static bool work(struct node *n, struct model *now, struct model *next, uint64_t *seed)
{
    int i = (int)(dice(seed) % NAMES), what = (int)(dice(seed) % 4);
    struct op o = { .topic = names[i], .type = 2 };
    char value[16];
    *next = *now;
    if (!now->t[i].partitions) {
        o.kind = OP_CREATE;
        o.n = next->t[i].partitions = 1 + (int)(dice(seed) % 3);
    } else if (what == 0) {
        o.kind = OP_DELETE;
        memset(&next->t[i], 0, sizeof next->t[i]);
    } else if (what == 1) {
        o.kind = OP_PARTITIONS;
        o.n = ++next->t[i].partitions;
    } else {
        next->t[i].retention = 1000 + (int64_t)(dice(seed) % 1000);
        snprintf(value, sizeof value, "%d", (int)next->t[i].retention);
        o.kind = OP_CONFIG;
        o.name = "retention.ms";
        o.value = value;
    }
    int rc = op_do(n, &o);
    if (o.kind == OP_CREATE) next->t[i].id = o.id;
    if (rc == 0) *now = *next;
    return rc == 0;
}

static bool matches(const struct image *im, const struct model *m)
{
    int topics = 0;
    for (int i = 0; i < NAMES; i++) {
        const struct image_topic *t = image_topic(im, slice_of(names[i]));
        if (!t != !m->t[i].partitions) return false;
        if (!t) continue;
        topics++;
        if (t->partitions_n != m->t[i].partitions) return false;
        if (!uuid_eq(t->id, m->t[i].id)) return false;
        if (m->t[i].retention ? t->conf.retention_ms != m->t[i].retention : t->configs_n != 0) return false;
    }
    return im->topics_n == topics;
}

static void all_open(const struct image *im)
{
    for (int i = 0; i < im->topics_n; i++) {
        for (int p = 0; p < im->topics[i]->partitions_n; p++) {
            assert_int_equal(im->topics[i]->partitions[p].log_err, 0);
            assert_int_equal(im->topics[i]->partitions[p].leader, 1);
        }
    }
}

/* Days until the crash at file call `at`; the number of calls when there was none. */
static int64_t day(uint64_t seed, int64_t at)
{
    struct test_env *env = test_env_sim(seed);
    struct model now, next;
    struct node n;
    int32_t epoch = 0;
    int64_t offset = -1, calls = 0;
    bool alive = true, first = true;
    uint64_t s = seed;
    memset(&now, 0, sizeof now);
    next = now;
    node_init(&n, env, "metadata.log.max.record.bytes.between.snapshots=600");
    int64_t start = sim_fs_calls(env->world);
    sim_fault(env->world, (struct sim_fault){ .nth = at, .sticky = true, .err = -EIO });
    for (int life = 0; life < 3 && alive; life++) {
        n.meta = NULL;
        int rc = node_try(&n);
        if (rc) {
            node_drop(&n);
            break;
        }
        if (meta_quorum_epoch(n.meta) > epoch) epoch = meta_quorum_epoch(n.meta);
        for (int k = 0; k < OPS / 3 && alive; k++) {
            alive = work(&n, &now, &next, &s);
            offset = MAX(offset, image_now(&n)->offset);
            assert_true(matches(image_now(&n), &now)); /* what failed is not shown */
        }
        int64_t broker_epoch = meta_broker_epoch(n.meta);
        meta_stop(n.meta);
        if (logs_close(n.logs, broker_epoch)) alive = false;
        meta_free(&n.meta);
        logs_free(&n.logs);
        conf_unref(&n.conf);
        first = false;
    }
    calls = sim_fs_calls(env->world) - start;
    sim_fault(env->world, (struct sim_fault){ 0 });
    sim_power_loss(env->world);

    for (int life = 0; life < 2; life++) {
        n.meta = NULL;
        node_start(&n);
        const struct image *im = image_now(&n);
        if (!matches(im, &now) && !matches(im, &next)) {
            print_error("seed %llu, call %lld\n", (unsigned long long)seed, (long long)at);
            fail_msg("neither what was answered nor what was asked last");
        }
        if (!first) assert_true(meta_quorum_epoch(n.meta) > epoch);
        assert_true(im->offset > offset);
        all_open(im);
        if (matches(im, &next)) now = next;
        for (int k = 0; k < 3; k++) assert_true(work(&n, &now, &next, &s));
        assert_true(matches(image_now(&n), &now));
        epoch = meta_quorum_epoch(n.meta);
        offset = image_now(&n)->offset;
        node_stop(&n);
        next = now;
    }
    void *state = env;
    test_env_free(&state);
    return calls;
}

static void what_was_answered_survives_a_power_cut_at_any_file_call(void **state)
{
    uint64_t seed = test_seed() * 1000;
    int64_t calls = day(seed, 0);
    assert_true(calls > 200);
    log_threshold = LOG_ERROR + 1;
    for (int64_t at = 1; at <= calls; at++) day(seed + (uint64_t)at % 3, at);
}

int main(void)
{
    log_threshold = LOG_ERROR;
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_answered_survives_a_power_cut_at_any_file_call) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
