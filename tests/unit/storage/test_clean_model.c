/* The cleaner against a model: random logs, and every file call of a clean failing, the power going at any of them. */
#include "clean_rig.h"

#define TOPIC                                                                                                  \
    "cleanup.policy=compact min.cleanable.dirty.ratio=0 internal.segment.bytes=1500 index.interval.bytes=100 " \
    "delete.retention.ms=500"

static void model_begin(struct model *m, struct rig *r, struct still *still, struct world *w, const char *dir, uint64_t seed)
{
    memset(m, 0, sizeof(*m));
    m->rng = seed * 0x9e3779b97f4a7c15 + 1;
    m->now_ms = 1750000000000;
    still_set(still, w, m->now_ms);
    rig_init(r, w, dir, NULL);
    rig_begin(r);
    m->r = r;
    m->p = rig_plog(r, "t", 0, TOPIC);
}

static void model_reopen(struct model *m, const char *topic)
{
    rig_begin(m->r);
    m->p = rig_plog(m->r, "t", 0, topic);
}

static void random_logs_keep_what_counts(void **state)
{
    struct test_env *env = *state;
    static struct model m;
    struct rig r;
    struct still still;
    model_begin(&m, &r, &still, env->world, env->dir, 7);
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 40; i++) assert_ok(model_step(&m, 1 + (int)model_rnd(&m, 40)));
        if (round == 4 || round == 9)
            for (int64_t pid = 2; pid <= MODEL_PIDS; pid++)
                if (m.open[pid]) assert_ok(model_end_txn(&m, pid, model_rnd(&m, 2)));
        rig_durable(m.p);
        still.ms = m.now_ms;
        int64_t was = plog_size(m.p), from = m.p->dirty_from;
        model_check(&m, READ_WATERMARK, m.now_ms - 500, true);
        logs_clean(r.logs);
        if (m.p->dirty_from > from) assert_true(plog_size(m.p) <= was);
        model_check(&m, READ_WATERMARK, m.now_ms - 500, true);
        model_check(&m, READ_STABLE, m.now_ms - 500, true);
        m.now_ms += (int64_t)model_rnd(&m, 600);
        if (round % 3 == 2) {
            plog_unref(&m.p);
            if (round % 2) rig_kill(&r);
            else assert_ok(rig_close(&r));
            model_reopen(&m, TOPIC);
            model_check(&m, READ_STABLE, m.now_ms - 500, true);
        }
    }
    assert_true(m.cleaned > 500);
    assert_true(plog_size(m.p) < 40000);
    plog_unref(&m.p);
    assert_ok(rig_close(&r));
    rig_free(&r);
    env->world->clock = still.was;
}

/* ---- faults ------------------------------------------------------------------------------------------------------------------------- */

/* Two rounds of cleaning, so that there is a clean part, markers with horizons and tombstones that go. */
static void fill(struct model *m, struct still *still)
{
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++) assert_ok(model_step(m, 12));
        for (int64_t pid = 2; pid <= MODEL_PIDS; pid++)
            if (m->open[pid]) assert_ok(model_end_txn(m, pid, model_rnd(m, 2)));
        for (int i = 0; i < 6; i++) assert_ok(model_one(m, i, false));
        rig_durable(m->p);
        still->ms = m->now_ms;
        if (round == 0) logs_clean(m->r->logs);
        m->now_ms += 300;
    }
}

static int64_t clean_calls(uint64_t seed)
{
    struct test_env *env = test_env_sim(seed);
    static struct model m;
    struct rig r;
    struct still still;
    model_begin(&m, &r, &still, env->world, env->dir, seed);
    fill(&m, &still);
    int64_t before = sim_fs_calls(env->world);
    logs_clean(r.logs);
    int64_t n = sim_fs_calls(env->world) - before;
    plog_unref(&m.p);
    assert_ok(rig_close(&r));
    rig_free(&r);
    env->world->clock = still.was;
    test_env_free(&(void *){ env });
    return n;
}

/* The nth call of a clean fails (sticky: and all later ones); then the broker is killed, or the power goes. Nothing is lost, and the next run
 * cleans. */
static void break_clean(uint64_t seed, struct sim_fault f, bool power)
{
    struct test_env *env = test_env_sim(seed);
    static struct model m;
    struct rig r;
    struct still still;
    model_begin(&m, &r, &still, env->world, env->dir, seed);
    fill(&m, &still);
    sim_fault(env->world, f);
    logs_clean(r.logs);
    if (!f.sticky) { /* while it still runs */
        sim_fault(env->world, (struct sim_fault){ 0 });
        if (!rig_offsets(m.p).offline && !dir_failed(m.p->dir)) {
            model_check(&m, READ_WATERMARK, m.now_ms, false);
            model_check(&m, READ_STABLE, m.now_ms, false);
        }
    }
    if (power) {
        sim_forget(env->world, m.p);
        rig_power(&r);
    } else {
        plog_unref(&m.p);
        rig_kill(&r);
    }
    sim_fault(env->world, (struct sim_fault){ 0 });
    model_reopen(&m, TOPIC);
    model_check(&m, READ_WATERMARK, m.now_ms, false);
    model_check(&m, READ_STABLE, m.now_ms, false);
    for (int i = 0; i < 30; i++) assert_ok(model_one(&m, i % 12, false));
    rig_durable(m.p);
    logs_clean(r.logs);
    assert_false(m.p->uncleanable);
    model_check(&m, READ_STABLE, m.now_ms, false);
    plog_unref(&m.p);
    assert_ok(rig_close(&r));
    rig_free(&r);
    env->world->clock = still.was;
    test_env_free(&(void *){ env });
}

static void any_file_call_of_a_clean_may_fail(void **state)
{
    int64_t n = clean_calls(3);
    assert_true(n > 30 && n < 1000);
    log_threshold = LOG_ERROR + 1;
    for (int64_t nth = 1; nth <= n; nth++) {
        break_clean(3, (struct sim_fault){ .nth = nth, .err = -EIO }, false);
        break_clean(3, (struct sim_fault){ .nth = nth, .err = -ENOSPC }, nth % 2);
        break_clean(3, (struct sim_fault){ .nth = nth, .cut = true }, nth % 2);
    }
    log_threshold = LOG_INFO;
}

static void the_power_may_go_at_any_file_call_of_a_clean(void **state)
{
    log_threshold = LOG_ERROR + 1;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        int64_t n = clean_calls(seed);
        for (int64_t nth = 1 + (int64_t)(seed % 2); nth <= n; nth += 1 + (seed > 1))
            break_clean(seed, (struct sim_fault){ .nth = nth, .err = -EIO, .sticky = true }, true);
    }
    log_threshold = LOG_INFO;
}

/* The power goes in a swap, and again while the next start completes it. */
static void completing_a_swap_may_be_cut_short_too(void **state)
{
    const struct sim_fault names = { .err = -EIO, .sticky = true, .ops = SIM_RENAME | SIM_SYNC_DIR | SIM_UNLINK, .path = "t-0" };
    log_threshold = LOG_ERROR + 1;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct test_env *env = test_env_sim(seed);
        static struct model m;
        struct rig r;
        struct still still;
        struct sim_fault f = names;
        model_begin(&m, &r, &still, env->world, env->dir, 1 + seed % 3);
        fill(&m, &still);
        f.nth = 6 + (int64_t)(seed % 30);
        sim_fault(env->world, f);
        logs_clean(r.logs);
        sim_forget(env->world, m.p);
        rig_power(&r);
        f.nth = 1 + (int64_t)(seed * 7 % 13);
        sim_fault(env->world, f);
        struct why why;
        struct plog *p = NULL;
        rig_begin(&r);
        rig_try(&r, "t", 0, TOPIC, &p, &why);
        sim_forget(env->world, p);
        rig_power(&r);
        sim_fault(env->world, (struct sim_fault){ 0 });
        model_reopen(&m, TOPIC);
        model_check(&m, READ_WATERMARK, m.now_ms, false);
        model_check(&m, READ_STABLE, m.now_ms, false);
        plog_unref(&m.p);
        assert_ok(rig_close(&r));
        rig_free(&r);
        env->world->clock = still.was;
        test_env_free(&(void *){ env });
    }
    log_threshold = LOG_INFO;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(random_logs_keep_what_counts),
        cmocka_unit_test(any_file_call_of_a_clean_may_fail),
        cmocka_unit_test(the_power_may_go_at_any_file_call_of_a_clean),
        cmocka_unit_test(completing_a_swap_may_be_cut_short_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
