/* What `odradek check DIR` says of directories made here by the layers that serve them, of ones that Apache Kafka made, and of damaged ones; and that
 * it leaves all of them as they were. */
#include "check_dir.h"
#include "test.h"

#include <odradek/meta.h>
#include <stdlib.h>

/* ---- a broker without a network --------------------------------------------------------------------------------------------------------- */

struct node {
    struct world *w;
    struct conf *conf;
    struct logs *logs;
    struct meta *meta;
};

static void start(struct node *n, struct test_env *env, const char *dir)
{
    struct conf_report report = { 0 };
    struct why why = { "" };
    *n = (struct node){ .w = env->world };
    const char *text = arena_printf(&env->arena, "log.dirs=%s\nnode.id=1\n", test_path(env, dir)).p;
    assert_ok(conf_parse(slice_of(text), &n->conf, &report));
    conf_report_free(&report);
    assert_ok(logs_open(n->w, n->conf, &n->logs, &why));
    assert_ok(meta_open(n->w, n->logs, n->conf, &n->meta, &why));
}

static void stop(struct node *n, bool clean)
{
    int64_t epoch = meta_broker_epoch(n->meta);
    meta_stop(n->meta);
    if (clean) assert_ok(logs_close(n->logs, epoch));
    meta_free(&n->meta);
    logs_free(&n->logs);
    conf_unref(&n->conf);
}

struct creation {
    struct meta_change change;
    const char *name;
    int32_t partitions;
};

static int create_run(struct meta_change *c, struct meta_edit *e)
{
    struct creation *o = container_of(c, struct creation, change);
    edit_create_topic(e, slice_of(o->name), o->partitions, NULL, 0);
    return 0;
}

static void create(struct node *n, const char *name, int32_t partitions)
{
    struct creation o = { .change.run = create_run, .name = name, .partitions = partitions };
    assert_ok(meta_change_now(n->meta, &o.change));
}

static void produce(struct node *n, const char *topic, const char *value)
{
    struct bytes b = { 0 };
    struct batch_builder build;
    struct batch_opts opts = BATCH_OPTS;
    struct image *im = meta_image_take(n->meta);
    struct plog *log = image_topic(im, slice_of(topic))->partitions[0].log;
    batch_begin(&build, &opts, &b);
    batch_append(&build, 1700000000000, S("k"), slice_of(value), NULL, 0);
    assert_true(batch_end(&build) > 0);
    struct append a = { .log = log, .bytes = b.p, .n = b.n, .records = 1, .origin = APPEND_CLIENT };
    assert_ok(plog_append_now(log, &a));
    bytes_free(&b);
    image_unref(&im);
}

/* One topic of two partitions, three batches in orders-0. */
static void make(struct test_env *env, const char *dir, bool clean)
{
    struct node n;
    start(&n, env, dir);
    create(&n, "orders", 2);
    produce(&n, "orders", "one");
    produce(&n, "orders", "two");
    produce(&n, "orders", "three");
    stop(&n, clean);
}

/* ---- looking ------------------------------------------------------------------------------------------------------------------------------- */

static void tree(struct test_env *env, const char *path, struct bytes *out)
{
    struct fs *fs = env->world->fs;
    struct slice *names;
    int n;
    assert_ok(fs->list(fs, path, &env->arena, &names, &n));
    for (int i = 0; i < n; i++) {
        struct fs_stat st;
        const char *p = arena_printf(&env->arena, "%s/" S_FMT, path, S_ARG(names[i])).p;
        assert_ok(fs->stat(fs, p, &st));
        bytes_printf(out, "%s %d %lld %lld\n", p, st.is_dir, st.is_dir ? 0LL : (long long)st.size,
                     st.is_dir ? 0LL : (long long)st.mtime_ms);
        if (st.is_dir) tree(env, p, out);
        else assert_ok(fs_read_file(fs, p, 1 << 26, out));
    }
}

static int look_at(struct test_env *env, bool deep, const char **text, const char *a, const char *b)
{
    const char *paths[] = { test_path(env, a), b ? test_path(env, b) : NULL };
    struct check_dirs o = { .paths = paths, .n = b ? 2 : 1, .deep = deep };
    struct bytes out = { 0 }, before = { 0 }, after = { 0 };
    for (int i = 0; i < o.n; i++) tree(env, paths[i], &before);
    int rc = check_dirs(env->world, &o, &out);
    for (int i = 0; i < o.n; i++) tree(env, paths[i], &after);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n); /* whatever it says, it changed nothing */
    *text = arena_printf(&env->arena, "%.*s", (int)out.n, (const char *)out.p).p;
    bytes_free(&out);
    bytes_free(&before);
    bytes_free(&after);
    return rc;
}

#define assert_says(text, what)                                                     \
    do {                                                                            \
        if (!strstr((text), (what))) fail_msg("no \"%s\" in:\n%s", (what), (text)); \
    } while (0)
#define assert_silent(text, what)                                               \
    do {                                                                        \
        if (strstr((text), (what))) fail_msg("\"%s\" in:\n%s", (what), (text)); \
    } while (0)

static void edit(struct test_env *env, const char *name, int64_t at, const void *p, size_t n) /* at < 0: at the end */
{
    struct fs *fs = env->world->fs;
    struct fs_stat st;
    int fd = fs->open(fs, test_path(env, name), FS_WRITE | FS_CREATE);
    assert_true(fd >= 0);
    assert_ok(fs->fstat(fs, fd, &st));
    struct iovec v = { (void *)(uintptr_t)p, n };
    assert_ok(fs->pwritev(fs, fd, &v, 1, at < 0 ? st.size : at));
    fs->close(fs, fd);
}

#define SEGMENT "orders-0/00000000000000000000.log"

/* ---- tests ---------------------------------------------------------------------------------------------------------------------------------- */

static void a_clean_directory_of_ours_is_told(void **state)
{
    struct test_env *env = *state;
    const char *text;
    make(env, "d", true);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "belongs to       node 1 of cluster ");
    assert_says(text, "stopped          clean (broker epoch ");
    assert_says(text, "last owner       Odradek\n");
    assert_says(text, "kraft.version    1\n");
    assert_says(text, "metadata.version 30 (4.3-IV0)\n");
    assert_says(text, "1 with 2 partitions, 2 of them here; ");
    assert_says(text, "damage           none seen in the batches' headers");
    assert_says(text, "Apache Kafka     4.3 and later\n");
    assert_says(text, "Odradek          yes\n");
    assert_says(text, "would keep their leader epochs\n");
    assert_silent(text, "strays");
    assert_silent(text, "not stopped clean");
    assert_ok(look_at(env, true, &text, "d", NULL));
    assert_says(text, "none seen; all checksums are right\n");
}

static void what_is_foretold_happens(void **state)
{
    struct test_env *env = *state;
    const char *text;
    struct node n;
    make(env, "d", false);
    edit(env, "d/" SEGMENT, -1, "torn", 4);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "stopped          not clean");
    assert_says(text, "let Odradek start and stop first, or odradek check --repair\n");
    assert_says(text, "orders-0 from offset 3 to the end: segment 0, position ");
    assert_says(text, "4 bytes (no whole batch)\n");
    assert_says(text, "2 would get node 1 as leader and only in-sync replica");
    const char *epoch = strstr(text, "quorum epoch 2 would begin at offset ");
    assert_non_null(epoch);
    long long at = atoll(epoch + strlen("quorum epoch 2 would begin at offset "));

    start(&n, env, "d");
    assert_int_equal(meta_quorum_epoch(n.meta), 2);
    assert_true(meta_broker_epoch(n.meta) >= at && meta_broker_epoch(n.meta) <= at + 4);
    struct image *im = meta_image_take(n.meta);
    struct plog_offsets o;
    plog_offsets(image_topic(im, S("orders"))->partitions[0].log, &o);
    assert_int_equal(o.end, 3);
    assert_int_equal(image_topic(im, S("orders"))->partitions[0].leader_epoch, 1);
    image_unref(&im);
    stop(&n, true);
    assert_ok(look_at(env, true, &text, "d", NULL));
    assert_says(text, "would keep their leader epochs\n");
    assert_silent(text, "would be cut");
}

static void damage_below_the_recovery_point_is_told_with_its_offsets(void **state)
{
    struct test_env *env = *state;
    const char *text;
    struct bytes b = { 0 };
    int32_t size = 0;
    make(env, "d", true);
    assert_ok(fs_read_file(env->world->fs, test_path(env, "d/" SEGMENT), 1 << 20, &b));
    assert_ok(batch_size(b.p, b.n, &size));
    b.p[size + BATCH_AT_RECORDS + 3] ^= 1; /* in the second batch's record */
    edit(env, "d/" SEGMENT, 0, b.p, b.n);
    assert_ok(look_at(env, false, &text, "d", NULL)); /* its header is right */
    assert_err(look_at(env, true, &text, "d", NULL), E_CORRUPT);
    assert_says(text, arena_printf(&env->arena,
                                   "orders-0 from offset 1 to 2: segment 0, position %d, %d bytes (wrong checksum)\n", size, size)
                          .p);
    b.p[size + BATCH_AT_MAGIC] = 9; /* and in its header: seen at once */
    edit(env, "d/" SEGMENT, 0, b.p, b.n);
    assert_err(look_at(env, false, &text, "d", NULL), E_CORRUPT);
    assert_says(text, "orders-0 from offset 1 to 2: ");
    assert_says(text, "(no whole batch)\n");
    bytes_free(&b);
}

static void directories_that_kafka_would_set_aside_are_listed(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *text;
    make(env, "d", true);
    assert_ok(fs_mkdirs(fs, test_path(env, "d/ghost-0")));
    assert_ok(fs_mkdirs(fs, test_path(env, "d/lost+found")));
    assert_ok(fs->unlink(fs, test_path(env, "d/orders-1/partition.metadata")));
    edit(env, "d/orders-0/partition.metadata", 0, "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg", 43);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "strays           2 that Kafka would set aside");
    assert_says(text, "    ghost-0: the metadata has no such partition\n");
    assert_says(text, "    orders-0: its topic id is not that of the topic with this name\n");
    assert_says(text, "1 would get a partition.metadata");
    assert_says(text, "it does not start with a directory in it that is no partition's: 1 here\n");
}

static void a_journal_that_lies_there_is_judged(void **state)
{
    struct test_env *env = *state;
    const char *text;
    make(env, "d", false);
    assert_ok(fs_write_file(env->world->fs, test_path(env, "d/odradek.journal"), S("no group in it")));
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "journal          14 B, 0 groups of quorum epoch -1: empty\n");
    assert_says(text, "let Odradek start and stop first, or odradek check --repair\n");
    assert_ok(fs_write_file(env->world->fs, test_path(env, "d/.kafka_cleanshutdown"), S("")));
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "a clean stop came after it, it would be set aside\n");
    assert_silent(text, "start and stop first");
}

static int lose_run(struct meta_change *c, struct meta_edit *e)
{
    struct partition_change_record r = dflt_partition_change_record;
    int32_t two[] = { 1, 2 };
    (void)c;
    r.partition_id = 0;
    r.topic_id = image_topic(edit_image(e), S("orders"))->id;
    r.replicas = two;
    r.replicas_n = 2;
    r.isr = &two[1];
    r.isr_n = 1;
    r.leader = 2;
    edit_record(e, &msg_partition_change_record, 0, &r);
    return 0;
}

static void partitions_that_are_in_sync_elsewhere_are_counted(void **state)
{
    struct test_env *env = *state;
    const char *text;
    struct node n;
    struct meta_change lose = { .run = lose_run };
    start(&n, env, "d");
    create(&n, "orders", 2);
    assert_ok(meta_change_now(n.meta, &lose));
    stop(&n, true);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "1 would get node 1 as leader and only in-sync replica");
    assert_says(text, "1 of them have their in-sync replicas on other brokers");
}

static void directories_of_two_brokers_contradict_each_other(void **state)
{
    struct test_env *env = *state;
    const char *text;
    make(env, "d", true);
    make(env, "e", true);
    assert_err(look_at(env, false, &text, "d", "e"), E_INVALID);
    assert_says(text, "error: ");
    assert_says(text, "one broker cannot serve two clusters");
}

/* As tests/unit/meta/data/pack.py packed it. */
static void unpack(struct test_env *env, const char *file, const char *dir)
{
    struct world *real = world_real_new();
    struct bytes packed = { 0 }, all = { 0 };
    struct fs *fs = env->world->fs;
    assert_ok(fs_read_file(real->fs, arena_printf(&env->arena, "%s/unit/meta/data/%s", TESTDATA, file).p, 1 << 20, &packed));
    assert_ok(codec_decompress(CODEC_GZIP, packed.p, packed.n, 1 << 24, &all));
    assert_ok(fs_mkdirs(fs, test_path(env, arena_printf(&env->arena, "%s/__cluster_metadata-0", dir).p)));
    for (size_t at = 0; at < all.n;) {
        size_t name_n = be16(all.p + at), n = be32(all.p + at + 2 + name_n);
        const char *name = arena_printf(&env->arena, "%s/%.*s", dir, (int)name_n, (const char *)all.p + at + 2).p;
        at += 2 + name_n + 4;
        assert_ok(fs_write_file(fs, test_path(env, name), (struct slice){ (const char *)all.p + at, n }));
        at += n;
    }
    bytes_free(&packed);
    bytes_free(&all);
    world_free(&real);
}

static void a_directory_of_kafka_is_told(void **state)
{
    struct test_env *env = *state;
    const char *text;
    unpack(env, "kafka-4.3.1-standalone.gz", "s");
    assert_ok(look_at(env, true, &text, "s", NULL));
    assert_says(text, "last owner       Apache Kafka\n");
    assert_says(text, "kraft.version    1\n");
    assert_says(text, "as leader and only in-sync replica");
    assert_says(text, "without a directory would be made, empty\n"); /* the sample has none */
    assert_says(text, "carried along    1 SCRAM credential: ");
    unpack(env, "kafka-4.3.1-voters.gz", "v");
    assert_ok(look_at(env, true, &text, "v", NULL));
    assert_says(text, "last owner       Apache Kafka\n");
    assert_says(text, "kraft.version    0: Kafka opens it with controller.quorum.voters only\n");
}

static void a_directory_of_zookeepers_time_is_told(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *text;
    make(env, "d", true);
    assert_ok(fs_remove_tree(fs, test_path(env, "d/__cluster_metadata-0")));
    assert_err(look_at(env, false, &text, "d", NULL), E_NOT_FOUND); /* a KRaft node's, and not all of it */
    assert_says(text, "the metadata log is in none of these directories");
    assert_ok(fs_write_file(fs, test_path(env, "d/meta.properties"), S("version=0\nbroker.id=1\n")));
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "broker 1 of cluster unknown (ZooKeeper's time)\n");
    assert_says(text, "partitions       2, ");
    assert_says(text, "would be made of the directories' names");
}

static void a_damaged_identity_is_why_it_does_not_open(void **state)
{
    struct test_env *env = *state;
    const char *text;
    make(env, "d", true);
    assert_ok(fs_write_file(env->world->fs, test_path(env, "d/meta.properties"), S("nonsense\nversion=7\n")));
    assert_err(look_at(env, false, &text, "d", NULL), E_CORRUPT);
    assert_says(text, "belongs to       unknown: ");
    assert_says(text, "Odradek          no: ");
}

static void an_empty_directory_is_nobodys(void **state)
{
    struct test_env *env = *state;
    const char *text;
    assert_ok(fs_mkdirs(env->world->fs, test_path(env, "e")));
    assert_ok(look_at(env, false, &text, "e", NULL));
    assert_says(text, "nobody: it was never formatted\n");
}

static void a_directory_that_was_only_formatted_is_told(void **state)
{
    struct test_env *env = *state;
    const char *text;
    assert_ok(fs_mkdirs(env->world->fs, test_path(env, "f")));
    assert_ok(fs_write_file(env->world->fs, test_path(env, "f/meta.properties"),
                            S("version=1\nnode.id=4\ncluster.id=AAECAwQFBgcICQoLDA0ODw\n")));
    assert_ok(look_at(env, false, &text, "f", NULL));
    assert_says(text, "belongs to       node 4 of cluster AAECAwQFBgcICQoLDA0ODw");
    assert_says(text, "formatted, never started");
    assert_says(text, "metadata log     would be made");
}

static void a_lock_that_somebody_holds_is_told(void **state)
{
    struct test_env *env = *state;
    struct fs *fs = env->world->fs;
    const char *text;
    make(env, "d", true);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_silent(text, "in use");
    int fd = fs->lock(fs, test_path(env, "d/.lock"));
    assert_true(fd >= 0);
    assert_ok(look_at(env, false, &text, "d", NULL));
    assert_says(text, "in use           by ");
    fs->close(fs, fd);
}

static void a_directory_among_the_arguments_is_what_asks_for_it(void **state)
{
    struct test_env *env = *state;
    char *dir[] = { (char *)(uintptr_t)env->dir }, *file[] = { "server.properties", "--override", "a=b" };
    char *deep[] = { "nowhere", "--deep" };
    assert_true(check_dirs_wanted(1, dir));
    assert_true(check_dirs_wanted(2, deep));
    assert_false(check_dirs_wanted(3, file));
    assert_false(check_dirs_wanted(0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH_WORLDS(a_clean_directory_of_ours_is_told),
        IN_SIM_WORLD(what_is_foretold_happens),
        IN_SIM_WORLD(damage_below_the_recovery_point_is_told_with_its_offsets),
        IN_SIM_WORLD(directories_that_kafka_would_set_aside_are_listed),
        IN_SIM_WORLD(a_journal_that_lies_there_is_judged),
        IN_SIM_WORLD(partitions_that_are_in_sync_elsewhere_are_counted),
        IN_SIM_WORLD(directories_of_two_brokers_contradict_each_other),
        IN_SIM_WORLD(a_directory_of_kafka_is_told),
        IN_SIM_WORLD(a_directory_of_zookeepers_time_is_told),
        IN_SIM_WORLD(a_damaged_identity_is_why_it_does_not_open),
        IN_SIM_WORLD(an_empty_directory_is_nobodys),
        IN_SIM_WORLD(a_directory_that_was_only_formatted_is_told),
        IN_REAL_WORLD(a_lock_that_somebody_holds_is_told),
        IN_REAL_WORLD(a_directory_among_the_arguments_is_what_asks_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
