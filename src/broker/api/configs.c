/* DescribeConfigs (32), AlterConfigs (33), IncrementalAlterConfigs (44) and ListConfigResources (74): topics, brokers (this one, and the
 * cluster-wide default under the empty name), loggers, groups and client metrics.
 *
 * Alterations run as one change on the meta worker; each resource is judged as a whole and stands or falls alone. What they change is in
 * force when the answer leaves. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

#include <stdlib.h>

enum { RES_TOPIC = 2, RES_BROKER = 4, RES_LOGGER = 8, RES_METRICS = 16, RES_GROUP = 32 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "DEBUG", [LOG_INFO] = "INFO", [LOG_WARN] = "WARN", [LOG_ERROR] = "ERROR"
};

/* "" or our own id. */
static bool is_me(struct req *rq, struct slice name, bool *cluster)
{
    char me[16];
    *cluster = name.n == 0;
    (void)snprintf(me, sizeof me, "%d", rq->shard->broker->node_id);
    return *cluster || slice_eq(name, slice_of(me));
}

static struct conf_kv *as_kv(struct arena *a, const struct image_config *in, int n)
{
    struct conf_kv *kv = arena_array(a, struct conf_kv, n);
    for (int i = 0; i < n; i++) kv[i] = (struct conf_kv){ in[i].name, in[i].value };
    return kv;
}

/* What is set on a resource now: a topic's overrides, or those of a broker, group, … */
static int current_of(const struct image *im, int8_t type, struct slice name, const struct image_config **out)
{
    *out = NULL;
    if (type == RES_TOPIC) {
        const struct image_topic *t = image_topic(im, name);
        if (!t) return 0;
        *out = t->configs;
        return t->configs_n;
    }
    const struct image_resource *r = image_resource(im, type, name);
    if (!r) return 0;
    *out = r->configs;
    return r->configs_n;
}

/* ---- describe ------------------------------------------------------------------------------------------------------------------------ */

static int describe_rows(struct req *rq, int8_t type, struct slice name, struct arena *scratch, struct conf_row **rows, int *n,
                         struct slice *message)
{
    const struct image *im = req_image(rq);
    const struct image_config *cur;
    struct arena *a = &rq->arena;
    bool cluster;
    int cur_n = current_of(im, type, name, &cur);
    switch (type) {
    case RES_TOPIC:
        if (!image_topic(im, name)) return E_UNKNOWN_TOPIC_OR_PARTITION;
        *n = conf_describe_topic(im->conf, as_kv(scratch, cur, cur_n), cur_n, scratch, rows);
        return 0;
    case RES_BROKER:
        if (!is_me(rq, name, &cluster)) {
            *message = arena_printf(a, "Unexpected broker id, expected %d or empty string, but received " S_FMT,
                                    rq->shard->broker->node_id, S_ARG(name));
            return E_INVALID_REQUEST;
        }
        *n = cluster ? conf_describe_cluster(im->conf, scratch, rows) : conf_describe_broker(im->conf, scratch, rows);
        return 0;
    case RES_LOGGER:
        if (name.n == 0) {
            *message = S("Broker id must not be empty");
            return E_INVALID_REQUEST;
        }
        if (!is_me(rq, name, &cluster)) {
            *message =
                arena_printf(a, "Unexpected broker id, expected %d but received " S_FMT, rq->shard->broker->node_id, S_ARG(name));
            return E_INVALID_REQUEST;
        }
        *rows = arena_new(scratch, struct conf_row);
        **rows = (struct conf_row){
            .name = S("root"), .value = slice_of(level_names[log_threshold]), .type = CONF_TYPE_STRING, .source = CONF_FROM_LOGGER
        };
        *n = 1;
        return 0;
    case RES_METRICS:
        if (name.n == 0) {
            *message = S("Client metrics subscription name must not be empty");
            return E_INVALID_REQUEST;
        }
        *n = conf_describe_client_metrics(as_kv(scratch, cur, cur_n), cur_n, scratch, rows);
        return 0;
    case RES_GROUP:
        if (name.n == 0) {
            *message = S("Group name must not be empty");
            return E_INVALID_REQUEST;
        }
        *n = conf_describe_group(im->conf, as_kv(scratch, cur, cur_n), cur_n, scratch, rows);
        return 0;
    default: *message = arena_printf(a, "Unsupported resource type: %d", type); return E_INVALID_REQUEST;
    }
}

static bool key_wanted(const struct describe_configs_request_describe_configs_resource *in, struct slice name)
{
    if (in->configuration_keys_n < 0) return true;
    for (int i = 0; i < in->configuration_keys_n; i++)
        if (slice_eq(in->configuration_keys[i], name)) return true;
    return false;
}

static void fill_row(struct req *rq, const struct conf_row *row,
                     struct describe_configs_response_describe_configs_resource_result *c)
{
    const struct describe_configs_request *in = rq->in;
    struct arena *a = &rq->arena;
    c->name = row->name;
    c->value = arena_copy(a, row->value);
    c->read_only = row->read_only;
    c->config_source = (int8_t)row->source;
    c->is_sensitive = row->sensitive;
    c->config_type = (int8_t)row->type;
    if (in->include_documentation) c->documentation = row->doc;
    if (!in->include_synonyms) return;
    c->synonyms_n = row->synonyms_n;
    c->synonyms = wire_array(a, describe_configs_response_describe_configs_synonym, c->synonyms_n);
    for (int s = 0; s < c->synonyms_n; s++) {
        c->synonyms[s].name = row->synonyms[s].name;
        c->synonyms[s].value = slice_eq(row->synonyms[s].value, row->value) ? c->value : arena_copy(a, row->synonyms[s].value);
        c->synonyms[s].source = (int8_t)row->synonyms[s].source;
    }
}

/* The rows themselves are made aside: what the answer shows of them is a fraction. */
static void describe_resource(struct req *rq, const struct describe_configs_request_describe_configs_resource *r,
                              struct describe_configs_response_describe_configs_result *o)
{
    struct arena scratch;
    struct conf_row *rows = NULL;
    struct slice message = { 0 };
    int n = 0, wanted = 0;
    arena_init(&scratch);
    int rc = describe_rows(rq, r->resource_type, r->resource_name, &scratch, &rows, &n, &message);
    o->error_code = (int16_t)err_kafka(rc);
    o->error_message = rc && !message.p ? slice_of(err_text(rc)) : message;
    for (int k = 0; k < n; k++)
        if (key_wanted(r, rows[k].name)) rows[wanted++] = rows[k];
    o->configs_n = wanted;
    o->configs = wire_array(&rq->arena, describe_configs_response_describe_configs_resource_result, wanted);
    for (int k = 0; k < wanted; k++) fill_row(rq, &rows[k], &o->configs[k]);
    arena_free(&scratch);
}

/* What the answer takes, at most: a topic without settings of its own shows the rows of the first one, and others, perhaps, their own. */
static int64_t describe_bytes(struct req *rq)
{
    enum { TOPIC_BYTES = 12 * 1024, BROKER_BYTES = 96 * 1024 };
    const struct describe_configs_request *in = rq->in;
    const struct image *im = req_image(rq);
    int64_t n = 0;
    for (int i = 0; i < in->resources_n; i++) {
        const struct describe_configs_request_describe_configs_resource *r = &in->resources[i];
        const struct image_topic *t = r->resource_type == RES_TOPIC ? image_topic(im, r->resource_name) : NULL;
        n += (int64_t)sizeof(struct describe_configs_response_describe_configs_result);
        if (r->resource_type == RES_BROKER) n += BROKER_BYTES;
        else if (r->resource_type == RES_TOPIC)
            n += t && (i == 0 || t->configs_n > 0 || r->configuration_keys_n >= 0) ? TOPIC_BYTES : 0;
        else n += TOPIC_BYTES / 4;
    }
    return n;
}

enum req_next describe_configs_start(struct req *rq)
{
    const struct describe_configs_request *in = rq->in;
    struct describe_configs_response *out = rq->out;
    const struct image *im = req_image(rq);
    struct described_cache topics = { .a = &rq->arena };

    if (in->resources_n > 1 && !req_pay(rq, describe_bytes(rq))) return REQ_WAIT;
    out->results_n = MAX(in->resources_n, 0);
    out->results = wire_array(&rq->arena, describe_configs_response_describe_configs_result, out->results_n);
    for (int i = 0; i < out->results_n; i++) {
        const struct describe_configs_request_describe_configs_resource *r = &in->resources[i];
        struct describe_configs_response_describe_configs_result *o = &out->results[i];
        o->resource_type = r->resource_type;
        o->resource_name = r->resource_name;
        const struct image_topic *t = NULL;
        if (r->resource_type == RES_TOPIC && r->configuration_keys_n < 0) t = image_topic(im, r->resource_name);
        struct described *d = t ? described_get(&topics, t->configs, t->configs_n) : NULL;
        if (d && d->rows_n >= 0) {
            o->configs = d->rows;
            o->configs_n = d->rows_n;
            continue;
        }
        if (req_outgrown(rq)) break;
        describe_resource(rq, r, o);
        if (!d) continue;
        d->rows = o->configs;
        d->rows_n = o->configs_n;
    }
    described_free(&topics);
    return rq->close_why ? REQ_CLOSE : REQ_DONE;
}

/* ---- alter ------------------------------------------------------------------------------------------------------------------------------- */

struct op { /* of either API; AlterConfigs has only CONF_OP_SET, on top of nothing */
    struct slice name, value;
    int8_t op;
};
struct resource {
    int8_t type;
    struct slice name;
    struct op *ops;
    int ops_n;
    int err;
    struct slice message;
};
struct call {
    struct meta_change change;
    struct req *rq;
    struct resource *res;
    int n;
    bool replace; /* AlterConfigs: what is not named is removed */
    bool validate_only;
    bool loggers; /* incremental only */
};

static int fail(struct resource *r, int err, struct slice message)
{
    r->message = message;
    return err;
}

static int logger_alter(struct call *c, struct resource *r)
{
    struct arena *a = &c->rq->arena;
    bool cluster;
    if (!c->loggers)
        return fail(r, E_INVALID_REQUEST, S("AlterConfigs is deprecated and does not support the resource type BROKER_LOGGER"));
    if (!is_me(c->rq, r->name, &cluster) || cluster)
        return fail(r, E_INVALID_REQUEST,
                    arena_printf(a, "Unexpected broker id, expected %d but received " S_FMT, c->rq->shard->broker->node_id,
                                 S_ARG(r->name)));
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < r->ops_n; i++) {
            const struct op *op = &r->ops[i];
            int level = -1;
            if (!slice_eq(op->name, S("root")))
                return fail(r, E_INVALID_CONFIG, arena_printf(a, "Logger " S_FMT " does not exist!", S_ARG(op->name)));
            if (op->op == CONF_OP_DELETE)
                return fail(r, E_INVALID_REQUEST, S("Removing the log level of the root logger is not allowed"));
            if (op->op != CONF_OP_SET)
                return fail(r, E_INVALID_REQUEST,
                            S("APPEND and SUBTRACT operations are not allowed for the BROKER_LOGGER resource"));
            for (int k = 0; k < (int)ARRAY_LEN(level_names); k++)
                if (slice_eq(op->value, slice_of(level_names[k]))) level = k;
            if (slice_eq(op->value, S("TRACE"))) level = LOG_DEBUG;
            if (slice_eq(op->value, S("FATAL"))) level = LOG_ERROR;
            if (level < 0)
                return fail(
                    r, E_INVALID_CONFIG,
                    arena_printf(
                        a,
                        "Cannot set the log level of root to " S_FMT
                        " as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                        S_ARG(op->value)));
            if (pass == 1 && !c->validate_only) log_threshold = (enum log_level)level;
        }
    }
    return 0;
}

static int resource_check(struct call *c, const struct image *im, struct resource *r, const struct conf_kv *all, int n)
{
    struct why w;
    bool cluster;
    int rc;
    switch (r->type) {
    case RES_TOPIC: rc = topic_conf_check(im->conf, all, n, &w); break;
    case RES_BROKER:
        (void)is_me(c->rq, r->name, &cluster);
        rc = conf_dynamic_check(im->conf, !cluster, all, n, &w);
        break;
    case RES_METRICS: rc = metrics_conf_check(all, n, &w); break;
    default: rc = group_conf_check(im->conf, all, n, &w); break;
    }
    return rc ? fail(r, rc, arena_copy(&c->rq->arena, slice_of(w.text))) : 0;
}

static int name_check(struct call *c, const struct image *im, struct resource *r)
{
    struct arena *a = &c->rq->arena;
    bool cluster;
    switch (r->type) {
    case RES_TOPIC:
        if (!image_topic(im, r->name))
            return fail(r, E_UNKNOWN_TOPIC_OR_PARTITION,
                        arena_printf(a, "The topic '" S_FMT "' does not exist.", S_ARG(r->name)));
        return 0;
    case RES_BROKER:
        if (!is_me(c->rq, r->name, &cluster))
            return fail(r, E_INVALID_REQUEST,
                        arena_printf(a, "Unexpected broker id, expected %d or empty string, but received " S_FMT,
                                     c->rq->shard->broker->node_id, S_ARG(r->name)));
        return 0;
    case RES_METRICS: return r->name.n ? 0 : fail(r, E_INVALID_REQUEST, S("Subscription name can't be empty"));
    case RES_GROUP: return r->name.n ? 0 : fail(r, E_INVALID_REQUEST, S("Group name can't be empty"));
    default: return fail(r, E_INVALID_REQUEST, arena_printf(a, "Unsupported resource type: %d", r->type));
    }
}

static enum conf_scope scope_of(int8_t type) { return (enum conf_scope)type; } /* the same numbers */

static int resource_alter(struct call *c, struct meta_edit *e, struct resource *r)
{
    const struct image *im = edit_image(e);
    struct arena *a = &c->rq->arena;
    const struct image_config *cur;
    int cur_n, n = 0, rc;

    for (int i = 0; i < c->n; i++)
        if (&c->res[i] != r && c->res[i].type == r->type && slice_eq(c->res[i].name, r->name))
            return fail(r, E_INVALID_REQUEST, S("Each resource must appear at most once."));
    for (int i = 0; i < r->ops_n; i++) {
        for (int k = 0; k < i; k++)
            if (slice_eq(r->ops[i].name, r->ops[k].name))
                return fail(r, E_INVALID_REQUEST,
                            arena_printf(a, "Error due to duplicate config keys: " S_FMT, S_ARG(r->ops[i].name)));
        if (r->ops[i].op != CONF_OP_DELETE && !r->ops[i].value.p)
            return fail(r, E_INVALID_REQUEST, arena_printf(a, "Null value not supported for : " S_FMT, S_ARG(r->ops[i].name)));
    }
    if (r->type == RES_LOGGER) return logger_alter(c, r);
    rc = name_check(c, im, r);
    if (rc) return rc;
    cur_n = current_of(im, r->type, r->name, &cur);
    struct conf_kv *all = arena_array(a, struct conf_kv, cur_n + r->ops_n);
    for (int i = 0; i < cur_n; i++) {
        bool named = c->replace;
        for (int k = 0; k < r->ops_n; k++) named |= slice_eq(r->ops[k].name, cur[i].name);
        if (!named) all[n++] = (struct conf_kv){ cur[i].name, cur[i].value };
    }
    for (int k = 0; k < r->ops_n; k++) {
        struct slice now = { 0 };
        struct why w;
        for (int i = 0; i < cur_n; i++)
            if (slice_eq(cur[i].name, r->ops[k].name)) now = cur[i].value;
        if (c->replace) {
            all[n++] = (struct conf_kv){ r->ops[k].name, r->ops[k].value };
            continue;
        }
        struct slice value;
        rc = conf_alter(scope_of(r->type), r->ops[k].name, now, r->ops[k].op, r->ops[k].value, a, &value, &w);
        if (rc) return fail(r, rc, arena_copy(a, slice_of(w.text)));
        r->ops[k].value = value;
        if (value.p) all[n++] = (struct conf_kv){ r->ops[k].name, value };
    }
    rc = resource_check(c, im, r, all, n);
    if (rc || c->validate_only) return rc;
    for (int k = 0; k < r->ops_n; k++) edit_config(e, r->type, r->name, r->ops[k].name, r->ops[k].value);
    for (int i = 0; c->replace && i < cur_n; i++) {
        bool kept = false;
        for (int k = 0; k < r->ops_n; k++) kept |= slice_eq(r->ops[k].name, cur[i].name);
        if (!kept) edit_config(e, r->type, r->name, cur[i].name, (struct slice){ 0 });
    }
    return 0;
}

static int alter_run(struct meta_change *change, struct meta_edit *e)
{
    struct call *c = container_of(change, struct call, change);
    for (int i = 0; i < c->n; i++) c->res[i].err = resource_alter(c, e, &c->res[i]);
    return 0;
}

static void alter_submit(struct req *rq, struct call *c)
{
    c->rq = rq;
    c->change.run = alter_run;
    c->change.home = req_home(rq);
    c->change.who = req_ticket(rq);
    meta_submit(rq->shard->broker->meta, &c->change);
}

static bool alter_done(struct call *c)
{
    if (!atomic_load_explicit(&c->change.done, memory_order_acquire)) return false;
    for (int i = 0; c->change.err && i < c->n; i++)
        if (!c->res[i].err) c->res[i].err = fail(&c->res[i], c->change.err, slice_of(err_text(c->change.err)));
    return true;
}

static enum req_next alter_answer(struct req *rq)
{
    struct call *c = rq->call;
    struct alter_configs_response *out = rq->out;
    if (!alter_done(c)) return REQ_WAIT;
    for (int i = 0; i < c->n; i++) {
        out->responses[i].error_code = (int16_t)err_kafka(c->res[i].err);
        out->responses[i].error_message = c->res[i].message;
        out->responses[i].resource_type = c->res[i].type;
        out->responses[i].resource_name = c->res[i].name;
    }
    return REQ_DONE;
}

enum req_next alter_configs_start(struct req *rq)
{
    const struct alter_configs_request *in = rq->in;
    struct alter_configs_response *out = rq->out;
    struct call *c = rq->call = arena_new(&rq->arena, struct call);

    c->replace = true;
    c->validate_only = in->validate_only;
    c->n = MAX(in->resources_n, 0);
    c->res = arena_array(&rq->arena, struct resource, c->n);
    for (int i = 0; i < c->n; i++) {
        struct resource *r = &c->res[i];
        r->type = in->resources[i].resource_type;
        r->name = in->resources[i].resource_name;
        r->ops_n = MAX(in->resources[i].configs_n, 0);
        r->ops = arena_array(&rq->arena, struct op, r->ops_n);
        for (int k = 0; k < r->ops_n; k++)
            r->ops[k] = (struct op){ in->resources[i].configs[k].name, in->resources[i].configs[k].value, CONF_OP_SET };
    }
    out->responses_n = c->n;
    out->responses = wire_array(&rq->arena, alter_configs_response_alter_configs_resource_response, c->n);
    alter_submit(rq, c);
    return req_goto(rq, alter_answer);
}

static enum req_next incremental_answer(struct req *rq)
{
    struct call *c = rq->call;
    struct incremental_alter_configs_response *out = rq->out;
    if (!alter_done(c)) return REQ_WAIT;
    for (int i = 0; i < c->n; i++) {
        out->responses[i].error_code = (int16_t)err_kafka(c->res[i].err);
        out->responses[i].error_message = c->res[i].message;
        out->responses[i].resource_type = c->res[i].type;
        out->responses[i].resource_name = c->res[i].name;
    }
    return REQ_DONE;
}

enum req_next incremental_alter_configs_start(struct req *rq)
{
    const struct incremental_alter_configs_request *in = rq->in;
    struct incremental_alter_configs_response *out = rq->out;
    struct call *c = rq->call = arena_new(&rq->arena, struct call);

    c->loggers = true;
    c->validate_only = in->validate_only;
    c->n = MAX(in->resources_n, 0);
    c->res = arena_array(&rq->arena, struct resource, c->n);
    for (int i = 0; i < c->n; i++) {
        struct resource *r = &c->res[i];
        r->type = in->resources[i].resource_type;
        r->name = in->resources[i].resource_name;
        r->ops_n = MAX(in->resources[i].configs_n, 0);
        r->ops = arena_array(&rq->arena, struct op, r->ops_n);
        for (int k = 0; k < r->ops_n; k++)
            r->ops[k] = (struct op){ in->resources[i].configs[k].name, in->resources[i].configs[k].value,
                                     in->resources[i].configs[k].config_operation };
    }
    out->responses_n = c->n;
    out->responses = wire_array(&rq->arena, incremental_alter_configs_response_alter_configs_resource_response, c->n);
    alter_submit(rq, c);
    return req_goto(rq, incremental_answer);
}

/* ---- list -------------------------------------------------------------------------------------------------------------------------------- */

static void list_add(struct list_config_resources_response *out, int8_t type, struct slice name)
{
    out->config_resources[out->config_resources_n].resource_type = type;
    out->config_resources[out->config_resources_n++].resource_name = name;
}

enum req_next list_config_resources_start(struct req *rq)
{
    static const int8_t all[] = { RES_TOPIC, RES_BROKER, RES_LOGGER, RES_METRICS, RES_GROUP };
    static const int8_t only_metrics[] = { RES_METRICS };
    const struct list_config_resources_request *in = rq->in;
    struct list_config_resources_response *out = rq->out;
    const struct image *im = req_image(rq);
    const int8_t *types = rq->version == 0 ? only_metrics : in->resource_types_n > 0 ? in->resource_types : all;
    int n = rq->version == 0 ? 1 : in->resource_types_n > 0 ? in->resource_types_n : (int)ARRAY_LEN(all);
    struct slice me = arena_printf(&rq->arena, "%d", rq->shard->broker->node_id);

    for (int i = 0; i < n; i++) {
        if (memchr(all, types[i], sizeof all)) continue;
        out->error_code = KAFKA_UNSUPPORTED_VERSION;
        return REQ_DONE;
    }
    out->config_resources =
        wire_array(&rq->arena, list_config_resources_response_config_resource, im->topics_n + im->resources_n + 2);
    for (size_t k = 0; k < sizeof all; k++) {
        if (!memchr(types, all[k], (size_t)n)) continue;
        if (all[k] == RES_TOPIC)
            for (int i = 0; i < im->topics_n; i++) list_add(out, RES_TOPIC, im->topics[i]->name);
        if (all[k] == RES_BROKER || all[k] == RES_LOGGER) list_add(out, all[k], me);
        for (int i = 0; i < im->resources_n; i++)
            if ((all[k] == RES_METRICS || all[k] == RES_GROUP) && im->resources[i].type == all[k])
                list_add(out, all[k], im->resources[i].name);
    }
    return REQ_DONE;
}
