/* Loading: a partition that Apache Kafka wrote, our own, transactions, damaged records, groups of newer kinds. */
#include "rig.h"

#include <odradek/kafka_errors.h>

#define RIG(conf)              \
    struct rig rig, *r = &rig; \
    rig_init(r, *state, (conf))

static struct slice kafka_log(struct rig *r)
{
    FILE *f = fopen(TESTDATA "/unit/coord/data/kafka-4.3.1-offsets-18.log", "rb");
    char *p = arena_alloc(&r->env->arena, 4096);
    assert_non_null(f);
    size_t n = fread(p, 1, 4096, f);
    (void)fclose(f);
    assert_int_equal(n, 1604);
    return (struct slice){ p, n };
}

/* The first n batches. */
static struct slice batches(struct slice log, int n)
{
    size_t at = 0;
    while (n-- > 0) {
        int32_t size = 0;
        assert_ok(batch_size(log.p + at, log.n - at, &size));
        at += (size_t)size;
    }
    return (struct slice){ log.p, at };
}

static int64_t fetched(struct rig *r, const char *group, const char *topic, int32_t partition)
{
    return offset_of_row(ask_fetch(r, group, topic, partition, false));
}

/* Loads into the partition that a group belongs to here. */
static int32_t home(const char *group) { return groups_partition_of(slice_of(group), RIG_PARTS); }

static void load_both(struct rig *r, struct slice log)
{
    assert_int_equal(home("g-classic"), home("g-new"));
    rig_load(r, home("g-classic"), log);
}

/* ---- which partition ------------------------------------------------------------------------------------------------------------ */

static void a_group_is_where_java_says(void **state)
{
    const struct {
        const char *id;
        int32_t of_50;
    } known[] = {
        { "", 0 },
        { "g-classic", 18 },
        { "g-new", 18 },
        { "console-consumer-1", 24 },
        { "polygenelubricants", 0 }, /* hashes to the smallest int */
        { "gr\xc3\xbcppe", 12 },
        { "\xf0\x9f\x98\x80", 49 },
        { "\xff", 33 }, /* not UTF-8: U+FFFD */
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        assert_int_equal(groups_partition_of(slice_of(known[i].id), 50), known[i].of_50);
}

/* ---- what Kafka wrote -------------------------------------------------------------------------------------------------------------- */

static void a_partition_of_kafka_is_understood(void **state)
{
    RIG("");
    load_both(r, kafka_log(r));
    struct ask *d = ask_of(r, API_DESCRIBE_GROUPS, 6, "g-classic");
    const struct describe_groups_response_described_group *out = d->c.out;
    assert_int_equal(out->error_code, 0);
    assert_slice(out->group_state, "Empty");
    assert_slice(out->protocol_type, "consumer");
    assert_int_equal(rig_group(r, "g-classic")->generation, 2);
    assert_int_equal(fetched(r, "g-classic", "t-none", 0), 10);
    assert_int_equal(fetched(r, "g-classic", "t-none", 2), 12);
    struct ask *f = ask_fetch(r, "g-classic", "t-none", 0, true);
    struct slice note = ((struct offset_fetch_response_group *)f->c.out)->topics[0].partitions[0].metadata;
    assert_true(slice_eq(note, S("note\0"))); /* librdkafka sent it so */
    assert_int_equal(fetched(r, "g-new", "t-gzip", 1), 21);

    struct ask *l = ask_list(r, NULL, "consumer");
    const struct list_groups_response *groups = l->c.out;
    assert_int_equal(groups->groups_n, 1);
    assert_slice(groups->groups[0].group_id, "g-new");
    assert_slice(groups->groups[0].group_state, "Empty");
    assert_slice(groups->groups[0].protocol_type, "consumer");
    rig_free(r);
}

static void a_live_member_of_kafkas_log_is_a_member_here(void **state)
{
    RIG("");
    load_both(r, batches(kafka_log(r), 2));
    struct group *g = rig_group(r, "g-classic");
    assert_int_equal(g->state, STATE_STABLE);
    const char *id = z(r, g->leader->id);
    assert_int_equal(strncmp(id, "rdkafka-", 8), 0);
    assert_slice(g->leader->client_host, "/127.0.0.1");
    assert_int_equal(g->leader->session_ms, 45000);
    assert_int_equal(error_of(ask_heartbeat(r, "g-classic", 1, id, NULL)), 0);
    assert_true(group_subscribes(g, S("t-none")));
    rig_run(r, 46000);
    assert_int_equal(g->state, STATE_EMPTY);
    rig_free(r);
}

struct expected {
    struct rig *r;
    struct slice log;
    int compared;
};

/* Writes again what was loaded, and compares with the records it was loaded from. */
static void do_compare(struct rig *r, void *arg)
{
    struct expected *e = arg;
    struct bytes scratch = { 0 }, scratch2 = { 0 };
    for (size_t at = 0; at < e->log.n;) {
        struct record_iter it, ours;
        struct record want, have;
        int32_t size = 0;
        assert_ok(batch_size(e->log.p + at, e->log.n - at, &size));
        assert_ok(record_iter_init(&it, e->log.p + at, (size_t)size, &scratch, 0));
        at += (size_t)size;
        while (record_next(&it, &want) == 1) {
            int type = be16(want.key.p);
            if (type > 2) continue;
            struct rd key = rd_of((struct slice){ want.key.p + 2, want.key.n - 2 });
            struct group *g = groups_find(r->gs, rd_string(&key));
            struct gwrite *w = gwrite_new(g->part, NULL);
            if (type == 1) {
                struct offset_commit_value v;
                struct slice topic = rd_string(&key);
                int32_t p = rd_i32(&key);
                assert_ok(wire_decode(&msg_offset_commit_value, (int16_t)be16(want.value.p),
                                      (struct slice){ want.value.p + 2, want.value.n - 2 }, &r->gs->scratch, &v, NULL));
                grecord_offset(w, g, topic, p, &v);
                offset_find(g, topic, p)->staged--;
            } else {
                grecord_group(w, g, false);
            }
            assert_ok(w->err);
            assert_true(batch_end(&w->b) > 0);
            assert_ok(record_iter_init(&ours, w->batch.p, w->batch.n, &scratch2, 0));
            assert_int_equal(record_next(&ours, &have), 1);
            assert_true(slice_eq(have.key, want.key));
            assert_true(slice_eq(have.value, want.value));
            record_iter_end(&ours);
            bytes_free(&w->batch);
            mem_free(w);
            e->compared++;
        }
        record_iter_end(&it);
    }
    arena_free(&r->gs->scratch);
    bytes_free(&scratch);
    bytes_free(&scratch2);
}

static void records_are_the_bytes_that_kafka_writes(void **state)
{
    for (int n = 1; n <= 4; n++) { /* up to the n-th batch, the last group record there is the one in force */
        RIG("");
        struct slice log = kafka_log(r), part = batches(log, n);
        size_t before = n == 3 ? batches(log, 2).n : batches(log, n - 1).n;
        struct expected e = { .r = r, .log = { part.p + before, part.n - before } };
        load_both(r, part);
        rig_do(r, do_compare, &e);
        assert_int_equal(e.compared, n == 3 ? 3 : 1);
        rig_free(r);
    }
}

/* ---- groups of the consumer protocol ------------------------------------------------------------------------------------------------- */

static void a_group_of_the_consumer_protocol_with_members_is_left_alone(void **state)
{
    RIG("");
    load_both(r, batches(kafka_log(r), 6));
    const char *member = "dQ3lTvoAQ8OGovUBNSGe0g";
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g-new"))), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(error_of(ask_sync(r, "g-new", 2, member, NULL, 0)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_heartbeat(r, "g-new", 2, member, NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_leave(r, "g-new", member, NULL)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g-new"))), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g-new", .member = member, .generation = 2))),
                     KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_of(r, API_DELETE_GROUPS, 2, "g-new")), KAFKA_NON_EMPTY_GROUP);
    assert_int_equal(error_of(ask_offset_delete(r, "g-new", "t1", 0)), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
    struct ask *d = ask_of(r, API_DESCRIBE_GROUPS, 6, "g-new");
    assert_int_equal(error_of(d), KAFKA_GROUP_ID_NOT_FOUND);
    assert_slice(((struct describe_groups_response_described_group *)d->c.out)->error_message,
                 "Group g-new is not a classic group.");
    assert_int_equal(fetched(r, "g-new", "t-gzip", 0), 20);
    const struct list_groups_response *l = ask_list(r, "stable", "CONSUMER")->c.out;
    assert_int_equal(l->groups_n, 1);
    assert_int_equal(r->writes, 0);
    rig_free(r);
}

static void an_empty_group_of_the_consumer_protocol_becomes_classic_when_joined(void **state)
{
    RIG("");
    struct slice log = kafka_log(r);
    bytes_put(&r->log[home("g-new")], log.p, log.n);
    r->end[home("g-new")] = 17;
    rig_restart(r);
    assert_int_equal(rig_group(r, "g-new")->kind, KIND_CONSUMER);
    const char *one = rig_stable(r, JOIN(.group = "g-new", .version = 3 + 1));
    assert_int_equal(fetched(r, "g-new", "t-gzip", 0), 20); /* it keeps the offsets */
    rig_restart(r);
    assert_int_equal(rig_group(r, "g-new")->kind, KIND_CLASSIC);
    assert_int_equal(error_of(ask_heartbeat(r, "g-new", 1, one, NULL)), 0);
    assert_int_equal(fetched(r, "g-new", "t-gzip", 0), 20);
    rig_free(r);
}

static void an_empty_group_of_the_consumer_protocol_can_be_deleted(void **state)
{
    RIG("");
    struct slice log = kafka_log(r);
    bytes_put(&r->log[home("g-new")], log.p, log.n);
    r->end[home("g-new")] = 17;
    rig_restart(r);
    struct ask *d = ask_of(r, API_DELETE_GROUPS, 2, "g-new");
    rig_run(r, 5);
    assert_int_equal(error_of(d), 0);
    rig_restart(r);
    assert_null(rig_group(r, "g-new"));
    assert_int_equal(fetched(r, "g-classic", "t-none", 0), 10);
    rig_free(r);
}

static void modern_record(struct bytes *out, int64_t offset, int16_t type, const char *group)
{
    static const char value[] = { 0, 0, 0, 0, 0, 2, 0 }; /* version 0, an epoch, no tags */
    struct batch_opts o = BATCH_OPTS;
    struct batch_builder b;
    struct bytes key = { 0 };
    wr_i16(&key, type);
    wr_i16(&key, (int16_t)strlen(group));
    bytes_put(&key, group, strlen(group));
    o.base_offset = offset;
    batch_begin(&b, &o, out);
    batch_append(&b, 1, (struct slice){ (const char *)key.p, key.n }, (struct slice){ value, sizeof value }, NULL, 0);
    assert_true(batch_end(&b) > 0);
    bytes_free(&key);
}

/* Kafka's coordinator does not load a log in which a group ends (3) before its assignment (6): whoever comes later could not start it. */
static void a_consumer_groups_own_tombstone_comes_last(void **state)
{
    enum { GROUPS = 24 };
    RIG("");
    size_t had[RIG_PARTS];
    char name[8];
    for (int i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "g%d", i);
        int p = home(name);
        modern_record(&r->log[p], r->end[p]++, 6, name);
        modern_record(&r->log[p], r->end[p]++, 3, name);
    }
    for (int i = 0; i < RIG_PARTS; i++) had[i] = r->log[i].n;
    rig_restart(r);
    for (int i = 0; i < GROUPS; i++) {
        snprintf(name, sizeof name, "g%d", i);
        if (i % 2) rig_stable(r, JOIN(.group = name, .version = 4));
        else assert_int_equal(error_of(ask_of(r, API_DELETE_GROUPS, 2, name)), 0);
        rig_run(r, 5);
    }
    int ended = 0;
    for (int i = 0; i < RIG_PARTS; i++) {
        int32_t size;
        int before = 0;
        for (size_t at = had[i]; at < r->log[i].n; at += (size_t)size) {
            struct bytes scratch = { 0 };
            struct record_iter it;
            struct record rec;
            assert_ok(batch_size(r->log[i].p + at, r->log[i].n - at, &size));
            assert_ok(record_iter_init(&it, r->log[i].p + at, (size_t)size, &scratch, 0));
            while (record_next(&it, &rec) == 1) {
                int type = rec.value.p ? 0 : be16(rec.key.p);
                if (type == 3) assert_int_equal(before, 6);
                ended += type == 3;
                before = type;
            }
            record_iter_end(&it);
            bytes_free(&scratch);
        }
    }
    assert_int_equal(ended, GROUPS);
    rig_free(r);
}

/* ---- our own log ------------------------------------------------------------------------------------------------------------------------ */

static void what_is_loaded_is_what_was(void **state)
{
    RIG("");
    rig_stable(r, JOIN(.group = "a", .instance = "i1", .client = "c1"));
    const char *one = rig_stable(r, JOIN(.group = "b"));
    struct ask *second = rig_member(r, JOIN(.group = "b", .topic = "t2"));
    (void)joined(ask_join(r, JOIN(.group = "b", .member = one)));
    const char *two = z(r, id_of(second));
    (void)ask_sync(r, "b", 2, one, (const char *const[]){ one, "0", two, "1" }, 2);
    rig_run(r, 5);
    (void)ask_commit(r, COMMIT(.group = "b", .member = two, .generation = 2, .offset = 5, .epoch = 3, .metadata = "m"));
    (void)ask_commit(r, COMMIT(.group = "simple", .version = 3, .retention_ms = 1000000, .offset = 6));
    rig_run(r, 5);
    const char *three = rig_stable(r, JOIN(.group = "c"));
    (void)ask_leave(r, "c", three, NULL);
    rig_run(r, 5);
    const char *before = rig_dump(r, r->gs, false);
    rig_restart(r);
    assert_string_equal(rig_dump(r, r->gs, false), before);
    assert_non_null(strstr(before, "a classic Stable generation 1 type consumer protocol range"));
    assert_non_null(strstr(before, "c classic Empty generation 2 type consumer protocol"));
    rig_free(r);
}

static void a_group_grown_too_large_rebalances_when_loaded(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    (void)joined(ask_join(r, JOIN(.group = "g", .member = one)));
    const char *two = z(r, id_of(b));
    (void)ask_sync(r, "g", 2, one, (const char *const[]){ one, "0", two, "1" }, 2);
    rig_run(r, 5);
    struct conf_report report = { 0 };
    struct conf *small;
    assert_ok(conf_parse(S("group.max.size=1"), &small, &report));
    conf_report_free(&report);
    conf_unref(&r->conf);
    r->conf = small;
    rig_restart(r);
    assert_int_equal(rig_group(r, "g")->state, STATE_PREPARING);
    struct ask *a = ask_join(r, JOIN(.group = "g", .member = one));
    b = ask_join(r, JOIN(.group = "g", .member = two));
    assert_int_equal(error_of(b), KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(joined(a)->members_n, 1);
    rig_free(r);
}

static void do_begin(struct rig *r, void *arg)
{
    for (int32_t i = 0; i < RIG_PARTS; i++) groups_load_begin(r->gs, i);
}
static const struct slice topic_1 = { "t1", 2 };
static void do_end(struct rig *r, void *arg)
{
    groups_topics_deleted(r->gs, &topic_1, 1);
    for (int32_t i = 0; i < RIG_PARTS; i++) groups_load_end(r->gs, i);
}

struct some {
    int32_t partition;
    struct slice batch;
    int want;
};
static void do_batch(struct rig *r, void *arg)
{
    const struct some *s = arg;
    assert_err(groups_load_batch(r->gs, s->partition, s->batch.p, s->batch.n), s->want);
}

static void while_loading_everybody_is_asked_to_wait(void **state)
{
    RIG("");
    rig_do(r, do_begin, NULL);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g"))), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(error_of(ask_heartbeat(r, "g", 1, "m", NULL)), 0);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g"))), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(error_of(ask_fetch(r, "g", "t1", 0, false)), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(error_of(ask_list(r, NULL, NULL)), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(error_of(ask_of(r, API_DESCRIBE_GROUPS, 6, "g")), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    rig_do(r, do_end, NULL);
    assert_int_equal(error_of(ask_join(r, JOIN(.group = "g"))), KAFKA_MEMBER_ID_REQUIRED);
    rig_free(r);
}

/* ---- batches made by hand ------------------------------------------------------------------------------------------------------------------ */

struct made {
    struct bytes b;
    int64_t offset;
};

static struct slice offset_key(struct rig *r, int16_t type, const char *group, const char *topic, int32_t p)
{
    struct bytes b = { 0 };
    wr_i16(&b, type);
    wr_string(&b, slice_of(group));
    wr_string(&b, slice_of(topic));
    wr_i32(&b, p);
    struct slice s = arena_copy(&r->env->arena, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    return s;
}

static struct slice offset_value(struct rig *r, int16_t version, int64_t offset)
{
    struct bytes b = { 0 };
    wr_i16(&b, version);
    wr_i64(&b, offset);
    if (version == 3) wr_i32(&b, 4);
    wr_string(&b, S("m"));
    wr_i64(&b, 1000000000000);
    if (version == 1) wr_i64(&b, 1900000000000);
    struct slice s = arena_copy(&r->env->arena, (struct slice){ (const char *)b.p, b.n });
    bytes_free(&b);
    return s;
}

static void make(struct made *m, int64_t producer_id, struct slice key, struct slice value)
{
    struct batch_opts opts = BATCH_OPTS;
    struct batch_builder b;
    opts.base_offset = m->offset++;
    opts.producer_id = producer_id;
    opts.producer_epoch = producer_id < 0 ? -1 : 0;
    opts.base_sequence = producer_id < 0 ? -1 : 0;
    opts.transactional = producer_id >= 0;
    batch_begin(&b, &opts, &m->b);
    batch_append(&b, 1000000000000, key, value, NULL, 0);
    assert_true(batch_end(&b) > 0);
}

static void mark(struct made *m, int64_t producer_id, bool commit)
{
    assert_true(batch_put_marker(&m->b, m->offset++, 1000000000000, 0, producer_id, 0, commit, 0) > 0);
}

static void load_made(struct rig *r, struct made *m, const char *group)
{
    rig_load(r, home(group), (struct slice){ (const char *)m->b.p, m->b.n });
    bytes_free(&m->b);
}

static void every_version_of_a_commit_can_be_read(void **state)
{
    RIG("");
    struct made m = { 0 };
    for (int16_t v = 0; v <= 3; v++) make(&m, -1, offset_key(r, 1, "g", "t1", v), offset_value(r, v, 100 + v));
    make(&m, -1, offset_key(r, 0, "g", "t1", 4), offset_value(r, 0, 104));
    load_made(r, &m, "g");
    for (int32_t p = 0; p <= 4; p++) assert_int_equal(fetched(r, "g", "t1", p), 100 + p);
    assert_int_equal(offset_find(rig_group(r, "g"), S("t1"), 1)->expire_ms, 1900000000000);
    assert_int_equal(offset_find(rig_group(r, "g"), S("t1"), 3)->leader_epoch, 4);
    rig_free(r);
}

static void offsets_of_a_transaction_wait_for_its_marker(void **state)
{
    RIG("");
    struct made m = { 0 };
    make(&m, -1, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 1));
    make(&m, 7, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 2)); /* stays open */
    make(&m, 8, offset_key(r, 1, "g", "t1", 1), offset_value(r, 3, 3));
    mark(&m, 8, true);
    make(&m, 9, offset_key(r, 1, "g", "t1", 2), offset_value(r, 3, 4));
    make(&m, 9, offset_key(r, 1, "g", "t1", 2), offset_value(r, 3, 5)); /* the later one of the same transaction */
    make(&m, 10, offset_key(r, 1, "g", "t1", 3), offset_value(r, 3, 6));
    mark(&m, 10, false);
    mark(&m, 9, true);
    load_made(r, &m, "g");
    assert_int_equal(fetched(r, "g", "t1", 0), 1); /* what was before, unless it must be stable */
    assert_int_equal(error_of(ask_fetch(r, "g", "t1", 0, true)), KAFKA_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(fetched(r, "g", "t1", 1), 3);
    assert_int_equal(fetched(r, "g", "t1", 2), 5);
    assert_int_equal(fetched(r, "g", "t1", 3), -1);
    assert_int_equal(error_of(ask_fetch(r, "g", "t1", 3, true)), 0);
    rig_free(r);
}

static void the_newest_record_wins_whenever_its_transaction_ended(void **state)
{
    RIG("");
    struct made m = { 0 };
    make(&m, 7, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 1));
    make(&m, -1, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 2));
    mark(&m, 7, true);
    load_made(r, &m, "g");
    assert_int_equal(fetched(r, "g", "t1", 0), 2);
    rig_free(r);
}

static void a_group_with_an_open_transaction_is_deleted_with_it(void **state)
{
    RIG("");
    struct made m = { 0 };
    make(&m, 7, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 1));
    make(&m, 7, offset_key(r, 1, "h", "t1", 0), offset_value(r, 3, 2));
    load_made(r, &m, "g");
    assert_int_equal(rig_group(r, "g")->topics.n, 1);
    struct ask *d = ask_of(r, API_DELETE_GROUPS, 2, "g");
    rig_run(r, 5);
    assert_int_equal(error_of(d), 0);
    assert_null(rig_group(r, "g"));
    assert_int_equal(error_of(ask_fetch(r, "g", "t1", 0, true)), 0);
    rig_free(r);
}

static void a_tombstone_takes_an_offset_and_what_is_open_of_it(void **state)
{
    RIG("");
    struct made m = { 0 };
    make(&m, -1, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 1));
    make(&m, 7, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 2));
    make(&m, -1, offset_key(r, 1, "g", "t1", 0), (struct slice){ NULL, 0 });
    mark(&m, 7, true);
    load_made(r, &m, "g");
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void a_damaged_record_costs_only_itself(void **state)
{
    RIG("");
    struct made m = { 0 };
    log_threshold = LOG_ERROR + 1;
    const struct {
        struct slice key, value;
        int want;
    } bad[] = {
        { S(""), S("x"), E_MALFORMED },
        { S("\0\1\0\5g"), S("\0\3"), E_TRUNCATED },
        { offset_key(r, 1, "g", "t1", 1), S("\0"), E_TRUNCATED },
        { offset_key(r, 1, "g", "t1", 1), S("\0\11aaaaaaaaaaaaaaaaaaaaaaaa"), E_UNSUPPORTED },
        { S("\0\2\0\1g"), S("\0\3\0\1"), E_TRUNCATED },
        { S("\0\3\0\11g"), S("\0\0"), E_MALFORMED },
        { S("\0\143kind"), S("of the future"), 0 },
    };
    rig_do(r, do_begin, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        size_t at = m.b.n;
        make(&m, -1, bad[i].key, bad[i].value);
        struct some s = { 0, { (const char *)m.b.p + at, m.b.n - at }, bad[i].want };
        rig_do(r, do_batch, &s);
    }
    size_t at = m.b.n;
    make(&m, -1, offset_key(r, 1, "g", "t2", 0), offset_value(r, 3, 9));
    struct some s = { home("g"), { (const char *)m.b.p + at, m.b.n - at }, 0 };
    rig_do(r, do_batch, &s);
    s.batch.n--;
    s.want = E_TRUNCATED;
    rig_do(r, do_batch, &s);
    rig_do(r, do_end, NULL);
    assert_int_equal(fetched(r, "g", "t2", 0), 9);
    bytes_free(&m.b);
    rig_free(r);
}

static void topics_deleted_while_loading_lose_their_offsets_afterwards(void **state)
{
    RIG("");
    struct made m = { 0 };
    make(&m, -1, offset_key(r, 1, "g", "t1", 0), offset_value(r, 3, 1));
    size_t at = m.b.n;
    make(&m, -1, offset_key(r, 1, "g", "t2", 0), offset_value(r, 3, 2));
    rig_do(r, do_begin, NULL);
    struct some a = { home("g"), { (const char *)m.b.p, at }, 0 }, b = { home("g"), { (const char *)m.b.p + at, m.b.n - at }, 0 };
    rig_do(r, do_batch, &a);
    rig_do(r, do_batch, &b);
    r->gone = BIT(1);
    rig_do(r, do_end, NULL);
    rig_run(r, 5);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    assert_int_equal(fetched(r, "g", "t2", 0), 2);
    bytes_free(&m.b);
    rig_free(r);
}

static void ten_thousand_idle_groups_are_small(void **state)
{
    RIG("");
    struct made m = { 0 };
    enum { GROUPS = 10000 };
    for (int i = 0; i < GROUPS; i++) {
        const char *id = arena_printf(&r->env->arena, "group-%d", i).p;
        if (home(id) == 0) make(&m, -1, offset_key(r, 1, id, "t1", 0), offset_value(r, 3, i));
    }
    load_made(r, &m, "group-0");
    assert_true(r->gs->by_id.n > GROUPS / 4);
    assert_true(sizeof(struct group) < 640);
    assert_true(sizeof(struct topic_rows) + sizeof(struct offset_row) < 160);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_where_java_says),
        IN_SIM_WORLD(a_partition_of_kafka_is_understood),
        IN_SIM_WORLD(a_live_member_of_kafkas_log_is_a_member_here),
        IN_SIM_WORLD(records_are_the_bytes_that_kafka_writes),
        IN_SIM_WORLD(a_group_of_the_consumer_protocol_with_members_is_left_alone),
        IN_SIM_WORLD(an_empty_group_of_the_consumer_protocol_becomes_classic_when_joined),
        IN_SIM_WORLD(a_consumer_groups_own_tombstone_comes_last),
        IN_SIM_WORLD(an_empty_group_of_the_consumer_protocol_can_be_deleted),
        IN_SIM_WORLD(what_is_loaded_is_what_was),
        IN_SIM_WORLD(a_group_grown_too_large_rebalances_when_loaded),
        IN_SIM_WORLD(while_loading_everybody_is_asked_to_wait),
        IN_SIM_WORLD(every_version_of_a_commit_can_be_read),
        IN_SIM_WORLD(offsets_of_a_transaction_wait_for_its_marker),
        IN_SIM_WORLD(the_newest_record_wins_whenever_its_transaction_ended),
        IN_SIM_WORLD(a_group_with_an_open_transaction_is_deleted_with_it),
        IN_SIM_WORLD(a_tombstone_takes_an_offset_and_what_is_open_of_it),
        IN_SIM_WORLD(a_damaged_record_costs_only_itself),
        IN_SIM_WORLD(topics_deleted_while_loading_lose_their_offsets_afterwards),
        IN_SIM_WORLD(ten_thousand_idle_groups_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
