#include "draft.h"

#include <stdlib.h>

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

/* ---- state ----------------------------------------------------------------------------------------------------------------------- */

struct dconf { /* overrides of one resource; few, so searched */
    struct image_config *v;
    int n, cap;
};
struct dtopic {
    struct map_node by_id, by_name;
    struct list link;
    struct uuid id;
    struct slice name;
    const struct image_topic *old; /* as in the base; NULL: new */
    bool removed, parts_own, confs_own;
    struct part *parts; /* once parts_own; before, the old one's */
    int32_t parts_n, parts_cap;
    struct dconf confs;
};
struct dres { /* configs of what is not (yet) a topic here */
    struct map_node node;
    struct list link;
    int8_t type;
    struct slice name;
    struct dconf confs;
};
struct draft {
    struct image_env env;
    struct image *base;
    struct arena arena;
    struct map by_id, by_name;
    struct list topics;
    struct map res;
    struct list res_list;
    bool broker_conf_changed, features_own;
    struct image_feature *features;
    int features_n, features_cap;
    int64_t next_producer_id;
};

struct draft *draft_new(const struct image_env *env, const struct image *base)
{
    struct draft *d = new (struct draft);
    d->env = *env;
    d->base = image_ref(base);
    d->next_producer_id = base->next_producer_id;
    arena_init(&d->arena);
    list_init(&d->topics);
    list_init(&d->res_list);
    return d;
}

void draft_free(struct draft **dp)
{
    struct draft *d = *dp;
    *dp = NULL;
    if (!d) return;
    map_free(&d->by_id);
    map_free(&d->by_name);
    map_free(&d->res);
    arena_free(&d->arena);
    image_unref(&d->base);
    mem_free(d);
}

/* Room for one more in a vector that lives in the arena. */
static void *vec_room(struct arena *a, void *v, int n, int *cap, size_t size)
{
    if (n < *cap) return v;
    int more = MAX(8, *cap * 2);
    void *p = arena_alloc(a, size * (size_t)more);
    if (n) memcpy(p, v, size * (size_t)n);
    *cap = more;
    return p;
}

static ints ints_of(struct arena *a, const int32_t *v, int32_t n)
{
    if (n <= 0) return NULL;
    int32_t *p = arena_alloc(a, sizeof(int32_t) * (size_t)(n + 1));
    p[0] = n;
    memcpy(p + 1, v, sizeof(int32_t) * (size_t)n);
    return p;
}

static const struct uuid *uuids_of(struct arena *a, const struct uuid *v, int32_t n)
{
    if (n <= 0) return NULL;
    struct uuid *p = arena_alloc(a, sizeof *p * (size_t)n);
    memcpy(p, v, sizeof *p * (size_t)n);
    return p;
}

/* ---- finding --------------------------------------------------------------------------------------------------------------------- */

static bool by_id_eq(const struct map_node *n, const void *key)
{
    return uuid_eq(container_of(n, struct dtopic, by_id)->id, *(const struct uuid *)key);
}

static bool by_name_eq(const struct map_node *n, const void *key)
{
    return slice_cmp(container_of(n, struct dtopic, by_name)->name, *(const struct slice *)key) == 0;
}

static struct dtopic *dtopic_drafted(const struct draft *d, struct uuid id)
{
    struct map_node *n = map_find(&d->by_id, hash_bytes(id.b, 16), by_id_eq, &id);
    return n ? container_of(n, struct dtopic, by_id) : NULL;
}

static struct dtopic *dtopic_add(struct draft *d, struct uuid id, struct slice name, const struct image_topic *old)
{
    struct dtopic *t = arena_new(&d->arena, struct dtopic);
    t->id = id;
    t->name = old ? old->name : arena_copy(&d->arena, name);
    t->old = old;
    if (old) {
        t->parts = (struct part *)topic_of(old)->parts;
        t->parts_n = old->partitions_n;
        t->confs = (struct dconf){ old->configs, old->configs_n, 0 };
    }
    map_put(&d->by_id, hash_bytes(id.b, 16), &t->by_id);
    map_put(&d->by_name, hash_slice(t->name), &t->by_name);
    list_push(&d->topics, &t->link);
    return t;
}

static struct dtopic *dtopic_by_id(struct draft *d, struct uuid id)
{
    struct dtopic *t = dtopic_drafted(d, id);
    if (t) return t->removed ? NULL : t;
    const struct image_topic *old = image_topic_by_id(d->base, id);
    return old ? dtopic_add(d, id, old->name, old) : NULL;
}

static struct dtopic *dtopic_by_name(struct draft *d, struct slice name)
{
    struct map_node *n = map_find(&d->by_name, hash_slice(name), by_name_eq, &name);
    if (n) return container_of(n, struct dtopic, by_name); /* removed ones are not in this map */
    const struct image_topic *old = image_topic(d->base, name);
    return old && !dtopic_drafted(d, old->id) ? dtopic_add(d, old->id, name, old) : NULL;
}

struct res_key {
    int8_t type;
    struct slice name;
};

static bool res_eq(const struct map_node *n, const void *key)
{
    const struct dres *r = container_of(n, struct dres, node);
    const struct res_key *k = key;
    return r->type == k->type && slice_cmp(r->name, k->name) == 0;
}

static struct dres *dres_get(struct draft *d, int8_t type, struct slice name)
{
    struct res_key key = { type, name };
    uint64_t hash = hash_slice(name) + (uint8_t)type;
    struct map_node *n = map_find(&d->res, hash, res_eq, &key);
    if (n) return container_of(n, struct dres, node);
    struct dres *r = arena_new(&d->arena, struct dres);
    const struct image_resource *old = image_resource(d->base, type, name);
    r->type = type;
    r->name = arena_copy(&d->arena, name);
    if (old) r->confs = (struct dconf){ old->configs, old->configs_n, 0 };
    map_put(&d->res, hash, &r->node);
    list_push(&d->res_list, &r->link);
    return r;
}

static bool dres_known(const struct draft *d, int8_t type, struct slice name)
{
    struct res_key key = { type, name };
    return map_find(&d->res, hash_slice(name) + (uint8_t)type, res_eq, &key) || image_resource(d->base, type, name);
}

/* ---- applying -------------------------------------------------------------------------------------------------------------------- */

static void dconf_set(struct draft *d, struct dconf *c, struct slice name, struct slice value)
{
    if (c->cap == 0) { /* the base's: copy before the first write */
        struct image_config *v = arena_array(&d->arena, struct image_config, c->n + 8);
        if (c->n) memcpy(v, c->v, sizeof *v * (size_t)c->n);
        c->v = v;
        c->cap = c->n + 8;
    }
    int i = 0;
    while (i < c->n && slice_cmp(c->v[i].name, name) != 0) i++;
    if (!value.p) {
        if (i < c->n) memmove(c->v + i, c->v + i + 1, sizeof *c->v * (size_t)(--c->n - i));
        return;
    }
    if (i == c->n) {
        c->v = vec_room(&d->arena, c->v, c->n, &c->cap, sizeof *c->v);
        c->v[c->n++].name = arena_copy(&d->arena, name);
    }
    c->v[i].value = arena_copy(&d->arena, value);
}

static void config_apply(struct draft *d, const struct config_record *r)
{
    struct dtopic *t = r->resource_type == RESOURCE_TOPIC ? dtopic_by_name(d, r->resource_name) : NULL;
    if (t) {
        t->confs_own = true;
        dconf_set(d, &t->confs, r->name, r->value);
        return;
    }
    dconf_set(d, &dres_get(d, r->resource_type, r->resource_name)->confs, r->name, r->value);
    if (r->resource_type == RESOURCE_BROKER) d->broker_conf_changed = true;
}

static int topic_apply(struct draft *d, const struct topic_record *r, struct why *why_)
{
    struct dtopic *t = dtopic_drafted(d, r->topic_id);
    if (r->name.n == 0 || r->name.n > 249) return why(why_, E_MALFORMED, "TopicRecord with a name of %zu bytes", r->name.n);
    if (t || image_topic_by_id(d->base, r->topic_id))
        return why(why_, E_MALFORMED, "second TopicRecord of " S_FMT, S_ARG(r->name));
    if (dtopic_by_name(d, r->name)) return why(why_, E_MALFORMED, "two topics named " S_FMT, S_ARG(r->name));
    t = dtopic_add(d, r->topic_id, r->name, NULL);
    t->parts_own = t->confs_own = true;
    if (dres_known(d, RESOURCE_TOPIC, r->name)) { /* configs that came before their topic */
        struct dres *early = dres_get(d, RESOURCE_TOPIC, r->name);
        t->confs = early->confs;
        early->confs = (struct dconf){ 0 };
    }
    return 0;
}

static struct part *part_at(struct draft *d, struct dtopic *t, int32_t i)
{
    if (!t->parts_own) {
        struct part *own = arena_alloc(&d->arena, sizeof *own * (size_t)MAX(t->parts_n, 1));
        if (t->parts_n) memcpy(own, t->parts, sizeof *own * (size_t)t->parts_n);
        t->parts = own;
        t->parts_cap = MAX(t->parts_n, 1);
        t->parts_own = true;
    }
    while (i >= t->parts_n) {
        t->parts = vec_room(&d->arena, t->parts, t->parts_n, &t->parts_cap, sizeof *t->parts);
        t->parts[t->parts_n++] = (struct part){ .leader = -1, .leader_epoch = -1, .partition_epoch = -1 };
    }
    return &t->parts[i];
}

static struct dtopic *topic_for(struct draft *d, struct uuid id, const char *type, struct why *why_)
{
    struct dtopic *t = dtopic_by_id(d, id);
    char text[UUID_TEXT];
    if (!t) {
        uuid_text(id, text);
        why(why_, E_NOT_FOUND, "%s of unknown topic id %s", type, text);
    }
    return t;
}

static int partition_apply(struct draft *d, const struct partition_record *r, struct why *why_)
{
    struct dtopic *t = topic_for(d, r->topic_id, "PartitionRecord", why_);
    if (!t) return E_NOT_FOUND;
    if (r->partition_id < 0 || r->partition_id >= PARTITIONS_MAX)
        return why(why_, E_MALFORMED, "topic " S_FMT ": partition %d", S_ARG(t->name), r->partition_id);
    struct arena *a = &d->arena;
    bool dirs = r->directories_n == r->replicas_n;
    *part_at(d, t, r->partition_id) = (struct part){
        .there = true,
        .leader = r->leader,
        .leader_epoch = r->leader_epoch,
        .partition_epoch = r->partition_epoch,
        .recovery = r->leader_recovery_state,
        .replicas = ints_of(a, r->replicas, r->replicas_n),
        .isr = ints_of(a, r->isr, r->isr_n),
        .removing = ints_of(a, r->removing_replicas, r->removing_replicas_n),
        .adding = ints_of(a, r->adding_replicas, r->adding_replicas_n),
        .elr = ints_of(a, r->eligible_leader_replicas, r->eligible_leader_replicas_n),
        .last_elr = ints_of(a, r->last_known_elr, r->last_known_elr_n),
        .dirs_n = dirs ? r->directories_n : 0,
        .dirs = dirs ? uuids_of(a, r->directories, r->directories_n) : NULL,
    };
    return 0;
}

/* K5: a record that names a leader adds 1 to the leader epoch, any change 1 to the partition epoch. */
static int partition_change(struct draft *d, const struct partition_change_record *r, struct why *why_)
{
    struct dtopic *t = topic_for(d, r->topic_id, "PartitionChangeRecord", why_);
    if (!t) return E_NOT_FOUND;
    if (r->partition_id < 0 || r->partition_id >= t->parts_n || !t->parts[r->partition_id].there)
        return why(why_, E_NOT_FOUND, "PartitionChangeRecord of unknown partition " S_FMT "-%d", S_ARG(t->name), r->partition_id);
    struct part *p = part_at(d, t, r->partition_id);
    struct arena *a = &d->arena;
    if (r->isr_n >= 0) p->isr = ints_of(a, r->isr, r->isr_n);
    if (r->replicas_n >= 0) {
        p->replicas = ints_of(a, r->replicas, r->replicas_n);
        if (r->directories_n < 0 && p->dirs_n != r->replicas_n) {
            p->dirs_n = 0;
            p->dirs = NULL;
        }
    }
    if (r->removing_replicas_n >= 0) p->removing = ints_of(a, r->removing_replicas, r->removing_replicas_n);
    if (r->adding_replicas_n >= 0) p->adding = ints_of(a, r->adding_replicas, r->adding_replicas_n);
    if (r->eligible_leader_replicas_n >= 0) p->elr = ints_of(a, r->eligible_leader_replicas, r->eligible_leader_replicas_n);
    if (r->last_known_elr_n >= 0) p->last_elr = ints_of(a, r->last_known_elr, r->last_known_elr_n);
    if (r->directories_n >= 0) {
        p->dirs_n = r->directories_n == ints_n(p->replicas) ? r->directories_n : 0;
        p->dirs = uuids_of(a, r->directories, p->dirs_n);
    }
    if (r->leader_recovery_state >= 0) p->recovery = r->leader_recovery_state;
    if (r->leader != -2) {
        p->leader = r->leader;
        p->leader_epoch++;
    }
    p->partition_epoch++;
    return 0;
}

static int topic_remove(struct draft *d, const struct remove_topic_record *r, struct why *why_)
{
    struct dtopic *t = topic_for(d, r->topic_id, "RemoveTopicRecord", why_);
    if (!t) return E_NOT_FOUND;
    t->removed = true;
    map_remove(&d->by_name, &t->by_name);
    return 0;
}

static void clear_elr(struct draft *d, struct dtopic *t)
{
    for (int i = 0; i < t->parts_n; i++) {
        if (!t->parts[i].elr && !t->parts[i].last_elr) continue;
        struct part *p = part_at(d, t, i);
        p->elr = p->last_elr = NULL;
        p->partition_epoch++;
    }
}

static void clear_elr_apply(struct draft *d, const struct clear_elr_record *r)
{
    if (r->topic_name.n) {
        struct dtopic *t = dtopic_by_name(d, r->topic_name);
        if (t) clear_elr(d, t);
        return;
    }
    for (int i = 0; i < d->base->topics_n; i++) {
        struct dtopic *t = dtopic_by_id(d, d->base->topics[i]->id);
        if (t) clear_elr(d, t);
    }
    list_each (it, &d->topics) {
        struct dtopic *t = container_of(it, struct dtopic, link);
        if (!t->old && !t->removed) clear_elr(d, t);
    }
}

static void feature_apply(struct draft *d, const struct feature_level_record *r)
{
    if (!d->features_own) {
        d->features_n = d->base->features_n;
        d->features_cap = d->features_n + 8;
        d->features = arena_array(&d->arena, struct image_feature, d->features_cap);
        if (d->features_n) memcpy(d->features, d->base->features, sizeof *d->features * (size_t)d->features_n);
        d->features_own = true;
    }
    int i = 0;
    while (i < d->features_n && slice_cmp(d->features[i].name, r->name) != 0) i++;
    if (r->feature_level == 0) {
        if (i < d->features_n) memmove(d->features + i, d->features + i + 1, sizeof *d->features * (size_t)(--d->features_n - i));
        return;
    }
    if (i == d->features_n) {
        d->features = vec_room(&d->arena, d->features, d->features_n, &d->features_cap, sizeof *d->features);
        d->features[d->features_n++].name = arena_copy(&d->arena, r->name);
    }
    d->features[i].level = r->feature_level;
}

bool draft_takes(uint32_t key)
{
    switch (key) {
    case TOPIC_RECORD:
    case PARTITION_RECORD:
    case CONFIG_RECORD:
    case PARTITION_CHANGE_RECORD:
    case REMOVE_TOPIC_RECORD:
    case FEATURE_LEVEL_RECORD:
    case PRODUCER_IDS_RECORD:
    case CLEAR_ELR_RECORD: return true;
    default: return false;
    }
}

#define DECODE(T) (rc = mrec_decode(r, &msg_##T, &a, &u.T, why_)) == 0

int draft_apply(struct draft *d, const struct mrec *r, struct why *why_)
{
    union {
        struct topic_record topic_record;
        struct partition_record partition_record;
        struct config_record config_record;
        struct partition_change_record partition_change_record;
        struct remove_topic_record remove_topic_record;
        struct feature_level_record feature_level_record;
        struct producer_ids_record producer_ids_record;
        struct clear_elr_record clear_elr_record;
    } u;
    struct arena a;
    int rc = 0;
    arena_init(&a);
    switch (r->key) {
    case TOPIC_RECORD:
        if (DECODE(topic_record)) rc = topic_apply(d, &u.topic_record, why_);
        break;
    case PARTITION_RECORD:
        if (DECODE(partition_record)) rc = partition_apply(d, &u.partition_record, why_);
        break;
    case CONFIG_RECORD:
        if (DECODE(config_record)) config_apply(d, &u.config_record);
        break;
    case PARTITION_CHANGE_RECORD:
        if (DECODE(partition_change_record)) rc = partition_change(d, &u.partition_change_record, why_);
        break;
    case REMOVE_TOPIC_RECORD:
        if (DECODE(remove_topic_record)) rc = topic_remove(d, &u.remove_topic_record, why_);
        break;
    case FEATURE_LEVEL_RECORD:
        if (DECODE(feature_level_record)) feature_apply(d, &u.feature_level_record);
        break;
    case PRODUCER_IDS_RECORD:
        if (DECODE(producer_ids_record)) d->next_producer_id = MAX(d->next_producer_id, u.producer_ids_record.next_producer_id);
        break;
    case CLEAR_ELR_RECORD:
        if (DECODE(clear_elr_record)) clear_elr_apply(d, &u.clear_elr_record);
        break;
    default: assert(!"a record that images hold"); break;
    }
    arena_free(&a);
    return rc;
}

bool draft_removed(const struct draft *d, struct uuid id)
{
    const struct dtopic *t = dtopic_drafted(d, id);
    return t && t->removed;
}

void draft_touch(struct draft *d, const struct image_topic *t)
{
    struct dtopic *dt = dtopic_by_id(d, t->id);
    if (dt) dt->confs_own = true;
}

/* ---- the next image: blocks -------------------------------------------------------------------------------------------------------- */

/* Lays things out one behind the other; with p NULL it only counts. */
struct pack {
    char *p;
    size_t n;
};

static void *pack_room(struct pack *k, size_t n, size_t align)
{
    k->n = (k->n + align - 1) & ~(align - 1);
    void *at = k->p ? k->p + k->n : NULL;
    k->n += n;
    return at;
}

static struct slice pack_text(struct pack *k, struct slice s) /* NUL-terminated */
{
    char *p = pack_room(k, s.n + 1, 1);
    if (!p) return s;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct slice){ p, s.n };
}

static int config_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct image_config *)a)->name, ((const struct image_config *)b)->name);
}

static struct image_config *pack_configs(struct pack *k, const struct dconf *c)
{
    struct image_config *v = pack_room(k, sizeof *v * (size_t)c->n, _Alignof(struct image_config));
    for (int i = 0; i < c->n; i++) {
        struct slice name = pack_text(k, c->v[i].name), value = pack_text(k, c->v[i].value);
        if (v) v[i] = (struct image_config){ name, value };
    }
    if (v && c->n > 1) qsort(v, (size_t)c->n, sizeof *v, config_cmp);
    return v;
}

static void features_finish(struct draft *d, struct image *im)
{
    if (!d->features_own) {
        im->features = block_ref(d->base->features);
        im->features_n = d->base->features_n;
        return;
    }
    struct pack k = { 0 };
    for (int pass = 0; pass < 2; pass++) {
        if (pass) k = (struct pack){ block_new(k.n), 0 };
        struct image_feature *v = pack_room(&k, sizeof *v * (size_t)d->features_n, _Alignof(struct image_feature));
        for (int i = 0; i < d->features_n; i++) {
            struct slice name = pack_text(&k, d->features[i].name);
            if (v) v[i] = (struct image_feature){ name, d->features[i].level };
        }
    }
    im->features = (struct image_feature *)(void *)k.p;
    im->features_n = d->features_n;
}

static int dres_cmp(const void *a, const void *b)
{
    const struct dres *x = *(struct dres *const *)a, *y = *(struct dres *const *)b;
    return resource_cmp(x->type, x->name, y->type, y->name);
}

static void resources_finish(struct draft *d, struct image *im)
{
    if (list_empty(&d->res_list)) {
        im->resources = block_ref(d->base->resources);
        im->resources_n = d->base->resources_n;
        return;
    }
    for (int i = 0; i < d->base->resources_n; i++) dres_get(d, d->base->resources[i].type, d->base->resources[i].name);
    int n = 0;
    struct dres **all = arena_array(&d->arena, struct dres *, (int)d->res.n);
    list_each (it, &d->res_list) {
        struct dres *r = container_of(it, struct dres, link);
        if (r->confs.n) all[n++] = r;
    }
    if (n > 1) qsort(all, (size_t)n, sizeof(void *), dres_cmp);
    struct pack k = { 0 };
    for (int pass = 0; pass < 2; pass++) {
        if (pass) k = (struct pack){ block_new(k.n), 0 };
        struct image_resource *v = pack_room(&k, sizeof *v * (size_t)n, _Alignof(struct image_resource));
        for (int i = 0; i < n; i++) {
            struct slice name = pack_text(&k, all[i]->name);
            struct image_config *confs = pack_configs(&k, &all[i]->confs);
            if (v) v[i] = (struct image_resource){ all[i]->type, name, all[i]->confs.n, confs };
        }
    }
    im->resources = (struct image_resource *)(void *)k.p;
    im->resources_n = n;
}

/* The broker's settings: the static ones, the cluster's, this node's. */
static void conf_finish(struct draft *d, struct image *im)
{
    if (!d->env.conf) return;
    if (!d->broker_conf_changed) {
        im->conf = conf_ref(d->base->conf);
        return;
    }
    char id[16];
    snprintf(id, sizeof id, "%d", d->env.node_id);
    const struct image_resource *all = image_resource(im, RESOURCE_BROKER, S("")),
                                *own = image_resource(im, RESOURCE_BROKER, slice_of(id));
    im->conf = conf_with(d->env.conf, all ? (const struct conf_kv *)all->configs : NULL, all ? all->configs_n : 0,
                         own ? (const struct conf_kv *)own->configs : NULL, own ? own->configs_n : 0);
}

/* ---- the next image: topics ---------------------------------------------------------------------------------------------------------- */

static bool is_internal(struct slice name)
{
    return slice_eq(name, S("__consumer_offsets")) || slice_eq(name, S("__transaction_state")) ||
           slice_eq(name, S("__share_group_state"));
}

static ints pack_ints(struct pack *k, ints v, ints *last, ints *last_src)
{
    if (!v) return NULL;
    if (*last && ints_eq(*last_src, v)) return *last; /* neighbours mostly look alike: shared */
    int32_t *p = pack_room(k, sizeof(int32_t) * (size_t)(v[0] + 1), _Alignof(int32_t));
    if (p) memcpy(p, v, sizeof(int32_t) * (size_t)(v[0] + 1));
    *last_src = v;
    return *last = p ? p : v;
}

static struct image_topic *topic_pack(const struct draft *d, const struct dtopic *dt)
{
    struct pack k = { 0 };
    struct topic *t = NULL;
    for (int pass = 0; pass < 2; pass++) {
        ints last = NULL, last_src = NULL;
        const struct uuid *last_dirs = NULL, *last_dirs_src = NULL;
        int32_t last_dirs_n = 0;
        if (pass) k = (struct pack){ mem_zalloc(k.n), 0 };
        t = pack_room(&k, sizeof *t, _Alignof(struct topic));
        struct part *parts = pack_room(&k, sizeof *parts * (size_t)dt->parts_n, _Alignof(struct part));
        struct image_partition *ps = pack_room(&k, sizeof *ps * (size_t)dt->parts_n, _Alignof(struct image_partition));
        for (int i = 0; i < dt->parts_n; i++) {
            struct part p = dt->parts[i];
            p.replicas = pack_ints(&k, p.replicas, &last, &last_src);
            p.isr = pack_ints(&k, p.isr, &last, &last_src);
            p.removing = pack_ints(&k, p.removing, &last, &last_src);
            p.adding = pack_ints(&k, p.adding, &last, &last_src);
            p.elr = pack_ints(&k, p.elr, &last, &last_src);
            p.last_elr = pack_ints(&k, p.last_elr, &last, &last_src);
            if (p.dirs_n && last_dirs && last_dirs_n == p.dirs_n &&
                memcmp(last_dirs_src, p.dirs, sizeof *p.dirs * (size_t)p.dirs_n) == 0) {
                p.dirs = last_dirs;
            } else if (p.dirs_n) {
                struct uuid *u = pack_room(&k, sizeof *u * (size_t)p.dirs_n, 1);
                if (u) memcpy(u, p.dirs, sizeof *u * (size_t)p.dirs_n);
                last_dirs_src = p.dirs;
                last_dirs_n = p.dirs_n;
                p.dirs = last_dirs = u ? u : p.dirs;
            }
            if (parts) parts[i] = p;
        }
        struct slice name = pack_text(&k, dt->name);
        struct image_config *confs = pack_configs(&k, &dt->confs);
        if (!pass) continue;
        t->parts = parts;
        t->pub.name = name;
        t->pub.configs = confs;
        t->pub.partitions = ps;
    }
    atomic_init(&t->pub.refs, 1);
    t->pub.id = dt->id;
    t->pub.internal = is_internal(dt->name);
    t->pub.configs_n = dt->confs.n;
    t->pub.partitions_n = dt->parts_n;
    for (int i = 0; i < dt->parts_n; i++) {
        struct image_partition *p = &t->pub.partitions[i];
        p->leader = -1;
        p->leader_epoch = t->parts[i].leader_epoch;
        p->partition_epoch = t->parts[i].partition_epoch;
        p->dir = part_dir(&t->parts[i], d->env.node_id);
        if (!t->parts[i].there) p->log_err = E_NOT_FOUND;
        if (!dt->old || i >= dt->old->partitions_n) continue;
        const struct image_partition *was = &dt->old->partitions[i];
        p->log_err = was->log_err;
        if (!was->log) continue;
        p->log = plog_ref(was->log);
        if (!p->log_err && t->parts[i].leader == d->env.node_id) p->leader = d->env.node_id;
    }
    return &t->pub;
}

static bool configs_same(const struct image_topic *a, const struct image_topic *b)
{
    if (a->configs_n != b->configs_n) return false;
    for (int i = 0; i < a->configs_n; i++)
        if (slice_cmp(a->configs[i].name, b->configs[i].name) != 0 || slice_cmp(a->configs[i].value, b->configs[i].value) != 0)
            return false;
    return true;
}

/* like: a topic resolved just before with the same conf, or NULL; a start resolves thousands, and most look alike. */
static void topic_resolve(const struct conf *conf, const struct image_topic *t, const struct image_topic *like,
                          const struct topic_conf *likes, struct topic_conf *out)
{
    memset(out, 0, sizeof *out); /* also the padding: they are compared as bytes */
    if (conf && like && configs_same(t, like)) memcpy(out, likes, sizeof *out);
    else if (conf) topic_conf_resolve(conf, (const struct conf_kv *)t->configs, t->configs_n, out);
}

bool topic_conf_same(const struct topic_conf *a, const struct topic_conf *b)
{
    return memcmp((const char *)a, (const char *)b, sizeof *a) == 0;
}

static int topic_by_name_cmp(const void *a, const void *b)
{
    return slice_cmp((*(struct image_topic *const *)a)->name, (*(struct image_topic *const *)b)->name);
}

static int topic_by_id_cmp(const void *a, const void *b)
{
    return memcmp((*(struct image_topic *const *)a)->id.b, (*(struct image_topic *const *)b)->id.b, 16);
}

struct changes {
    struct image_topic **out, **in; /* topics that leave, and that come */
    int out_n, in_n;
};

typedef int topic_cmp(const void *a, const void *b);

/* Where t stands in v from lo on, or would. */
static int place_in(struct image_topic **v, int lo, int hi, struct image_topic *t, topic_cmp *cmp)
{
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (cmp(&v[mid], &t) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static int run_copy(struct image_topic **to, int n, struct image_topic **from, int count)
{
    if (count) memcpy(to + n, from, sizeof(void *) * (size_t)count);
    return n + count;
}

/* The merge of base (without `out`) and `in` in the order of cmp, into v. What lies between two changes is copied, not looked at. */
static int merge(struct image_topic **base, int base_n, const struct changes *c, topic_cmp *cmp, struct image_topic **v)
{
    int n = 0, at = 0, o = 0, k = 0;
    int out = c->out_n ? place_in(base, 0, base_n, c->out[0], cmp) : base_n,
        in = c->in_n ? place_in(base, 0, base_n, c->in[0], cmp) : base_n;
    while (o < c->out_n || k < c->in_n) {
        if (k < c->in_n && (in <= out || o == c->out_n)) {
            n = run_copy(v, n, base + at, in - at);
            at = in;
            v[n++] = c->in[k++];
            if (k < c->in_n) in = place_in(base, at, base_n, c->in[k], cmp);
        } else {
            n = run_copy(v, n, base + at, out - at);
            assert(base[out] == c->out[o]);
            at = out + 1;
            o++;
            if (o < c->out_n) out = place_in(base, at, base_n, c->out[o], cmp);
        }
    }
    return run_copy(v, n, base + at, base_n - at);
}

static void chunks_put(struct image *im, struct image_topic **v, int n, const struct changes *c)
{
    int pieces = (n + TOPIC_CHUNK - 1) / TOPIC_CHUNK;
    for (int i = 0, at = 0; i < pieces; i++) {
        struct image_chunk *ch = mem_zalloc(sizeof *ch);
        atomic_init(&ch->refs, 1);
        ch->n = (n - at + pieces - i - 1) / (pieces - i);
        memcpy(ch->t, v + at, sizeof(void *) * (size_t)ch->n);
        at += ch->n;
        im->chunks[im->chunks_n++] = ch;
    }
}

/* Chunks in which nothing changed are shared; the others are made anew. New topics come with one reference, which becomes the chunk's. */
static void chunks_finish(const struct image *base, struct image *im, const struct changes *c)
{
    int o = 0, k = 0;
    struct image_topic **v = mem_alloc(sizeof(void *) * (size_t)(TOPIC_CHUNK + c->in_n));
    im->chunks = mem_alloc(sizeof(void *) * (size_t)(base->chunks_n + c->in_n / TOPIC_CHUNK + c->in_n + 2));
    for (int i = 0; i < base->chunks_n; i++) {
        struct image_chunk *ch = base->chunks[i];
        bool last = i + 1 == base->chunks_n;
        int in = 0, out = 0;
        while (k + in < c->in_n && (last || slice_cmp(c->in[k + in]->name, base->chunks[i + 1]->t[0]->name) < 0)) in++;
        while (o + out < c->out_n && slice_cmp(c->out[o + out]->name, ch->t[ch->n - 1]->name) <= 0) out++;
        if (in == 0 && out == 0) {
            im->chunks[im->chunks_n++] = chunk_ref(ch);
            continue;
        }
        struct changes part = { c->out + o, c->in + k, out, in };
        int n = merge(ch->t, ch->n, &part, topic_by_name_cmp, v);
        for (int j = 0, x = 0; j < n; j++) {
            if (x < in && v[j] == c->in[k + x]) x++;
            else topic_ref(v[j]);
        }
        chunks_put(im, v, n, c);
        k += in;
        o += out;
    }
    if (base->chunks_n == 0) chunks_put(im, c->in, c->in_n, c);
    mem_free(v);
}

static void topics_finish(struct draft *d, struct image *im)
{
    const struct image *base = d->base;
    struct changes c = { 0 };
    bool conf_moved = d->env.conf && im->conf != base->conf;
    if (conf_moved) { /* topics whose resolved settings follow the broker's */
        struct topic_conf now, before;
        for (int i = 0; i < base->topics_n; i++) {
            topic_resolve(im->conf, base->topics[i], i ? base->topics[i - 1] : NULL, &before, &now);
            memcpy(&before, &now, sizeof before);
            if (!topic_conf_same(&now, &base->topics[i]->conf)) draft_touch(d, base->topics[i]);
        }
    }
    c.in = mem_alloc(sizeof(void *) * (d->by_id.n + 1));
    c.out = mem_alloc(sizeof(void *) * (d->by_id.n + 1));
    im->partitions_total = base->partitions_total;
    list_each (it, &d->topics) {
        struct dtopic *t = container_of(it, struct dtopic, link);
        bool changed = !t->removed && (!t->old || t->parts_own || t->confs_own);
        if (t->old && (t->removed || changed)) {
            c.out[c.out_n++] = (struct image_topic *)t->old;
            im->partitions_total -= t->old->partitions_n;
        }
        if (!changed) continue;
        struct image_topic *nt = topic_pack(d, t);
        topic_resolve(im->conf, nt, c.in_n ? c.in[c.in_n - 1] : NULL, c.in_n ? &c.in[c.in_n - 1]->conf : NULL, &nt->conf);
        c.in[c.in_n++] = nt;
        im->partitions_total += nt->partitions_n;
    }
    qsort(c.in, (size_t)c.in_n, sizeof(void *), topic_by_name_cmp);
    qsort(c.out, (size_t)c.out_n, sizeof(void *), topic_by_name_cmp);
    im->topics_n = base->topics_n - c.out_n + c.in_n;
    im->topics = mem_alloc(sizeof(void *) * (size_t)(im->topics_n + 1));
    im->by_id = mem_alloc(sizeof(void *) * (size_t)(im->topics_n + 1));
    merge(base->topics, base->topics_n, &c, topic_by_name_cmp, im->topics);
    chunks_finish(base, im, &c);
    qsort(c.in, (size_t)c.in_n, sizeof(void *), topic_by_id_cmp);
    qsort(c.out, (size_t)c.out_n, sizeof(void *), topic_by_id_cmp);
    merge(base->by_id, base->topics_n, &c, topic_by_id_cmp, im->by_id);
    mem_free(c.in);
    mem_free(c.out);
}

struct image *draft_finish(struct draft *d, int64_t offset)
{
    struct image *im = new (struct image);
    atomic_init(&im->refs, 1);
    im->offset = offset;
    im->version = d->base->version + 1;
    im->next_producer_id = d->next_producer_id;
    features_finish(d, im);
    resources_finish(d, im);
    conf_finish(d, im);
    topics_finish(d, im);
    return im;
}
