/* GetTelemetrySubscriptions (71) and PushTelemetry (72): answered but not listed (K15): no subscription, so nobody pushes. */
#include "../req.h"
#include "../shard.h"

enum req_next get_telemetry_subscriptions_start(struct req *rq)
{
    const struct get_telemetry_subscriptions_request *in = rq->in;
    struct get_telemetry_subscriptions_response *out = rq->out;
    out->client_instance_id =
        uuid_is_zero(in->client_instance_id) ? rnd_uuid(rq->shard->broker->world->rnd) : in->client_instance_id;
    out->push_interval_ms = 5 * 60 * 1000;
    out->telemetry_max_bytes = 1024 * 1024;
    return REQ_DONE;
}

enum req_next push_telemetry_start(struct req *rq)
{
    struct push_telemetry_response *out = rq->out;
    out->error_code = KAFKA_UNKNOWN_SUBSCRIPTION_ID;
    return REQ_DONE;
}
