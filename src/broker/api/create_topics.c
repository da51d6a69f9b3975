/* CreateTopics (key 19), v2–7. v4 defaults by -1; v5 flexible, the answer tells partitions and configs; v7 topic ids.
 *
 * create_topics_start  ->  a change on the meta worker, which judges each row against the newest image, then stages all that are good
 *                      ->  create_topics_answer.
 * More than 10,000 partitions, or metadata records, in one request are too many: nothing of it is done. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

enum {
    FEW = 20,          /* topics, for which nobody waits until there is memory */
    SHOWN_BYTES = 1600 /* of the answer, that a topic and its settings take */
};

struct wanted { /* a good row */
    int32_t partitions;
    struct image_config *configs;
    int32_t configs_n;
};

struct call {
    struct meta_change change;
    struct req *rq;
    struct described_cache described;
    struct collisions collisions;
    bool *again; /* rows of a name that an earlier row has: all of them get one answer */
    struct wanted *wanted;
};

static int row_fail(struct create_topics_response_creatable_topic_result *o, int err, struct slice message)
{
    o->error_code = (int16_t)err_kafka(err);
    o->error_message = message;
    o->num_partitions = -1;
    o->replication_factor = -1;
    return err;
}

/* A manual assignment must be 0-based, consecutive, and name only this node. */
static int check_assignments(struct req *rq, const struct create_topics_request_creatable_topic *t,
                             struct create_topics_response_creatable_topic_result *o, bool clamp)
{
    struct arena *a = &rq->arena;
    int32_t me = rq->shard->broker->node_id;
    if (t->num_partitions != -1)
        return row_fail(o, E_INVALID_REQUEST,
                        S("A manual partition assignment was specified, but numPartitions was not set to -1."));
    if (t->replication_factor != -1)
        return row_fail(o, E_INVALID_REQUEST,
                        S("A manual partition assignment was specified, but replicationFactor was not set to -1."));
    bool *seen = arena_array(a, bool, t->assignments_n);
    for (int i = 0; i < t->assignments_n; i++) {
        const struct create_topics_request_creatable_replica_assignment *as = &t->assignments[i];
        if (as->partition_index < 0 || as->partition_index >= t->assignments_n)
            return row_fail(o, E_INVALID_REPLICA_ASSIGNMENT, S("partitions should be a consecutive 0-based integer sequence"));
        if (seen[as->partition_index])
            return row_fail(o, E_INVALID_REPLICA_ASSIGNMENT,
                            arena_printf(a, "Found multiple manual assignments for partition %d", as->partition_index));
        seen[as->partition_index] = true;
        if (as->broker_ids_n <= 0)
            return row_fail(o, E_INVALID_REPLICA_ASSIGNMENT,
                            S("The manual partition assignment includes an empty replica list."));
        for (int k = 0; k < as->broker_ids_n; k++) {
            if (as->broker_ids[k] != me)
                return row_fail(
                    o, E_INVALID_REPLICA_ASSIGNMENT,
                    arena_printf(a, "The manual partition assignment includes broker %d, but no such broker is registered.",
                                 as->broker_ids[k]));
            if (k > 0 && !clamp)
                return row_fail(o, E_INVALID_REPLICA_ASSIGNMENT,
                                arena_printf(a, "The manual partition assignment includes the broker %d more than once.", me));
        }
    }
    return 0;
}

static void describe(struct arena *a, const struct conf *conf, const struct image_config *kv, int n, struct described *d)
{
    struct arena scratch;
    struct conf_row *rows;
    arena_init(&scratch);
    struct conf_kv *overrides = arena_array(&scratch, struct conf_kv, n);
    for (int i = 0; i < n; i++) overrides[i] = (struct conf_kv){ kv[i].name, kv[i].value };
    d->rows_n = conf_describe_topic(conf, overrides, n, &scratch, &rows);
    struct create_topics_response_creatable_topic_configs *v =
        wire_array(a, create_topics_response_creatable_topic_configs, d->rows_n);
    for (int i = 0; i < d->rows_n; i++) {
        v[i].name = rows[i].name;
        v[i].value = arena_copy(a, rows[i].value);
        v[i].read_only = rows[i].read_only;
        v[i].config_source = (int8_t)rows[i].source;
        v[i].is_sensitive = rows[i].sensitive;
    }
    d->rows = v;
    arena_free(&scratch);
}

static void fill_configs(struct req *rq, const struct conf *conf, const struct image_config *kv, int n,
                         struct create_topics_response_creatable_topic_result *o)
{
    struct call *c = rq->call;
    struct described *d = described_get(&c->described, kv, n);
    if (d->rows_n < 0) describe(&rq->arena, conf, kv, n, d);
    o->configs = d->rows;
    o->configs_n = d->rows_n;
}

static int judge_row(struct req *rq, const struct image *im, const struct create_topics_request_creatable_topic *t,
                     struct create_topics_response_creatable_topic_result *o, struct wanted *want)
{
    struct arena *a = &rq->arena;
    struct slice message;
    struct why w;
    bool clamp = slice_eq(conf_str(im->conf, CONF_ODRADEK_REPLICATION_FACTOR_POLICY), S("clamp"));
    int32_t partitions = t->num_partitions;

    if (topic_name_check(t->name, a, &message)) return row_fail(o, E_INVALID_TOPIC_EXCEPTION, message);
    if (image_topic(im, t->name))
        return row_fail(o, E_TOPIC_ALREADY_EXISTS, arena_printf(a, "Topic '" S_FMT "' already exists.", S_ARG(t->name)));
    const struct image_topic *other = collisions_find(&((struct call *)rq->call)->collisions, t->name);
    if (other)
        return row_fail(
            o, E_INVALID_TOPIC_EXCEPTION,
            arena_printf(a, "Topic '" S_FMT "' collides with existing topic: " S_FMT, S_ARG(t->name), S_ARG(other->name)));
    if (t->assignments_n > 0) {
        int rc = check_assignments(rq, t, o, clamp);
        if (rc) return rc;
        partitions = t->assignments_n;
    } else {
        if (t->replication_factor < -1 || t->replication_factor == 0)
            return row_fail(o, E_INVALID_REPLICATION_FACTOR,
                            S("Replication factor must be larger than 0, or -1 to use the default value."));
        if (partitions < -1 || partitions == 0)
            return row_fail(o, E_INVALID_PARTITIONS,
                            S("Number of partitions must be larger than 0, or -1 to use the default value."));
        if (t->replication_factor > 1 && !clamp)
            return row_fail(o, E_INVALID_REPLICATION_FACTOR,
                            arena_printf(a,
                                         "Unable to replicate the partition %d time(s): The target replication factor of %d "
                                         "cannot be reached because only 1 "
                                         "broker(s) are registered or some brokers have all their log directories cordoned.",
                                         t->replication_factor, t->replication_factor));
        if (partitions == -1) partitions = (int32_t)conf_i64(im->conf, CONF_NUM_PARTITIONS);
    }
    int n = 0;
    struct image_config *kv = arena_array(a, struct image_config, t->configs_n);
    struct conf_kv *check = arena_array(a, struct conf_kv, t->configs_n);
    for (int i = 0; i < t->configs_n; i++) {
        if (!t->configs[i].value.p)
            return row_fail(o, E_INVALID_CONFIG,
                            arena_printf(a, "Null value not supported for topic configs: " S_FMT, S_ARG(t->configs[i].name)));
        int at = 0;
        while (at < n && !slice_eq(kv[at].name, t->configs[i].name)) at++; /* said twice: the last counts */
        kv[at] = (struct image_config){ t->configs[i].name, t->configs[i].value };
        check[at] = (struct conf_kv){ kv[at].name, kv[at].value };
        n = MAX(n, at + 1);
    }
    int rc = topic_conf_check(im->conf, check, n, &w);
    if (rc) return row_fail(o, rc, arena_copy(a, slice_of(w.text)));
    *want = (struct wanted){ partitions, kv, n };
    o->error_message = (struct slice){ 0 }; /* null */
    o->num_partitions = partitions;
    o->replication_factor = 1;
    fill_configs(rq, im->conf, kv, n, o);
    return 0;
}

/* By what the request says, whatever becomes of its rows; only those refused already do not count. */
static bool too_many_partitions(const struct create_topics_request *in, const struct create_topics_response *out,
                                const struct conf *conf)
{
    int64_t n = 0;
    for (int i = 0; i < in->topics_n; i++) {
        const struct create_topics_request_creatable_topic *t = &in->topics[i];
        if (out->topics[i].error_code) continue;
        if (t->num_partitions != -1) n += t->num_partitions;
        else n += t->assignments_n > 0 ? t->assignments_n : conf_i64(conf, CONF_NUM_PARTITIONS);
    }
    return n > REQUEST_PARTITIONS_MAX;
}

/* All rows get one answer, those that had another one too. */
static void refuse_all(struct req *rq, struct slice message)
{
    struct create_topics_response *out = rq->out;
    struct call *c = rq->call;
    for (int i = 0; i < out->topics_n; i++) {
        (void)row_fail(&out->topics[i], E_POLICY_VIOLATION, message);
        out->topics[i].configs_n = 0;
        c->again[i] = false;
    }
}

static int create_run(struct meta_change *change, struct meta_edit *e)
{
    struct req *rq = container_of(change, struct call, change)->rq;
    const struct create_topics_request *in = rq->in;
    struct create_topics_response *out = rq->out;
    struct call *c = rq->call;
    const struct image *im = edit_image(e);
    int64_t records = 0;
    change->bytes = rq->arena.held;
    if (too_many_partitions(in, out, im->conf)) {
        refuse_all(rq, S("Excessively large number of partitions per request."));
        return 0;
    }
    c->wanted = arena_array(&rq->arena, struct wanted, in->topics_n);
    c->described = (struct described_cache){ .a = &rq->arena };
    collisions_begin(&c->collisions, im);
    for (int i = 0; i < in->topics_n && records <= REQUEST_RECORDS_MAX; i++) {
        struct wanted *w = &c->wanted[i];
        if (out->topics[i].error_code || judge_row(rq, im, &in->topics[i], &out->topics[i], w)) continue;
        records += 1 + w->partitions + w->configs_n;
    }
    described_free(&c->described);
    collisions_end(&c->collisions);
    if (records > REQUEST_RECORDS_MAX) refuse_all(rq, S("Unable to perform excessively large batch operation."));
    for (int i = 0; i < in->topics_n && !in->validate_only; i++) {
        const struct wanted *w = &c->wanted[i];
        if (out->topics[i].error_code) continue;
        out->topics[i].topic_id = edit_create_topic(e, in->topics[i].name, w->partitions, w->configs, w->configs_n);
    }
    change->bytes = rq->arena.held;
    return 0;
}

static enum req_next create_topics_answer(struct req *rq)
{
    struct call *c = rq->call;
    struct create_topics_response *out = rq->out;
    if (!atomic_load_explicit(&c->change.done, memory_order_acquire)) return REQ_WAIT;
    for (int i = 0; c->change.err && i < out->topics_n; i++) {
        if (out->topics[i].error_code) continue;
        (void)row_fail(&out->topics[i], c->change.err, slice_of(err_text(c->change.err)));
        out->topics[i].topic_id = UUID_ZERO;
        out->topics[i].configs_n = 0;
    }
    int n = 0;
    for (int i = 0; i < out->topics_n; i++)
        if (!c->again[i]) out->topics[n++] = out->topics[i];
    out->topics_n = n;
    return REQ_DONE;
}

/* All rows of a name that is there twice fail, and no row may name the metadata log. */
static void refuse_before(struct req *rq)
{
    struct create_topics_response *out = rq->out;
    struct call *c = rq->call;
    struct arena scratch;
    arena_init(&scratch);
    struct slice *names = arena_array(&scratch, struct slice, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) names[i] = out->topics[i].name;
    const struct name_row *v = names_rows(&scratch, names, out->topics_n);
    c->again = arena_array(&rq->arena, bool, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) {
        c->again[i] = v[i].first != i;
        if (v[v[i].first].twice) (void)row_fail(&out->topics[i], E_INVALID_REQUEST, S("Duplicate topic name."));
        else if (slice_eq(names[i], S("__cluster_metadata")))
            (void)row_fail(&out->topics[i], E_INVALID_REQUEST, S("Creation of internal topic __cluster_metadata is prohibited."));
    }
    arena_free(&scratch);
}

/* What judging and answering takes, and the change itself, for a moment: of topics with settings, each perhaps with a list of its own. */
static int64_t create_bytes(const struct create_topics_request *in)
{
    enum { ROW_BYTES = 1024, LIST_BYTES = 8 * 1024, SETTING_BYTES = 256, PARTITION_BYTES = 256 };
    int64_t n = 0, partitions = 0;
    for (int i = 0; i < in->topics_n; i++) {
        const struct create_topics_request_creatable_topic *t = &in->topics[i];
        n += ROW_BYTES;
        if (t->configs_n > 0) n += LIST_BYTES + (int64_t)t->configs_n * SETTING_BYTES;
        partitions += MAX(t->num_partitions, 0) + MAX(t->assignments_n, 0);
    }
    return n + MIN(partitions, REQUEST_PARTITIONS_MAX) * PARTITION_BYTES;
}

enum req_next create_topics_start(struct req *rq)
{
    const struct create_topics_request *in = rq->in;
    struct create_topics_response *out = rq->out;
    if (in->topics_n > FEW) { /* an answer that could not be sent is refused before anything is created */
        if (rq->version >= 5 && !req_fits(rq, (int64_t)in->topics_n * SHOWN_BYTES)) return REQ_CLOSE;
        if (!req_pay(rq, create_bytes(in))) return REQ_WAIT;
    }
    struct call *c = rq->call = arena_new(&rq->arena, struct call);

    out->topics_n = MAX(in->topics_n, 0);
    out->topics = wire_array(&rq->arena, create_topics_response_creatable_topic_result, out->topics_n);
    for (int i = 0; i < out->topics_n; i++) out->topics[i].name = in->topics[i].name;
    refuse_before(rq);
    c->rq = rq;
    c->change.run = create_run;
    c->change.home = req_home(rq);
    c->change.who = req_ticket(rq);
    meta_submit(rq->shard->broker->meta, &c->change);
    return req_goto(rq, create_topics_answer);
}
