/* InitProducerId (key 22), v0–5: an id and an epoch for an idempotent producer; ids come in blocks that are durable before the first is given (K10).
 * Transactional producers are not served yet: they hear TRANSACTIONAL_ID_AUTHORIZATION_FAILED with a log line, which stock clients treat as fatal. */
#include "../req.h"
#include "../shard.h"

static enum req_next pid_take(struct req *rq)
{
    struct init_producer_id_response *out = rq->out;
    struct shard *s = rq->shard;
    if (!meta_producer_id(s->broker->meta, &s->pids, req_home(rq), req_ticket(rq), &out->producer_id)) {
        if (!rq->expired && !s->pids.err) return REQ_WAIT;
        out->error_code =
            s->pids.err ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_COORDINATOR_LOAD_IN_PROGRESS; /* clients try again */
        out->producer_id = out->producer_epoch = -1;
        return REQ_DONE;
    }
    out->producer_epoch = 0;
    return REQ_DONE;
}

enum req_next init_producer_id_start(struct req *rq)
{
    const struct init_producer_id_request *in = rq->in;
    struct init_producer_id_response *out = rq->out;

    if (in->transactional_id.p) {
        log_warn("broker", "transactions are not served", KV_SLICE("transactional_id", in->transactional_id));
        out->producer_id = out->producer_epoch = -1;
        out->error_code = in->transactional_id.n ? KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED : KAFKA_INVALID_REQUEST;
        return REQ_DONE;
    }
    /* Of an idempotent producer that lost a sequence: Kafka gives a fresh id here too (KIP-360 bumps epochs only for transactional ones). */
    req_deadline(rq, conf_i64(req_image(rq)->conf, CONF_REQUEST_TIMEOUT_MS));
    return req_goto(rq, pid_take);
}
