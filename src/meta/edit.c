/* What a change stages: the records of everyday changes, and how an edit becomes batches and an image. */
#include "impl.h"

#include <inttypes.h>

enum {
    RESOURCE_TOPIC = 2,
    BATCH_MAX = 4 << 20, /* Kafka reads metadata batches of up to 8 MiB: larger changes are a metadata transaction of several */
};

void edit_init(struct meta_edit *e, struct meta *m, const struct image *im)
{
    *e = (struct meta_edit){ .m = m, .image = im };
    arena_init(&e->arena);
}

void edit_free(struct meta_edit *e)
{
    arena_free(&e->arena);
    e->recs = NULL;
    e->recs_n = e->recs_cap = 0;
}

const struct image *edit_image(const struct meta_edit *e) { return e->image; }

struct arena *edit_arena(struct meta_edit *e) { return &e->arena; }

static void edit_take(struct meta_edit *e, struct slice value)
{
    if (e->recs_n == e->recs_cap) {
        int cap = MAX(16, e->recs_cap * 2);
        struct slice *v = arena_array(&e->arena, struct slice, cap);
        if (e->recs_n) memcpy(v, e->recs, sizeof *v * (size_t)e->recs_n);
        e->recs = v;
        e->recs_cap = cap;
    }
    e->recs[e->recs_n++] = value;
    e->bytes += value.n + 16;
}

void edit_raw(struct meta_edit *e, struct slice value) { edit_take(e, arena_copy(&e->arena, value)); }

void edit_record(struct meta_edit *e, const struct wire_msg *type, int16_t version, const void *body)
{
    edit_take(e, mrec_make(&e->arena, type, version, body));
}

/* ---- directories ------------------------------------------------------------------------------------------------------------------- */

struct uuid dir_id(const struct meta *m, int dir) { return m->dir_ids[dir]; }

bool dir_online(struct meta *m, int dir)
{
    pthread_mutex_lock(&m->mu);
    bool offline = m->offline[dir];
    pthread_mutex_unlock(&m->mu);
    return !offline;
}

int dir_of(const struct meta *m, struct uuid id)
{
    for (int i = 0; i < m->dirs_n; i++)
        if (uuid_eq(m->dir_ids[i], id)) return i;
    return -1;
}

/* The one with the fewest partitions, counting those just staged. */
int dir_choose(struct meta *m)
{
    int best = -1;
    for (int i = 0; i < m->dirs_n; i++)
        if (dir_online(m, i) && (best < 0 || m->load[i] < m->load[best])) best = i;
    return MAX(best, 0);
}

/* ---- topics -------------------------------------------------------------------------------------------------------------------------- */

static void partition_stage(struct meta_edit *e, struct uuid topic, int32_t partition, int dir)
{
    struct meta *m = e->m;
    int16_t version = partition_record_version(image_level(e->image));
    int32_t me = m->env.node_id;
    if (dir < 0) dir = dir_choose(m);
    struct uuid where = dir_id(m, dir);
    struct partition_record p = dflt_partition_record;
    p.partition_id = partition;
    p.topic_id = topic;
    p.replicas = p.isr = &me;
    p.replicas_n = p.isr_n = 1;
    p.leader = me;
    p.leader_epoch = p.partition_epoch = 0;
    if (version >= 1) {
        p.directories = &where;
        p.directories_n = 1;
    }
    edit_record(e, &msg_partition_record, version, &p);
    m->load[dir]++;
}

void edit_config(struct meta_edit *e, int8_t resource_type, struct slice resource, struct slice name, struct slice value)
{
    struct config_record c = dflt_config_record;
    c.resource_type = resource_type;
    c.resource_name = resource;
    c.name = name;
    c.value = value;
    edit_record(e, &msg_config_record, 0, &c);
}

void edit_topic_as(struct meta_edit *e, struct slice name, struct uuid id, int32_t partitions, const struct image_config *configs,
                   int32_t configs_n, const int *dirs)
{
    struct topic_record t = dflt_topic_record;
    t.name = name;
    t.topic_id = id;
    edit_record(e, &msg_topic_record, 0, &t);
    for (int i = 0; i < configs_n; i++) edit_config(e, RESOURCE_TOPIC, name, configs[i].name, configs[i].value);
    for (int32_t i = 0; i < partitions; i++) partition_stage(e, id, i, dirs ? dirs[i] : -1);
}

struct uuid edit_create_topic(struct meta_edit *e, struct slice name, int32_t partitions, const struct image_config *configs,
                              int32_t configs_n)
{
    struct uuid id;
    do id = rnd_uuid(e->m->w->rnd); /* K13: never one of the reserved ones */
    while (image_topic_by_id(e->image, id));
    edit_topic_as(e, name, id, partitions, configs, configs_n, NULL);
    return id;
}

void edit_add_partitions(struct meta_edit *e, const struct image_topic *t, int32_t total)
{
    for (int32_t i = t->partitions_n; i < total; i++) partition_stage(e, t->id, i, -1);
}

void edit_delete_topic(struct meta_edit *e, const struct image_topic *t)
{
    struct remove_topic_record r = dflt_remove_topic_record;
    r.topic_id = t->id;
    edit_record(e, &msg_remove_topic_record, 0, &r);
}

/* ---- internal topics (K9) -------------------------------------------------------------------------------------------------------------- */

bool internal_topic(const struct conf *conf, struct slice name, struct arena *a, struct image_config **configs, int *configs_n,
                    int32_t *partitions)
{
    struct image_config *c = *configs = arena_array(a, struct image_config, 8);
    int n = 0;
    if (slice_eq(name, S("__consumer_offsets"))) {
        *partitions = (int32_t)conf_i64(conf, CONF_OFFSETS_TOPIC_NUM_PARTITIONS);
        c[n++] = (struct image_config){ S("compression.type"), S("producer") };
        c[n++] = (struct image_config){ S("cleanup.policy"), S("compact") };
        c[n++] = (struct image_config){ S("segment.bytes"),
                                        arena_printf(a, "%" PRId64, conf_segment_bytes(conf, CONF_OFFSETS_TOPIC_SEGMENT_BYTES)) };
    } else if (slice_eq(name, S("__transaction_state"))) {
        *partitions = (int32_t)conf_i64(conf, CONF_TRANSACTION_STATE_LOG_NUM_PARTITIONS);
        c[n++] = (struct image_config){ S("compression.type"), S("uncompressed") };
        c[n++] = (struct image_config){ S("cleanup.policy"), S("compact") };
        c[n++] = (struct image_config){ S("min.insync.replicas"),
                                        arena_printf(a, "%" PRId64, conf_i64(conf, CONF_TRANSACTION_STATE_LOG_MIN_ISR)) };
        c[n++] = (struct image_config){
            S("segment.bytes"), arena_printf(a, "%" PRId64, conf_segment_bytes(conf, CONF_TRANSACTION_STATE_LOG_SEGMENT_BYTES))
        };
        c[n++] = (struct image_config){ S("unclean.leader.election.enable"), S("false") };
    } else if (slice_eq(name, S("__share_group_state"))) {
        *partitions = (int32_t)conf_i64(conf, CONF_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS);
        c[n++] = (struct image_config){ S("compression.type"), S("producer") };
        c[n++] = (struct image_config){ S("cleanup.policy"), S("delete") };
        c[n++] = (struct image_config){ S("min.insync.replicas"),
                                        arena_printf(a, "%" PRId64, conf_i64(conf, CONF_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR)) };
        c[n++] = (struct image_config){ S("retention.ms"), S("-1") };
        c[n++] =
            (struct image_config){ S("segment.bytes"),
                                   arena_printf(a, "%" PRId64,
                                                conf_segment_bytes(conf, CONF_SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES)) };
    }
    *configs_n = n;
    return n > 0;
}

struct uuid edit_create_internal_topic(struct meta_edit *e, struct slice name)
{
    struct image_config *configs;
    int n;
    int32_t partitions = 0;
    bool internal = internal_topic(e->image->conf, name, &e->arena, &configs, &n, &partitions);
    assert(internal);
    return edit_create_topic(e, name, partitions, configs, n);
}

/* ---- to batches, to an image -------------------------------------------------------------------------------------------------------------- */

void edit_encode(struct meta_edit *e, int64_t base, struct bytes *out, int32_t *records)
{
    if (e->bytes <= BATCH_MAX || image_level(e->image) < LEVEL_TRANSACTIONS) {
        mlog_batch(&e->m->log, e->recs, e->recs_n, base, out);
        *records = e->recs_n;
        return;
    }
    struct begin_transaction_record begin = dflt_begin_transaction_record;
    begin.name = S("Large change");
    struct slice first = mrec_make(&e->arena, &msg_begin_transaction_record, 0, &begin);
    struct slice last = mrec_make(&e->arena, &msg_end_transaction_record, 0, &dflt_end_transaction_record);
    mlog_batch(&e->m->log, &first, 1, base, out);
    int64_t at = base + 1;
    for (int i = 0; i < e->recs_n;) {
        size_t bytes = 0;
        int n = 0;
        while (i + n < e->recs_n && (n == 0 || bytes + e->recs[i + n].n + 16 <= BATCH_MAX)) bytes += e->recs[i + n++].n + 16;
        mlog_batch(&e->m->log, e->recs + i, n, at, out);
        at += n;
        i += n;
    }
    mlog_batch(&e->m->log, &last, 1, at, out);
    *records = e->recs_n + 2;
}

struct image *edit_apply(struct meta_edit *e, int64_t last_offset, struct why *why_)
{
    struct draft *d = draft_new(&e->m->env, e->image);
    struct image *im = NULL;
    int rc = 0;
    for (int i = 0; rc == 0 && i < e->recs_n; i++) {
        struct mrec r;
        rc = mrec_parse(e->recs[i], &r);
        if (rc == 0 && draft_takes(r.key)) rc = draft_apply(d, &r, why_);
    }
    if (rc == 0) im = draft_finish(d, last_offset);
    draft_free(&d);
    return im;
}

void edit_keep(struct meta_edit *e, int64_t base)
{
    for (int i = 0; i < e->recs_n; i++) {
        struct mrec r;
        struct why why = { "" };
        if (mrec_parse(e->recs[i], &r) || draft_takes(r.key)) continue;
        if (r.key == BEGIN_TRANSACTION_RECORD || r.key == END_TRANSACTION_RECORD || r.key == ABORT_TRANSACTION_RECORD) continue;
        if (kept_apply(&e->m->kept, &r, base + i, &why)) log_error("meta", "record not kept", KV_STR("reason", why.text));
    }
}
