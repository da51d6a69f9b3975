#include "replay.h"

#include <inttypes.h>

struct held_rec {
    struct list link;
    int64_t offset;
    size_t n;
    char value[];
};

void replay_init(struct replay *r, struct draft *d, struct kept *k)
{
    *r = (struct replay){ .draft = d, .kept = k, .last_time_ms = -1, .last_epoch = -1 };
    list_init(&r->held);
}

static void held_drop(struct replay *r)
{
    while (!list_empty(&r->held)) mem_free(container_of(list_pop(&r->held), struct held_rec, link));
}

void replay_free(struct replay *r)
{
    held_drop(r);
    bytes_free(&r->voters);
    bytes_free(&r->scratch);
    mem_free(r->removed);
    r->removed = NULL;
}

int replay_record(struct replay *r, const struct mrec *m, int64_t offset, struct why *why_)
{
    if (!draft_takes(m->key)) return r->kept ? kept_apply(r->kept, m, offset, why_) : 0;
    if (m->key == REMOVE_TOPIC_RECORD) {
        struct remove_topic_record gone;
        struct arena a;
        arena_init(&a);
        if (mrec_decode(m, &msg_remove_topic_record, &a, &gone, NULL) == 0) {
            if (r->removed_n == r->removed_cap) {
                r->removed_cap = MAX(16, r->removed_cap * 2);
                r->removed = mem_realloc(r->removed, sizeof *r->removed * (size_t)r->removed_cap);
            }
            r->removed[r->removed_n++] = gone.topic_id;
        }
        arena_free(&a);
    }
    return draft_apply(r->draft, m, why_);
}

static int txn_end(struct replay *r, struct why *why_)
{
    int rc = 0;
    r->in_txn = false;
    while (rc == 0 && !list_empty(&r->held)) {
        struct held_rec *h = container_of(list_pop(&r->held), struct held_rec, link);
        struct mrec m;
        rc = mrec_parse((struct slice){ h->value, h->n }, &m);
        if (rc == 0) rc = replay_record(r, &m, h->offset, why_);
        mem_free(h);
    }
    return rc;
}

static int data_record(struct replay *r, const struct record *rec, int64_t offset, struct why *why_)
{
    struct mrec m;
    int rc = mrec_parse(rec->value, &m);
    if (rc) return why(why_, rc, "no metadata record");
    r->records++;
    switch (m.key) {
    case BEGIN_TRANSACTION_RECORD:
        if (r->in_txn) return why(why_, E_MALFORMED, "a metadata transaction begins inside another");
        r->in_txn = true;
        return 0;
    case END_TRANSACTION_RECORD:
        if (!r->in_txn) return why(why_, E_MALFORMED, "a metadata transaction ends that did not begin");
        return txn_end(r, why_);
    case ABORT_TRANSACTION_RECORD:
        if (!r->in_txn) return why(why_, E_MALFORMED, "a metadata transaction is aborted that did not begin");
        r->in_txn = false;
        held_drop(r);
        return 0;
    default: break;
    }
    if (!r->in_txn) return replay_record(r, &m, offset, why_);
    struct held_rec *h = mem_alloc(sizeof *h + m.value.n);
    h->offset = offset;
    h->n = m.value.n;
    memcpy(h->value, m.value.p, m.value.n);
    list_push(&r->held, &h->link);
    return 0;
}

static int control_record(struct replay *r, const struct record *rec, bool bootstrap, struct why *why_)
{
    struct k_raft_version_record v;
    struct voters_record voters;
    struct arena a;
    int rc = 0;
    arena_init(&a);
    switch (control_type_of(rec)) {
    case CONTROL_KRAFT_VERSION:
        rc = wire_decode(&msg_k_raft_version_record, 0, rec->value, &a, &v, NULL);
        if (rc == 0) r->kraft_version = v.k_raft_version;
        break;
    case CONTROL_KRAFT_VOTERS:
        rc = wire_decode(&msg_voters_record, 0, rec->value, &a, &voters, NULL);
        if (rc) break;
        r->voters.n = 0;
        bytes_put(&r->voters, rec->value.p, rec->value.n);
        r->voters_bootstrap = bootstrap;
        break;
    case CONTROL_SNAPSHOT_FOOTER: r->footer = true; break;
    default: break; /* LeaderChange: the batch's own epoch says it; the rest is of no use here and stays in the log */
    }
    arena_free(&a);
    return rc ? why(why_, rc, "malformed control record") : 0;
}

int replay_batch(struct replay *r, const uint8_t *p, size_t n, int64_t from, bool snapshot, struct why *why_)
{
    struct record_iter it;
    struct record rec;
    int rc = record_iter_init(&it, p, n, &r->scratch, 0), more;
    if (rc) {
        record_iter_end(&it);
        return why(why_, rc, "offset %" PRId64 ": %s", n >= 8 ? batch_base_offset(p) : -1, err_text(rc));
    }
    r->last_epoch = it.head.leader_epoch;
    r->last_time_ms = MAX(r->last_time_ms, it.head.max_timestamp);
    bool control = batch_is_control(&it.head);
    while (rc == 0 && (more = record_next(&it, &rec)) != 0) {
        if (more < 0) {
            rc = why(why_, more, "malformed record");
            break;
        }
        if (rec.offset < from) continue;
        /* Unknown records of a snapshot are numbered below 0, so that none is taken for one of the log. */
        if (control) rc = control_record(r, &rec, snapshot && from == 0, why_);
        else rc = data_record(r, &rec, snapshot ? -2 - rec.offset : rec.offset, why_);
        if (rc) why_wrap(why_, rc, "offset %" PRId64, rec.offset);
    }
    record_iter_end(&it);
    return rc;
}
