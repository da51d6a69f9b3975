/* ApiVersions (key 18), v0–4. v3 flexible, features (K12), client software name; v4 features that begin at 0. The table answers. */
#include "../req.h"
#include "../shard.h"

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool software_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || i == s.n - 1 || (c != '-' && c != '.'))) return false;
    }
    return s.n > 0;
}

/* Features this broker knows, and the levels that are in force here: a level whose APIs are not served is kept in the log but not shown (K12). */
static const struct {
    const char *name;
    int16_t min, max;
    int16_t needs; /* an API key without which it is not in force; -1 none */
} known[] = {
    { "metadata.version", 7, 30, -1 },
    { "kraft.version", 0, 1, -1 },
    { "group.version", 0, 1, API_CONSUMER_GROUP_HEARTBEAT },
    { "transaction.version", 0, 2, API_END_TXN },
    { "share.version", 0, 1, API_SHARE_FETCH },
    { "streams.version", 0, 1, API_STREAMS_GROUP_HEARTBEAT },
    { "eligible.leader.replicas.version", 0, 1, -1 },
};

static void features(struct req *rq, const struct image *im, struct api_versions_response *out)
{
    out->supported_features = wire_array(&rq->arena, api_versions_response_supported_feature_key, ARRAY_LEN(known));
    out->finalized_features = wire_array(&rq->arena, api_versions_response_finalized_feature_key, ARRAY_LEN(known));
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].needs >= 0 && !api_find(known[i].needs)) continue;
        if (known[i].min > 0 || rq->version >= 4) { /* before v4 a lowest level of 0 could not be said (KIP-1022) */
            struct api_versions_response_supported_feature_key *s = &out->supported_features[out->supported_features_n++];
            s->name = slice_of(known[i].name);
            s->min_version = known[i].min;
            s->max_version = known[i].max;
        }
        for (int k = 0; k < im->features_n; k++) {
            if (!slice_eq(im->features[k].name, slice_of(known[i].name)) || im->features[k].level <= 0) continue;
            struct api_versions_response_finalized_feature_key *f = &out->finalized_features[out->finalized_features_n++];
            f->name = im->features[k].name;
            f->min_version_level = f->max_version_level = im->features[k].level;
        }
    }
    out->finalized_features_epoch = im->offset;
}

enum req_next api_versions_start(struct req *rq)
{
    const struct api_versions_request *in = rq->in;
    struct api_versions_response *out = rq->out;
    const struct image *im = req_image(rq);
    int n;
    const struct api *table = api_table(&n);

    if (rq->version >= 3 && (!software_ok(in->client_software_name) || !software_ok(in->client_software_version))) {
        out->error_code = KAFKA_INVALID_REQUEST;
        return REQ_DONE;
    }
    if (rq->version >= 3 && rq->client)
        (void)snprintf(rq->client->software, sizeof rq->client->software, S_FMT "/" S_FMT, S_ARG(in->client_software_name),
                       S_ARG(in->client_software_version));
    out->api_keys = wire_array(&rq->arena, api_versions_response_api_version, n);
    for (int i = 0; i < n; i++) {
        if (table[i].hidden) continue;
        struct api_versions_response_api_version *v = &out->api_keys[out->api_keys_n++];
        v->api_key = table[i].key;
        v->min_version = table[i].shown_min;
        v->max_version = table[i].max;
    }
    features(rq, im, out);
    return REQ_DONE;
}
