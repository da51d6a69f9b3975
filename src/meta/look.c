/* What meta_open would find and do, without doing it: for `odradek check`. */
#include "impl.h"

static void count(void *arg, struct slice value)
{
    (void)value;
    ++*(int32_t *)arg;
}

struct look_brokers {
    struct meta_look *out;
    int32_t node_id;
};

static void broker(void *arg, struct slice value)
{
    struct look_brokers *b = arg;
    struct register_broker_record reg;
    struct mrec m;
    struct arena a;
    arena_init(&a);
    if (mrec_parse(value, &m) == 0 && mrec_decode(&m, &msg_register_broker_record, &a, &reg, NULL) == 0) {
        if (reg.broker_id != b->node_id) {
            b->out->brokers++;
        } else {
            b->out->registered = true;
            b->out->fenced = reg.fenced;
            b->out->shutting_down = reg.in_controlled_shutdown;
            b->out->broker_epoch = reg.broker_epoch;
        }
    }
    arena_free(&a);
}

static void look_partitions(struct meta_look *out, int32_t me, bool clean)
{
    for (int i = 0; i < out->image->topics_n; i++) {
        const struct topic *t = topic_of(out->image->topics[i]);
        for (int p = 0; p < t->pub.partitions_n; p++) {
            const struct part *part = &t->parts[p];
            if (!part->there) continue;
            if (!ints_have(part->replicas, me)) out->elsewhere++;
            else if (!clean || part_disturbed(part, me)) out->take++;
            if (ints_have(part->replicas, me) && part_behind(part, me)) out->behind++;
        }
    }
}

int meta_look(struct world *w, struct look_log *log, int32_t node_id, bool clean, const struct conf *conf, struct arena *a,
              struct meta_look *out, struct why *why_)
{
    struct image_env env = { .node_id = node_id, .conf = conf };
    struct kept kept;
    struct replay r;
    struct mlog l;
    *out = (struct meta_look){ .quorum_epoch = -1, .broker_epoch = -1 };
    kept_init(&kept);
    struct image *empty = image_empty(&env);
    struct draft *d = draft_new(&env, empty);
    image_unref(&empty);
    replay_init(&r, d, &kept);
    int rc = mlog_look(&l, w, log, node_id, a, &r, &out->snapshots_skipped, why_);
    out->kraft_version = l.kraft_version;
    out->quorum_epoch = l.found_epoch;
    out->log_epoch = l.log_epoch;
    out->next_epoch = MAX(l.last_epoch, 0) + 1;
    out->end = atomic_load(&l.end);
    out->snapshot = l.snapshot_offset;
    out->unfinished = r.in_txn;
    if (rc == 0 || rc == E_UNSUPPORTED) {
        out->image = draft_finish(d, out->end - 1);
        if (rc == 0 && image_level(out->image) > LEVEL_OURS)
            rc = why(why_, E_UNSUPPORTED, "metadata.version %d was finalized by a newer broker; %d is the newest known here",
                     image_level(out->image), LEVEL_OURS);
        look_partitions(out, node_id, clean);
    }
    kept_each(&kept, REGISTER_BROKER_RECORD, broker, &(struct look_brokers){ out, node_id });
    kept_each(&kept, ACCESS_CONTROL_ENTRY_RECORD, count, &out->acls);
    kept_each(&kept, USER_SCRAM_CREDENTIAL_RECORD, count, &out->scram);
    kept_each(&kept, CLIENT_QUOTA_RECORD, count, &out->quotas);
    kept_each(&kept, DELEGATION_TOKEN_RECORD, count, &out->tokens);
    kept_each(&kept, -1, count, &out->unknown);
    out->removed = r.removed;
    out->removed_n = r.removed_n;
    r.removed = NULL;
    draft_free(&d);
    replay_free(&r);
    kept_free(&kept);
    mlog_close(&l);
    return rc;
}

bool meta_look_removed(const struct meta_look *l, struct uuid topic_id)
{
    for (int i = 0; i < l->removed_n; i++)
        if (uuid_eq(l->removed[i], topic_id)) return true;
    return false;
}

void meta_look_free(struct meta_look *l)
{
    if (l->image) image_unref(&l->image);
    mem_free(l->removed);
    *l = (struct meta_look){ 0 };
}
