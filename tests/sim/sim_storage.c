/* Storage under power loss: many seeds, each a few lives of one log directory (or two).
 *
 * In a life several producers append to several logs at random, idempotent and not, in transactions and not, while commits, rolls, checkpoints,
 * retention, DeleteRecords and index work go on in simulated turns between any two of their steps. A life ends by power loss at any turn, by SIGKILL,
 * by a clean stop, or after a fault of the disk. Then the directory is opened again and compared with what was promised:
 *
 *   P1 what was seen durable, and what was below a watermark somebody saw, is there: same offset, same bytes. Appends arrive between any two steps
 *      of a commit: one that called durable more than it had captured, over the segments that it synced, loses them here (J2)
 *   P2 offsets follow each other, every record was sent by somebody, none is there twice (a producer's retry is one)
 *   P3 the log start is where the last answered DeleteRecords put it, or above
 *   P4 the last stable offset and the aborted transactions are those that a scan of the log gives
 *   P6 a journal that is found is replayed, without a word of damage, and never set aside
 *   P5 without faults everything becomes durable in the end, and whoever watches is woken
 *
 *   sim_storage [SEEDS [FIRST]]   prints the seed that failed; ODR_SEED=n runs that one alone, with log lines */
#include "../unit/storage/rig.h"
#include <errno.h>
#include <stdlib.h>

enum { LOGS = 3, PRODUCERS = 4, LIVES = 4, STEPS = 260, FLIGHT = 5, MAX_BATCHES = 4000 };

struct sent { /* one batch */
    int64_t id;
    int log, producer;
    int32_t seq;
    int records;
    bool txn;
    bool marker, commit;
    int64_t offset; /* first; -1: not known */
    bool durable;   /* seen so */
};

struct flight { /* an append on its way */
    struct append a;
    struct bytes bytes;
    struct sent *batch;
    bool used, waits; /* done, not durable yet */
};

struct producer {
    int64_t pid; /* 0: none */
    int32_t seq[LOGS];
    bool open[LOGS]; /* transaction */
    struct flight flight[FLIGHT];
    int retry[FLIGHT], retry_n; /* after a restart: what was not answered, in order */
};

struct truth {            /* a log as it must be */
    int64_t start, shown; /* log start answered; largest watermark or durable seen */
    int64_t *ids;         /* by offset: batch id; 0: not known */
    int64_t cap;
    int64_t end; /* known so far */
};

struct sim_run {
    struct rig r;
    uint64_t rng;
    struct plog *log[LOGS];
    struct truth truth[LOGS];
    struct producer producer[PRODUCERS];
    struct sent sent[MAX_BATCHES];
    int sent_n;
    struct sleeper sleeper;
    struct watch watch;
    bool woken, watching, faulty;
    int64_t unsynced; /* log that has flush.messages > 1; −1 none */
    int32_t epoch;    /* of the quorum, as quorum-state would say */
    int life;
};

static uint64_t rnd(struct sim_run *s, uint64_t n)
{
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 7;
    s->rng ^= s->rng << 17;
    return (s->rng >> 11) % n;
}

#define CHECK(cond, ...)                                               \
    do {                                                               \
        if (!(cond)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
            fprintf(stderr, __VA_ARGS__);                              \
            fprintf(stderr, "\n");                                     \
            abort();                                                   \
        }                                                              \
    } while (0)

static void steps(struct sim_run *s, uint64_t n)
{
    while (n-- > 0 && sim_step(s->r.w)) {}
}

/* ---- opening ----------------------------------------------------------------------------------------------------------------------- */

/* A start that the power leaves at some file call before it is through: a replay may crash anywhere (J13). */
static void start_and_die(struct sim_run *s)
{
    struct why why = { "" };
    sim_fault(s->r.w, (struct sim_fault){ .nth = 1 + (int64_t)rnd(s, 90), .err = -EIO, .sticky = true });
    int rc = logs_open(s->r.w, s->r.conf, &s->r.logs, &why);
    if (rc == 0) {
        logs_tell(s->r.logs, &(struct logs_truth){ .quorum_epoch = s->epoch, .log_epoch = s->epoch });
        logs_begin(s->r.logs, &why);
    }
    sim_fault(s->r.w, (struct sim_fault){ 0 });
    sim_forget(s->r.w, s->r.logs);
    sim_power_loss(s->r.w);
    s->r.logs = NULL;
}

static void open_logs(struct sim_run *s)
{
    struct plog_spec specs[LOGS];
    struct topic_conf tc[LOGS];
    int errs[LOGS];
    struct why why = { "" };
    while (rnd(s, 3) == 0) start_and_die(s);
    rig_open(&s->r);
    logs_tell(s->r.logs, &(struct logs_truth){ .quorum_epoch = s->epoch, .log_epoch = s->epoch });
    rig_begin(&s->r);
    assert_ok(logs_lead(s->r.logs, ++s->epoch, NULL)); /* J14: durable before a journal is made */
    for (int i = 0; i < LOGS; i++) {
        tc[i] = rig_topic_conf(&s->r, i == s->unsynced ? "flush.messages=7" : "");
        tc[i].segment_bytes = 2000;
        tc[i].index_interval_bytes = 200;
        tc[i].file_delete_delay_ms = 10;
        if (i == 1) tc[i].retention_bytes = 9000;
        if (i == 2) tc[i].retention_ms = 30000;
        specs[i] = (struct plog_spec){ .topic = slice_of(i == 0   ? "a"
                                                         : i == 1 ? "b"
                                                                  : "c"),
                                       .partition = i,
                                       .dir = -1,
                                       .leader_epoch = 3,
                                       .promised = rnd(s, 2) == 0,
                                       .conf = &tc[i] };
        specs[i].topic_id.b[0] = (uint8_t)(i + 1);
    }
    logs_partitions(s->r.logs, specs, LOGS, s->log, errs, &why);
    for (int i = 0; i < LOGS; i++) CHECK(errs[i] == 0, "log %d: %s", i, why.text);
}

/* ---- comparing ----------------------------------------------------------------------------------------------------------------------- */

static void know(struct truth *t, int64_t offset, int64_t id)
{
    if (offset >= t->cap) {
        int64_t cap = MAX(offset + 1, t->cap * 2 + 64);
        t->ids = mem_realloc(t->ids, (size_t)cap * sizeof(int64_t));
        memset(t->ids + t->cap, 0, (size_t)(cap - t->cap) * sizeof(int64_t));
        t->cap = cap;
    }
    t->ids[offset] = id;
    t->end = MAX(t->end, offset + 1);
}

struct open_txn {
    int64_t pid, first;
};

static void compare(struct sim_run *s, int i)
{
    struct plog *p = s->log[i];
    struct truth *t = &s->truth[i];
    struct plog_offsets at = rig_offsets(p);
    struct bytes all = { 0 }, scratch = { 0 };
    struct arena a;
    struct open_txn open[64];
    struct aborted_txn aborted[MAX_BATCHES];
    int open_n = 0, aborted_n = 0;
    int64_t next = at.start;
    bool *there = mem_zalloc((size_t)MAX(s->sent_n, 1));
    arena_init(&a);

    CHECK(at.start >= t->start, "log %d: start %lld, was %lld", i, (long long)at.start, (long long)t->start); /* P3 */
    CHECK(at.end >= t->shown, "log %d: end %lld, shown %lld", i, (long long)at.end, (long long)t->shown);     /* P1 */
    CHECK(at.watermark == at.end && at.durable == at.end, "log %d: not durable after a start", i);
    CHECK(rig_read(p, at.start, READ_END, 700, &all) == at.end, "log %d: short", i);
    for (size_t pos = 0; pos < all.n;) {
        struct record_iter it;
        struct record rec;
        CHECK(record_iter_init(&it, all.p + pos, all.n - pos, &scratch, 0) == 0, "log %d", i);
        CHECK(it.head.leader_epoch == 3, "log %d: epoch", i);
        int64_t id = 0;
        while (record_next(&it, &rec) == 1) {
            CHECK(rec.offset == next || (pos == 0 && rec.offset < next), "log %d: offset %lld, not %lld", i,
                  (long long)rec.offset, (long long)next);
            id = batch_is_control(&it.head) ? 0 : atoll(rec.value.p);
            if (rec.offset < next) continue; /* the batch that holds the log start */
            if (!batch_is_control(&it.head)) {
                CHECK(id >= 1 && id <= s->sent_n, "log %d: nobody sent %lld", i, (long long)id);
                struct sent *b = &s->sent[id - 1];
                CHECK(b->log == i, "log %d holds a record of log %d", i, b->log);
                int64_t first = it.head.base_offset;
                if (rec.offset == it.head.base_offset) {
                    CHECK(!there[id - 1] || !b->producer || s->producer[b->producer - 1].pid == 0, "log %d: %lld is there twice",
                          i, (long long)id);
                    there[id - 1] = true;
                }
                if (b->durable)
                    CHECK(b->offset == first, "log %d: %lld at %lld, not %lld", i, (long long)id, (long long)first,
                          (long long)b->offset);
            }
            if (rec.offset < t->shown && rec.offset < t->end && t->ids[rec.offset])
                CHECK(t->ids[rec.offset] == id || id == 0, "log %d: offset %lld is %lld, was %lld", i, (long long)rec.offset,
                      (long long)id, (long long)t->ids[rec.offset]);
            next++;
        }
        if (batch_is_transactional(&it.head)) {
            int k = 0;
            while (k < open_n && open[k].pid != it.head.producer_id) k++;
            if (!batch_is_control(&it.head) && k == open_n)
                open[open_n++] = (struct open_txn){ it.head.producer_id, it.head.base_offset };
            if (batch_is_control(&it.head) && k < open_n) {
                struct record_iter ci;
                CHECK(record_iter_init(&ci, all.p + pos, all.n - pos, &scratch, 0) == 0 && record_next(&ci, &rec) == 1, "marker");
                if (control_type_of(&rec) == CONTROL_ABORT)
                    aborted[aborted_n++] = (struct aborted_txn){ it.head.producer_id, open[k].first };
                record_iter_end(&ci);
                open[k] = open[--open_n];
            }
        }
        pos += (size_t)it.head.size;
        record_iter_end(&it);
    }
    CHECK(next == at.end, "log %d: ends at %lld, not %lld", i, (long long)next, (long long)at.end);
    for (int k = 0; k < s->sent_n; k++) /* P1: nothing durable is missing */
        if (s->sent[k].log == i && s->sent[k].durable && !s->sent[k].marker && s->sent[k].offset >= at.start)
            CHECK(there[k], "log %d: %lld is gone", i, (long long)s->sent[k].id);

    for (int k = 0; k < PRODUCERS; k++) {
        s->producer[k].open[i] = false;
        for (int m = 0; m < open_n; m++) s->producer[k].open[i] |= open[m].pid == s->producer[k].pid;
    }
    int64_t stable = at.watermark; /* P4: as far as the log still shows where transactions began */
    for (int k = 0; k < open_n; k++) stable = MIN(stable, open[k].first);
    if (at.start == 0) {
        CHECK(at.stable == stable, "log %d: stable %lld, not %lld", i, (long long)at.stable, (long long)stable);
        int have = 0;
        for (int64_t o = 0; o < at.stable;) {
            struct plog_read rd = { .offset = o, .max_bytes = 300, .whole_first = true, .upto = READ_STABLE, .arena = &a };
            CHECK(plog_read(p, &rd, NULL) == 0 && rd.range.n > 0, "log %d: stable read at %lld", i, (long long)o);
            for (int k = 0; k < rd.aborted_n; k++) {
                bool known = false;
                for (int m = 0; m < aborted_n; m++)
                    known |= aborted[m].producer_id == rd.aborted[k].producer_id &&
                             aborted[m].first_offset == rd.aborted[k].first_offset;
                CHECK(known, "log %d: no such aborted transaction at %lld", i, (long long)rd.aborted[k].first_offset);
                have++;
            }
            uint8_t head[BATCH_HEADER];
            CHECK(range_copy(&rd.range, 0, head, sizeof(head)) == 0, "copy");
            struct batch_head h;
            CHECK(batch_parse_head(head, sizeof(head), &h) == 0, "head");
            range_release(&rd.range);
            o = batch_last_offset(&h) + 1;
        }
        CHECK(have >= aborted_n || at.stable < at.end, "log %d: %d aborted transactions, found %d", i, aborted_n, have);
    }
    /* From here on this is the truth. */
    t->end = 0;
    if (t->cap) memset(t->ids, 0, (size_t)t->cap * sizeof(int64_t));
    for (size_t pos = 0; pos < all.n;) {
        struct record_iter it;
        struct record rec;
        CHECK(record_iter_init(&it, all.p + pos, all.n - pos, &scratch, 0) == 0, "log %d", i);
        while (record_next(&it, &rec) == 1) know(t, rec.offset, batch_is_control(&it.head) ? 0 : atoll(rec.value.p));
        if (!batch_is_control(&it.head)) {
            struct sent *b = &s->sent[t->ids[it.head.base_offset] - 1];
            b->offset = it.head.base_offset;
            b->durable = true;
        }
        pos += (size_t)it.head.size;
        record_iter_end(&it);
    }
    t->shown = at.end;
    t->start = MAX(t->start, at.start);
    mem_free(there);
    bytes_free(&all);
    bytes_free(&scratch);
    arena_free(&a);
}

/* ---- producing ----------------------------------------------------------------------------------------------------------------------- */

static struct flight *free_flight(struct producer *pr)
{
    for (int i = 0; i < FLIGHT; i++)
        if (!pr->flight[i].used) return &pr->flight[i];
    return NULL;
}

static void send_batch(struct sim_run *s, struct producer *pr, struct sent *b)
{
    struct flight *f = free_flight(pr);
    char tag[32];
    snprintf(tag, sizeof(tag), "%lld", (long long)b->id);
    f->bytes.n = 0;
    if (b->marker) rig_marker(pr->pid, 0, b->commit, &f->bytes);
    else
        rig_build(&(struct rig_batch){ .pid = pr->pid,
                                       .seq = b->seq,
                                       .records = b->records,
                                       .value = 20 + rnd(s, 200),
                                       .txn = b->txn,
                                       .ts = 1700000000000 + b->id },
                  tag, &f->bytes);
    f->used = true;
    f->waits = false;
    f->batch = b;
    f->a = (struct append){ .log = s->log[b->log],
                            .bytes = f->bytes.p,
                            .n = f->bytes.n,
                            .records = b->records,
                            .home = s->r.waker,
                            .origin = b->marker ? APPEND_COORDINATOR : APPEND_CLIENT };
    rig_home(&s->r, rig_stage, &f->a);
}

static void produce(struct sim_run *s)
{
    struct producer *pr = &s->producer[rnd(s, PRODUCERS)];
    if (!free_flight(pr)) return;
    if (pr->retry_n > 0) { /* first what the last life left unanswered */
        struct sent *b = &s->sent[pr->retry[0]];
        memmove(pr->retry, pr->retry + 1, (size_t)--pr->retry_n * sizeof(int));
        send_batch(s, pr, b);
        return;
    }
    if (s->sent_n == MAX_BATCHES) return;
    int i = (int)rnd(s, LOGS);
    struct sent *b = &s->sent[s->sent_n++];
    *b = (struct sent){
        .id = s->sent_n, .log = i, .producer = (int)(pr - s->producer) + 1, .records = 1 + (int)rnd(s, 3), .offset = -1
    };
    bool transactional = pr - s->producer == PRODUCERS - 1;
    if (transactional && pr->open[i] && rnd(s, 3) == 0) {
        b->marker = true;
        b->records = 1;
        b->commit = rnd(s, 2);
        pr->open[i] = false;
    } else {
        b->seq = pr->seq[i];
        b->txn = transactional;
        pr->open[i] |= transactional;
        pr->seq[i] += b->records;
    }
    send_batch(s, pr, b);
}

/* Looks at everything that may have been answered. */
static void observe(struct sim_run *s)
{
    struct plog_offsets at[LOGS];
    for (int i = 0; i < LOGS; i++) {
        plog_offsets(s->log[i], &at[i]);
        CHECK(at[i].durable <= at[i].end && at[i].watermark <= at[i].end && at[i].stable <= at[i].watermark, "log %d", i);
        if (i != s->unsynced) CHECK(at[i].watermark <= at[i].durable, "log %d: watermark above durable (J19)", i);
        s->truth[i].shown = MAX(s->truth[i].shown, i == s->unsynced ? at[i].durable : at[i].watermark);
    }
    for (int k = 0; k < PRODUCERS; k++)
        for (int j = 0; j < FLIGHT; j++) {
            struct flight *f = &s->producer[k].flight[j];
            if (!f->used || !atomic_load(&f->a.done)) continue;
            struct sent *b = f->batch;
            if (!f->waits) {
                if (f->a.err == E_OUT_OF_ORDER_SEQUENCE_NUMBER && k == PRODUCERS - 1 && at[b->log].start > 0) {
                    /* As in Kafka: only a marker of this producer is left in the log. Clients begin anew under another id. */
                    f->used = false;
                    s->producer[k].pid += 100000;
                    s->producer[k].retry_n = 0;
                    memset(s->producer[k].seq, 0, sizeof(s->producer[k].seq));
                    memset(s->producer[k].open, 0, sizeof(s->producer[k].open));
                    continue;
                }
                if (f->a.err != 0 && f->a.err != E_DUPLICATE_BATCH) {
                    CHECK(s->faulty, "life %d log %d producer %d seq %d: append of %lld: %s", s->life, b->log, b->producer,
                          b->seq, (long long)b->id, err_text(f->a.err));
                    f->used = false; /* unknown fate */
                    continue;
                }
                CHECK(f->a.err == 0 || b->offset < 0 || b->offset == f->a.first, "%lld: duplicate of %lld, was at %lld",
                      (long long)b->id, (long long)f->a.first, (long long)b->offset);
                b->offset = f->a.first;
                if (!b->marker)
                    for (int64_t o = f->a.first; o <= f->a.last; o++) know(&s->truth[b->log], o, b->id);
                f->waits = true;
            }
            if (at[b->log].durable > f->a.last) {
                b->durable = true;
                f->used = false;
            }
        }
}

static void woke(struct sleeper *sl) { container_of(sl, struct sim_run, sleeper)->woken = true; }

static void arm(void *arg) /* at home */
{
    struct sim_run *s = arg;
    if (!s->sleeper.id) {
        s->sleeper.wake = woke;
        waker_add(s->r.waker, &s->sleeper);
    }
    struct plog *p = s->log[rnd(s, LOGS)];
    struct plog_offsets at = rig_offsets(p);
    s->woken = false;
    s->watching = plog_watch(p, &s->watch, s->r.waker, s->sleeper.id, (enum watch_on)rnd(s, 2), at.end);
}

static void disarm(void *arg)
{
    struct sim_run *s = arg;
    plog_unwatch(&s->watch);
    if (s->sleeper.id) waker_remove(s->r.waker, &s->sleeper);
    s->watching = false;
}

static void random_read(struct sim_run *s)
{
    int i = (int)rnd(s, LOGS);
    struct plog_offsets at = rig_offsets(s->log[i]);
    if (at.watermark == at.start) return;
    int64_t from = at.start + (int64_t)rnd(s, (uint64_t)(at.watermark - at.start));
    struct bytes b = { 0 };
    int64_t to = rig_read(s->log[i], from, READ_WATERMARK, 100 + (uint32_t)rnd(s, 3000), &b);
    CHECK(to >= at.watermark, "log %d: read from %lld ends at %lld below the watermark %lld", i, (long long)from, (long long)to,
          (long long)at.watermark);
    bytes_free(&b);
}

static void maintain(struct sim_run *s)
{
    int i = (int)rnd(s, LOGS);
    int64_t start;
    switch (rnd(s, 8)) {
    case 0: logs_checkpoint(s->r.logs); break;
    case 1: logs_retain(s->r.logs); break;
    case 2: {
        struct plog_offsets at = rig_offsets(s->log[i]);
        int64_t to = at.start + (int64_t)rnd(s, (uint64_t)(MIN(at.watermark, at.durable) - at.start) / 4 + 1);
        if (rnd(s, 4) == 0 && plog_delete_records(s->log[i], to, &start) == 0) s->truth[i].start = MAX(s->truth[i].start, start);
        break;
    }
    case 3: sim_run(s->r.w, (int64_t)rnd(s, 70) * 1000000); break;
    case 4: rig_home(&s->r, arm, s); break;
    default: random_read(s);
    }
}

/* ---- a life --------------------------------------------------------------------------------------------------------------------------- */

static void end_of_life(struct sim_run *s, bool crash)
{
    for (int i = 0; i < LOGS && !crash; i++) plog_unref(&s->log[i]);
    for (int k = 0; k < PRODUCERS; k++) {
        struct producer *pr = &s->producer[k];
        /* Idempotent producers send again what was not answered as durable, in order of sequence; the others give up. */
        int again[FLIGHT], again_n = 0;
        for (int n = 0; n < s->sent_n && pr->pid; n++) {
            bool mine = false;
            for (int j = 0; j < pr->retry_n; j++) mine |= pr->retry[j] == n;
            for (int j = 0; j < FLIGHT; j++)
                mine |= pr->flight[j].used && pr->flight[j].batch == &s->sent[n] && !s->sent[n].marker;
            if (mine) again[again_n++] = n;
        }
        memcpy(pr->retry, again, sizeof(again));
        pr->retry_n = again_n;
        for (int j = 0; j < FLIGHT; j++) pr->flight[j].used = false;
    }
    s->watch = (struct watch){ 0 };
    s->sleeper = (struct sleeper){ 0 };
    s->watching = false;
}

static void live(struct sim_run *s)
{
    open_logs(s);
    for (int i = 0; i < LOGS; i++) compare(s, i);
    for (int k = 0; k < PRODUCERS; k++) { /* what compare found needs no retry, but may get one */
        struct producer *pr = &s->producer[k];
        if (s->faulty || !pr->pid) { /* after errors a producer begins anew, under another id */
            pr->pid = k == 0 ? 0 : 1000 + s->life * PRODUCERS + k;
            pr->retry_n = 0;
            memset(pr->seq, 0, sizeof(pr->seq));
            memset(pr->open, 0, sizeof(pr->open));
        }
    }
    s->faulty = false;
    uint64_t n = 1 + rnd(s, STEPS), fault_at = rnd(s, 4) == 0 ? rnd(s, n) : UINT64_MAX;
    for (uint64_t k = 0; k < n; k++) {
        if (k == fault_at) {
            s->faulty = true;
            struct sim_fault f = { .nth = 1 + (int64_t)rnd(s, 12), .err = rnd(s, 2) ? -ENOSPC : -EIO };
            if (f.err == -ENOSPC) f.ops = SIM_PWRITEV;
            f.cut = f.err == -ENOSPC;
            f.sticky = rnd(s, 3) == 0;
            sim_fault(s->r.w, f);
        }
        if (rnd(s, 5) > 0) produce(s);
        else if (!s->faulty) maintain(s);
        steps(s, rnd(s, 8));
        observe(s);
    }
    sim_fault(s->r.w, (struct sim_fault){ 0 });
    uint64_t end = rnd(s, 10);
    if (end <
        3) { /* syncs stop working, then the process is killed: what was written is in memory, readable, and not on the disk (J15) */
        s->faulty = true;
        sim_fault(s->r.w,
                  (struct sim_fault){ .nth = 1, .sticky = true, .err = -EIO, .ops = SIM_DATASYNC | SIM_SYNC_DIR | SIM_RENAME });
        sim_run(s->r.w, 100000);
        rig_home(&s->r, disarm, s);
        sim_run(s->r.w, 100000);
        observe(s);
        end_of_life(s, false);
        rig_kill(&s->r);
        sim_fault(s->r.w, (struct sim_fault){ 0 });
        return;
    }
    if (end < 7 || s->faulty) {
        steps(s, rnd(s, 30));
        if (!s->faulty) observe(s);
        for (int i = 0; i < LOGS; i++) sim_forget(s->r.w, s->log[i]);
        rig_power(&s->r);
        end_of_life(s, true);
        return;
    }
    if (s->unsynced >= 0) plog_commit(s->log[s->unsynced]);
    sim_run(s->r.w, 5000000); /* P5 */
    if (s->unsynced >= 0) plog_commit(s->log[s->unsynced]);
    sim_run(s->r.w, 1000000);
    observe(s);
    for (int k = 0; k < PRODUCERS; k++)
        for (int j = 0; j < FLIGHT; j++) CHECK(!s->producer[k].flight[j].used, "never durable");
    if (s->watching) CHECK(s->woken, "a watcher was not woken");
    for (int i = 0; i < LOGS; i++) {
        struct plog_offsets at = rig_offsets(s->log[i]);
        if (i != s->unsynced) CHECK(at.durable == at.end && at.watermark == at.end, "log %d: not durable in the end", i);
    }
    rig_home(&s->r, disarm, s);
    end_of_life(s, false);
    if (end == 9) rig_kill(&s->r);
    else CHECK(rig_close(&s->r) == 0, "close");
}

static void one_seed(uint64_t seed)
{
    struct sim_run *s = mem_zalloc(sizeof(*s));
    s->rng = seed * 0x9e3779b97f4a7c15u + 0x1234567;
    s->unsynced = rnd(s, 3) == 0 ? 2 : -1;
    struct world *w = world_sim_new(seed);
    static const int journals[] = { 0, 16384, 24576, 65536, 262144 }; /* from none over a few groups to plenty */
    char conf[200];
    snprintf(conf, sizeof(conf),
             "odradek.dirty.max=1048576\nlog.retention.check.interval.ms=20000\nlog.retention.bytes=-1\nodradek.journal.max=%d\n",
             journals[rnd(s, ARRAY_LEN(journals))]);
    rig_init(&s->r, w, "/data", conf);
    for (s->life = 0; s->life < LIVES; s->life++) live(s);
    open_logs(s);
    for (int i = 0; i < LOGS; i++) {
        compare(s, i);
        plog_unref(&s->log[i]);
    }
    CHECK(rig_close(&s->r) == 0, "close");
    rig_free(&s->r);
    for (int k = 0; k < PRODUCERS; k++)
        for (int j = 0; j < FLIGHT; j++) bytes_free(&s->producer[k].flight[j].bytes);
    for (int i = 0; i < LOGS; i++) mem_free(s->truth[i].ids);
    mem_free(s);
    world_free(&w);
}

static int64_t journals_made, journals_replayed, written, kept;

static bool says(struct slice line, const char *what) { return memmem(line.p, line.n, what, strlen(what)) != NULL; }

static int64_t number(struct slice line, const char *key)
{
    const char *at = memmem(line.p, line.n, key, strlen(key));
    return at ? atoll(at + strlen(key)) : 0;
}

static void listen(void *arg, enum log_level level, struct slice line)
{
    journals_made += says(line, "commit journal made");
    CHECK(!says(line, "commit journal set aside") && !says(line, "commit journal: "), S_FMT, S_ARG(line)); /* P6 */
    if (says(line, "commit journal replayed")) {
        journals_replayed++;
        written += number(line, "written=");
        kept += number(line, "kept=");
        CHECK(number(line, "damaged=") == 0, S_FMT, S_ARG(line));
    }
    if (arg) fprintf(stderr, S_FMT "\n", S_ARG(line));
}

int main(int argc, char **argv)
{
    const char *one = getenv("ODR_SEED");
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 200, first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (one) {
        first = strtoull(one, NULL, 10);
        n = 1;
    }
    log_sink(listen, one ? stderr : NULL);
    for (uint64_t seed = first; seed < first + n; seed++) {
        fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
        one_seed(seed);
    }
    fprintf(stderr, "\r%llu seeds from %llu: all promises kept; %lld journals, %lld replayed: %lld batches written, %lld kept\n",
            (unsigned long long)n, (unsigned long long)first, (long long)journals_made, (long long)journals_replayed,
            (long long)written, (long long)kept);
    return 0;
}
