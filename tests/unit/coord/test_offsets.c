/* Committed offsets: commit, fetch, delete, expiry, deleted topics and groups; what a failed write leaves. */
#include "rig.h"

#include <odradek/kafka_errors.h>

#define RIG(conf)              \
    struct rig rig, *r = &rig; \
    rig_init(r, *state, (conf))

static struct ask *committed(struct rig *r, struct commit c)
{
    struct ask *a = ask_commit(r, c);
    rig_run(r, 3);
    assert_int_equal(error_of(a), 0);
    return a;
}

static int64_t fetched(struct rig *r, const char *group, const char *topic, int32_t partition)
{
    return offset_of_row(ask_fetch(r, group, topic, partition, false));
}

static const struct offset_fetch_response_partitions *first_row(const struct ask *a)
{
    const struct offset_fetch_response_group *out = a->c.out;
    assert_int_equal(a->answered, 1);
    assert_int_equal(out->topics_n, 1);
    return &out->topics[0].partitions[0];
}

/* ---- committing and fetching ------------------------------------------------------------------------------------------------- */

static void what_was_committed_is_fetched_with_epoch_and_metadata(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .offset = 42, .epoch = 7, .metadata = "note", .partition = 3));
    struct ask *f = ask_fetch(r, "g", "t1", 3, false);
    assert_int_equal(first_row(f)->committed_offset, 42);
    assert_int_equal(first_row(f)->committed_leader_epoch, 7);
    assert_slice(first_row(f)->metadata, "note");
    committed(r, COMMIT(.group = "g", .offset = 43, .partition = 3));
    f = ask_fetch(r, "g", "t1", 3, false);
    assert_int_equal(first_row(f)->committed_offset, 43);
    assert_int_equal(first_row(f)->committed_leader_epoch, -1);
    assert_slice(first_row(f)->metadata, "");
    rig_free(r);
}

static void what_nobody_committed_is_minus_one_without_error(void **state)
{
    RIG("");
    struct ask *f = ask_fetch(r, "nobody", "t1", 0, false);
    assert_int_equal(error_of(f), 0);
    assert_int_equal(first_row(f)->committed_offset, -1);
    assert_slice(first_row(f)->metadata, "");
    f = ask_fetch(r, "nobody", NULL, 0, true);
    assert_int_equal(((struct offset_fetch_response_group *)f->c.out)->topics_n, 0);
    committed(r, COMMIT(.group = "g", .offset = 1));
    assert_int_equal(fetched(r, "g", "t1", 1), -1);
    assert_int_equal(fetched(r, "g", "t2", 0), -1);
    assert_int_equal(fetched(r, "g", "unheard-of", 0), -1);
    rig_free(r);
}

static void a_fetch_of_all_topics_has_every_row(void **state)
{
    RIG("");
    for (int i = 0; i < 6; i++)
        committed(r, COMMIT(.group = "g", .topic = i % 2 ? "t1" : "t2", .partition = i, .offset = 100 + i));
    struct ask *f = ask_fetch(r, "g", NULL, 0, false);
    const struct offset_fetch_response_group *out = f->c.out;
    int rows = 0;
    assert_int_equal(out->topics_n, 2);
    for (int t = 0; t < 2; t++)
        for (int p = 0; p < out->topics[t].partitions_n; p++, rows++)
            assert_int_equal(out->topics[t].partitions[p].committed_offset, 100 + out->topics[t].partitions[p].partition_index);
    assert_int_equal(rows, 6);
    rig_free(r);
}

static void an_offset_can_be_fetched_only_when_it_is_durable(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .offset = 1));
    r->hold = true;
    struct ask *a = ask_commit(r, COMMIT(.group = "g", .offset = 2));
    struct ask *b = ask_commit(r, COMMIT(.group = "g", .offset = 3)); /* both are on their way at once */
    assert_int_equal(a->answered + b->answered, 0);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    struct ask *stable = ask_fetch(r, "g", "t1", 0, true);
    rig_run(r, 100);
    assert_int_equal(stable->answered, 0);
    rig_let(r, 1, 0);
    assert_int_equal(error_of(a), 0);
    assert_int_equal(fetched(r, "g", "t1", 0), 2);
    assert_int_equal(stable->answered, 0);
    rig_let(r, 1, 0);
    assert_int_equal(error_of(b), 0);
    assert_int_equal(offset_of_row(stable), 3);
    rig_free(r);
}

static void writes_finish_in_the_order_of_the_log(void **state)
{
    RIG("");
    r->hold = true;
    struct ask *a = ask_commit(r, COMMIT(.group = "g", .offset = 2));
    struct ask *b = ask_commit(r, COMMIT(.group = "g", .offset = 3));
    rig_let_last(r, 0); /* the host tells of the second first */
    assert_int_equal(a->answered + b->answered, 0);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    rig_let(r, 1, 0);
    assert_int_equal(error_of(a) + error_of(b), 0);
    assert_int_equal(fetched(r, "g", "t1", 0), 3);
    rig_free(r);
}

static void a_commit_that_cannot_be_written_leaves_what_was(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .offset = 1));
    r->hold = true;
    struct ask *a = ask_commit(r, COMMIT(.group = "g", .offset = 2));
    struct ask *b = ask_commit(r, COMMIT(.group = "g", .offset = 3, .partition = 1));
    struct ask *c = ask_commit(r, COMMIT(.group = "new-one", .offset = 9)); /* perhaps another partition */
    rig_let(r, 1, E_NO_SPACE);
    rig_let(r, 2, 0);
    assert_int_equal(error_of(a), KAFKA_NOT_COORDINATOR);
    assert_int_equal(error_of(b), 0);
    assert_int_equal(error_of(c), 0);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    assert_int_equal(fetched(r, "g", "t1", 1), 3);
    rig_free(r);
}

static void each_kind_of_failure_has_kafkas_error(void **state)
{
    RIG("");
    const int table[][2] = {
        { E_NO_SPACE, KAFKA_NOT_COORDINATOR },
        { E_OFFLINE, KAFKA_NOT_COORDINATOR },
        { E_CLOSING, KAFKA_NOT_COORDINATOR },
        { E_GONE, KAFKA_COORDINATOR_NOT_AVAILABLE },
        { E_TIMED_OUT, KAFKA_COORDINATOR_NOT_AVAILABLE },
        { E_COORDINATOR_NOT_AVAILABLE, KAFKA_COORDINATOR_NOT_AVAILABLE },
        { E_MESSAGE_TOO_LARGE, KAFKA_UNKNOWN_SERVER_ERROR },
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        r->fail = table[i][0];
        struct ask *a = ask_commit(r, COMMIT(.group = "g", .offset = 1));
        rig_run(r, 3);
        assert_int_equal(error_of(a), table[i][1]);
        assert_null(rig_group(r, "g")); /* it only existed for this commit */
    }
    rig_free(r);
}

static void rows_are_judged_one_by_one(void **state)
{
    RIG("offset.metadata.max.bytes=4");
    struct offset_commit_request_partition p1[] = {
        { .partition_index = 0, .committed_offset = 1, .committed_metadata = S("12345") },
        { .partition_index = 1,
          .committed_offset = 2,
          .committed_metadata = S("\xf0\x9f\x98\x80\xc3\xa4") }, /* 3 units, 6 bytes */
        { .partition_index = RIG_TOPIC_PARTITIONS, .committed_offset = 3 },
        { .partition_index = -1, .committed_offset = 3 },
    };
    struct offset_commit_request_partition p2[] = { { .partition_index = 0, .committed_offset = 4 } };
    struct offset_commit_request_topic topics[] = {
        { .name = S("t1"), .partitions = p1, .partitions_n = 4 },
        { .name = S("nosuch"), .partitions = p2, .partitions_n = 1 },
    };
    struct offset_commit_request in = dflt_offset_commit_request;
    in.group_id = S("g");
    in.topics = topics;
    in.topics_n = 2;
    struct ask *a = ask(r, API_OFFSET_COMMIT, 8, &in, sizeof in);
    rig_run(r, 3);
    const struct offset_commit_response *out = a->c.out;
    assert_int_equal(out->topics_n, 2);
    assert_int_equal(out->topics[0].partitions[0].error_code, KAFKA_OFFSET_METADATA_TOO_LARGE);
    assert_int_equal(out->topics[0].partitions[1].error_code, 0);
    assert_int_equal(out->topics[0].partitions[2].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(out->topics[0].partitions[3].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(out->topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(fetched(r, "g", "t1", 1), 2);
    /* a group's error comes on top of a row's own */
    in.generation_id_or_member_epoch = 3;
    a = ask(r, API_OFFSET_COMMIT, 8, &in, sizeof in);
    out = a->c.out;
    assert_int_equal(out->topics[0].partitions[0].error_code, KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(out->topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    rig_free(r);
}

static void topics_go_by_id_from_version_10(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .version = 10, .topic = "t5", .offset = 11));
    assert_int_equal(fetched(r, "g", "t5", 0), 11);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g", .version = 10, .topic = "t99", .offset = 1))),
                     KAFKA_UNKNOWN_TOPIC_ID);

    int32_t zero[] = { 0 };
    struct offset_fetch_request_topics topics[] = {
        { .name = S(""), .topic_id = { { 7, 5 } }, .partition_indexes = zero, .partition_indexes_n = 1 },
        { .name = S(""), .topic_id = { { 1, 2, 3 } }, .partition_indexes = zero, .partition_indexes_n = 1 },
    };
    struct offset_fetch_request_group in = dflt_offset_fetch_request_group;
    struct offset_fetch_response_group out = dflt_offset_fetch_response_group;
    in.group_id = S("g");
    in.topics = topics;
    in.topics_n = 2;
    struct ask *f = ask_fetch(r, "nobody", "t1", 0, false); /* a call to be made again, otherwise */
    f->answered = 0;
    r->asked++;
    f->c.version = 10;
    f->c.in = &in;
    f->c.out = &out;
    f->c.group = S("g");
    loop_post(r->loop, &f->post);
    rig_run(r, 3);
    assert_int_equal(out.topics_n, 2);
    assert_int_equal(out.topics[0].partitions[0].committed_offset, 11);
    assert_true(uuid_eq(out.topics[0].topic_id, topics[0].topic_id));
    assert_int_equal(out.topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(out.topics[1].partitions[0].committed_offset, -1);

    in.topics_n = -1;
    out = dflt_offset_fetch_response_group;
    f->answered = 0;
    r->asked++;
    loop_post(r->loop, &f->post);
    rig_run(r, 3);
    assert_int_equal(out.topics_n, 1);
    assert_true(uuid_eq(out.topics[0].topic_id, topics[0].topic_id));
    rig_free(r);
}

static void the_log_has_kafkas_versions_of_records(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .offset = 10, .metadata = "note"));
    committed(r, COMMIT(.group = "g", .version = 3, .retention_ms = 5000, .partition = 1, .offset = 11));
    rig_stable(r, JOIN(.group = "m"));
    int seen[3] = { 0 };
    for (int i = 0; i < RIG_PARTS; i++) {
        for (size_t at = 0; at < r->log[i].n;) {
            struct bytes scratch = { 0 };
            struct record_iter it;
            struct record rec;
            int32_t size = 0;
            assert_ok(batch_size(r->log[i].p + at, r->log[i].n - at, &size));
            assert_ok(record_iter_init(&it, r->log[i].p + at, (size_t)size, &scratch, 0));
            assert_int_equal(it.head.codec, CODEC_NONE);
            assert_int_equal(it.head.producer_id, -1);
            while (record_next(&it, &rec) == 1) {
                int type = be16(rec.key.p), version = be16(rec.value.p);
                assert_true(type == 1 || type == 2);
                if (type == 2) assert_int_equal(version, 3);
                else if (rec.value.n < 40) assert_int_equal(version, 1);
                else assert_int_equal(version, 4);
                seen[type]++;
            }
            record_iter_end(&it);
            bytes_free(&scratch);
            at += (size_t)size;
        }
    }
    assert_int_equal(seen[1], 2);
    assert_int_equal(seen[2], 2); /* the new group, its first generation */
    rig_free(r);
}

/* ---- who may commit -------------------------------------------------------------------------------------------------------------- */

static void members_commit_under_their_generation(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .instance = "i1"));
    committed(r, COMMIT(.group = "g", .member = one, .instance = "i1", .generation = 1, .offset = 1));
    struct commit c = COMMIT(.group = "g", .member = one, .instance = "i1", .generation = 2, .offset = 2);
    assert_int_equal(error_of(ask_commit(r, c)), KAFKA_ILLEGAL_GENERATION);
    c.generation = 1;
    c.member = "other";
    assert_int_equal(error_of(ask_commit(r, c)), KAFKA_FENCED_INSTANCE_ID);
    c.instance = NULL;
    assert_int_equal(error_of(ask_commit(r, c)), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g", .offset = 3))),
                     KAFKA_UNKNOWN_MEMBER_ID); /* not while it has members */
    struct commit n = COMMIT(.group = "none", .member = "m", .generation = 5);
    assert_int_equal(error_of(ask_commit(r, n)), KAFKA_GROUP_ID_NOT_FOUND);
    n.version = 8;
    assert_int_equal(error_of(ask_commit(r, n)), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    rig_free(r);
}

static void between_join_and_sync_nobody_commits(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *b = rig_member(r, JOIN(.group = "g"));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 5)); /* preparing: what was read before */
    (void)joined(ask_join(r, JOIN(.group = "g", .member = one)));
    const char *two = z(r, id_of(b));
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "g", .member = two, .generation = 2))), KAFKA_REBALANCE_IN_PROGRESS);
    rig_free(r);
}

static void a_commit_keeps_the_session_alive(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g", .session_ms = 6000));
    for (int i = 0; i < 5; i++) {
        rig_run(r, 4000);
        committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = i));
    }
    rig_free(r);
}

static void an_administrator_commits_into_an_empty_group(void **state)
{
    RIG("");
    const char *one = rig_stable(r, JOIN(.group = "g"));
    struct ask *l = ask_leave(r, "g", one, NULL);
    rig_run(r, 5);
    assert_int_equal(error_of(l), 0);
    committed(r, COMMIT(.group = "g", .offset = 77));
    assert_int_equal(fetched(r, "g", "t1", 0), 77);
    rig_free(r);
}

/* ---- deleting ---------------------------------------------------------------------------------------------------------------------- */

static void offsets_are_deleted_unless_somebody_reads_the_topic(void **state)
{
    RIG("");
    assert_int_equal(error_of(ask_offset_delete(r, "g", "t1", 0)), KAFKA_GROUP_ID_NOT_FOUND);
    const char *one = rig_stable(r, JOIN(.group = "g", .topic = "t1"));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 1, .topic = "t1"));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 2, .topic = "t2"));
    assert_int_equal(error_of(ask_offset_delete(r, "g", "t1", 0)), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(error_of(ask_offset_delete(r, "g", "nosuch", 0)), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(error_of(ask_offset_delete(r, "g", "t3", 0)), 0); /* there is none */
    struct ask *d = ask_offset_delete(r, "g", "t2", 0);
    rig_run(r, 3);
    assert_int_equal(error_of(d), 0);
    assert_int_equal(fetched(r, "g", "t2", 0), -1);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    rig_restart(r);
    assert_int_equal(fetched(r, "g", "t2", 0), -1);
    assert_int_equal(error_of(ask_offset_delete(r, "g", "t1", 0)), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC); /* known after loading too */
    rig_free(r);
}

static void a_group_of_another_protocol_keeps_its_offsets_while_active(void **state)
{
    RIG("");
    struct ask *a = rig_member(r, JOIN(.group = "g", .type = "connect"));
    rig_run(r, 3);
    assert_int_equal(error_of(a), 0);
    assert_int_equal(error_of(ask_offset_delete(r, "g", "t1", 0)), KAFKA_NON_EMPTY_GROUP);
    rig_free(r);
}

static void a_deleted_group_is_gone_after_its_tombstones_are_durable(void **state)
{
    RIG("");
    assert_int_equal(error_of(ask_of(r, API_DELETE_GROUPS, 2, "g")), KAFKA_GROUP_ID_NOT_FOUND);
    const char *one = rig_stable(r, JOIN(.group = "g"));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 1));
    assert_int_equal(error_of(ask_of(r, API_DELETE_GROUPS, 2, "g")), KAFKA_NON_EMPTY_GROUP);
    (void)ask_leave(r, "g", one, NULL);
    rig_run(r, 5);
    r->hold = true;
    struct ask *c = ask_commit(r, COMMIT(.group = "g", .offset = 2, .partition = 1)); /* on its way when the group goes */
    struct ask *d = ask_of(r, API_DELETE_GROUPS, 2, "g");
    struct ask *j = ask_join(r, JOIN(.group = "g")); /* waits and finds a new group */
    assert_int_equal(d->answered + j->answered, 0);
    rig_let(r, 2, 0);
    assert_int_equal(error_of(c), 0);
    assert_int_equal(error_of(d), 0);
    assert_int_equal(error_of(j), KAFKA_MEMBER_ID_REQUIRED);
    r->hold = false;
    rig_let(r, 9, 0);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    assert_int_equal(fetched(r, "g", "t1", 1), -1);
    rig_restart(r);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    assert_int_equal(rig_group(r, "g")->generation, 0);
    rig_free(r);
}

static void a_group_that_could_not_be_deleted_is_back(void **state)
{
    RIG("");
    committed(r, COMMIT(.group = "g", .offset = 1));
    r->hold = true;
    struct ask *d = ask_of(r, API_DELETE_GROUPS, 2, "g");
    struct ask *f = ask_fetch(r, "g", "t1", 0, false);
    assert_int_equal(f->answered, 0);
    rig_let(r, 1, E_OFFLINE);
    assert_int_equal(error_of(d), KAFKA_NOT_COORDINATOR);
    assert_int_equal(offset_of_row(f), 1);
    rig_free(r);
}

static const struct slice two_topics[] = { { "t2", 2 }, { "t3", 2 } };
static void do_topics_gone(struct rig *r, void *arg) { groups_topics_deleted(r->gs, two_topics, 2); }

static void offsets_of_deleted_topics_go(void **state)
{
    RIG("");
    static const char *const groups[] = { "a", "b", "c", "d", "e", "f" };
    for (int g = 0; g < 6; g++)
        for (int t = 1; t < 5; t++) {
            const char *topic = arena_printf(&r->env->arena, "t%d", t).p;
            committed(r, COMMIT(.group = groups[g], .topic = topic, .offset = t));
        }
    r->gone = BIT(2); /* t3 is there again, under the same id here: its offsets are of the new one */
    rig_do(r, do_topics_gone, NULL);
    rig_run(r, 5);
    for (int g = 0; g < 6; g++) {
        assert_int_equal(fetched(r, groups[g], "t1", 0), 1);
        assert_int_equal(fetched(r, groups[g], "t2", 0), -1);
        assert_int_equal(fetched(r, groups[g], "t3", 0), 3);
    }
    rig_restart(r);
    assert_int_equal(fetched(r, "a", "t2", 0), -1);
    assert_int_equal(fetched(r, "a", "t4", 0), 4);
    rig_free(r);
}

/* ---- expiry -------------------------------------------------------------------------------------------------------------------------- */

#define MINUTE ((int64_t)60000)
#define EXPIRY "offsets.retention.minutes=10\noffsets.retention.check.interval.ms=60000"

static void simple_groups_expire_by_the_time_of_commit(void **state)
{
    RIG(EXPIRY);
    committed(r, COMMIT(.group = "g", .offset = 1));
    rig_run(r, 6 * MINUTE);
    committed(r, COMMIT(.group = "g", .offset = 2, .partition = 1));
    rig_run(r, 6 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    assert_int_equal(fetched(r, "g", "t1", 1), 2);
    rig_run(r, 6 * MINUTE);
    assert_null(rig_group(r, "g"));
    assert_int_equal(((struct list_groups_response *)ask_list(r, NULL, NULL)->c.out)->groups_n, 0);
    rig_restart(r);
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void a_commits_own_time_of_expiry_counts(void **state)
{
    RIG(EXPIRY);
    committed(r, COMMIT(.group = "g", .version = 4, .retention_ms = 2 * MINUTE, .offset = 1));
    committed(r, COMMIT(.group = "g", .version = 4, .retention_ms = 30 * MINUTE, .partition = 1, .offset = 2));
    rig_run(r, 4 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), -1);
    rig_run(r, 20 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 1), 2);
    rig_free(r);
}

static void a_group_with_members_keeps_what_it_reads(void **state)
{
    RIG(EXPIRY);
    const char *one = rig_stable(r, JOIN(.group = "g", .topic = "t1", .session_ms = 1800000));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 1, .topic = "t1"));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 2, .topic = "t2"));
    rig_run(r, 15 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    assert_int_equal(fetched(r, "g", "t2", 0), -1); /* nobody in the group reads it */
    rig_free(r);
}

static void an_empty_group_keeps_its_offsets_for_the_retention_since_it_became_empty(void **state)
{
    RIG(EXPIRY);
    const char *one = rig_stable(r, JOIN(.group = "g", .session_ms = 1800000));
    committed(r, COMMIT(.group = "g", .member = one, .generation = 1, .offset = 1));
    rig_run(r, 20 * MINUTE);
    (void)ask_leave(r, "g", one, NULL);
    rig_run(r, 8 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    rig_restart(r); /* the time is in the record */
    rig_run(r, 1 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    rig_run(r, 3 * MINUTE);
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void an_expiry_that_cannot_be_written_is_tried_again(void **state)
{
    RIG(EXPIRY);
    committed(r, COMMIT(.group = "g", .offset = 1));
    r->fail = E_NO_SPACE;
    rig_run(r, 12 * MINUTE);
    assert_int_equal(fetched(r, "g", "t1", 0), 1);
    r->fail = 0;
    rig_run(r, 2 * MINUTE);
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void many_tombstones_go_in_several_batches(void **state)
{
    RIG("message.max.bytes=4000");
    struct arena *a = &r->env->arena;
    struct offset_commit_request in = dflt_offset_commit_request;
    enum { TOPICS = 40 };
    in.group_id = S("g");
    in.topics_n = 1;
    in.topics = wire_array(a, offset_commit_request_topic, 1);
    in.topics->partitions_n = RIG_TOPIC_PARTITIONS;
    in.topics->partitions = wire_array(a, offset_commit_request_partition, RIG_TOPIC_PARTITIONS);
    for (int p = 0; p < RIG_TOPIC_PARTITIONS; p++) in.topics->partitions[p].partition_index = p;
    for (int t = 0; t < TOPICS; t++) {
        in.topics->name = arena_printf(a, "t%d", t);
        struct ask *c = ask(r, API_OFFSET_COMMIT, 8, &in, sizeof in);
        rig_run(r, 2);
        assert_int_equal(error_of(c), 0);
    }
    int before = r->writes;
    struct ask *d = ask_of(r, API_DELETE_GROUPS, 2, "g");
    rig_run(r, 5);
    assert_int_equal(error_of(d), 0);
    assert_in_range(r->writes - before, 2, 10);
    rig_restart(r);
    assert_null(rig_group(r, "g"));
    rig_free(r);
}

static void a_commit_beyond_the_largest_message_is_an_error_of_the_server(void **state)
{
    RIG("message.max.bytes=100");
    assert_int_equal(error_of(ask_commit(r, COMMIT(.group = "a-rather-long-name", .offset = 1))), KAFKA_UNKNOWN_SERVER_ERROR);
    assert_null(rig_group(r, "a-rather-long-name"));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SIM_WORLD(what_was_committed_is_fetched_with_epoch_and_metadata),
        IN_SIM_WORLD(what_nobody_committed_is_minus_one_without_error),
        IN_SIM_WORLD(a_fetch_of_all_topics_has_every_row),
        IN_SIM_WORLD(an_offset_can_be_fetched_only_when_it_is_durable),
        IN_SIM_WORLD(writes_finish_in_the_order_of_the_log),
        IN_SIM_WORLD(a_commit_that_cannot_be_written_leaves_what_was),
        IN_SIM_WORLD(each_kind_of_failure_has_kafkas_error),
        IN_SIM_WORLD(rows_are_judged_one_by_one),
        IN_SIM_WORLD(topics_go_by_id_from_version_10),
        IN_SIM_WORLD(the_log_has_kafkas_versions_of_records),
        IN_SIM_WORLD(members_commit_under_their_generation),
        IN_SIM_WORLD(between_join_and_sync_nobody_commits),
        IN_SIM_WORLD(a_commit_keeps_the_session_alive),
        IN_SIM_WORLD(an_administrator_commits_into_an_empty_group),
        IN_SIM_WORLD(offsets_are_deleted_unless_somebody_reads_the_topic),
        IN_SIM_WORLD(a_group_of_another_protocol_keeps_its_offsets_while_active),
        IN_SIM_WORLD(a_deleted_group_is_gone_after_its_tombstones_are_durable),
        IN_SIM_WORLD(a_group_that_could_not_be_deleted_is_back),
        IN_SIM_WORLD(offsets_of_deleted_topics_go),
        IN_SIM_WORLD(simple_groups_expire_by_the_time_of_commit),
        IN_SIM_WORLD(a_commits_own_time_of_expiry_counts),
        IN_SIM_WORLD(a_group_with_members_keeps_what_it_reads),
        IN_SIM_WORLD(an_empty_group_keeps_its_offsets_for_the_retention_since_it_became_empty),
        IN_SIM_WORLD(an_expiry_that_cannot_be_written_is_tried_again),
        IN_SIM_WORLD(many_tombstones_go_in_several_batches),
        IN_SIM_WORLD(a_commit_beyond_the_largest_message_is_an_error_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
