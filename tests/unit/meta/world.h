/* A broker's storage and metadata in a test's world: opened, stopped, killed. */
#pragma once
#include "help.h"
#include "impl.h"

struct node {
    struct test_env *env;
    const char *text; /* of its configuration */
    struct conf *conf;
    struct logs *logs;
    struct meta *meta;
    struct why why;
};
static inline void node_init(struct node *n, struct test_env *env, const char *extra)
{
    *n = (struct node){ .env = env };
    n->text = arena_printf(&env->arena, "node.id=1\nlog.dirs=%s/d1\n%s\n", env->dir, extra).p;
}

static inline int node_try(struct node *n)
{
    n->why.text[0] = 0;
    n->conf = conf_of(n->text);
    int rc = logs_open(n->env->world, n->conf, &n->logs, &n->why);
    if (rc) {
        n->logs = NULL;
        return rc;
    }
    return meta_open(n->env->world, n->logs, n->conf, &n->meta, &n->why);
}

static inline void node_broken(void *arg) { meta_log_broken(((struct node *)arg)->meta); }

static inline void node_start(struct node *n)
{
    int rc = node_try(n);
    if (rc) print_error("%s\n", n->why.text);
    assert_ok(rc);
    logs_on_broken(n->logs, node_broken, n);
}

/* After a failed start. */
static inline void node_drop(struct node *n)
{
    if (n->meta) {
        meta_stop(n->meta);
        meta_free(&n->meta);
    }
    if (n->logs) logs_free(&n->logs);
    conf_unref(&n->conf);
}

static inline void node_stop(struct node *n)
{
    int64_t epoch = meta_broker_epoch(n->meta);
    meta_stop(n->meta);
    assert_ok(logs_close(n->logs, epoch));
    meta_free(&n->meta);
    logs_free(&n->logs);
    conf_unref(&n->conf);
}

/* ---- changes in a line ------------------------------------------------------------------------------------------------------------ */

enum op_kind { OP_CREATE, OP_DELETE, OP_PARTITIONS, OP_CONFIG, OP_RAW, OP_INTERNAL, OP_REFUSE };
struct op {
    struct meta_change change;
    enum op_kind kind;
    const char *topic, *name, *value;
    int32_t n;
    int8_t type;
    struct slice raw;
    struct uuid id;
};
static inline int op_run(struct meta_change *c, struct meta_edit *e)
{
    struct op *o = container_of(c, struct op, change);
    const struct image_topic *t = o->topic ? image_topic(edit_image(e), slice_of(o->topic)) : NULL;
    switch (o->kind) {
    case OP_CREATE: {
        struct image_config kv = { slice_of(o->name), slice_of(o->value) };
        if (t) return E_TOPIC_ALREADY_EXISTS;
        o->id = edit_create_topic(e, slice_of(o->topic), o->n, &kv, o->name ? 1 : 0);
        return 0;
    }
    case OP_DELETE:
        if (!t) return E_UNKNOWN_TOPIC_OR_PARTITION;
        edit_delete_topic(e, t);
        return 0;
    case OP_PARTITIONS:
        if (!t) return E_UNKNOWN_TOPIC_OR_PARTITION;
        edit_add_partitions(e, t, o->n);
        return 0;
    case OP_CONFIG: edit_config(e, o->type, slice_of(o->topic), slice_of(o->name), slice_of(o->value)); return 0;
    case OP_RAW: edit_raw(e, o->raw); return 0;
    case OP_INTERNAL: o->id = edit_create_internal_topic(e, slice_of(o->topic)); return 0;
    case OP_REFUSE: edit_config(e, 4, S(""), S("log.retention.ms"), S("1")); return E_INVALID_CONFIG;
    }
    return E_INVALID;
}

static inline int op_do(struct node *n, struct op *o)
{
    o->change.run = op_run;
    return meta_change_now(n->meta, &o->change);
}
static inline struct uuid create(struct node *n, const char *topic, int32_t partitions)
{
    struct op o = { .kind = OP_CREATE, .topic = topic, .n = partitions };
    assert_ok(op_do(n, &o));
    return o.id;
}
static inline void delete_topic(struct node *n, const char *topic)
{
    struct op o = { .kind = OP_DELETE, .topic = topic };
    assert_ok(op_do(n, &o));
}
static inline void configure(struct node *n, int8_t type, const char *resource, const char *name, const char *value)
{
    struct op o = { .kind = OP_CONFIG, .type = type, .topic = resource, .name = name, .value = value };
    assert_ok(op_do(n, &o));
}

/* The newest image; valid until the next call or stop. */
static inline const struct image *image_now(struct node *n)
{
    struct image *im = meta_image_take(n->meta);
    const struct image *same = im;
    image_unref(&im); /* the meta holds it */
    return same;
}
static inline const struct image_partition *partition_now(struct node *n, const char *topic, int32_t p)
{
    const struct image_topic *t = image_topic(image_now(n), slice_of(topic));
    assert_non_null(t);
    assert_true(p < t->partitions_n);
    return &t->partitions[p];
}

static inline bool there(struct node *n, const char *path)
{
    struct fs_stat st;
    struct fs *fs = n->env->world->fs;
    return fs->stat(fs, test_path(n->env, path), &st) == 0;
}

/* How many entries of d1 begin so. */
static inline int entries(struct node *n, const char *prefix)
{
    struct slice *names;
    int count, hits = 0;
    struct fs *fs = n->env->world->fs;
    assert_ok(fs->list(fs, test_path(n->env, "d1"), &n->env->arena, &names, &count));
    for (int i = 0; i < count; i++) hits += names[i].n >= strlen(prefix) && memcmp(names[i].p, prefix, strlen(prefix)) == 0;
    return hits;
}

/* Unpacks what data/pack.py packed. */
static inline void unpack(struct test_env *env, const char *file, const char *dir)
{
    struct world *real = world_real_new();
    struct bytes packed = { 0 }, all = { 0 };
    struct fs *fs = env->world->fs;
    assert_ok(fs_read_file(real->fs, arena_printf(&env->arena, "%s/unit/meta/data/%s", TESTDATA, file).p, 1 << 20, &packed));
    assert_ok(codec_decompress(CODEC_GZIP, packed.p, packed.n, 1 << 24, &all));
    assert_ok(fs_mkdirs(fs, arena_printf(&env->arena, "%s/__cluster_metadata-0", dir).p));
    for (size_t at = 0; at < all.n;) {
        size_t name_n = be16(all.p + at), n = be32(all.p + at + 2 + name_n);
        const char *path = arena_printf(&env->arena, "%s/%.*s", dir, (int)name_n, (const char *)all.p + at + 2).p;
        at += 2 + name_n + 4;
        assert_ok(fs_write_file(fs, path, (struct slice){ (const char *)all.p + at, n }));
        at += n;
    }
    bytes_free(&packed);
    bytes_free(&all);
    world_free(&real);
}
