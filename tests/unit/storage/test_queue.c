/* Several threads on the same logs: the append queue has one owner at a time, commits and readers beside it. Meant for ThreadSanitizer too. */
#include "rig.h"

enum { LOOPS = 3, LOGS = 2, APPENDS = 400, WINDOW = 8 };

struct actor { /* one producer connection per loop, WINDOW appends in flight, in order, round robin over the logs */
    struct loop *loop;
    struct waker *waker;
    struct sleeper sleeper;
    struct plog *log[LOGS];
    struct append a[APPENDS];
    struct bytes b[APPENDS];
    struct watch watch;
    int staged, done;
    int64_t last[LOGS];
    struct post start;
    int me;
    _Atomic bool finished;
};

static void actor_wake(struct sleeper *s)
{
    struct actor *x = container_of(s, struct actor, sleeper);
    while (x->done < x->staged && atomic_load_explicit(&x->a[x->done].done, memory_order_acquire)) {
        struct append *a = &x->a[x->done];
        int i = x->done % LOGS;
        assert_ok(a->err);
        assert_true(a->first > x->last[i]); /* its own order is kept */
        x->last[i] = a->last;
        x->done++;
    }
    while (x->staged < APPENDS && x->staged - x->done < WINDOW) {
        struct append *a = &x->a[x->staged];
        *a = (struct append){ .log = x->log[x->staged % LOGS],
                              .bytes = x->b[x->staged].p,
                              .n = x->b[x->staged].n,
                              .records = 1,
                              .home = x->waker,
                              .who = x->sleeper.id };
        x->staged++;
        plog_append(a->log, a);
    }
    if (x->done < APPENDS || atomic_load(&x->finished)) return;
    /* All written: wait until the last of the first log is durable. */
    if (plog_watch(x->log[0], &x->watch, x->waker, x->sleeper.id, WATCH_DURABLE, x->last[0] + 1)) return;
    plog_unwatch(&x->watch);
    waker_remove(x->waker, &x->sleeper);
    atomic_store(&x->finished, true);
}

static void actor_start(struct post *p)
{
    struct actor *x = container_of(p, struct actor, start);
    x->sleeper.wake = actor_wake;
    waker_add(x->waker, &x->sleeper);
    actor_wake(&x->sleeper);
}

static void loops_append_to_the_same_logs_at_once(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    struct plog *log[LOGS];
    struct actor *x = mem_zalloc(LOOPS * sizeof(*x));
    rig_init(&r, env->world, env->dir, "odradek.dirty.max=1048576\n");
    rig_begin(&r);
    log[0] = rig_plog(&r, "t", 0, "segment.bytes=1048576 retention.ms=-1");
    log[1] = rig_plog(&r, "t", 1, "retention.ms=-1 flush.messages=50");
    for (int i = 0; i < LOOPS; i++) {
        x[i].me = i;
        x[i].loop = loop_new(r.w, "actor");
        x[i].waker = waker_new(x[i].loop);
        x[i].start.fn = actor_start;
        x[i].last[0] = x[i].last[1] = -1;
        memcpy(x[i].log, log, sizeof(log));
        for (int k = 0; k < APPENDS; k++) {
            char tag[32];
            snprintf(tag, sizeof(tag), "%d.%d", i, k);
            rig_build(&RIG_BATCH(.value = k % 50 == 0 ? 60000 : 1000, .records = k % 50 == 0 ? 6 : 1, .pid = 10 + i, .seq = 0),
                      tag, &x[i].b[k]);
        }
        for (int k = 0, seq[LOGS] = { 0 }; k < APPENDS; k++) { /* sequences per log; sealed anew */
            put_be32(x[i].b[k].p + BATCH_AT_BASE_SEQUENCE, (uint32_t)seq[k % LOGS]);
            batch_seal(x[i].b[k].p);
            seq[k % LOGS] += k % 50 == 0 ? 6 : 1;
        }
        loop_start(x[i].loop);
        loop_post(x[i].loop, &x[i].start);
    }
    int64_t at[LOGS] = { 0 };
    bool all = false;
    for (int round = 0; !all; round++) { /* a reader and the maintenance beside them */
        all = true;
        for (int i = 0; i < LOOPS; i++) all &= atomic_load(&x[i].finished);
        for (int i = 0; i < LOGS; i++) at[i] = rig_read(log[i], at[i], READ_WATERMARK, 100000, NULL);
        if (round % 8 == 0) logs_checkpoint(r.logs);
        if (round % 8 == 4) logs_retain(r.logs);
        if (r.w->sim)
            for (int i = 0; i < 20; i++) sim_step(r.w);
    }
    for (int i = 0; i < LOGS; i++) {
        rig_durable(log[i]);
        assert_int_equal(rig_offsets(log[i]).end, LOOPS * (i == 0 ? APPENDS / 2 + 8 * 5 : APPENDS / 2));
        assert_int_equal(rig_read(log[i], 0, READ_WATERMARK, 1 << 20, NULL), rig_offsets(log[i]).end);
    }
    for (int i = 0; i < LOOPS; i++) {
        loop_stop(x[i].loop);
        loop_join(x[i].loop);
        waker_free(&x[i].waker);
        loop_free(&x[i].loop);
        for (int k = 0; k < APPENDS; k++) bytes_free(&x[i].b[k]);
    }
    mem_free(x);
    plog_unref(&log[0]);
    plog_unref(&log[1]);
    assert_ok(rig_close(&r));
    rig_begin(&r);
    log[0] = rig_plog(&r, "t", 0, "segment.bytes=1048576 retention.ms=-1");
    assert_int_equal(rig_offsets(log[0]).end, LOOPS * (APPENDS / 2 + 8 * 5));
    plog_unref(&log[0]);
    assert_ok(rig_close(&r));
    rig_free(&r);
}

/* A delete while others append, watch and read: everybody hears, nobody hangs. */
static void a_log_is_deleted_under_its_users(void **state)
{
    struct test_env *env = *state;
    struct rig r;
    rig_init(&r, env->world, env->dir, NULL);
    rig_begin(&r);
    for (int round = 0; round < 5; round++) {
        struct plog *p = rig_plog(&r, "t", 0, "file.delete.delay.ms=0");
        enum { N = 30 };
        struct append a[N];
        struct bytes b[N] = { 0 };
        for (int i = 0; i < N; i++) {
            rig_build(&RIG_BATCH(), "x", &b[i]);
            a[i] = (struct append){ .log = p, .bytes = b[i].p, .n = b[i].n, .records = 1, .home = r.waker };
        }
        rig_home(&r, rig_stage_many, &(struct rig_many){ a, N / 2 });
        assert_ok(logs_delete_partition(r.logs, p));
        rig_home(&r, rig_stage_many, &(struct rig_many){ a + N / 2, N / 2 });
        for (int i = 0; i < N; i++) {
            rig_until(&r, &a[i].done);
            assert_true(a[i].err == 0 || a[i].err == E_GONE);
            if (i >= N / 2) assert_err(a[i].err, E_GONE);
            bytes_free(&b[i]);
        }
        int rc = plog_wait_durable(p, rig_offsets(p).end);
        assert_true(rc == 0 || rc == E_GONE);
        plog_unref(&p);
    }
    assert_ok(rig_close(&r));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(loops_append_to_the_same_logs_at_once),
        IN_BOTH_WORLDS(a_log_is_deleted_under_its_users),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
