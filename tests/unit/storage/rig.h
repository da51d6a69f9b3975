/* A broker's storage without the broker: log directories in a test's world, one loop with a waker, batches. For unit and simulation tests. */
#pragma once
#include "test.h"
#include <odradek/storage.h>
#include <sched.h>

struct rig {
    struct world *w;
    const char *root; /* the only log directory */
    struct conf *conf;
    struct logs *logs;
    struct loop *loop;
    struct waker *waker;
};

/* ---- calls on the loop ------------------------------------------------------------------------------------------------------------ */

struct rig_call {
    struct post post;
    void (*fn)(void *arg);
    void *arg;
    _Atomic bool done;
};

static inline void rig_call_run(struct post *p)
{
    struct rig_call *c = container_of(p, struct rig_call, post);
    c->fn(c->arg);
    atomic_store(&c->done, true);
}

/* Waits for a flag that other threads (or simulated turns) set. */
static inline void rig_until(struct rig *r, const _Atomic bool *flag)
{
    while (!atomic_load(flag)) {
        if (r->w->sim) assert_true(sim_step(r->w));
        else sched_yield();
    }
}

static inline void rig_home(struct rig *r, void (*fn)(void *arg), void *arg)
{
    struct rig_call c = { .post = { .fn = rig_call_run }, .fn = fn, .arg = arg };
    loop_post(r->loop, &c.post);
    rig_until(r, &c.done);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static inline void rig_init(struct rig *r, struct world *w, const char *root, const char *more)
{
    struct bytes text = { 0 };
    struct conf_report rep = { 0 };
    *r = (struct rig){ .w = w, .root = root };
    bytes_printf(&text, "log.dirs=%s\nodradek.disk.reserve=0\nlog.cleaner.enable=false\n%s", root, more ? more : "");
    assert_ok(conf_parse((struct slice){ (const char *)text.p, text.n }, &r->conf, &rep));
    conf_report_free(&rep);
    bytes_free(&text);
}

static inline void rig_open(struct rig *r)
{
    struct why why = { "" };
    int rc = logs_open(r->w, r->conf, &r->logs, &why);
    if (rc) fail_msg("logs_open: %s", why.text);
    r->loop = loop_new(r->w, "home");
    r->waker = waker_new(r->loop);
    loop_start(r->loop);
}

static inline void rig_begin(struct rig *r)
{
    struct why why = { "" };
    if (!r->logs) rig_open(r);
    int rc = logs_begin(r->logs, &why);
    if (rc) fail_msg("logs_begin: %s", why.text);
}

static inline void rig_end_loop(struct rig *r)
{
    loop_stop(r->loop);
    loop_join(r->loop);
    waker_free(&r->waker);
    loop_free(&r->loop);
}

static inline int rig_close(struct rig *r) /* clean; plogs of the test are unreferenced before */
{
    rig_end_loop(r);
    int rc = logs_close(r->logs, 7);
    logs_free(&r->logs);
    return rc;
}

static inline void rig_kill(struct rig *r) /* SIGKILL: the page cache stays */
{
    rig_end_loop(r);
    logs_free(&r->logs);
}

static inline void rig_power(struct rig *r) /* power loss, simulated only; logs of before belong to nobody */
{
    sim_forget(r->w, r->logs);
    sim_forget(r->w, r->waker);
    sim_power_loss(r->w);
    r->logs = NULL;
    r->loop = NULL;
    r->waker = NULL;
}

static inline void rig_free(struct rig *r) { conf_unref(&r->conf); }

static inline struct topic_conf rig_topic_conf(struct rig *r, const char *kvs) /* "key=value key=value" */
{
    struct conf_kv kv[16];
    int n = 0;
    struct topic_conf tc;
    for (const char *at = kvs; at && *at;) {
        const char *eq = strchr(at, '='), *end = strchr(eq, ' ');
        if (!end) end = eq + strlen(eq);
        kv[n++] = (struct conf_kv){ { at, (size_t)(eq - at) }, { eq + 1, (size_t)(end - eq - 1) } };
        at = *end ? end + 1 : end;
    }
    topic_conf_resolve(r->conf, kv, n, &tc);
    return tc;
}

static inline int rig_try(struct rig *r, const char *topic, int32_t partition, const char *kvs, struct plog **p, struct why *why)
{
    struct topic_conf tc = rig_topic_conf(r, kvs);
    struct uuid id = { { 1 } };
    memcpy(id.b + 1, topic, MIN(strlen(topic), (size_t)14));
    struct plog_spec spec = { .topic = slice_of(topic), .topic_id = id, .partition = partition, .dir = -1, .conf = &tc };
    return logs_partition(r->logs, &spec, p, why);
}

static inline struct plog *rig_plog(struct rig *r, const char *topic, int32_t partition, const char *kvs)
{
    struct plog *p;
    struct why why = { "" };
    int rc = rig_try(r, topic, partition, kvs, &p, &why);
    if (rc) fail_msg("%s-%d: %s", topic, partition, why.text);
    return p;
}

/* ---- batches ---------------------------------------------------------------------------------------------------------------------- */

struct rig_batch { /* zero: one record of 10 bytes at 1000 ms, no producer id */
    int64_t pid;   /* 0: none */
    int16_t epoch;
    int32_t seq;
    int64_t ts; /* of the first record; the next ones +1 */
    int records;
    size_t value; /* bytes each */
    bool txn;
    enum codec codec;
};
#define RIG_BATCH(...) ((struct rig_batch){ __VA_ARGS__ })

/* Record values begin with `tag`, so that they can be told apart. */
static inline void rig_build(const struct rig_batch *b, const char *tag, struct bytes *out)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder bb;
    char value[70000];
    if (b->pid) {
        o.producer_id = b->pid;
        o.producer_epoch = b->epoch;
        o.base_sequence = b->seq;
    }
    o.transactional = b->txn;
    o.codec = b->codec;
    size_t n = MIN(MAX(b->value ? b->value : 10, strlen(tag) + 1), sizeof(value));
    memset(value, 'v', n);
    memcpy(value, tag, strlen(tag) + 1);
    batch_begin(&bb, &o, out);
    for (int i = 0; i < MAX(b->records, 1); i++)
        batch_append(&bb, (b->ts ? b->ts : 1000) + i, S("key"), (struct slice){ value, n }, NULL, 0);
    assert_true(batch_end(&bb) > 0);
}

static inline void rig_marker(int64_t pid, int16_t epoch, bool commit, struct bytes *out)
{
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder bb;
    uint8_t key[CONTROL_KEY], value[CONTROL_MARKER_VALUE] = { 0 };
    o.producer_id = pid;
    o.producer_epoch = epoch;
    o.transactional = o.control = true;
    control_key(key, commit ? CONTROL_COMMIT : CONTROL_ABORT);
    batch_begin(&bb, &o, out);
    batch_append(&bb, 1000, (struct slice){ (char *)key, sizeof(key) }, (struct slice){ (char *)value, sizeof(value) }, NULL, 0);
    assert_true(batch_end(&bb) > 0);
}

/* ---- appending -------------------------------------------------------------------------------------------------------------------- */

static inline void rig_stage(void *arg)
{
    struct append *a = arg;
    plog_append(a->log, a);
}

struct rig_many {
    struct append *a;
    int n;
};
static inline void rig_stage_many(void *arg)
{
    struct rig_many *m = arg;
    for (int i = 0; i < m->n; i++) plog_append(m->a[i].log, &m->a[i]);
}

static inline void rig_append(struct rig *r, struct plog *p, struct bytes *bytes,
                              struct append *a) /* waits until it is done, not durable */
{
    *a = (struct append){ .log = p, .bytes = bytes->p, .n = bytes->n, .records = 1, .home = r->waker };
    rig_home(r, rig_stage, a);
    rig_until(r, &a->done);
}

/* One batch; the error, or 0 with the first offset in *first. */
static inline int rig_produce(struct rig *r, struct plog *p, struct rig_batch b, const char *tag, int64_t *first)
{
    struct bytes bytes = { 0 };
    struct append a;
    rig_build(&b, tag, &bytes);
    rig_append(r, p, &bytes, &a);
    if (first) *first = a.first;
    bytes_free(&bytes);
    return a.err;
}

static inline int64_t rig_put(struct rig *r, struct plog *p, struct rig_batch b, const char *tag)
{
    int64_t first;
    assert_ok(rig_produce(r, p, b, tag, &first));
    return first;
}

static inline void rig_durable(struct plog *p) /* all that was appended so far */
{
    struct plog_offsets at;
    plog_offsets(p, &at);
    assert_ok(plog_wait_durable(p, at.end));
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------- */

/* Everything from offset up to the bound, in reads of max bytes, as bytes; checks framing and offsets. Returns the next offset. */
static inline int64_t rig_read(struct plog *p, int64_t offset, enum read_upto upto, uint32_t max, struct bytes *out)
{
    struct plog_cursor c = { 0 };
    for (;;) {
        struct arena a;
        arena_init(&a);
        struct plog_read rd = { .offset = offset, .max_bytes = max, .whole_first = true, .upto = upto, .arena = &a };
        int rc = plog_read(p, &rd, &c);
        if (rc) fail_msg("read at %lld: %s", (long long)offset, err_text(rc));
        uint32_t n = rd.range.n;
        if (n == 0) {
            range_release(&rd.range);
            arena_free(&a);
            return offset;
        }
        uint8_t *b = mem_alloc(n);
        assert_ok(range_copy(&rd.range, 0, b, n));
        range_release(&rd.range);
        arena_free(&a);
        int64_t before = offset;
        for (uint32_t at = 0; at < n;) {
            struct batch_head h;
            if (batch_parse_head(b + at, n - at, &h) != 0 || (uint32_t)h.size > n - at) break;
            assert_ok(batch_verify(b + at, (size_t)h.size));
            if (batch_last_offset(&h) >= offset) {
                if (out) bytes_put(out, b + at, (size_t)h.size);
                offset = batch_last_offset(&h) + 1;
            } else assert_int_equal(before, offset);
            at += (uint32_t)h.size;
        }
        mem_free(b);
        assert_true(offset > before);
    }
}

/* "tag@offset tag@offset …" of the records in batches. */
static inline const char *rig_tags(struct arena *a, const struct bytes *b)
{
    struct bytes out = { 0 }, scratch = { 0 };
    for (size_t at = 0; at < b->n;) {
        struct record_iter it;
        struct record rec;
        assert_ok(record_iter_init(&it, b->p + at, b->n - at, &scratch, 0));
        while (record_next(&it, &rec) == 1)
            if (!batch_is_control(&it.head))
                bytes_printf(&out, "%s%s@%lld", out.n ? " " : "", rec.value.p, (long long)rec.offset);
        at += (size_t)it.head.size;
        record_iter_end(&it);
    }
    struct slice s = arena_printf(a, "%s", out.n ? (char *)out.p : "");
    bytes_free(&out);
    bytes_free(&scratch);
    return s.p;
}

static inline const char *rig_all(struct rig *r, struct arena *a, struct plog *p, enum read_upto upto)
{
    struct bytes b = { 0 };
    struct plog_offsets at;
    plog_offsets(p, &at);
    rig_read(p, at.start, upto, 1 << 20, &b);
    const char *s = rig_tags(a, &b);
    bytes_free(&b);
    return s;
}

static inline struct plog_offsets rig_offsets(struct plog *p)
{
    struct plog_offsets at;
    plog_offsets(p, &at);
    return at;
}
