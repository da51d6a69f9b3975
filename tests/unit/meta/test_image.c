#include "help.h"

#include "draft.h"

static const struct image_env env = { .node_id = 1 };

static const struct part *part_of(const struct image *im, const char *topic, int32_t p)
{
    return &topic_of(image_topic(im, slice_of(topic)))->parts[p];
}

/* ---- applying ---------------------------------------------------------------------------------------------------------------- */

static void records_make_topics_with_partitions_and_settings(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    NEXT(&env, im, 9, r_topic(&a, "b", id_of(2)), r_config(&a, 2, "b", "retention.ms", "5"),
         r_config(&a, 2, "b", "cleanup.policy", "compact"), r_partition(&a, id_of(2), 0, 1, 0),
         r_partition(&a, id_of(2), 1, 1, 4), r_topic(&a, "a", id_of(3)), r_partition(&a, id_of(3), 0, 1, 0));
    assert_int_equal(im->offset, 9);
    assert_int_equal(im->topics_n, 2);
    assert_int_equal(im->partitions_total, 3);
    assert_slice(im->topics[0]->name, "a");
    const struct image_topic *t = image_topic(im, S("b"));
    assert_ptr_equal(t, image_topic_by_id(im, id_of(2)));
    assert_int_equal(t->partitions_n, 2);
    assert_int_equal(t->partitions[1].leader_epoch, 4);
    assert_int_equal(t->partitions[1].leader, -1); /* no log yet */
    assert_true(uuid_eq(t->partitions[1].dir, id_of(99)));
    assert_int_equal(t->configs_n, 2);
    assert_slice(t->configs[0].name, "cleanup.policy");
    assert_slice(t->configs[1].value, "5");
    assert_int_equal(t->name.p[t->name.n], 0);
    assert_null(image_topic(im, S("c")));
    assert_null(image_topic_by_id(im, id_of(4)));
    image_unref(&im);
    arena_free(&a);
}

static void naming_a_leader_adds_one_to_the_leader_epoch_and_any_change_one_to_the_partition_epoch(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_topic(&a, "t", id_of(1)), r_partition(&a, id_of(1), 0, 1, 5));

    struct partition_change_record c = dflt_partition_change_record; /* as Kafka leaves a partition at its clean stop */
    int32_t one = 1;
    c.topic_id = id_of(1);
    c.partition_id = 0;
    c.leader = -1;
    c.isr_n = 0;
    c.eligible_leader_replicas = c.last_known_elr = &one;
    c.eligible_leader_replicas_n = c.last_known_elr_n = 1;
    NEXT(&env, im, 2, mrec_make(&a, &msg_partition_change_record, 2, &c));
    const struct part *p = part_of(im, "t", 0);
    assert_int_equal(p->leader, -1);
    assert_int_equal(p->leader_epoch, 6);
    assert_int_equal(p->partition_epoch, 6);
    assert_int_equal(ints_n(p->isr), 0);
    assert_true(ints_only(p->elr, 1));
    assert_true(ints_only(p->replicas, 1));

    c = dflt_partition_change_record;
    c.topic_id = id_of(1);
    c.partition_id = 0;
    c.eligible_leader_replicas_n = 0;
    NEXT(&env, im, 3, mrec_make(&a, &msg_partition_change_record, 2, &c));
    p = part_of(im, "t", 0);
    assert_int_equal(p->leader_epoch, 6);
    assert_int_equal(p->partition_epoch, 7);
    assert_null(p->elr);
    assert_true(ints_only(p->last_elr, 1));
    image_unref(&im);
    arena_free(&a);
}

static void a_deleted_topic_takes_its_settings_along_and_its_name_may_come_back(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_topic(&a, "t", id_of(1)), r_config(&a, 2, "t", "retention.ms", "5"), r_partition(&a, id_of(1), 0, 1, 3));
    NEXT(&env, im, 2, r_remove(&a, id_of(1)), r_topic(&a, "t", id_of(2)), r_partition(&a, id_of(2), 0, 1, 0));
    assert_int_equal(im->topics_n, 1);
    assert_int_equal(im->partitions_total, 1);
    assert_null(image_topic_by_id(im, id_of(1)));
    assert_int_equal(image_topic(im, S("t"))->configs_n, 0);
    assert_int_equal(image_topic(im, S("t"))->partitions[0].leader_epoch, 0);
    NEXT(&env, im, 3, r_remove(&a, id_of(2)));
    assert_int_equal(im->topics_n, 0);
    assert_int_equal(im->partitions_total, 0);
    image_unref(&im);
    arena_free(&a);
}

static void settings_may_come_before_their_topic_and_null_removes_one(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_config(&a, 2, "t", "retention.ms", "5"), r_config(&a, 2, "t", "segment.bytes", "6"));
    NEXT(&env, im, 2, r_topic(&a, "t", id_of(1)), r_config(&a, 2, "t", "segment.bytes", NULL));
    const struct image_topic *t = image_topic(im, S("t"));
    assert_int_equal(t->configs_n, 1);
    assert_slice(t->configs[0].name, "retention.ms");
    assert_int_equal(im->resources_n, 0);
    image_unref(&im);
    arena_free(&a);
}

static void features_and_resources_are_replaced_and_removed(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    assert_int_equal(image_level(im), LEVEL_MIN);
    NEXT(&env, im, 1, r_feature(&a, "metadata.version", 30), r_feature(&a, "group.version", 1), r_feature(&a, "of.the.future", 7),
         r_config(&a, 32, "g", "group.x", "1"), r_config(&a, 4, "", "log.x", "2"), r_config(&a, 16, "m", "n", "3"));
    assert_int_equal(image_level(im), 30);
    assert_int_equal(im->features_n, 3);
    assert_int_equal(im->resources_n, 3);
    assert_slice(image_resource(im, 32, S("g"))->configs[0].value, "1");
    struct image *before = image_ref(im);
    NEXT(&env, im, 2, r_feature(&a, "of.the.future", 0), r_config(&a, 32, "g", "group.x", NULL));
    assert_int_equal(im->features_n, 2);
    assert_int_equal(image_feature_level(im, S("group.version")), 1);
    assert_null(image_resource(im, 32, S("g")));
    assert_int_equal(im->resources_n, 2);
    assert_int_equal(before->features_n, 3); /* frozen */
    assert_non_null(image_resource(before, 32, S("g")));
    struct image *same = image_ref(im);
    NEXT(&env, im, 3, r_topic(&a, "t", id_of(1)));
    assert_ptr_equal(same->features, im->features); /* shared */
    assert_ptr_equal(same->resources, im->resources);
    image_unref(&same);
    image_unref(&before);
    image_unref(&im);
    arena_free(&a);
}

static void broker_settings_reach_the_topics_that_follow_them(void **state)
{
    struct arena a;
    arena_init(&a);
    struct conf *conf = conf_of("node.id=1\nlog.retention.ms=1000\n");
    struct image_env e = { .node_id = 1, .conf = conf };
    struct image *im = image_empty(&e);
    NEXT(&e, im, 1, r_topic(&a, "own", id_of(1)), r_config(&a, 2, "own", "retention.ms", "77"), r_topic(&a, "follows", id_of(2)));
    assert_int_equal(image_topic(im, S("own"))->conf.retention_ms, 77);
    assert_int_equal(image_topic(im, S("follows"))->conf.retention_ms, 1000);
    struct image *before = image_ref(im);
    NEXT(&e, im, 2, r_config(&a, 4, "", "log.retention.ms", "2000"));
    assert_int_equal(image_topic(im, S("follows"))->conf.retention_ms, 2000);
    assert_ptr_equal(image_topic(im, S("own")), image_topic(before, S("own"))); /* nothing changed for it */
    assert_int_equal(conf_i64(im->conf, CONF_LOG_RETENTION_MS), 2000);
    NEXT(&e, im, 3, r_config(&a, 4, "1", "log.retention.ms", "3000"));
    assert_int_equal(image_topic(im, S("follows"))->conf.retention_ms, 3000); /* this broker's beats the cluster's */
    NEXT(&e, im, 4, r_config(&a, 4, "1", "log.retention.ms", NULL), r_config(&a, 4, "2", "log.retention.ms", "9"));
    assert_int_equal(image_topic(im, S("follows"))->conf.retention_ms, 2000);
    assert_int_equal(image_topic(before, S("follows"))->conf.retention_ms, 1000);
    image_unref(&before);
    image_unref(&im);
    conf_unref(&conf);
    arena_free(&a);
}

static void clear_elr_forgets_them_and_counts_as_a_change(void **state)
{
    struct arena a;
    arena_init(&a);
    struct partition_change_record c = dflt_partition_change_record;
    int32_t one = 1;
    c.topic_id = id_of(1);
    c.partition_id = 0;
    c.eligible_leader_replicas = &one;
    c.eligible_leader_replicas_n = 1;
    struct clear_elr_record all = dflt_clear_elr_record;
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_topic(&a, "t", id_of(1)), r_partition(&a, id_of(1), 0, 1, 2), r_partition(&a, id_of(1), 1, 1, 2),
         mrec_make(&a, &msg_partition_change_record, 2, &c));
    NEXT(&env, im, 2, mrec_make(&a, &msg_clear_elr_record, 0, &all));
    assert_null(part_of(im, "t", 0)->elr);
    assert_int_equal(part_of(im, "t", 0)->partition_epoch, 4);
    assert_int_equal(part_of(im, "t", 0)->leader_epoch, 2);
    assert_int_equal(part_of(im, "t", 1)->partition_epoch, 2); /* had none */
    image_unref(&im);
    arena_free(&a);
}

static void records_that_make_no_sense_are_refused(void **state)
{
    struct arena a;
    arena_init(&a);
    struct why why;
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_topic(&a, "t", id_of(1)), r_partition(&a, id_of(1), 0, 1, 0));
    struct partition_change_record c = dflt_partition_change_record;
    c.topic_id = id_of(1);
    c.partition_id = 1;
    const struct {
        struct slice value;
        int err;
    } bad[] = {
        { r_topic(&a, "t", id_of(1)), E_MALFORMED },
        { r_topic(&a, "t", id_of(2)), E_MALFORMED },
        { r_topic(&a, "", id_of(2)), E_MALFORMED },
        { r_partition(&a, id_of(2), 0, 1, 0), E_NOT_FOUND },
        { r_partition(&a, id_of(1), -1, 1, 0), E_MALFORMED },
        { r_partition(&a, id_of(1), PARTITIONS_MAX, 1, 0), E_MALFORMED },
        { r_remove(&a, id_of(2)), E_NOT_FOUND },
        { mrec_make(&a, &msg_partition_change_record, 2, &c), E_NOT_FOUND },
        { S("\1\2\0"), E_TRUNCATED },
        { S("\1\2\7"), E_UNSUPPORTED },
        { S("\2\2\0"), E_MALFORMED },
        { S(""), E_MALFORMED },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct draft *d = draft_new(&env, im);
        why.text[0] = 0;
        assert_err(apply(d, bad[i].value, &why), bad[i].err);
        draft_free(&d);
    }
    image_unref(&im);
    arena_free(&a);
}

static void what_a_partition_record_said_is_said_again(void **state)
{
    struct arena a;
    arena_init(&a);
    struct partition_record in = dflt_partition_record, out;
    int32_t replicas[] = { 1, 2, 3 }, isr[] = { 2, 1 }, removing[] = { 3 }, adding[] = { 1 }, elr[] = { 3 };
    struct uuid dirs[] = { id_of(7), id_of(8), id_of(9) };
    in.topic_id = id_of(1);
    in.partition_id = 2;
    in.replicas = replicas;
    in.isr = isr;
    in.removing_replicas = removing;
    in.adding_replicas = adding;
    in.eligible_leader_replicas = in.last_known_elr = elr;
    in.directories = dirs;
    in.replicas_n = in.directories_n = 3;
    in.isr_n = 2;
    in.removing_replicas_n = in.adding_replicas_n = in.eligible_leader_replicas_n = in.last_known_elr_n = 1;
    in.leader = 2;
    in.leader_epoch = 11;
    in.partition_epoch = 12;
    in.leader_recovery_state = 1;
    struct slice value = mrec_make(&a, &msg_partition_record, 2, &in);
    struct image *im = image_empty(&env);
    NEXT(&env, im, 1, r_topic(&a, "t", id_of(1)), value);
    const struct image_topic *t = image_topic(im, S("t"));
    assert_int_equal(t->partitions_n, 3);
    assert_int_equal(t->partitions[0].log_err, E_NOT_FOUND); /* no record named it */
    image_part_record(t, 2, 2, &a, &out);
    struct slice again = mrec_make(&a, &msg_partition_record, 2, &out);
    assert_int_equal(again.n, value.n);
    assert_memory_equal(again.p, value.p, value.n);
    image_unref(&im);
    arena_free(&a);
}

/* ---- sharing -------------------------------------------------------------------------------------------------------------------- */

static void check_image(const struct image *im)
{
    int n = 0, partitions = 0;
    for (int i = 0; i < im->chunks_n; i++) {
        assert_true(im->chunks[i]->n > 0 && im->chunks[i]->n <= TOPIC_CHUNK);
        for (int k = 0; k < im->chunks[i]->n; k++) assert_ptr_equal(im->chunks[i]->t[k], im->topics[n++]);
    }
    assert_int_equal(n, im->topics_n);
    for (int i = 0; i < n; i++) {
        if (i) assert_true(slice_cmp(im->topics[i - 1]->name, im->topics[i]->name) < 0);
        if (i) assert_true(memcmp(im->by_id[i - 1]->id.b, im->by_id[i]->id.b, 16) < 0);
        assert_ptr_equal(image_topic_by_id(im, im->topics[i]->id), im->topics[i]);
        partitions += im->topics[i]->partitions_n;
    }
    assert_int_equal(partitions, im->partitions_total);
}

static void one_more_topic_among_thousands_copies_no_other(void **state)
{
    struct arena a;
    arena_init(&a);
    struct image *im = image_empty(&env);
    struct draft *d = draft_new(&env, im);
    for (uint64_t i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%05u", (unsigned)i * 2);
        APPLY(d, r_topic(&a, name, id_of(i)));
        APPLY(d, r_partition(&a, id_of(i), 0, 1, 0));
    }
    struct image *next = draft_finish(d, 1);
    draft_free(&d);
    image_unref(&im);
    im = next;
    check_image(im);
    struct image *before = image_ref(im);
    NEXT(&env, im, 2, r_topic(&a, "t05001", id_of(6000)));
    check_image(im);
    int chunks = 0;
    for (int i = 0; i < im->chunks_n; i++) {
        bool shared = false;
        for (int k = 0; k < before->chunks_n; k++) shared = shared || before->chunks[k] == im->chunks[i];
        chunks += !shared;
    }
    assert_true(chunks <= 2);
    for (int i = 0; i < before->topics_n; i++) assert_ptr_equal(image_topic(im, before->topics[i]->name), before->topics[i]);
    image_unref(&before);
    check_image(im);
    image_unref(&im);
    arena_free(&a);
}

/* Random creations, deletions, changes and re-creations, several at a time, against a plain array; old images stay as they were. */
static void images_follow_any_sequence_of_changes(void **state)
{
    enum { NAMES = 700, ROUNDS = 400, KEPT = 8 };
    uint64_t seed = test_seed(), next_id = 1;
    struct uuid model[NAMES] = { 0 };
    int parts[NAMES] = { 0 }, live = 0;
    struct image *im = image_empty(&env), *old[KEPT] = { NULL };
    int old_n[KEPT] = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        struct arena a;
        arena_init(&a);
        struct draft *d = draft_new(&env, im);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int changes = 1 + (int)(seed >> 60), bias = round < ROUNDS / 2 ? 3 : 1;
        for (int c = 0; c < changes * 4; c++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int i = (int)((seed >> 33) % NAMES), what = (int)((seed >> 20) % 4);
            char name[16];
            snprintf(name, sizeof name, "n%u", (unsigned)i);
            if (uuid_is_zero(model[i])) {
                model[i] = id_of(next_id++);
                parts[i] = 1;
                live++;
                APPLY(d, r_topic(&a, name, model[i]));
                APPLY(d, r_partition(&a, model[i], 0, 1, 0));
            } else if (what < bias) {
                APPLY(d, r_partition(&a, model[i], parts[i]++, 1, 0));
            } else {
                APPLY(d, r_remove(&a, model[i]));
                model[i] = UUID_ZERO;
                live--;
            }
        }
        struct image *next = draft_finish(d, round);
        draft_free(&d);
        int slot = round % KEPT;
        if (old[slot]) {
            check_image(old[slot]);
            assert_int_equal(old[slot]->topics_n, old_n[slot]);
            image_unref(&old[slot]);
        }
        old_n[slot] = im->topics_n;
        old[slot] = im;
        im = next;
        assert_int_equal(im->topics_n, live);
        check_image(im);
        for (int i = 0; i < NAMES; i++) {
            char name[16];
            snprintf(name, sizeof name, "n%u", (unsigned)i);
            const struct image_topic *t = image_topic(im, slice_of(name));
            assert_true(!t == uuid_is_zero(model[i]));
            if (t) assert_true(uuid_eq(t->id, model[i]) && t->partitions_n == parts[i]);
        }
        arena_free(&a);
    }
    for (int i = 0; i < KEPT; i++) image_unref(&old[i]);
    image_unref(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_make_topics_with_partitions_and_settings),
        cmocka_unit_test(naming_a_leader_adds_one_to_the_leader_epoch_and_any_change_one_to_the_partition_epoch),
        cmocka_unit_test(a_deleted_topic_takes_its_settings_along_and_its_name_may_come_back),
        cmocka_unit_test(settings_may_come_before_their_topic_and_null_removes_one),
        cmocka_unit_test(features_and_resources_are_replaced_and_removed),
        cmocka_unit_test(broker_settings_reach_the_topics_that_follow_them),
        cmocka_unit_test(clear_elr_forgets_them_and_counts_as_a_change),
        cmocka_unit_test(records_that_make_no_sense_are_refused),
        cmocka_unit_test(what_a_partition_record_said_is_said_again),
        cmocka_unit_test(one_more_topic_among_thousands_copies_no_other),
        cmocka_unit_test(images_follow_any_sequence_of_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
