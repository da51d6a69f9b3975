#include "kept.h"

#include <stdlib.h>

struct kept_rec {
    struct map_node node;
    struct list link;
    uint32_t key;
    struct slice id, value; /* behind the struct */
};

void kept_init(struct kept *k)
{
    *k = (struct kept){ 0 };
    list_init(&k->all);
}

void kept_free(struct kept *k)
{
    while (!list_empty(&k->all)) mem_free(container_of(list_pop(&k->all), struct kept_rec, link));
    map_free(&k->map);
}

struct kept_key {
    uint32_t key;
    struct slice id;
};

static bool kept_eq(const struct map_node *n, const void *key)
{
    const struct kept_rec *r = container_of(n, struct kept_rec, node);
    const struct kept_key *want = key;
    return r->key == want->key && slice_cmp(r->id, want->id) == 0;
}

static uint64_t kept_hash(uint32_t key, struct slice id) { return hash_slice(id) + key * 0x9e3779b97f4a7c15u; }

static struct kept_rec *kept_find(const struct kept *k, uint32_t key, struct slice id)
{
    struct kept_key want = { key, id };
    struct map_node *n = map_find(&k->map, kept_hash(key, id), kept_eq, &want);
    return n ? container_of(n, struct kept_rec, node) : NULL;
}

static void kept_remove(struct kept *k, uint32_t key, struct slice id)
{
    struct kept_rec *r = kept_find(k, key, id);
    if (!r) return;
    map_remove(&k->map, &r->node);
    list_remove(&r->link);
    mem_free(r);
    k->n--;
}

static void kept_put(struct kept *k, uint32_t key, struct slice id, struct slice value)
{
    struct kept_rec *old = kept_find(k, key, id), *r = mem_zalloc(sizeof *r + id.n + value.n);
    char *p = (char *)(r + 1);
    if (id.n) memcpy(p, id.p, id.n);
    if (value.n) memcpy(p + id.n, value.p, value.n);
    r->key = key;
    r->id = (struct slice){ p, id.n };
    r->value = (struct slice){ p + id.n, value.n };
    if (old) { /* keeps its place */
        list_push(&old->link, &r->link);
        map_remove(&k->map, &old->node);
        list_remove(&old->link);
        mem_free(old);
        k->n--;
    } else {
        list_push(&k->all, &r->link);
    }
    map_put(&k->map, kept_hash(key, r->id), &r->node);
    k->n++;
}

static struct slice id_i32(struct bytes *b, int32_t v)
{
    wr_i32(b, v);
    return (struct slice){ (const char *)b->p, b->n };
}

static struct slice id_texts(struct bytes *b, struct slice name, int8_t number)
{
    wr_i8(b, number);
    wr_slice(b, name);
    return (struct slice){ (const char *)b->p, b->n };
}

static int entity_cmp(const void *x, const void *y)
{
    const struct client_quota_record_entity_data *a = x, *b = y;
    return slice_cmp(a->entity_type, b->entity_type);
}

static struct slice id_quota(struct bytes *b, struct client_quota_record *q)
{
    if (q->entity_n > 1) qsort(q->entity, (size_t)q->entity_n, sizeof *q->entity, entity_cmp);
    for (int i = 0; i < q->entity_n; i++) {
        wr_bytes(b, q->entity[i].entity_type);
        wr_bytes(b, q->entity[i].entity_name);
    }
    wr_bytes(b, q->key);
    return (struct slice){ (const char *)b->p, b->n };
}

/* A registration as later records changed it. fenced, shutdown: 1 set, -1 clear, 0 leave. */
static int broker_change(struct kept *k, int32_t broker, int fenced, int shutdown,
                         const struct broker_registration_change_record *c, struct arena *a, struct why *why_)
{
    struct bytes id = { 0 };
    struct kept_rec *old = kept_find(k, REGISTER_BROKER_RECORD, id_i32(&id, broker));
    struct register_broker_record reg;
    struct mrec r;
    int rc = 0;
    if (old) {
        rc = mrec_parse(old->value, &r);
        if (rc == 0) rc = mrec_decode(&r, &msg_register_broker_record, a, &reg, why_);
    }
    if (old && rc == 0) {
        int16_t version = (int16_t)r.version;
        if (fenced) reg.fenced = fenced > 0;
        if (shutdown) reg.in_controlled_shutdown = shutdown > 0;
        if (c && c->log_dirs_n > 0) {
            reg.log_dirs = c->log_dirs;
            reg.log_dirs_n = c->log_dirs_n;
            version = MAX(version, 3);
        }
        if (c && c->cordoned_log_dirs_n >= 0) {
            reg.cordoned_log_dirs = c->cordoned_log_dirs;
            reg.cordoned_log_dirs_n = c->cordoned_log_dirs_n;
            version = MAX(version, 4);
        }
        if (version == 0 && reg.in_controlled_shutdown) version = 1;
        struct bytes value = { 0 };
        mrec_put(&value, &msg_register_broker_record, version, &reg);
        kept_put(k, REGISTER_BROKER_RECORD, (struct slice){ (const char *)id.p, id.n },
                 (struct slice){ (const char *)value.p, value.n });
        bytes_free(&value);
    }
    bytes_free(&id);
    return rc;
}

#define DECODE(T) (rc = mrec_decode(r, &msg_##T, &a, &u.T, why_)) == 0

int kept_apply(struct kept *k, const struct mrec *r, int64_t offset, struct why *why_)
{
    union {
        struct register_broker_record register_broker_record;
        struct unregister_broker_record unregister_broker_record;
        struct fence_broker_record fence_broker_record;
        struct unfence_broker_record unfence_broker_record;
        struct broker_registration_change_record broker_registration_change_record;
        struct register_controller_record register_controller_record;
        struct client_quota_record client_quota_record;
        struct access_control_entry_record access_control_entry_record;
        struct remove_access_control_entry_record remove_access_control_entry_record;
        struct user_scram_credential_record user_scram_credential_record;
        struct remove_user_scram_credential_record remove_user_scram_credential_record;
        struct delegation_token_record delegation_token_record;
        struct remove_delegation_token_record remove_delegation_token_record;
    } u;
    struct arena a;
    struct bytes id = { 0 };
    int rc = 0;
    arena_init(&a);
    switch (r->key) {
    case REGISTER_BROKER_RECORD:
        if (DECODE(register_broker_record)) kept_put(k, r->key, id_i32(&id, u.register_broker_record.broker_id), r->value);
        break;
    case UNREGISTER_BROKER_RECORD:
        if (DECODE(unregister_broker_record))
            kept_remove(k, REGISTER_BROKER_RECORD, id_i32(&id, u.unregister_broker_record.broker_id));
        break;
    case FENCE_BROKER_RECORD:
        if (DECODE(fence_broker_record)) rc = broker_change(k, u.fence_broker_record.id, 1, 0, NULL, &a, why_);
        break;
    case UNFENCE_BROKER_RECORD:
        if (DECODE(unfence_broker_record)) rc = broker_change(k, u.unfence_broker_record.id, -1, 0, NULL, &a, why_);
        break;
    case BROKER_REGISTRATION_CHANGE_RECORD:
        if (DECODE(broker_registration_change_record)) {
            const struct broker_registration_change_record *c = &u.broker_registration_change_record;
            rc = broker_change(k, c->broker_id, c->fenced, c->in_controlled_shutdown, c, &a, why_);
        }
        break;
    case REGISTER_CONTROLLER_RECORD:
        if (DECODE(register_controller_record))
            kept_put(k, r->key, id_i32(&id, u.register_controller_record.controller_id), r->value);
        break;
    case CLIENT_QUOTA_RECORD:
        if (DECODE(client_quota_record)) {
            struct slice key = id_quota(&id, &u.client_quota_record);
            if (u.client_quota_record.remove) kept_remove(k, r->key, key);
            else kept_put(k, r->key, key, r->value);
        }
        break;
    case ACCESS_CONTROL_ENTRY_RECORD:
        if (DECODE(access_control_entry_record))
            kept_put(k, r->key, (struct slice){ (const char *)u.access_control_entry_record.id.b, 16 }, r->value);
        break;
    case REMOVE_ACCESS_CONTROL_ENTRY_RECORD:
        if (DECODE(remove_access_control_entry_record))
            kept_remove(k, ACCESS_CONTROL_ENTRY_RECORD,
                        (struct slice){ (const char *)u.remove_access_control_entry_record.id.b, 16 });
        break;
    case USER_SCRAM_CREDENTIAL_RECORD:
        if (DECODE(user_scram_credential_record))
            kept_put(k, r->key, id_texts(&id, u.user_scram_credential_record.name, u.user_scram_credential_record.mechanism),
                     r->value);
        break;
    case REMOVE_USER_SCRAM_CREDENTIAL_RECORD:
        if (DECODE(remove_user_scram_credential_record))
            kept_remove(
                k, USER_SCRAM_CREDENTIAL_RECORD,
                id_texts(&id, u.remove_user_scram_credential_record.name, u.remove_user_scram_credential_record.mechanism));
        break;
    case DELEGATION_TOKEN_RECORD:
        if (DECODE(delegation_token_record)) kept_put(k, r->key, u.delegation_token_record.token_id, r->value);
        break;
    case REMOVE_DELEGATION_TOKEN_RECORD:
        if (DECODE(remove_delegation_token_record))
            kept_remove(k, DELEGATION_TOKEN_RECORD, u.remove_delegation_token_record.token_id);
        break;
    case ZK_MIGRATION_STATE_RECORD: kept_put(k, r->key, S(""), r->value); break;
    case NO_OP_RECORD: break;
    default: /* of a newer broker: carried along as it is */
        wr_i64(&id, offset);
        kept_put(k, r->key, (struct slice){ (const char *)id.p, id.n }, r->value);
        break;
    }
    bytes_free(&id);
    arena_free(&a);
    return rc;
}

bool kept_knows(uint32_t key)
{
    switch (key) {
    case REGISTER_BROKER_RECORD:
    case REGISTER_CONTROLLER_RECORD:
    case CLIENT_QUOTA_RECORD:
    case ACCESS_CONTROL_ENTRY_RECORD:
    case USER_SCRAM_CREDENTIAL_RECORD:
    case DELEGATION_TOKEN_RECORD:
    case ZK_MIGRATION_STATE_RECORD: return true;
    default: return false;
    }
}

void kept_each(const struct kept *k, int key, void (*fn)(void *arg, struct slice value), void *arg)
{
    list_each (it, &k->all) {
        const struct kept_rec *r = container_of(it, struct kept_rec, link);
        if (key < 0 ? !kept_knows(r->key) : r->key == (uint32_t)key) fn(arg, r->value);
    }
}

int64_t kept_broker_epoch(const struct kept *k, int32_t broker)
{
    struct bytes id = { 0 };
    struct kept_rec *r = kept_find(k, REGISTER_BROKER_RECORD, id_i32(&id, broker));
    struct register_broker_record reg;
    struct mrec m;
    struct arena a;
    int64_t epoch = -1;
    arena_init(&a);
    if (r && mrec_parse(r->value, &m) == 0 && mrec_decode(&m, &msg_register_broker_record, &a, &reg, NULL) == 0)
        epoch = reg.broker_epoch;
    arena_free(&a);
    bytes_free(&id);
    return epoch;
}
