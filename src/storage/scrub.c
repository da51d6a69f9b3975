/* One pass after another, each the interval after the one before began: every log that is open, every sealed segment that is synced, every batch
 * whole, by its checksum. A bounded piece a turn, then a pause that keeps the rate. What was not in the page cache is
 * dropped from it again, so that a pass costs consumers no memory and the next one reads the disk.
 *
 * Each damaged place is told once a run. A disk that cannot read takes its directory offline, as for any reader. */
#include "scrub.h"

enum { TURN_BYTES = 1024 * 1024 };

struct place { /* told already */
    uint64_t log;
    int64_t base, at;
};

struct scrub {
    struct logs *logs;
    struct kicked worker;
    struct timer timer; /* on the house's loop */
    struct post arm;
    _Atomic bool arm_posted, stopping;
    _Atomic int64_t due_us; /* when the timer shall fire */

    /* The worker's. */
    int64_t pass_us, paid_us; /* the next pass begins; the rate allows the next piece */
    struct plog **logs_v;     /* of the pass under way, each with a reference */
    int logs_n, at_log;
    struct segment *seg; /* one reference */
    int64_t from;        /* base from which the next segment is looked for */
    int64_t at;          /* position in seg */
    int64_t expected;    /* offset after the batch before; -1 */
    int64_t bytes, damaged;
    struct place *told;
    int told_n, told_cap;
};

static void pass_end(struct scrub *s)
{
    seg_unref(&s->seg);
    while (s->logs_v && s->at_log < s->logs_n) plog_unref(&s->logs_v[s->at_log++]);
    mem_free(s->logs_v);
    s->logs_v = NULL;
    s->logs_n = s->at_log = 0;
}

static void pass_begin(struct scrub *s)
{
    struct logs *l = s->logs;
    s->pass_us = now_us(l) + l->set.scrub_ms * 1000;
    assert(s->logs_n == 0);
    s->bytes = s->damaged = 0;
    s->from = 0;
    s->logs_v = logs_all(l, &s->logs_n);
}

/* The next segment of p that nobody writes to any more, and that is on the disk. */
static bool next_segment(struct scrub *s, struct plog *p)
{
    if (plog_list(p) < 0) return false;
    pthread_mutex_lock(&p->mu);
    for (int i = 0; !s->seg && i + 1 < p->segs_n && !p->gone && !p->offline; i++)
        if (p->segs[i]->base >= s->from && p->segs[i]->sealed && p->segs[i + 1]->base <= p->flushed) s->seg = seg_ref(p->segs[i]);
    pthread_mutex_unlock(&p->mu);
    s->at = 0;
    s->expected = -1;
    return s->seg && !dir_failed(p->dir);
}

static bool told(struct scrub *s, const struct segment *seg, int64_t at)
{
    struct place x = { hash_slice(slice_of(seg->log->name)), seg->base, at };
    for (int i = 0; i < s->told_n; i++)
        if (s->told[i].log == x.log && s->told[i].base == x.base && s->told[i].at == x.at) return true;
    if (s->told_n == s->told_cap)
        s->told = mem_realloc(s->told, (size_t)(s->told_cap = MAX(16, 2 * s->told_cap)) * sizeof(*s->told));
    s->told[s->told_n++] = x;
    return false;
}

static void tell(struct scrub *s, int64_t at, int64_t to, int64_t next, const char *reason)
{
    const struct segment *seg = s->seg;
    s->damaged++;
    metric_add(M_scrub_damaged, 1);
    if (told(s, seg, at)) return;
    log_error("storage", "damaged batch found by the scrub: it stays as it is", KV_STR("log", seg->log->name),
              KV_I64("segment", seg->base), KV_I64("position", at), KV_I64("bytes", to - at),
              KV_I64("offset", s->expected < 0 ? seg->base : s->expected), KV_I64("next_offset", next), KV_STR("reason", reason));
}

/* A piece of the segment: 1 when there is more of it, 0 at its end, or an error. */
static int read_piece(struct scrub *s, int64_t *moved)
{
    struct segment *seg = s->seg;
    struct fs *fs = s->logs->fs;
    struct batch_head h = { 0 };
    struct walk w;
    int64_t began = s->at, size = seg->size;
    int rc = 1, fd = seg_pin(seg, false);
    if (fd < 0) return err_of_errno(fd);
    bool cached = fs->resident(fs, fd, s->at, MIN(size - s->at, TURN_BYTES));
    walk_begin(&w, fs, fd, s->at, size, NULL, TURN_BYTES);
    while (w.at - began < TURN_BYTES) {
        const uint8_t *whole;
        const char *bad = NULL;
        rc = walk_peek(&w, &h, &whole);
        if (rc == 1 && batch_verify(whole, (size_t)h.size) != 0) bad = "checksum";
        else if (rc == E_CORRUPT_MESSAGE) bad = "no whole batch";
        if (bad) {
            int64_t at = w.at;
            rc = walk_resync(&w, &h, seg->base);
            if (rc >= 0) tell(s, at, rc ? w.at : size, rc ? h.base_offset : -1, bad);
        }
        if (rc != 1) break;
        s->expected = batch_last_offset(&h) + 1;
        walk_skip(&w, &h);
    }
    s->at = rc == 0 ? size : w.at;
    walk_end(&w);
    if (!cached) fs->forget(fs, fd, began, s->at - began);
    seg_unpin(seg);
    *moved = s->at - began;
    s->bytes += *moved;
    metric_add(M_scrub_bytes, *moved);
    return rc;
}

/* A bounded piece of the pass: false when it is over. */
static bool step(struct scrub *s, int64_t *moved)
{
    if (!s->logs_v || s->at_log == s->logs_n) return false;
    struct plog *p = s->logs_v[s->at_log];
    if (!s->seg && !next_segment(s, p)) {
        seg_unref(&s->seg);
        plog_unref(&s->logs_v[s->at_log++]);
        s->from = 0;
        return true;
    }
    int rc = read_piece(s, moved);
    if (rc == 1) return true;
    pthread_mutex_lock(&p->mu);
    bool lost = s->seg->deleted || p->gone; /* retention or the cleaner was faster */
    pthread_mutex_unlock(&p->mu);
    if (rc < 0 && !lost && !err_passes(rc) && plog_read_failed(p, rc) != E_OFFLINE)
        log_warn("storage", "segment not scrubbed", KV_STR("log", p->name), KV_I64("segment", s->seg->base), KV_ERR(rc));
    s->from = s->seg->base + 1;
    seg_unref(&s->seg);
    return true;
}

static void wait_until(struct scrub *s, int64_t due_us)
{
    if (atomic_exchange(&s->due_us, due_us) != due_us && !atomic_exchange(&s->arm_posted, true))
        loop_post(s->logs->house.loop, &s->arm);
}

static enum turn scrub_turn(void *arg)
{
    struct scrub *s = arg;
    struct logs *l = s->logs;
    int64_t now = now_us(l), moved = 0;
    if (atomic_load(&s->stopping)) return TURN_IDLE;
    if (now < s->paid_us || (!s->logs_v && now < s->pass_us)) {
        wait_until(s, MAX(s->paid_us, s->logs_v ? 0 : s->pass_us));
        return TURN_IDLE;
    }
    if (!s->logs_v) pass_begin(s);
    if (!step(s, &moved)) {
        log_info("storage", "scrubbed", KV_I64("logs", s->logs_n), KV_I64("bytes", s->bytes), KV_I64("damaged", s->damaged));
        pass_end(s);
        s->pass_us = MAX(s->pass_us, now + 1000);
    }
    if (moved > 0) s->paid_us = now_us(l) + (int64_t)((double)moved / (double)l->set.scrub_rate * 1e6);
    return TURN_MORE;
}

static void timer_fired(struct timer *t)
{
    struct scrub *s = container_of(t, struct scrub, timer);
    atomic_store(&s->due_us, INT64_MAX);
    kick(&s->worker);
}

static void timer_arm(struct post *po) /* on the house's loop */
{
    struct scrub *s = container_of(po, struct scrub, arm);
    atomic_store(&s->arm_posted, false);
    int64_t due = atomic_load(&s->due_us);
    if (due == INT64_MAX || atomic_load(&s->stopping)) loop_timer_stop(s->logs->house.loop, &s->timer);
    else loop_timer(s->logs->house.loop, &s->timer, due);
}

void scrub_start(struct logs *l)
{
    if (l->set.scrub_ms <= 0) return;
    struct scrub *s = l->scrub = new (struct scrub);
    s->logs = l;
    s->timer.fn = timer_fired;
    s->arm.fn = timer_arm;
    atomic_init(&s->due_us, INT64_MAX);
    s->pass_us = now_us(l) + l->set.scrub_ms * 1000;
    atomic_store(&s->worker.w, worker_start(l->world, "scrub", scrub_turn, s));
    kick(&s->worker);
}

void scrub_stop(struct logs *l)
{
    struct scrub *s = l->scrub;
    if (!s) return;
    atomic_store(&s->stopping, true);
    kick_stop(&s->worker);
    pass_end(s);
}

void scrub_free(struct logs *l)
{
    struct scrub *s = l->scrub;
    l->scrub = NULL;
    if (!s) return;
    mem_free(s->told);
    mem_free(s);
}
