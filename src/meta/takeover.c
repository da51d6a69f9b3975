/* Taking over a directory, whoever wrote it last (K5, K6, K8): from the image that the metadata log tells to one in which this node leads
 * every partition it has, in a new epoch, with the logs open.
 *
 * In J14's order: the metadata log is recovered already; logs_begin finishes the directories' recovery and takes the clean markers away; then
 * the quorum epoch; then, as batches of their own, what was left unfinished is aborted, an empty log gets its first records, a directory
 * from ZooKeeper's time its topics; then this node registers and takes the partitions; then they are opened; last, partitions whose logs
 * hold a larger epoch than the records say are raised above it. A crash anywhere leaves a directory that opens: every batch is atomic, and
 * the next start does again what is missing. */
#include "impl.h"

#include <inttypes.h>
#include <stdlib.h>

struct opening {
    struct meta *m;
    struct replay *replay;
    struct image **im;
    struct arena arena;
    struct log_found *found; /* sorted by topic and partition */
    int found_n;
    bool clean; /* every directory was stopped cleanly */
    bool old;   /* one is of ZooKeeper's time, or its takeover was cut short */
    struct why *why;
};

/* Appends an edit's records and makes the image after them. */
static int commit(struct opening *o, struct meta_edit *e)
{
    struct meta *m = o->m;
    if (!e->recs_n) return 0;
    struct bytes out = { 0 };
    int64_t base = atomic_load(&m->log.end);
    int32_t records;
    edit_encode(e, base, &out, &records);
    struct image *next = edit_apply(e, base + records - 1, o->why);
    int rc = next ? 0 : E_INVALID;
    if (rc == 0) {
        rc = mlog_append(&m->log, &out, records);
        if (rc) why(o->why, rc, "metadata log: %s", err_text(rc));
    }
    bytes_free(&out);
    if (rc) {
        if (next) image_unref(&next);
        return rc;
    }
    edit_keep(e, base);
    image_unref(o->im);
    *o->im = next;
    return 0;
}

/* ---- what is on disk ---------------------------------------------------------------------------------------------------------------------- */

static int found_cmp(const void *x, const void *y)
{
    const struct log_found *a = x, *b = y;
    int c = slice_cmp(a->topic, b->topic);
    if (c) return c;
    if (a->partition != b->partition) return a->partition < b->partition ? -1 : 1;
    return a->dir - b->dir;
}

/* The first entry of a partition; the others follow it. */
static struct log_found *found_first(const struct opening *o, struct slice topic, int32_t partition)
{
    int lo = 0, hi = o->found_n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        const struct log_found *f = &o->found[mid];
        int c = slice_cmp(f->topic, topic);
        if (c == 0) c = f->partition < partition ? -1 : f->partition > partition;
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return &o->found[lo];
}

static bool found_is(const struct opening *o, const struct log_found *f, struct slice topic, int32_t partition)
{
    return f < o->found + o->found_n && f->partition == partition && slice_cmp(f->topic, topic) == 0;
}

/* Kafka's reserved directory ids: 0 unassigned, 1 lost, 2 migrating. */
static bool dir_unassigned(struct uuid id)
{
    static const struct uuid migrating = { .b = { [15] = 2 } };
    return uuid_is_zero(id) || uuid_eq(id, migrating);
}

enum place_kind { PLACE_FOUND, PLACE_NEW, PLACE_NONE };
struct place {
    enum place_kind kind;
    int dir; /* -1: any */
    int err; /* of PLACE_NONE */
};

/* Where a partition's log is, or may be made. */
static struct place place_of(const struct opening *o, const struct image_topic *t, int32_t partition)
{
    struct meta *m = o->m;
    const struct part *p = &topic_of(t)->parts[partition];
    struct uuid recorded = part_dir(p, m->env.node_id);
    int want = dir_unassigned(recorded) ? -1 : dir_of(m, recorded), best = -1;
    bool other = false;
    for (const struct log_found *f = found_first(o, t->name, partition); found_is(o, f, t->name, partition); f++) {
        if (!uuid_is_zero(f->topic_id) && !uuid_eq(f->topic_id, t->id)) other = true;
        else if (best < 0 || f->dir == want) best = f->dir;
    }
    if (best >= 0) return (struct place){ PLACE_FOUND, best, 0 };
    if (other) return (struct place){ PLACE_NONE, -1, E_INCONSISTENT_TOPIC_ID };
    if (want >= 0)
        return dir_online(m, want) ? (struct place){ PLACE_NEW, want, 0 } : (struct place){ PLACE_NONE, want, E_OFFLINE };
    if (!dir_unassigned(recorded)) return (struct place){ PLACE_NONE, -1, E_OFFLINE }; /* a directory that is not among ours */
    for (int i = 0; i < m->dirs_n; i++)
        if (!dir_online(m, i)) return (struct place){ PLACE_NONE, -1, E_OFFLINE }; /* it may be there */
    return (struct place){ PLACE_NEW, -1, 0 };
}

static bool was_removed(const struct opening *o, struct uuid id)
{
    for (int i = 0; i < o->replay->removed_n; i++)
        if (uuid_eq(o->replay->removed[i], id)) return true;
    return false;
}

/* Directories without a place in the image. Those of topics whose deletion stands in the log were left by a crash, or by a disk that failed
 * then: it is finished now, before a topic that has the name since asks for its place. The others are nobody's to judge: they stay. */
static void strays(struct opening *o)
{
    int stray = 0, finished = 0, kept = 0;
    const char *first = NULL;
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < o->found_n; i++) {
        const struct log_found f = o->found[i];
        const struct image_topic *t = image_topic(*o->im, f.topic);
        bool id_ok = t && (uuid_is_zero(f.topic_id) || uuid_eq(f.topic_id, t->id));
        if (!id_ok || f.partition >= t->partitions_n) {
            bool removed = !uuid_is_zero(f.topic_id) && was_removed(o, f.topic_id) && !image_topic_by_id(*o->im, f.topic_id);
            if (removed && partition_remove(o->m, (*o->im)->conf, f.topic, f.topic_id, f.partition, f.dir, NULL) == 0) {
                finished++;
                continue;
            }
            if (stray++ == 0) first = arena_printf(&a, S_FMT "-%d", S_ARG(f.topic), f.partition).p;
        }
        o->found[kept++] = f;
    }
    o->found_n = kept;
    if (finished) log_info("meta", "unfinished deletions done", KV_I64("partitions", finished));
    if (stray) log_warn("meta", "stray partition directories left alone", KV_I64("count", stray), KV_STR("first", first));
    arena_free(&a);
}

/* ---- first records ---------------------------------------------------------------------------------------------------------------------------- */

static void feature_levels(struct arena *a, const struct slice *recs, int n, int16_t *level, int16_t *elr, bool *min_isr)
{
    *level = *elr = 0;
    *min_isr = false;
    for (int i = 0; i < n; i++) {
        struct mrec m;
        struct feature_level_record f;
        struct config_record c;
        if (mrec_parse(recs[i], &m)) continue;
        if (m.key == FEATURE_LEVEL_RECORD && mrec_decode(&m, &msg_feature_level_record, a, &f, NULL) == 0) {
            if (slice_eq(f.name, S("metadata.version"))) *level = f.feature_level;
            if (slice_eq(f.name, S("eligible.leader.replicas.version"))) *elr = f.feature_level;
        }
        if (m.key == CONFIG_RECORD && mrec_decode(&m, &msg_config_record, a, &c, NULL) == 0 &&
            slice_eq(c.name, S("min.insync.replicas")))
            *min_isr = true;
    }
}

/* An interrupted metadata transaction is aborted, as Kafka does on becoming active; a log without records gets those of bootstrap.checkpoint.
 * With ELR the cluster-wide min.insync.replicas is a record, too. */
static int first_records(struct opening *o)
{
    struct meta_edit e;
    const struct image *im = *o->im;
    int rc = 0;
    edit_init(&e, o->m, im);
    if (o->replay->in_txn) {
        struct abort_transaction_record r = dflt_abort_transaction_record;
        r.reason = S("Controller failover");
        edit_record(&e, &msg_abort_transaction_record, 0, &r);
        log_info("meta", "unfinished metadata transaction aborted");
        rc = commit(o, &e);
        edit_free(&e);
        edit_init(&e, o->m, im = *o->im);
    }
    bool empty = !im->features_n && !im->topics_n && !im->resources_n && !o->m->kept.n;
    if (rc == 0 && empty) {
        struct slice *recs;
        int n;
        int16_t level, elr;
        bool min_isr;
        rc = mlog_bootstrap(&o->m->log, &o->arena, &recs, &n, o->why);
        if (rc == 0) {
            feature_levels(&o->arena, recs, n, &level, &elr, &min_isr);
            struct begin_transaction_record begin = dflt_begin_transaction_record;
            begin.name = S("Bootstrap records");
            bool txn = level >= LEVEL_TRANSACTIONS;
            if (txn) edit_record(&e, &msg_begin_transaction_record, 0, &begin);
            for (int i = 0; i < n; i++) edit_raw(&e, recs[i]);
            if (elr > 0 && !min_isr) edit_config(&e, 4, S(""), S("min.insync.replicas"), S("1"));
            if (txn) edit_record(&e, &msg_end_transaction_record, 0, &dflt_end_transaction_record);
            rc = commit(o, &e);
        }
    }
    edit_free(&e);
    return rc;
}

/* Partitions, but no KRaft node's: they come from ZooKeeper's time, where metadata lay elsewhere. Their names make the topics; ids are those of
 * partition.metadata, or new ones, which are then written there as well (K6). Then logs_adopt makes the directories a KRaft node's: cut short
 * before it, this is done again. */
static int zookeeper_topics(struct opening *o)
{
    struct meta *m = o->m;
    struct meta_edit e;
    int topics = 0, rc = 0;
    if (!o->old || !o->found_n || (*o->im)->topics_n) return 0;
    edit_init(&e, m, *o->im);
    for (int i = 0, n; i < o->found_n; i += n) {
        struct slice name = o->found[i].topic;
        struct uuid id = UUID_ZERO;
        for (n = 0; i + n < o->found_n && slice_cmp(o->found[i + n].topic, name) == 0; n++)
            if (uuid_is_zero(id)) id = o->found[i + n].topic_id;
        int32_t partitions = o->found[i + n - 1].partition + 1, of_kind = 0;
        if (partitions > PARTITIONS_MAX) {
            log_warn("meta", "directory name is no partition", KV_SLICE("topic", name), KV_I64("partition", partitions - 1));
            continue;
        }
        if (uuid_is_zero(id)) id = rnd_uuid(m->w->rnd);
        int *dirs = arena_array(&o->arena, int, partitions);
        for (int p = 0; p < partitions; p++) dirs[p] = -1;
        for (int k = 0; k < n; k++)
            if (dirs[o->found[i + k].partition] < 0) dirs[o->found[i + k].partition] = o->found[i + k].dir;
        struct image_config *configs = NULL;
        int configs_n = 0;
        internal_topic((*o->im)->conf, name, &e.arena, &configs, &configs_n, &of_kind);
        edit_topic_as(&e, name, id, partitions, configs, configs_n, dirs);
        topics++;
    }
    rc = commit(o, &e);
    edit_free(&e);
    if (rc == 0 && topics)
        log_info("meta", "topics of ZooKeeper's time taken over; their settings were not in the directory",
                 KV_I64("topics", topics));
    return rc;
}

/* ---- registration (K8) ------------------------------------------------------------------------------------------------------------------------------ */

static void register_broker(struct opening *o, struct meta_edit *e)
{
    struct meta *m = o->m;
    struct arena *a = &e->arena;
    int16_t level = image_level(*o->im), version = register_broker_version(level);
    static const struct {
        const char *name;
        int16_t min, max, since; /* metadata.version from which Kafka lists it */
    } features[] = {
        { "metadata.version", LEVEL_MIN, LEVEL_OURS, 0 },
        { "kraft.version", 0, 1, LEVEL_VOTERS },
        { "group.version", 0, 1, 22 },
        { "transaction.version", 0, 2, 24 },
        { "eligible.leader.replicas.version", 0, 1, LEVEL_ELR },
        { "share.version", 0, 1, 28 },
        { "streams.version", 0, 1, 29 },
    };
    struct register_broker_record r = dflt_register_broker_record;
    m->broker_epoch = atomic_load(&m->log.end) + e->recs_n;
    r.broker_id = m->env.node_id;
    r.incarnation_id = rnd_uuid(m->w->rnd);
    r.broker_epoch = m->broker_epoch;
    r.fenced = true;
    r.rack = (struct slice){ 0 };
    const struct conf_listener *ls = conf_listeners(m->conf, &r.end_points_n);
    r.end_points = wire_array(a, register_broker_record_broker_endpoint, r.end_points_n);
    for (int i = 0; i < r.end_points_n; i++) {
        r.end_points[i].name = ls[i].name;
        r.end_points[i].host = ls[i].advertised_host.p ? ls[i].advertised_host : S("localhost");
        r.end_points[i].port = (uint16_t)(ls[i].advertised_port ? ls[i].advertised_port : ls[i].port);
        r.end_points[i].security_protocol = (int16_t)ls[i].protocol;
    }
    r.features = wire_array(a, register_broker_record_broker_feature, ARRAY_LEN(features));
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        if (features[i].since > level) continue;
        r.features[r.features_n].name = slice_of(features[i].name);
        r.features[r.features_n].min_supported_version = features[i].min;
        r.features[r.features_n++].max_supported_version = features[i].max;
    }
    if (version >= 3) {
        r.log_dirs_n = m->dirs_n;
        r.log_dirs = arena_array(a, struct uuid, r.log_dirs_n);
        for (int i = 0; i < r.log_dirs_n; i++) r.log_dirs[i] = dir_id(m, i);
    }
    edit_record(e, &msg_register_broker_record, version, &r);
}

/* ---- partitions (K5) ---------------------------------------------------------------------------------------------------------------------------------- */

struct target {               /* one partition of ours, from the records to its open log */
    int32_t topic, partition; /* topic: index in the image by name */
    struct place place;
    bool changed; /* its epochs move: somebody else had it, or nobody stopped it */
};

/* What has to change so that we lead it. Nothing, when we did and stopped cleanly. */
static bool take_partition(struct opening *o, struct meta_edit *e, const struct image_topic *t, struct target *g)
{
    struct meta *m = o->m;
    const struct part *p = &topic_of(t)->parts[g->partition];
    int16_t version = partition_record_version(image_level(*o->im));
    int32_t me = m->env.node_id;
    bool dir_moves = version >= 1 && g->place.dir >= 0 && !uuid_eq(part_dir(p, me), dir_id(m, g->place.dir));
    bool lead = !o->clean || o->old || part_disturbed(p, me);
    if (g->place.kind == PLACE_NONE) return false; /* whoever finds its log one day leads it */
    if (!lead && !dir_moves) return false;
    struct partition_change_record c = dflt_partition_change_record;
    c.partition_id = g->partition;
    c.topic_id = t->id;
    if (lead) {
        c.leader = me;
        if (!ints_only(p->isr, me)) {
            c.isr = &me;
            c.isr_n = 1;
        }
        if (p->elr) c.eligible_leader_replicas_n = 0;
        if (p->last_elr) c.last_known_elr_n = 0;
        if (p->recovery) c.leader_recovery_state = 0;
    }
    if (dir_moves) {
        int n = ints_n(p->replicas);
        c.directories = arena_array(&e->arena, struct uuid, n);
        c.directories_n = n;
        for (int i = 0; i < n; i++)
            c.directories[i] = p->replicas[i + 1] == me ? dir_id(m, g->place.dir) : i < p->dirs_n ? p->dirs[i] : UUID_ZERO;
    }
    edit_record(e, &msg_partition_change_record, version, &c);
    return lead;
}

/* A log that holds a larger epoch than the records: a PartitionRecord above it (a change would add only 1). */
static void raise_partition(struct opening *o, struct meta_edit *e, const struct image_topic *t, int32_t partition, int32_t above)
{
    int16_t version = partition_record_version(image_level(*o->im));
    struct partition_record r;
    image_part_record(t, partition, version, &e->arena, &r);
    r.leader_epoch = above + 1;
    r.partition_epoch++;
    edit_record(e, &msg_partition_record, version, &r);
}

static int partitions_take(struct opening *o, struct target **out, int *n)
{
    struct meta_edit e;
    const struct image *im = *o->im;
    struct target *v = *out = arena_array(&o->arena, struct target, im->partitions_total);
    int foreign = 0, taken = 0, behind = 0;
    *n = 0;
    for (int i = 0; i < o->found_n; i++) o->m->load[o->found[i].dir]++;
    edit_init(&e, o->m, im);
    register_broker(o, &e);
    for (int i = 0; i < im->topics_n; i++) {
        const struct image_topic *t = im->topics[i];
        for (int p = 0; p < t->partitions_n; p++) {
            const struct part *part = &topic_of(t)->parts[p];
            if (!part->there) continue;
            struct target *g = &v[(*n)++];
            *g = (struct target){ .topic = i, .partition = p, .place = { PLACE_NONE, -1, E_REPLICA_NOT_AVAILABLE } };
            if (!ints_have(part->replicas, o->m->env.node_id)) {
                foreign++;
                continue;
            }
            g->place = place_of(o, t, p);
            if (g->place.kind == PLACE_NEW && g->place.dir < 0) g->place.dir = dir_choose(o->m);
            if (g->place.kind == PLACE_NEW) o->m->load[g->place.dir]++;
            g->changed = take_partition(o, &e, t, g);
            taken += g->changed;
            behind += g->changed && part_behind(part, o->m->env.node_id);
        }
    }
    int rc = commit(o, &e);
    edit_free(&e);
    if (behind && rc == 0)
        log_warn("meta",
                 "partitions were in sync on other brokers only: led from here now, what this node did not have is given up",
                 KV_I64("count", behind));
    if (foreign) log_warn("meta", "partitions without a replica here are without a leader", KV_I64("count", foreign));
    if (taken && rc == 0)
        log_info("meta", "partitions taken over", KV_I64("count", taken), KV_STR("stopped", o->clean ? "cleanly" : "uncleanly"));
    return rc;
}

/* Opens all logs. Those whose epochs moved are opened without one, so that theirs can be asked for first. */
static int partitions_open(struct opening *o, struct target *v, int n)
{
    struct meta *m = o->m;
    struct image *im = *o->im;
    struct plog_spec *specs = mem_zalloc(sizeof *specs * (size_t)MAX(n, 1));
    struct plog **logs = mem_zalloc(sizeof(void *) * (size_t)MAX(n, 1));
    int *errs = mem_zalloc(sizeof *errs * (size_t)MAX(n, 1));
    struct target **of = mem_zalloc(sizeof(void *) * (size_t)MAX(n, 1));
    struct meta_edit e;
    struct why first = { "" };
    int k = 0, rc = 0, failed = 0;
    edit_init(&e, m, im);
    for (int i = 0; i < n; i++) {
        const struct image_topic *t = im->topics[v[i].topic];
        if (v[i].place.kind == PLACE_NONE) continue;
        of[k] = &v[i];
        specs[k++] = (struct plog_spec){ .topic = t->name,
                                         .topic_id = t->id,
                                         .partition = v[i].partition,
                                         .dir = v[i].place.dir,
                                         .leader_epoch = v[i].changed ? -1 : t->partitions[v[i].partition].leader_epoch,
                                         .must_exist = v[i].place.kind == PLACE_FOUND,
                                         .promised = v[i].place.kind == PLACE_NEW,
                                         .conf = &t->conf };
    }
    logs_partitions(m->logs, specs, k, logs, errs, &first);
    for (int i = 0; i < k; i++) {
        const struct image_topic *t = im->topics[of[i]->topic];
        int32_t had = t->partitions[of[i]->partition].leader_epoch;
        if (!logs[i]) {
            failed++;
            continue;
        }
        if (!of[i]->changed) continue;
        int32_t epoch = plog_epoch_at(logs[i], INT64_MAX); /* the latest it knows */
        if (epoch >= had) raise_partition(o, &e, t, of[i]->partition, epoch);
    }
    int raised = e.recs_n;
    rc = commit(o, &e);
    edit_free(&e);
    im = *o->im;
    for (int i = 0; i < k && rc == 0; i++) {
        struct image_topic *t = im->topics[of[i]->topic];
        if (logs[i] && of[i]->changed) plog_set_leader_epoch(logs[i], t->partitions[of[i]->partition].leader_epoch);
        image_attach(&m->env, t, of[i]->partition, logs[i], errs[i]);
        logs[i] = NULL;
    }
    for (int i = 0; i < n && rc == 0; i++) {
        if (v[i].place.kind != PLACE_NONE) continue;
        struct image_topic *t = im->topics[v[i].topic];
        image_attach(&m->env, t, v[i].partition, NULL, v[i].place.err);
        if (v[i].place.err == E_REPLICA_NOT_AVAILABLE) continue; /* said already */
        log_error("meta", "partition is offline", KV_SLICE("topic", t->name), KV_I64("partition", v[i].partition),
                  KV_ERR(v[i].place.err));
    }
    if (raised) log_warn("meta", "logs held larger epochs than the metadata: raised", KV_I64("partitions", raised));
    if (failed) log_error("meta", "partitions not opened", KV_I64("count", failed), KV_STR("first", first.text));
    for (int i = 0; i < k; i++)
        if (logs[i]) plog_unref(&logs[i]);
    mem_free(specs);
    mem_free(logs);
    mem_free(errs);
    mem_free(of);
    return rc;
}

/* ---- producer ids (K10) -------------------------------------------------------------------------------------------------------------------------------- */

/* The largest producer id in the values of one __transaction_state partition: version (int16), then the id. */
static int64_t transactions_max(struct plog *log)
{
    enum { CHUNK = 1 << 20 };
    struct plog_offsets at;
    struct plog_cursor cursor = { 0 };
    struct bytes buf = { 0 }, scratch = { 0 };
    int64_t max = -1;
    plog_offsets(log, &at);
    for (int64_t from = at.start; from < at.end;) {
        struct plog_read r = { .offset = from, .max_bytes = CHUNK, .whole_first = true, .upto = READ_END };
        int64_t was = from;
        if (plog_read(log, &r, &cursor)) break;
        buf.n = 0;
        uint8_t *p = bytes_room(&buf, r.range.n);
        int rc = r.range.n ? range_copy(&r.range, 0, p, r.range.n) : E_NOT_FOUND;
        size_t n = r.range.n;
        range_release(&r.range);
        for (size_t k = 0; rc == 0 && k < n;) {
            struct batch_head h;
            struct record_iter it;
            struct record rec;
            if (batch_parse_head(p + k, n - k, &h) || (size_t)h.size > n - k) break;
            if (record_iter_init(&it, p + k, (size_t)h.size, &scratch, 0) == 0) {
                while (!batch_is_control(&h) && record_next(&it, &rec) == 1)
                    if (rec.value.n >= 10) max = MAX(max, (int64_t)be64(rec.value.p + 2));
            }
            record_iter_end(&it);
            k += (size_t)h.size;
            from = batch_last_offset(&h) + 1;
        }
        if (from == was) break;
    }
    bytes_free(&buf);
    bytes_free(&scratch);
    return max;
}

int64_t producer_floor(struct meta *m, const struct image *im)
{
    int64_t max = logs_max_producer_id(m->logs);
    /* ProducerIdsRecords cover them, once there is one. */
    const struct image_topic *t = im->next_producer_id > 0 ? NULL : image_topic(im, S("__transaction_state"));
    for (int i = 0; t && i < t->partitions_n; i++)
        if (t->partitions[i].log) max = MAX(max, transactions_max(t->partitions[i].log));
    return max < INT64_MAX ? max + 1 : max;
}

/* Does the log know this partition (J12)? */
static bool exists(void *arg, struct uuid topic_id, int32_t partition)
{
    const struct image_topic *t = image_topic_by_id(arg, topic_id);
    return t && partition < t->partitions_n;
}

int takeover(struct meta *m, struct replay *r, struct image **im, struct why *why_)
{
    struct opening o = { .m = m, .replay = r, .im = im, .why = why_, .clean = logs_was_clean(m->logs) };
    struct target *targets = NULL;
    int n = 0;
    arena_init(&o.arena);
    for (int i = 0; i < m->dirs_n; i++) {
        struct log_dir_info info;
        logs_dir_info(m->logs, i, &info);
        o.old |= info.old;
    }
    int rc = logs_scan(m->logs, o.old, &o.arena, &o.found, &o.found_n, why_);
    if (rc == 0 && o.found_n > 1) qsort(o.found, (size_t)o.found_n, sizeof *o.found, found_cmp);
    logs_tell(
        m->logs,
        &(struct logs_truth){
            .dir = m->log.dir, .quorum_epoch = m->log.found_epoch, .log_epoch = m->log.log_epoch, .exists = exists, .arg = *im });
    if (rc == 0) rc = logs_begin(m->logs, why_);
    if (rc == 0) rc = mlog_lead(&m->log, why_);
    if (rc == 0) rc = first_records(&o);
    if (rc == 0) rc = zookeeper_topics(&o);
    if (rc == 0) rc = logs_adopt(m->logs, why_);
    if (rc == 0) strays(&o);
    if (rc == 0) rc = partitions_take(&o, &targets, &n);
    if (rc == 0) rc = partitions_open(&o, targets, n);
    arena_free(&o.arena);
    return rc;
}
