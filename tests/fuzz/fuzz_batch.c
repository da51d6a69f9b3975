/* Bytes as a partition's records in a produce request: checked, and read, stamped and recompressed as the check said; then as an old
 * message set. The checksum is put right first where there is a header, or nothing would get past it. */
#include "fuzz.h"
#include <odradek/batch.h>

static void must(bool ok)
{
    if (!ok) __builtin_trap();
}

/* Reads all records: their number, or an error. */
static int64_t read_all(const uint8_t *p, size_t n, size_t max, struct bytes *scratch, int64_t *max_timestamp)
{
    struct record_iter it;
    struct record r;
    struct record_header h;
    int64_t seen = 0;
    *max_timestamp = NO_TIMESTAMP;
    int rc = record_iter_init(&it, p, n, scratch, max);
    while (rc == 0 && (rc = record_next(&it, &r)) == 1) {
        int32_t claimed = r.header_count, headers = 0;
        while (record_header_next(&r, &h)) headers++;
        must(headers == claimed);
        *max_timestamp = MAX(*max_timestamp, r.timestamp);
        seen++;
        rc = 0;
    }
    record_iter_end(&it);
    return rc < 0 ? rc : seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bytes scratch, copy, out, back;
    enum { CAP = 1 << 20 };
    struct batch_rules rules = {
        .produce_version = 11,
        .now_ms = 1700000000000,
        .before_max_ms = INT64_MAX,
        .after_max_ms = INT64_MAX,
        .inflate_max = CAP,
        .topic = S("t"),
    };
    struct batch_info info;
    struct batch_head h;
    struct arena a;
    int64_t latest;
    if (size == 0) return 0;
    rules.compacted = data[0] & 1;
    rules.coordinator = data[0] & 2;
    rules.log_append_time = data[0] & 4;
    enum codec to = (enum codec)(data[0] / 8 % CODEC_COUNT);
    copy.n = 0;
    bytes_put(&copy, data + 1, size - 1);
    if (batch_parse_head(copy.p, copy.n, &h) == 0 && h.magic == 2 && (size_t)h.size <= copy.n) {
        batch_seal(copy.p);
        if (!rules.coordinator) batch_set_base_offset(copy.p, 0);
    }
    arena_init(&a);
    int rc = batch_check(copy.p, copy.n, &rules, &a, &info);
    must(rc <= 0 && (rc < 0) == (info.reason != NULL));
    if (rc == 0) {
        must(info.inside_ok && read_all(copy.p, copy.n, CAP, &scratch, &latest) == info.head.count);
        must(rules.log_append_time || latest == info.max_timestamp);
        batch_stamp(copy.p, &rules, &info);
        out.n = back.n = 0;
        int n = batch_recompress(copy.p, copy.n, to, CODEC_LEVEL_DEFAULT, CAP, &out);
        must(n > 0 && (size_t)n == out.n && batch_verify(out.p, out.n) == 0);
        must(read_all(out.p, out.n, CAP, &scratch, &latest) == info.head.count);
        must(!rules.log_append_time || info.head.count == 0 || latest == rules.now_ms);
        must(batch_recompress(out.p, out.n, CODEC_NONE, 0, CAP, &back) > 0 && back.n - BATCH_HEADER == info.inflated);
    } else {
        (void)read_all(copy.p, copy.n, CAP, &scratch, &latest);
        out.n = 0;
        (void)batch_recompress(copy.p, copy.n, to, CODEC_LEVEL_DEFAULT, CAP, &out);
    }
    out.n = 0;
    if (batch_upconvert(copy.p, copy.n, CAP, &out) > 0) must(batch_verify(out.p, out.n) == 0);
    arena_free(&a);
    return 0;
}
