/* DescribeCluster (key 60), v0–2. v1 endpoint type: this is a broker's endpoint (K15); v2 fenced brokers: there are none. */
#include "../req.h"
#include "../shard.h"
#include "../topics.h"

enum { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

enum req_next describe_cluster_start(struct req *rq)
{
    const struct describe_cluster_request *in = rq->in;
    struct describe_cluster_response *out = rq->out;
    int port;

    out->endpoint_type = in->endpoint_type;
    out->cluster_id = S("");
    if (in->endpoint_type != ENDPOINT_BROKER) {
        out->error_code =
            in->endpoint_type == ENDPOINT_CONTROLLER ? KAFKA_MISMATCHED_ENDPOINT_TYPE : KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        out->error_message =
            in->endpoint_type == ENDPOINT_CONTROLLER
                ? S("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
                : arena_printf(&rq->arena, "Unsupported endpoint type %d", in->endpoint_type);
        return REQ_DONE;
    }
    out->cluster_id = slice_of(rq->shard->broker->cluster_id);
    out->controller_id = rq->shard->broker->node_id;
    out->brokers_n = 1;
    out->brokers = wire_new(&rq->arena, describe_cluster_response_describe_cluster_broker);
    out->brokers->broker_id = rq->shard->broker->node_id;
    out->brokers->host = client_advertised_host(rq->client, &rq->arena, &port);
    out->brokers->port = port;
    if (in->include_cluster_authorized_operations) out->cluster_authorized_operations = OPS_CLUSTER;
    return REQ_DONE;
}
