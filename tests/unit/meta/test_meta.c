#include "world.h"
#include <errno.h>

/* ---- a new directory (K2) -------------------------------------------------------------------------------------------------------- */

/* The records of a file of batches, as text: "control <type>" or "<record> v<version> <json>". */
static const char *records_text(struct test_env *env, const char *path)
{
    struct bytes content = { 0 }, scratch = { 0 }, out = { 0 };
    assert_ok(fs_read_file(env->world->fs, path, 1 << 24, &content));
    for (size_t at = 0; at < content.n;) {
        struct record_iter it;
        struct record rec;
        struct arena a;
        int32_t size;
        arena_init(&a);
        assert_ok(batch_size(content.p + at, content.n - at, &size));
        assert_ok(batch_verify(content.p + at, (size_t)size));
        assert_ok(record_iter_init(&it, content.p + at, (size_t)size, &scratch, 0));
        while (record_next(&it, &rec) == 1) {
            struct mrec m;
            if (batch_is_control(&it.head)) {
                bytes_printf(&out, "control %d\n", control_type_of(&rec));
                continue;
            }
            assert_ok(mrec_parse(rec.value, &m));
            const struct wire_msg *type = wire_metadata_record((int16_t)m.key);
            if (!type) {
                bytes_printf(&out, "unknown %u\n", m.key);
                continue;
            }
            void *body = arena_alloc(&a, type->size);
            assert_ok(mrec_decode(&m, type, &a, body, NULL));
            bytes_printf(&out, "%s v%u ", type->name, m.version);
            wire_print(type, (int16_t)m.version, body, &out);
            bytes_printf(&out, "\n");
        }
        record_iter_end(&it);
        arena_free(&a);
        at += (size_t)size;
    }
    const char *text = arena_printf(&env->arena, "%.*s", (int)out.n, (const char *)out.p).p;
    bytes_free(&content);
    bytes_free(&scratch);
    bytes_free(&out);
    return text;
}

static void count_kept(void *arg, struct slice value) { ++*(int *)arg; }

static const char metadata_log[] = "d1/__cluster_metadata-0/00000000000000000000.log";

static void a_new_directory_looks_as_kafka_formats_it(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "controller.quorum.bootstrap.servers=myhost:19093\ncontroller.listener.names=CTRL");
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 1);
    const struct image *im = image_now(&n);
    assert_int_equal(image_level(im), 30);
    assert_int_equal(im->features_n, 6);
    assert_int_equal(image_feature_level(im, S("transaction.version")), 2);
    assert_int_equal(im->topics_n, 0);
    assert_slice(image_resource(im, 4, S(""))->configs[0].name, "min.insync.replicas");
    assert_true(im->offset > 0);
    node_stop(&n);

    assert_string_equal(records_text(env, test_path(env, "d1/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint")),
                        "control 3\ncontrol 5\ncontrol 6\ncontrol 4\n");
    const char *boot = records_text(env, test_path(env, "d1/bootstrap.checkpoint"));
    assert_non_null(strstr(boot, "control 3\nFeatureLevelRecord v0 {\"name\":\"metadata.version\",\"featureLevel\":30}\n"));
    assert_non_null(strstr(boot, "{\"name\":\"transaction.version\",\"featureLevel\":2}\ncontrol 4\n"));
    assert_string_equal(
        test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state")),
        "{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}");
    assert_string_equal(test_read(env, test_path(env, "d1/__cluster_metadata-0/partition.metadata")),
                        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
    assert_string_equal(test_read(env, test_path(env, "d1/__cluster_metadata-0/leader-epoch-checkpoint")), "0\n1\n1 0\n");
    const char *log = records_text(env, test_path(env, metadata_log));
    assert_ptr_equal(
        strstr(log,
               "control 2\ncontrol 5\ncontrol 6\nBeginTransactionRecord v0 {\"name\":\"Bootstrap records\"}\nFeatureLevelRecord"),
        log);
    assert_non_null(strstr(log, "\"name\":\"min.insync.replicas\",\"value\":\"1\"}\nEndTransactionRecord v0 "
                                "{}\nRegisterBrokerRecord v3 {\"brokerId\":1"));
    const char *epoch = strstr(log, "\"brokerEpoch\":");
    assert_non_null(epoch);
    assert_string_equal(test_read(env, test_path(env, "d1/.kafka_cleanshutdown")),
                        arena_printf(&env->arena, "{\"version\":0,\"brokerEpoch\":%ld}", strtol(epoch + 14, NULL, 10)).p);
    assert_non_null(strstr(log, "\"fenced\":true"));
}

/* What `kafka-storage format --release-version 3.5 --add-scram …` leaves: an older metadata.version and a user. */
static void an_older_level_in_the_bootstrap_file_is_kept_and_older_records_are_written(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct bytes out = { 0 };
    struct user_scram_credential_record user = dflt_user_scram_credential_record;
    user.name = S("alice");
    user.mechanism = 1;
    const struct slice recs[] = { r_feature(&env->arena, "metadata.version", 11),
                                  mrec_make(&env->arena, &msg_user_scram_credential_record, 0, &user) };
    for (int i = 0; i < 3; i++) {
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder b;
        struct snapshot_header_record head = dflt_snapshot_header_record;
        struct snapshot_footer_record foot = dflt_snapshot_footer_record;
        o.base_offset = i == 2 ? 3 : i;
        o.leader_epoch = 0;
        o.control = i != 1;
        batch_begin(&b, &o, &out);
        if (i == 0) control_append(&b, 1000, CONTROL_SNAPSHOT_HEADER, &msg_snapshot_header_record, &head);
        for (int k = 0; i == 1 && k < 2; k++) batch_append(&b, 1000, (struct slice){ 0 }, recs[k], NULL, 0);
        if (i == 2) control_append(&b, 1000, CONTROL_SNAPSHOT_FOOTER, &msg_snapshot_footer_record, &foot);
        assert_true(batch_end(&b) >= 0);
    }
    assert_ok(fs_mkdirs(env->world->fs, test_path(env, "d1")));
    assert_ok(
        fs_write_file(env->world->fs, test_path(env, "d1/bootstrap.checkpoint"), (struct slice){ (const char *)out.p, out.n }));
    bytes_free(&out);
    node_init(&n, env, "");
    for (int run = 0; run < 2; run++) {
        node_start(&n);
        assert_int_equal(image_level(image_now(&n)), 11);
        assert_int_equal(image_now(&n)->features_n, 1);
        int users = 0;
        kept_each(&n.meta->kept, USER_SCRAM_CREDENTIAL_RECORD, count_kept, &users);
        assert_int_equal(users, 1);
        if (run == 0) create(&n, "t", 2);
        for (int p = 0; p < 2; p++) assert_int_equal(partition_now(&n, "t", p)->leader, 1);
        assert_int_equal(partition_now(&n, "t", 1)->leader_epoch, 0);
        node_stop(&n);
    }
    assert_false(there(&n, "d1/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint")); /* kraft.version 0 */
    const char *log = records_text(env, test_path(env, metadata_log));
    assert_ptr_equal(
        strstr(log, "control 2\nFeatureLevelRecord v0 {\"name\":\"metadata.version\",\"featureLevel\":11}\nUserScram"), log);
    assert_non_null(strstr(log, "RegisterBrokerRecord v2 "));
    assert_non_null(strstr(log, "PartitionRecord v0 "));
    assert_null(strstr(log, "PartitionChangeRecord"));
    assert_non_null(strstr(test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state")), "\"data_version\":0}"));
}

/* ---- changes --------------------------------------------------------------------------------------------------------------------------- */

static void a_topic_is_durable_on_disk_and_published_before_its_change_is_answered(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    struct uuid id = create(&n, "t", 3);
    const struct image_topic *t = image_topic(image_now(&n), S("t"));
    assert_true(uuid_eq(t->id, id));
    assert_int_equal(t->partitions_n, 3);
    for (int i = 0; i < 3; i++) {
        assert_non_null(t->partitions[i].log);
        assert_int_equal(t->partitions[i].leader, 1);
        assert_int_equal(t->partitions[i].leader_epoch, 0);
        assert_int_equal(plog_partition(t->partitions[i].log), i);
    }
    assert_non_null(strstr(records_text(env, test_path(env, metadata_log)), "\"name\":\"t\""));
    node_stop(&n); /* its directories are there by now */
    char text[UUID_TEXT];
    uuid_text(id, text);
    assert_string_equal(test_read(env, test_path(env, "d1/t-2/partition.metadata")),
                        arena_printf(&env->arena, "version: 0\ntopic_id: %s", text).p);
}

static void what_was_changed_is_there_after_a_clean_stop_with_the_same_epochs(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op more = { .kind = OP_PARTITIONS, .topic = "a", .n = 4 };
    node_init(&n, env, "");
    node_start(&n);
    struct uuid a = create(&n, "a", 2);
    create(&n, "gone", 2);
    assert_ok(op_do(&n, &more));
    configure(&n, 2, "a", "retention.ms", "4242");
    configure(&n, 32, "g", "group.x", "1");
    delete_topic(&n, "gone");
    assert_int_equal(image_now(&n)->partitions_total, 4);
    assert_int_equal(entries(&n, "gone-"), 0 + entries(&n, "gone-0.") + entries(&n, "gone-1."));
    int64_t offset = image_now(&n)->offset;
    node_stop(&n);
    for (int i = 0; i < 3; i++) {
        node_start(&n);
        assert_int_equal(meta_quorum_epoch(n.meta), 2 + i);
        const struct image *im = image_now(&n);
        assert_true(im->offset > offset); /* K12: never falls */
        offset = im->offset;
        assert_int_equal(im->topics_n, 1);
        const struct image_topic *t = image_topic_by_id(im, a);
        assert_slice(t->name, "a");
        assert_int_equal(t->partitions_n, 4);
        assert_int_equal(t->conf.retention_ms, 4242);
        assert_slice(image_resource(im, 32, S("g"))->configs[0].name, "group.x");
        for (int p = 0; p < 4; p++) {
            assert_non_null(t->partitions[p].log);
            assert_int_equal(t->partitions[p].leader, 1);
            assert_int_equal(t->partitions[p].leader_epoch, 0);
            assert_int_equal(t->partitions[p].partition_epoch, 0);
        }
        node_stop(&n);
    }
}

static void a_change_that_refuses_stages_nothing_and_the_others_of_its_group_go_on(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op ops[] = {
        { .kind = OP_CREATE, .topic = "a", .n = 1 }, { .kind = OP_REFUSE },
        { .kind = OP_CREATE, .topic = "a", .n = 1 }, /* sees the one before it */
        { .kind = OP_CREATE, .topic = "b", .n = 1 }, { .kind = OP_DELETE, .topic = "a" },
        { .kind = OP_CREATE, .topic = "a", .n = 2 }, { .kind = OP_CREATE, .topic = "c", .n = 1 },
        { .kind = OP_DELETE, .topic = "c" }, /* never comes to be */
    };
    const int want[] = { 0, E_INVALID_CONFIG, E_TOPIC_ALREADY_EXISTS, 0, 0, 0, 0, 0 };
    node_init(&n, env, "");
    node_start(&n);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        ops[i].change.run = op_run;
        meta_submit(n.meta, &ops[i].change);
    }
    struct op last = { .kind = OP_CREATE, .topic = "z", .n = 1 };
    assert_ok(op_do(&n, &last));
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        assert_true(atomic_load(&ops[i].change.done));
        assert_err(ops[i].change.err, want[i]);
    }
    const struct image *im = image_now(&n);
    assert_int_equal(im->topics_n, 3);
    assert_true(uuid_eq(image_topic(im, S("a"))->id, ops[5].id));
    assert_non_null(partition_now(&n, "a", 1)->log);
    assert_int_equal(conf_i64(im->conf, CONF_LOG_RETENTION_MS) == 1, false);
    node_stop(&n);
    node_start(&n);
    assert_true(uuid_eq(image_topic(image_now(&n), S("a"))->id, ops[5].id));
    assert_int_equal(image_now(&n)->topics_n, 3);
    assert_int_equal(partition_now(&n, "a", 0)->log_err, 0);
    node_stop(&n);
}

static void a_topic_made_anew_has_another_id_and_begins_at_epoch_0(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    struct uuid first = create(&n, "t", 1);
    delete_topic(&n, "t");
    struct uuid second = create(&n, "t", 1);
    assert_false(uuid_eq(first, second));
    assert_int_equal(partition_now(&n, "t", 0)->leader_epoch, 0);
    assert_null(image_topic_by_id(image_now(&n), first));
    node_stop(&n);
}

static void topic_settings_reach_the_open_log_and_broker_settings_the_conf(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 1);
    configure(&n, 4, "", "log.retention.ms", "123456");
    const struct image *im = image_now(&n);
    assert_int_equal(conf_i64(im->conf, CONF_LOG_RETENTION_MS), 123456);
    assert_int_equal(image_topic(im, S("t"))->conf.retention_ms, 123456);
    assert_non_null(image_topic(im, S("t"))->partitions[0].log);
    configure(&n, 2, "t", "retention.ms", "99");
    assert_int_equal(image_topic(image_now(&n), S("t"))->conf.retention_ms, 99);
    configure(&n, 2, "t", "retention.ms", NULL);
    assert_int_equal(image_topic(image_now(&n), S("t"))->conf.retention_ms, 123456);
    node_stop(&n);
}

static void internal_topics_carry_kafkas_settings(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op o = { .kind = OP_INTERNAL, .topic = "__consumer_offsets" },
              x = { .kind = OP_INTERNAL, .topic = "__transaction_state" };
    node_init(&n, env, "offsets.topic.num.partitions=5\ntransaction.state.log.num.partitions=2");
    node_start(&n);
    assert_ok(op_do(&n, &o));
    assert_ok(op_do(&n, &x));
    const struct image_topic *t = image_topic(image_now(&n), S("__consumer_offsets"));
    assert_true(t->internal);
    assert_int_equal(t->partitions_n, 5);
    assert_int_equal(t->configs_n, 3);
    assert_true(t->conf.cleanup_compact);
    assert_false(t->conf.cleanup_delete);
    assert_int_equal(t->conf.segment_bytes, 104857600);
    assert_int_equal(t->conf.compression, TOPIC_CODEC_PRODUCER);
    t = image_topic(image_now(&n), S("__transaction_state"));
    assert_int_equal(t->configs_n, 5);
    assert_int_equal(t->conf.compression, CODEC_NONE);
    node_stop(&n);
}

static void a_change_too_large_for_a_batch_is_one_metadata_transaction(void **state)
{
    enum { N = 300, SIZE = 20000 };
    struct test_env *env = *state;
    struct node n;
    char *big = arena_alloc(&env->arena, SIZE + 1);
    memset(big, 'x', SIZE);
    big[SIZE] = 0;
    node_init(&n, env, "");
    node_start(&n);
    struct meta_edit e;
    struct image *im = meta_image_take(n.meta);
    edit_init(&e, n.meta, im);
    for (int i = 0; i < N; i++)
        edit_config(&e, 32, slice_of(arena_printf(&env->arena, "g%d", i).p), S("group.x"), (struct slice){ big, SIZE });
    struct bytes out = { 0 };
    int32_t records;
    edit_encode(&e, 1000, &out, &records);
    assert_int_equal(records, N + 2);
    int batches = 0;
    int64_t next = 1000;
    struct replay r;
    struct draft *d = draft_new(&n.meta->env, im);
    replay_init(&r, d, NULL);
    for (size_t at = 0; at < out.n; batches++) {
        struct batch_head h;
        assert_ok(batch_parse_head(out.p + at, out.n - at, &h));
        assert_int_equal(h.base_offset, next);
        assert_true(h.size < (8 << 20));
        assert_ok(replay_batch(&r, out.p + at, (size_t)h.size, 0, false, NULL));
        next = batch_last_offset(&h) + 1;
        at += (size_t)h.size;
    }
    assert_true(batches >= 4);
    assert_int_equal(next, 1000 + N + 2);
    assert_false(r.in_txn);
    struct image *after = draft_finish(d, next - 1);
    assert_int_equal(after->resources_n, im->resources_n + N);
    image_unref(&after);
    image_unref(&im);
    draft_free(&d);
    replay_free(&r);
    edit_free(&e);
    bytes_free(&out);
    node_stop(&n);
}

static void without_room_a_change_fails_alone_and_the_next_one_works_again(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op a = { .kind = OP_CREATE, .topic = "a", .n = 1 }, b = { .kind = OP_CREATE, .topic = "b", .n = 1 };
    node_init(&n, env, "");
    node_start(&n);
    int64_t offset = image_now(&n)->offset;
    sim_space(env->world, 10);
    assert_err(op_do(&n, &a), E_NO_SPACE);
    assert_int_equal(image_now(&n)->topics_n, 0);
    assert_int_equal(image_now(&n)->offset, offset);
    assert_int_equal(entries(&n, "a-"), 0);
    sim_space(env->world, -1);
    assert_ok(op_do(&n, &b));
    assert_int_equal(partition_now(&n, "b", 0)->leader, 1);
    assert_int_equal(image_now(&n)->offset, offset + 2);
    node_stop(&n);
    node_start(&n);
    assert_int_equal(image_now(&n)->topics_n, 1);
    node_stop(&n);
}

static void after_the_stop_changes_hear_that_it_is_closing(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op o = { .kind = OP_CREATE, .topic = "t", .n = 1 };
    node_init(&n, env, "");
    node_start(&n);
    meta_stop(n.meta);
    assert_err(op_do(&n, &o), E_CLOSING);
    assert_null(image_topic(image_now(&n), S("t")));
    node_stop(&n);
}

static int published;
static void on_publish(void *arg, const struct image *im)
{
    assert_ptr_equal(arg, &published);
    assert_non_null(im->conf);
    published++;
}

static void the_cache_holds_the_newest_image_and_publication_is_told(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct image_cache c = { 0 };
    node_init(&n, env, "");
    node_start(&n);
    published = 0;
    meta_on_publish(n.meta, on_publish, &published);
    const struct image *first = meta_image(n.meta, &c);
    assert_ptr_equal(meta_image(n.meta, &c), first);
    create(&n, "t", 1);
    const struct image *second = meta_image(n.meta, &c);
    assert_int_equal(published, 1);
    assert_int_equal(second->topics_n, 1);
    assert_non_null(image_topic(second, S("t")));
    struct op refused = { .kind = OP_REFUSE };
    assert_err(op_do(&n, &refused), E_INVALID_CONFIG);
    assert_ptr_equal(meta_image(n.meta, &c), second);
    assert_int_equal(published, 1);

    const struct image *lent = image_lend(&c), *old = image_lend(&c);
    assert_ptr_equal(lent, second);
    image_give_back(&c, &lent);
    assert_null(lent);
    create(&n, "u", 1);
    assert_ptr_not_equal(meta_image(n.meta, &c), second);
    assert_int_equal(old->topics_n, 1); /* still there: lent */
    image_give_back(&c, &old);
    image_cache_end(&c);
    node_stop(&n);
}

struct crew {
    struct node *n;
    int who;
    _Atomic int *left;
};

static void *crew_create(void *arg)
{
    struct crew *c = arg;
    char name[16];
    for (int i = 0; i < 30; i++) {
        struct op o = { .kind = OP_CREATE, .topic = name, .n = 1 };
        snprintf(name, sizeof name, "t%d-%d", c->who, i % 20);
        if (i >= 20) o.kind = OP_DELETE;
        if (op_do(c->n, &o)) abort();
    }
    atomic_fetch_sub(c->left, 1);
    return NULL;
}

static void *crew_read(void *arg)
{
    struct crew *c = arg;
    struct image_cache cache = { 0 };
    const struct image *kept = NULL;
    int64_t version = 0, offset = 0;
    while (atomic_load(c->left) > 0) {
        const struct image *im = meta_image(c->n->meta, &cache);
        if (im->version < version || im->offset < offset) abort();
        version = im->version;
        offset = im->offset;
        for (int i = 0; i < im->topics_n; i++)
            if (!im->topics[i]->partitions[0].log) abort(); /* what is published is open */
        if (kept && kept->version > version) abort();
        image_give_back(&cache, &kept);
        kept = image_lend(&cache);
    }
    image_give_back(&cache, &kept);
    image_cache_end(&cache);
    return NULL;
}

static void threads_change_and_read_at_once(void **state)
{
    enum { CREW = 6 };
    struct test_env *env = *state;
    struct node n;
    struct crew crew[CREW];
    pthread_t threads[CREW];
    _Atomic int left = CREW / 2;
    node_init(&n, env, "");
    node_start(&n);
    for (int i = 0; i < CREW; i++) {
        crew[i] = (struct crew){ &n, i, &left };
        assert_int_equal(pthread_create(&threads[i], NULL, i < CREW / 2 ? crew_create : crew_read, &crew[i]), 0);
    }
    for (int i = 0; i < CREW; i++) pthread_join(threads[i], NULL);
    assert_int_equal(image_now(&n)->topics_n, CREW / 2 * 10);
    node_stop(&n);
}

/* ---- producer ids (K10) -------------------------------------------------------------------------------------------------------------------- */

struct asker {
    struct sleeper sleeper;
    struct post post;
    struct waker *home;
    struct node *n;
    struct producer_ids *ids;
    int64_t got[1500];
    int want, have;
    _Atomic bool done;
};

static void asker_step(struct asker *a)
{
    while (a->have < a->want) {
        if (!meta_producer_id(a->n->meta, a->ids, a->home, a->sleeper.id, &a->got[a->have])) return;
        a->have++;
    }
    waker_remove(a->home, &a->sleeper);
    atomic_store(&a->done, true);
}
static void asker_wake(struct sleeper *s) { asker_step(container_of(s, struct asker, sleeper)); }
static void asker_start(struct post *p)
{
    struct asker *a = container_of(p, struct asker, post);
    a->sleeper.wake = asker_wake;
    waker_add(a->home, &a->sleeper);
    asker_step(a);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void producer_ids_come_from_durable_blocks_and_never_twice(void **state)
{
    struct test_env *env = *state;
    struct node n;
    int64_t all[6000];
    int have = 0;
    node_init(&n, env, "");
    for (int run = 0; run < 2; run++) {
        node_start(&n);
        struct loop *loop = loop_new(env->world, "l");
        struct waker *home = waker_new(loop);
        loop_start(loop);
        struct producer_ids ids = { 0 };
        struct asker *a = mem_zalloc(sizeof *a * 2); /* two who wait on one loop */
        for (int i = 0; i < 2; i++) {
            a[i].post.fn = asker_start;
            a[i].home = home;
            a[i].n = &n;
            a[i].ids = &ids;
            a[i].want = 1500;
            loop_post(loop, &a[i].post);
        }
        while (!atomic_load(&a[0].done) || !atomic_load(&a[1].done)) assert_true(sim_step(env->world));
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < a[i].have; k++) all[have++] = a[i].got[k];
        assert_true(image_now(&n)->next_producer_id >= (int64_t)3000 * (run + 1));
        node_stop(&n);
        producer_ids_free(&ids);
        waker_free(&home);
        loop_stop(loop);
        loop_join(loop);
        loop_free(&loop);
        mem_free(a);
    }
    qsort(all, (size_t)have, sizeof *all, by_value);
    for (int i = 1; i < have; i++) assert_true(all[i] > all[i - 1]);
    assert_int_equal(have, 6000);
}

/* ---- snapshots ------------------------------------------------------------------------------------------------------------------------------- */

static int checkpoints(struct node *n, struct slice **out)
{
    struct slice *names;
    int count, hits = 0;
    struct fs *fs = n->env->world->fs;
    assert_ok(fs->list(fs, test_path(n->env, "d1/__cluster_metadata-0"), &n->env->arena, &names, &count));
    *out = arena_array(&n->env->arena, struct slice, count + 1);
    for (int i = 0; i < count; i++)
        if (names[i].n > 11 && memcmp(names[i].p + names[i].n - 11, ".checkpoint", 11) == 0) (*out)[hits++] = names[i];
    return hits;
}

static void snapshots_carry_everything_and_two_are_kept(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct slice *names;
    struct op unknown = { .kind = OP_RAW, .raw = r_unknown(&env->arena, "of the future") };
    node_init(&n, env, "metadata.log.max.record.bytes.between.snapshots=1");
    node_start(&n);
    struct uuid id = create(&n, "t", 2);
    assert_ok(op_do(&n, &unknown));
    for (int i = 0; i < 5; i++) {
        create(&n, "x", 1);
        delete_topic(&n, "x");
    }
    configure(&n, 2, "t", "retention.ms", "5");
    configure(&n, 4, "", "log.retention.ms", "6");
    /* A snapshot follows the answer: whoever looks meanwhile may see three, or the log not cut yet. */
    struct plog_offsets at;
    bool settled = false;
    for (int tries = 0; !settled && tries < 100000; tries++) {
        if (env->world->sim) sim_step(env->world);
        else sched_yield();
        plog_offsets(n.meta->log.log, &at);
        settled =
            checkpoints(&n, &names) == 2 && at.start == strtoll(names[0].p, NULL, 10); /* the log goes back to the older one */
    }
    assert_true(settled);
    const char *newest = arena_printf(&env->arena, "%s/d1/__cluster_metadata-0/%s", env->dir, names[1].p).p;
    const char *text = records_text(env, newest);
    assert_ptr_equal(strstr(text, "control 3\ncontrol 5\ncontrol 6\nFeatureLevelRecord v0 {\"name\":\"metadata.version\""), text);
    assert_non_null(strstr(text, "RegisterBrokerRecord v3"));
    assert_non_null(strstr(text, "unknown 5000\ncontrol 4\n"));
    assert_null(strstr(text, "\"name\":\"x\""));
    node_stop(&n);

    for (int run = 0; run < 3; run++) {
        if (run == 1) { /* a damaged newest one costs nothing */
            struct bytes b = { 0 };
            int have = checkpoints(&n, &names);
            newest = arena_printf(&env->arena, "%s/d1/__cluster_metadata-0/%s", env->dir, names[have - 1].p).p;
            assert_ok(fs_read_file(env->world->fs, newest, 1 << 20, &b));
            b.p[b.n / 2] ^= 1;
            assert_ok(fs_write_file(env->world->fs, newest, (struct slice){ (const char *)b.p, b.n }));
            bytes_free(&b);
        }
        node_start(&n);
        const struct image *im = image_now(&n);
        assert_int_equal(im->topics_n, 1);
        assert_true(uuid_eq(image_topic(im, S("t"))->id, id));
        assert_int_equal(image_topic(im, S("t"))->conf.retention_ms, 5);
        assert_int_equal(conf_i64(im->conf, CONF_LOG_RETENTION_MS), 6);
        int kept = 0;
        kept_each(&n.meta->kept, -1, count_kept, &kept);
        assert_int_equal(kept, 1);
        node_stop(&n);
    }
}

/* The first batch of an epoch goes with the first change; one that fails leaves it for the next. */
static void a_change_that_is_not_written_leaves_the_epochs_first_batch(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    assert_ok(mlog_lead(&n.meta->log, &n.why));
    struct op o = { .kind = OP_CREATE, .topic = "no", .n = 1 };
    sim_fault(env->world,
              (struct sim_fault){ .nth = 1, .sticky = true, .err = -ENOSPC, .ops = SIM_PWRITEV, .path = "__cluster_metadata-0" });
    assert_true(op_do(&n, &o) < 0);
    sim_fault(env->world, (struct sim_fault){ 0 });
    create(&n, "yes", 1);
    node_stop(&n);
    node_start(&n);
    assert_null(image_topic(image_now(&n), S("no")));
    assert_non_null(image_topic(image_now(&n), S("yes")));
    assert_int_equal(meta_quorum_epoch(n.meta), 3);
    node_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(a_new_directory_looks_as_kafka_formats_it),
        IN_BOTH_WORLDS(a_topic_is_durable_on_disk_and_published_before_its_change_is_answered),
        IN_BOTH_WORLDS(what_was_changed_is_there_after_a_clean_stop_with_the_same_epochs),
        IN_BOTH_WORLDS(a_change_that_refuses_stages_nothing_and_the_others_of_its_group_go_on),
        IN_SIM_WORLD(a_topic_made_anew_has_another_id_and_begins_at_epoch_0),
        IN_SIM_WORLD(topic_settings_reach_the_open_log_and_broker_settings_the_conf),
        IN_SIM_WORLD(internal_topics_carry_kafkas_settings),
        IN_SIM_WORLD(a_change_too_large_for_a_batch_is_one_metadata_transaction),
        IN_SIM_WORLD(an_older_level_in_the_bootstrap_file_is_kept_and_older_records_are_written),
        IN_SIM_WORLD(without_room_a_change_fails_alone_and_the_next_one_works_again),
        IN_BOTH_WORLDS(after_the_stop_changes_hear_that_it_is_closing),
        IN_BOTH_WORLDS(the_cache_holds_the_newest_image_and_publication_is_told),
        IN_REAL_WORLD(threads_change_and_read_at_once),
        IN_SIM_WORLD(producer_ids_come_from_durable_blocks_and_never_twice),
        IN_BOTH_WORLDS(snapshots_carry_everything_and_two_are_kept),
        IN_SIM_WORLD(a_change_that_is_not_written_leaves_the_epochs_first_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
