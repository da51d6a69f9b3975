#include "image.h"

#include "draft.h"

/* Configs are handed to the config layer as they are. */
static_assert(sizeof(struct image_config) == sizeof(struct conf_kv) &&
                  offsetof(struct image_config, value) == offsetof(struct conf_kv, value),
              "image_config and conf_kv differ");

enum { STOCK = 4096 }; /* references that a cache takes at once */

/* ---- counted blocks ---------------------------------------------------------------------------------------------------------- */

struct block {
    _Atomic uint32_t refs;
    _Alignas(16) char data[];
};

void *block_new(size_t n)
{
    struct block *b = mem_zalloc(sizeof *b + n);
    atomic_init(&b->refs, 1);
    return b->data;
}

void *block_ref(void *data)
{
    if (data) atomic_fetch_add_explicit(&container_of(data, struct block, data)->refs, 1, memory_order_relaxed);
    return data;
}

void block_unref(void *data)
{
    if (!data) return;
    struct block *b = container_of(data, struct block, data);
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) mem_free(b);
}

/* ---- counting ------------------------------------------------------------------------------------------------------------------ */

void topic_ref(struct image_topic *t) { atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed); }

void topic_unref(struct image_topic *t)
{
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < t->partitions_n; i++)
        if (t->partitions[i].log) plog_unref(&t->partitions[i].log);
    mem_free((struct topic *)(void *)t);
}

struct image_chunk *chunk_ref(struct image_chunk *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void chunk_unref(struct image_chunk *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < c->n; i++) topic_unref(c->t[i]);
    mem_free(c);
}

struct image *image_ref(const struct image *im)
{
    struct image *i = (struct image *)im;
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

static void unref_n(struct image *i, uint32_t n)
{
    if (atomic_fetch_sub_explicit(&i->refs, n, memory_order_acq_rel) != n) return;
    for (int k = 0; k < i->chunks_n; k++) chunk_unref(i->chunks[k]);
    block_unref(i->features);
    block_unref(i->resources);
    struct conf *conf = (struct conf *)i->conf;
    if (conf) conf_unref(&conf);
    mem_free(i->chunks);
    mem_free(i->topics);
    mem_free(i->by_id);
    mem_free(i);
}

void image_unref(struct image **im)
{
    struct image *i = *im;
    *im = NULL;
    if (i) unref_n(i, 1);
}

struct image *image_lend(struct image_cache *c)
{
    if (c->stock == 1) {
        atomic_fetch_add_explicit(&c->held->refs, STOCK, memory_order_relaxed);
        c->stock += STOCK;
    }
    c->stock--;
    return c->held;
}

void image_give_back(struct image_cache *c, const struct image **im)
{
    if (*im && *im == c->held) {
        c->stock++;
        *im = NULL;
        return;
    }
    image_unref((struct image **)im);
}

void image_cache_end(struct image_cache *c)
{
    if (c->held) unref_n(c->held, c->stock);
    *c = (struct image_cache){ 0 };
}

struct image *image_empty(const struct image_env *env)
{
    struct image *i = new (struct image);
    atomic_init(&i->refs, 1);
    i->offset = -1;
    i->conf = env->conf ? conf_ref(env->conf) : NULL;
    return i;
}

/* ---- looking up ---------------------------------------------------------------------------------------------------------------- */

const struct image_topic *image_topic(const struct image *im, struct slice name)
{
    int32_t lo = 0, hi = im->topics_n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        int c = slice_cmp(im->topics[mid]->name, name);
        if (c == 0) return im->topics[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

const struct image_topic *image_topic_by_id(const struct image *im, struct uuid id)
{
    int32_t lo = 0, hi = im->topics_n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        int c = memcmp(im->by_id[mid]->id.b, id.b, sizeof id.b);
        if (c == 0) return im->by_id[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

int resource_cmp(int8_t type_a, struct slice a, int8_t type_b, struct slice b)
{
    return type_a != type_b ? (type_a < type_b ? -1 : 1) : slice_cmp(a, b);
}

const struct image_resource *image_resource(const struct image *im, int8_t type, struct slice name)
{
    int32_t lo = 0, hi = im->resources_n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        int c = resource_cmp(im->resources[mid].type, im->resources[mid].name, type, name);
        if (c == 0) return &im->resources[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

int16_t image_feature_level(const struct image *im, struct slice name)
{
    for (int i = 0; i < im->features_n; i++)
        if (slice_eq(im->features[i].name, name)) return im->features[i].level;
    return 0;
}

int16_t image_level(const struct image *im) { return MAX(image_feature_level(im, S("metadata.version")), (int16_t)LEVEL_MIN); }

/* ---- partitions ------------------------------------------------------------------------------------------------------------------ */

bool ints_eq(ints a, ints b)
{
    return ints_n(a) == ints_n(b) && (a == b || ints_n(a) == 0 || memcmp(a, b, sizeof(int32_t) * (size_t)(a[0] + 1)) == 0);
}

bool ints_only(ints v, int32_t one) { return ints_n(v) == 1 && v[1] == one; }

bool ints_have(ints v, int32_t x)
{
    for (int i = 1; i <= ints_n(v); i++)
        if (v[i] == x) return true;
    return false;
}

bool part_disturbed(const struct part *p, int32_t me)
{
    return p->leader != me || !ints_only(p->isr, me) || p->elr || p->last_elr || p->recovery;
}

bool part_behind(const struct part *p, int32_t me)
{
    return ints_n(p->isr) + ints_n(p->elr) > 0 && !ints_have(p->isr, me) && !ints_have(p->elr, me);
}

struct uuid part_dir(const struct part *p, int32_t node_id)
{
    for (int i = 0; i < ints_n(p->replicas) && i < p->dirs_n; i++)
        if (p->replicas[i + 1] == node_id) return p->dirs[i];
    return UUID_ZERO;
}

void image_attach(const struct image_env *env, struct image_topic *t, int32_t partition, struct plog *log, int err)
{
    struct image_partition *p = &t->partitions[partition];
    assert(!p->log);
    p->log = log;
    p->log_err = log ? 0 : err;
    p->leader = log && topic_of(t)->parts[partition].leader == env->node_id ? env->node_id : -1;
}

static int32_t *ints_copy(struct arena *a, ints v, int32_t *n)
{
    *n = ints_n(v);
    if (!*n) return NULL;
    int32_t *p = arena_array(a, int32_t, *n);
    memcpy(p, v + 1, sizeof(int32_t) * (size_t)*n);
    return p;
}

void image_part_record(const struct image_topic *t, int32_t partition, int16_t version, struct arena *a,
                       struct partition_record *out)
{
    const struct part *p = &topic_of(t)->parts[partition];
    *out = dflt_partition_record;
    out->partition_id = partition;
    out->topic_id = t->id;
    out->leader = p->leader;
    out->leader_epoch = p->leader_epoch;
    out->partition_epoch = p->partition_epoch;
    out->leader_recovery_state = p->recovery;
    out->replicas = ints_copy(a, p->replicas, &out->replicas_n);
    out->isr = ints_copy(a, p->isr, &out->isr_n);
    out->removing_replicas = ints_copy(a, p->removing, &out->removing_replicas_n);
    out->adding_replicas = ints_copy(a, p->adding, &out->adding_replicas_n);
    if (version >= 1) {
        out->directories = (struct uuid *)p->dirs;
        out->directories_n = p->dirs_n;
    }
    if (version >= 2) { /* tagged: absent rather than empty, as Kafka writes them */
        if (p->elr) out->eligible_leader_replicas = ints_copy(a, p->elr, &out->eligible_leader_replicas_n);
        if (p->last_elr) out->last_known_elr = ints_copy(a, p->last_elr, &out->last_known_elr_n);
    }
}
