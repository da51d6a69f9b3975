/* DescribeLogDirs (key 35), v1–5. v3 top-level error; v4 disk space; v5 cordoned. */
#include "../req.h"
#include "../shard.h"

static bool wanted(const struct describe_log_dirs_request *in, struct slice topic, int32_t partition)
{
    if (in->topics_n < 0) return true;
    for (int i = 0; i < in->topics_n; i++) {
        if (!slice_eq(in->topics[i].topic, topic)) continue;
        for (int k = 0; k < in->topics[i].partitions_n; k++)
            if (in->topics[i].partitions[k] == partition) return true;
    }
    return false;
}

static void fill_dir(struct req *rq, int dir, struct describe_log_dirs_response_describe_log_dirs_result *o)
{
    const struct describe_log_dirs_request *in = rq->in;
    const struct image *im = req_image(rq);
    o->topics = wire_array(&rq->arena, describe_log_dirs_response_describe_log_dirs_topic, im->topics_n);
    for (int i = 0; i < im->topics_n; i++) {
        const struct image_topic *t = im->topics[i];
        struct describe_log_dirs_response_describe_log_dirs_topic *ot = &o->topics[o->topics_n];
        ot->partitions_n = 0;
        for (int32_t p = 0; p < t->partitions_n; p++) {
            struct plog *log = t->partitions[p].log;
            if (!log || plog_dir(log) != dir || !wanted(in, t->name, p)) continue;
            if (!ot->partitions)
                ot->partitions = wire_array(&rq->arena, describe_log_dirs_response_describe_log_dirs_partition, t->partitions_n);
            struct describe_log_dirs_response_describe_log_dirs_partition *op = &ot->partitions[ot->partitions_n++];
            op->partition_index = p;
            op->partition_size = plog_size(log);
        }
        if (ot->partitions_n == 0) continue;
        ot->name = t->name;
        o->topics_n++;
    }
}

enum req_next describe_log_dirs_start(struct req *rq)
{
    struct describe_log_dirs_response *out = rq->out;
    struct logs *logs = rq->shard->broker->logs;
    const struct image *im = req_image(rq);

    if (!req_pay(rq, (int64_t)logs_dirs(logs) * im->topics_n *
                             (int64_t)sizeof(struct describe_log_dirs_response_describe_log_dirs_topic) +
                         im->partitions_total * (int64_t)sizeof(struct describe_log_dirs_response_describe_log_dirs_partition)))
        return REQ_WAIT;
    out->results_n = logs_dirs(logs);
    out->results = wire_array(&rq->arena, describe_log_dirs_response_describe_log_dirs_result, out->results_n);
    for (int i = 0; i < out->results_n; i++) {
        struct log_dir_info d;
        logs_dir_info(logs, i, &d);
        out->results[i].log_dir = d.path;
        out->results[i].total_bytes = d.total_bytes;
        out->results[i].usable_bytes = d.usable_bytes;
        if (d.offline) {
            out->results[i].error_code = KAFKA_KAFKA_STORAGE_ERROR;
        } else {
            fill_dir(rq, i, &out->results[i]);
        }
    }
    return REQ_DONE;
}
