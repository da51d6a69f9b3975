#include "world.h"

#include <errno.h>

/* Directories that Odradek did not leave itself, or not cleanly. */

static void write_text(struct test_env *env, const char *path, const char *text)
{
    const char *full = test_path(env, path), *slash = strrchr(full, '/');
    assert_ok(fs_mkdirs(env->world->fs, arena_printf(&env->arena, "%.*s", (int)(slash - full), full).p));
    assert_ok(fs_write_file(env->world->fs, full, slice_of(text)));
}

/* A partition directory with n records in batches of this leader epoch; id zero: no partition.metadata. */
static void make_partition(struct test_env *env, const char *name, struct uuid id, int32_t epoch, int n)
{
    struct bytes out = { 0 };
    for (int i = 0; i < n; i++) {
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder b;
        o.base_offset = i;
        o.leader_epoch = epoch;
        batch_begin(&b, &o, &out);
        batch_append(&b, 1000 + i, S("key"), S("value"), NULL, 0);
        assert_true(batch_end(&b) > 0);
    }
    struct slice log = { (const char *)out.p, out.n };
    assert_ok(fs_mkdirs(env->world->fs, test_path(env, name)));
    assert_ok(fs_write_file(env->world->fs, arena_printf(&env->arena, "%s/%s/00000000000000000000.log", env->dir, name).p, log));
    bytes_free(&out);
    if (uuid_is_zero(id)) return;
    char text[UUID_TEXT];
    uuid_text(id, text);
    write_text(env, arena_printf(&env->arena, "%s/partition.metadata", name).p,
               arena_printf(&env->arena, "version: 0\ntopic_id: %s", text).p);
}

static struct uuid id_named(const char *text)
{
    struct uuid u;
    assert_ok(uuid_parse(slice_of(text), &u));
    return u;
}

/* ---- from Kafka -------------------------------------------------------------------------------------------------------------------- */

static void count_kept(void *arg, struct slice value) { ++*(int *)arg; }
static int kept_of(struct node *n, int key)
{
    int count = 0;
    kept_each(&n->meta->kept, key, count_kept, &count);
    return count;
}

/* Made by Kafka 4.3.1 with controller.quorum.voters (kraft.version 0): topics of every kind, ACLs, a SCRAM user, quotas, settings. */
static void everything_kafka_knew_is_known_and_every_partition_is_led(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    unpack(env, "kafka-4.3.1-voters.gz", test_path(env, "d1"));
    for (int run = 0; run < 3; run++) { /* the second start finds what the first has left, the third a snapshot of ours */
        if (run == 2) node_init(&n, env, "metadata.log.max.record.bytes.between.snapshots=1");
        node_start(&n);
        assert_int_equal(meta_quorum_epoch(n.meta), 2 + run);
        const struct image *im = image_now(&n);
        assert_int_equal(im->topics_n, 12);
        assert_int_equal(im->partitions_total, 116);
        assert_int_equal(image_level(im), 30);
        assert_int_equal(im->features_n, 6);
        assert_int_equal(im->next_producer_id, 1000);
        for (int i = 0; i < im->topics_n; i++) {
            for (int p = 0; p < im->topics[i]->partitions_n; p++) {
                const struct part *part = &topic_of(im->topics[i])->parts[p];
                const struct image_partition *ip = &im->topics[i]->partitions[p];
                assert_non_null(ip->log);
                assert_int_equal(ip->leader, 1);
                assert_int_equal(ip->leader_epoch, 2); /* 0, without a leader at the clean stop, ours; then it stands */
                assert_int_equal(ip->partition_epoch, 2);
                assert_true(ints_only(part->isr, 1));
                assert_null(part->elr);
                assert_null(part->last_elr);
            }
        }
        const struct image_topic *t = image_topic(im, S("t-compact"));
        assert_true(uuid_eq(t->id, id_named("vDpVdZeYQaSIJzjYFU7qNw")));
        assert_int_equal(t->configs_n, 4);
        assert_true(t->conf.cleanup_compact);
        assert_true(image_topic(im, S("t-append"))->conf.log_append_time);
        assert_int_equal(image_topic(im, S("t-small"))->conf.segment_bytes, 1048576);
        assert_true(image_topic(im, S("__transaction_state"))->internal);
        assert_int_equal(conf_i64(im->conf, CONF_LOG_RETENTION_MS), 987654321);
        assert_null(image_topic(im, S("t-gone")));
        assert_int_equal(kept_of(&n, ACCESS_CONTROL_ENTRY_RECORD), 2);
        assert_int_equal(kept_of(&n, USER_SCRAM_CREDENTIAL_RECORD), 1);
        assert_int_equal(kept_of(&n, CLIENT_QUOTA_RECORD), 2);
        assert_int_equal(kept_of(&n, REGISTER_CONTROLLER_RECORD), 1);
        assert_int_equal(kept_broker_epoch(&n.meta->kept, 1), meta_broker_epoch(n.meta));
        node_stop(&n);
        assert_non_null(strstr(test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state")),
                               "\"currentVoters\":[{\"voterId\":1}],\"data_version\":0}")); /* K2: stays so */
    }
}

/* Made by Kafka 4.3.1 with `kafka-storage format --standalone`, stopped twice, with snapshots of its own. */
static void a_snapshot_of_kafka_is_where_the_replay_begins(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    unpack(env, "kafka-4.3.1-standalone.gz", test_path(env, "d1"));
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 3);
    assert_int_equal(n.meta->log.snapshot_offset, 52);
    assert_int_equal(n.meta->log.kraft_version, 1);
    const struct image *im = image_now(&n);
    assert_int_equal(im->topics_n, 2);
    assert_int_equal(image_topic(im, S("alpha"))->conf.retention_ms, 777777);
    assert_int_equal(partition_now(&n, "alpha", 2)->leader_epoch, 4); /* twice started and stopped by Kafka */
    assert_int_equal(partition_now(&n, "alpha", 2)->leader, 1);
    assert_int_equal(kept_of(&n, USER_SCRAM_CREDENTIAL_RECORD), 1);
    node_stop(&n);
    assert_non_null(strstr(test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state")), "\"data_version\":1}"));
}

static void damaged_snapshots_fall_back_to_the_log(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    unpack(env, "kafka-4.3.1-standalone.gz", test_path(env, "d1"));
    write_text(env, "d1/__cluster_metadata-0/00000000000000000052-0000000002.checkpoint", "no snapshot");
    write_text(env, "d1/__cluster_metadata-0/00000000000000000046-0000000002.checkpoint", "");
    write_text(env, "d1/__cluster_metadata-0/00000000000000000050-0000000002.checkpoint.part", "unfinished");
    node_start(&n);
    assert_int_equal(n.meta->log.snapshot_offset, 39);
    assert_int_equal(image_now(&n)->topics_n, 2);
    assert_int_equal(partition_now(&n, "alpha", 0)->leader_epoch, 4);
    node_stop(&n);
}

/* ---- epochs (K5) --------------------------------------------------------------------------------------------------------------------- */

static void an_unclean_stop_raises_every_leader_epoch_once(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 2);
    for (int run = 1; run < 4; run++) {
        sim_power_loss(env->world);
        node_start(&n);
        for (int p = 0; p < 2; p++) {
            assert_int_equal(partition_now(&n, "t", p)->leader_epoch, run);
            assert_int_equal(partition_now(&n, "t", p)->partition_epoch, run);
            struct plog_offsets at;
            plog_offsets(partition_now(&n, "t", p)->log, &at);
            assert_int_equal(at.leader_epoch, run);
        }
    }
    node_stop(&n);
    node_start(&n);
    assert_int_equal(partition_now(&n, "t", 0)->leader_epoch, 3);
    node_stop(&n);
}

static void a_log_with_a_larger_epoch_raises_the_metadata_above_it(void **state)
{
    struct test_env *env = *state;
    struct node n;
    int32_t found;
    int64_t end;
    node_init(&n, env, "");
    node_start(&n);
    struct uuid id = create(&n, "t", 3);
    node_stop(&n);
    struct fs *fs = env->world->fs;
    const int32_t epochs[] = { 9, 1, -1 }; /* larger, that which we are about to take, none */
    for (int p = 0; p < 3; p++) {
        const char *name = arena_printf(&env->arena, "d1/t-%d", p).p;
        assert_ok(fs_remove_tree(fs, test_path(env, name)));
        make_partition(env, name, id, epochs[p], 3);
    }
    assert_ok(fs->unlink(fs, test_path(env, "d1/.kafka_cleanshutdown")));
    node_start(&n);
    const int32_t want[] = { 10, 2, 1 };
    for (int p = 0; p < 3; p++) {
        const struct image_partition *ip = partition_now(&n, "t", p);
        struct plog_offsets at;
        assert_int_equal(ip->leader_epoch, want[p]);
        assert_int_equal(ip->partition_epoch, p < 2 ? 2 : 1);
        plog_offsets(ip->log, &at);
        assert_int_equal(at.end, 3);
        assert_int_equal(at.leader_epoch, want[p]);
        assert_int_equal(plog_epoch_at(ip->log, 3), want[p]);
    }
    plog_epoch_end(partition_now(&n, "t", 0)->log, 9, &found, &end);
    assert_int_equal(found, 9);
    assert_int_equal(end, 3);
    node_stop(&n);
    node_start(&n);
    assert_int_equal(partition_now(&n, "t", 0)->leader_epoch, 10);
    node_stop(&n);
}

static void the_quorum_epoch_is_above_quorum_state_and_log(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    node_stop(&n);
    write_text(
        env, "d1/__cluster_metadata-0/quorum-state",
        "{\"leaderId\":1,\"leaderEpoch\":41,\"votedId\":-1,\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}");
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 42);
    node_stop(&n);
    assert_ok(env->world->fs->unlink(env->world->fs, test_path(env, "d1/__cluster_metadata-0/quorum-state")));
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 43);
    node_stop(&n);
    write_text(env, "d1/__cluster_metadata-0/quorum-state", "{ not json");
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 44);
    node_stop(&n);
}

/* ---- what lies on disk and what the records say (K6) ---------------------------------------------------------------------------------------- */

static void strange_directories_are_left_alone(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 1);
    node_stop(&n);
    make_partition(env, "d1/other-0", id_of(7), 0, 1);
    make_partition(env, "d1/t-5", id_of(8), 0, 1);
    make_partition(env, "d1/bare-0", UUID_ZERO, 0, 1);
    node_start(&n);
    assert_int_equal(image_now(&n)->topics_n, 1);
    assert_int_equal(image_now(&n)->partitions_total, 1);
    node_stop(&n);
    assert_true(there(&n, "d1/other-0/00000000000000000000.log"));
    assert_true(there(&n, "d1/t-5/00000000000000000000.log"));
    assert_true(there(&n, "d1/bare-0/00000000000000000000.log"));
    assert_false(there(&n, "d1/bare-0/partition.metadata"));
}

static void a_directory_with_another_topics_id_is_not_taken_for_ours(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 2);
    node_stop(&n);
    assert_ok(fs_remove_tree(env->world->fs, test_path(env, "d1/t-0")));
    make_partition(env, "d1/t-0", id_of(7), 0, 1);
    for (int clean = 0; clean < 2; clean++) { /* one that was stopped cleanly is looked into behind the start */
        if (!clean) assert_ok(env->world->fs->unlink(env->world->fs, test_path(env, "d1/.kafka_cleanshutdown")));
        node_start(&n);
        if (clean) sim_run(env->world, 1000000);
        else assert_null(partition_now(&n, "t", 0)->log);
        assert_int_equal(partition_now(&n, "t", 0)->log_err, E_INCONSISTENT_TOPIC_ID);
        assert_int_equal(partition_now(&n, "t", 0)->leader, -1);
        assert_int_equal(partition_now(&n, "t", 1)->leader, 1);
        configure(&n, 2, "t", "retention.ms", clean ? "5" : "6"); /* a change of the topic does not revive it */
        assert_int_equal(partition_now(&n, "t", 0)->log_err, E_INCONSISTENT_TOPIC_ID);
        assert_int_equal(partition_now(&n, "t", 1)->leader, 1);
        node_stop(&n);
        assert_true(there(&n, "d1/t-0/00000000000000000000.log"));
    }
}

/* Trusted on its clean stop's word, found out when its topic goes: the directory is another topic's, and not this one's to delete. */
static void a_deleted_topic_takes_no_other_topics_directory_with_it(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 2);
    node_stop(&n);
    assert_ok(fs_remove_tree(env->world->fs, test_path(env, "d1/t-0")));
    make_partition(env, "d1/t-0", id_of(7), 0, 1);
    node_start(&n);
    assert_int_equal(partition_now(&n, "t", 0)->log_err, 0);
    delete_topic(&n, "t");
    assert_true(there(&n, "d1/t-0/00000000000000000000.log"));
    assert_false(there(&n, "d1/t-1"));
    node_stop(&n);
}

static void a_partition_lost_from_its_directory_comes_back_empty(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    create(&n, "t", 1);
    node_stop(&n);
    assert_ok(fs_remove_tree(env->world->fs, test_path(env, "d1/t-0")));
    node_start(&n);
    assert_int_equal(partition_now(&n, "t", 0)->leader, 1);
    node_stop(&n);
    assert_true(there(&n, "d1/t-0/partition.metadata"));
}

static void a_deletion_that_a_crash_cut_short_is_finished(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    node_start(&n);
    struct uuid id = create(&n, "t", 1);
    delete_topic(&n, "t");
    node_stop(&n);
    make_partition(env, "d1/t-0", id, 0, 1); /* as if the rename had not come */
    node_start(&n);
    assert_false(there(&n, "d1/t-0"));
    create(&n, "t", 1); /* the name is free */
    assert_int_equal(partition_now(&n, "t", 0)->leader, 1);
    node_stop(&n);
}

static void topics_of_zookeepers_time_get_ids_in_both_places(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    write_text(env, "d1/meta.properties", "version=0\nbroker.id=1\ncluster.id=AAECAwQFBgcICQoLDA0ODw\n");
    make_partition(env, "d1/old-topic-0", UUID_ZERO, 4, 3);
    make_partition(env, "d1/old-topic-2", UUID_ZERO, 6, 2);
    write_text(env, "d1/old-topic-0/leader-epoch-checkpoint", "0\n1\n4 0\n");
    write_text(env, "d1/old-topic-2/leader-epoch-checkpoint", "0\n2\n5 0\n6 1\n");
    make_partition(env, "d1/newer-0", id_of(5), 0, 1);
    make_partition(env, "d1/__consumer_offsets-0", UUID_ZERO, 0, 0);
    write_text(env, "d1/.kafka_cleanshutdown", "");
    struct uuid id = UUID_ZERO;
    for (int run = 0; run < 2; run++) {
        node_start(&n);
        const struct image *im = image_now(&n);
        assert_int_equal(im->topics_n, 3);
        const struct image_topic *t = image_topic(im, S("old-topic"));
        assert_int_equal(t->partitions_n, 3);
        if (run) assert_true(uuid_eq(t->id, id));
        id = t->id;
        assert_true(uuid_eq(image_topic(im, S("newer"))->id, id_of(5)));
        assert_true(image_topic(im, S("__consumer_offsets"))->conf.cleanup_compact); /* K9 */
        struct plog_offsets at;
        plog_offsets(partition_now(&n, "old-topic", 0)->log, &at);
        assert_int_equal(at.end, 3);
        assert_int_equal(partition_now(&n, "old-topic", 0)->leader_epoch, 5); /* above what its batches say */
        assert_int_equal(partition_now(&n, "old-topic", 2)->leader_epoch, 7);
        assert_int_equal(partition_now(&n, "old-topic", 1)->leader, 1); /* its directory was missing */
        node_stop(&n);
        char text[UUID_TEXT];
        uuid_text(id, text);
        assert_string_equal(test_read(env, test_path(env, "d1/old-topic-2/partition.metadata")),
                            arena_printf(&env->arena, "version: 0\ntopic_id: %s", text).p);
    }
}

/* However far a first start came before the disk failed and the power went: the next one has the topics, in epochs above those of their logs. */
static void a_takeover_from_zookeepers_time_that_was_cut_short_is_done_again(void **state)
{
    int failures = 0;
    (void)state;
    for (int nth = 1;; nth++) {
        struct test_env *env = test_env_sim(1);
        struct node n;
        node_init(&n, env, "");
        write_text(env, "d1/meta.properties", "version=0\nbroker.id=1\n");
        make_partition(env, "d1/old-topic-0", UUID_ZERO, 4, 3);
        write_text(env, "d1/old-topic-0/leader-epoch-checkpoint", "0\n1\n4 0\n");
        make_partition(env, "d1/newer-0", id_of(5), 0, 1);
        write_text(env, "d1/.kafka_cleanshutdown", "");
        int64_t calls = sim_fs_calls(env->world);
        sim_fault(env->world, (struct sim_fault){ .nth = nth, .err = -EIO, .sticky = true });
        int rc = node_try(&n);
        bool through = sim_fs_calls(env->world) - calls < nth;
        sim_fault(env->world, (struct sim_fault){ 0 });
        if (through) assert_ok(rc);
        else failures++;
        sim_forget(env->world, n.meta);
        sim_forget(env->world, n.logs);
        conf_unref(&n.conf);
        sim_power_loss(env->world);
        n.meta = NULL;
        n.logs = NULL;
        node_start(&n);
        const struct image *im = image_now(&n);
        assert_int_equal(im->topics_n, 2);
        assert_true(uuid_eq(image_topic(im, S("newer"))->id, id_of(5)));
        assert_true(partition_now(&n, "old-topic", 0)->leader_epoch > 4);
        struct plog_offsets at;
        plog_offsets(partition_now(&n, "old-topic", 0)->log, &at);
        assert_int_equal(at.end, 3);
        assert_non_null(strstr(test_read(env, test_path(env, "d1/meta.properties")), "version=1\n"));
        node_stop(&n);
        test_env_free(&(void *){ env });
        if (through) break;
    }
    assert_true(failures > 30);
}

/* ---- several log directories -------------------------------------------------------------------------------------------------------------------- */

static void partitions_spread_over_directories_and_stay_where_they_are(void **state)
{
    struct test_env *env = *state;
    struct node n;
    int in[2] = { 0 }, dir[6];
    node_init(&n, env, "");
    n.text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\n", env->dir, env->dir).p;
    node_start(&n);
    create(&n, "t", 6);
    for (int i = 0; i < 6; i++) in[dir[i] = plog_dir(partition_now(&n, "t", i)->log)]++;
    assert_int_equal(in[0], 3);
    assert_int_equal(in[1], 3);
    struct log_dir_info info;
    logs_dir_info(n.logs, dir[5], &info);
    assert_true(uuid_eq(info.id, partition_now(&n, "t", 5)->dir));
    node_stop(&n);
    /* One was moved by hand while nobody ran: where it lies counts, and the records follow. */
    struct fs *fs = env->world->fs;
    assert_ok(fs->rename(fs, arena_printf(&env->arena, "%s/d%d/t-0", env->dir, dir[0] + 1).p,
                         arena_printf(&env->arena, "%s/d%d/t-0", env->dir, 2 - dir[0]).p));
    node_start(&n);
    assert_int_equal(plog_dir(partition_now(&n, "t", 0)->log), 1 - dir[0]);
    logs_dir_info(n.logs, 1 - dir[0], &info);
    assert_true(uuid_eq(info.id, partition_now(&n, "t", 0)->dir));
    assert_int_equal(partition_now(&n, "t", 0)->leader_epoch, 0);
    assert_int_equal(partition_now(&n, "t", 0)->partition_epoch, 1);
    assert_int_equal(partition_now(&n, "t", 1)->partition_epoch, 0);
    node_stop(&n);
}

static void a_partition_of_a_directory_that_is_gone_waits_for_it(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    const char *both = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\n", env->dir, env->dir).p, *one = n.text;
    n.text = both;
    node_start(&n);
    create(&n, "t", 2);
    int away = plog_dir(partition_now(&n, "t", 0)->log) == 1 ? 0 : 1;
    node_stop(&n);
    n.text = one;
    node_start(&n);
    assert_null(partition_now(&n, "t", away)->log);
    assert_int_equal(partition_now(&n, "t", away)->log_err, E_OFFLINE);
    assert_int_equal(partition_now(&n, "t", 1 - away)->leader, 1);
    assert_int_equal(entries(&n, "t-"), 1);
    node_stop(&n);
    n.text = both;
    node_start(&n);
    assert_int_equal(partition_now(&n, "t", away)->leader, 1);
    node_stop(&n);
}

static void a_failed_directory_takes_the_lead_from_its_partitions(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    n.text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\n", env->dir, env->dir).p;
    node_start(&n);
    create(&n, "t", 2);
    int there_ = plog_dir(partition_now(&n, "t", 0)->log);
    meta_dir_offline(n.meta, there_);
    while (partition_now(&n, "t", 0)->leader != -1) assert_true(sim_step(env->world));
    assert_int_equal(partition_now(&n, "t", 0)->log_err, E_OFFLINE);
    assert_int_equal(partition_now(&n, "t", 1)->leader, 1);
    configure(&n, 2, "t", "retention.ms", "5"); /* stays so over changes */
    assert_int_equal(partition_now(&n, "t", 0)->leader, -1);
    node_stop(&n);
}

/* ---- refused ------------------------------------------------------------------------------------------------------------------------------------------ */

static void refused(struct node *n, int err, const char *reason)
{
    assert_err(node_try(n), err);
    if (!strstr(n->why.text, reason)) print_error("%s\n", n->why.text);
    assert_non_null(strstr(n->why.text, reason));
    assert_null(n->meta);
    node_drop(n);
}

static void directories_that_are_not_a_single_nodes_are_refused(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    unpack(env, "kafka-4.3.1-voters.gz", test_path(env, "d1"));
    write_text(env, "d1/__cluster_metadata-0/quorum-state",
               "{\"clusterId\":\"\",\"leaderId\":2,\"leaderEpoch\":1,\"votedId\":-1,\"appliedOffset\":0,\"currentVoters\":[{"
               "\"voterId\":1},{\"voterId\":2}],\"data_version\":0}");
    const char *before = test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state"));
    refused(&n, E_UNSUPPORTED, "controller 2 belongs to this cluster too");
    assert_string_equal(test_read(env, test_path(env, "d1/__cluster_metadata-0/quorum-state")), before);
    assert_true(there(&n, "d1/.kafka_cleanshutdown")); /* nothing was touched */
}

/* One of a node's log directories, without the one that has the metadata log. A second log would give its topics away. */
static void partitions_of_a_kraft_node_without_its_metadata_log_are_refused(void **state)
{
    struct test_env *env = *state;
    struct node n;
    const char *dir = env->dir;
    node_init(&n, env, "");
    const char *both = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\n", dir, dir).p;
    const char *one = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d2\n", dir).p;
    const char *added = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d3,%s/d2\n", dir, dir).p;
    n.text = both;
    node_start(&n);
    create(&n, "t", 2);
    struct uuid id = image_topic(image_now(&n), S("t"))->id;
    node_stop(&n);
    n.text = one;
    refused(&n, E_INVALID,
            "the metadata log, __cluster_metadata-0, is in none of log.dirs: name all of that node's log directories");
    assert_false(there(&n, "d2/__cluster_metadata-0")); /* nothing was touched */
    assert_true(there(&n, "d2/.kafka_cleanshutdown"));
    n.text = added;
    refused(&n, E_INVALID, "/d2 is a KRaft node's and holds partitions");
    assert_false(there(&n, "d3/__cluster_metadata-0"));
    /* A directory that is new among them is welcome. */
    n.text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d4,%s/d1,%s/d2\n", dir, dir, dir).p;
    node_start(&n);
    assert_true(uuid_eq(image_topic(image_now(&n), S("t"))->id, id));
    assert_int_equal(partition_now(&n, "t", 0)->leader, 1);
    assert_int_equal(partition_now(&n, "t", 1)->leader, 1);
    node_stop(&n);
    assert_false(there(&n, "d4/__cluster_metadata-0"));
}

static void a_newer_metadata_version_is_refused(void **state)
{
    struct test_env *env = *state;
    struct node n;
    struct op up = { .kind = OP_RAW, .raw = r_feature(&env->arena, "metadata.version", 31) };
    node_init(&n, env, "");
    node_start(&n);
    assert_ok(op_do(&n, &up));
    node_stop(&n);
    refused(&n, E_UNSUPPORTED, "metadata.version 31 was finalized by a newer broker");
}

static void two_metadata_logs_need_a_word_which_one_counts(void **state)
{
    struct test_env *env = *state;
    struct node n;
    const char *dir = env->dir;
    node_init(&n, env, "");
    n.text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\n", dir, dir).p;
    node_start(&n);
    node_stop(&n);
    assert_false(there(&n, "d2/__cluster_metadata-0"));
    assert_ok(fs_mkdirs(env->world->fs, test_path(env, "d2/__cluster_metadata-0")));
    refused(&n, E_INVALID, "a second __cluster_metadata-0");
    n.text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1,%s/d2\nmetadata.log.dir=%s/d1\n", dir, dir, dir).p;
    node_start(&n);
    assert_int_equal(meta_quorum_epoch(n.meta), 2);
    node_stop(&n);
}

static void a_log_that_does_not_reach_back_to_a_snapshot_is_refused(void **state)
{
    struct test_env *env = *state;
    struct node n;
    node_init(&n, env, "");
    unpack(env, "kafka-4.3.1-standalone.gz", test_path(env, "d1"));
    struct fs *fs = env->world->fs;
    write_text(env, "d1/__cluster_metadata-0/00000000000000000999-0000000002.checkpoint", "x");
    assert_ok(fs->rename(fs, test_path(env, "d1/__cluster_metadata-0/00000000000000000052-0000000002.checkpoint"),
                         test_path(env, "d1/__cluster_metadata-0/00000000000000000998-0000000002.checkpoint")));
    refused(&n, E_CORRUPT, "the log ends at offset 53, before the snapshot at 998");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(everything_kafka_knew_is_known_and_every_partition_is_led),
        IN_BOTH_WORLDS(a_snapshot_of_kafka_is_where_the_replay_begins),
        IN_SIM_WORLD(damaged_snapshots_fall_back_to_the_log),
        IN_SIM_WORLD(an_unclean_stop_raises_every_leader_epoch_once),
        IN_SIM_WORLD(a_log_with_a_larger_epoch_raises_the_metadata_above_it),
        IN_SIM_WORLD(the_quorum_epoch_is_above_quorum_state_and_log),
        IN_SIM_WORLD(strange_directories_are_left_alone),
        IN_SIM_WORLD(a_directory_with_another_topics_id_is_not_taken_for_ours),
        IN_SIM_WORLD(a_deleted_topic_takes_no_other_topics_directory_with_it),
        IN_SIM_WORLD(a_partition_lost_from_its_directory_comes_back_empty),
        IN_SIM_WORLD(a_deletion_that_a_crash_cut_short_is_finished),
        IN_SIM_WORLD(topics_of_zookeepers_time_get_ids_in_both_places),
        cmocka_unit_test(a_takeover_from_zookeepers_time_that_was_cut_short_is_done_again),
        IN_SIM_WORLD(partitions_spread_over_directories_and_stay_where_they_are),
        IN_SIM_WORLD(a_partition_of_a_directory_that_is_gone_waits_for_it),
        IN_SIM_WORLD(a_failed_directory_takes_the_lead_from_its_partitions),
        IN_SIM_WORLD(directories_that_are_not_a_single_nodes_are_refused),
        IN_SIM_WORLD(partitions_of_a_kraft_node_without_its_metadata_log_are_refused),
        IN_SIM_WORLD(a_newer_metadata_version_is_refused),
        IN_SIM_WORLD(two_metadata_logs_need_a_word_which_one_counts),
        IN_SIM_WORLD(a_log_that_does_not_reach_back_to_a_snapshot_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
