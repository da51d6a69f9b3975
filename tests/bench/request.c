#include "request.h"
#include "bench.h"
#include <errno.h>
#include <odradek/batch.h>
#include <odradek/wire.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Versions that every broker of today has; Fetch 12 and OffsetCommit 8 are the last that name topics by name. */
enum { API_VERSIONS_V = 3, METADATA_V = 12, PRODUCE_V = 9, FETCH_V = 12, COMMIT_V = 8, LIST_OFFSETS_V = 6 };

/* Marks: values that occur nowhere else in a request, so that a field's place is found by looking for it. */
static const int32_t mark_partition = 0x5ead1a7e;
static const int64_t mark_offset = 0x5ead0ff5e7c0ffee;
static const char mark_stamp[] = "\x5e\xad\x57\xa3\x9f\x11\x8e\x02";
static const char mark_group[] = "g-000000";

static size_t find(const struct bytes *b, const void *what, size_t n)
{
    const uint8_t *p = memmem(b->p, b->n, what, n);
    return p ? (size_t)(p - b->p) : SIZE_MAX;
}

/* The size, the header and the body of a request, as one. */
static void frame(struct bytes *to, const struct wire_msg *m, int16_t version, const void *body)
{
    struct request_header head = dflt_request_header;
    struct wire_out o = { 0 };
    head.request_api_key = m->key;
    head.request_api_version = version;
    head.client_id = S("bench");
    int rc = wire_encode(&msg_request_header, (int16_t)wire_request_header_version(m->key, version), &head, &o);
    if (!rc) rc = wire_encode(m, version, body, &o);
    if (rc) die("%s: %s", m->name, err_text(rc));
    wr_i32(to, (int32_t)o.b.n);
    wr_slice(to, (struct slice){ (char *)o.b.p, o.b.n });
    wire_out_free(&o);
}

/* Values like text: no two are the same, and a codec finds a half of it to take away. */
static void fill_value(uint8_t *p, size_t n, uint64_t *seed)
{
    static const char words[] = "{\"user\":\"0123456789\",\"event\":\"click\",\"page\":\"/index.html\"} ";
    for (size_t i = 0; i < n; i++) {
        if (i % 16 == 0) *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        p[i] =
            i % 32 < 16 ? (uint8_t)(32 + (*seed >> (i % 8 * 8)) % 90) : (uint8_t)words[(i + (*seed >> 60)) % (sizeof(words) - 1)];
    }
}

static void make_batch(struct bytes *to, const struct request_spec *spec)
{
    struct batch_opts opts = BATCH_OPTS;
    struct batch_builder bb;
    struct timespec t;
    uint64_t seed = 1;
    uint8_t *value = mem_alloc((size_t)spec->size);
    if (spec->codec) {
        int codec = codec_of_name(slice_of(spec->codec));
        if (codec < 0) die("no codec %s", spec->codec);
        opts.codec = (enum codec)codec;
    }
    if (spec->stamp && (spec->codec || (size_t)spec->size < sizeof(mark_stamp) - 1)) die("a stamp needs 8 uncompressed bytes");
    clock_gettime(CLOCK_REALTIME, &t);
    batch_begin(&bb, &opts, to);
    for (int i = 0; i < spec->records; i++) {
        fill_value(value, (size_t)spec->size, &seed);
        if (spec->stamp && i == 0) memcpy(value, mark_stamp, sizeof(mark_stamp) - 1);
        batch_append(&bb, (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, (struct slice){ 0 },
                     (struct slice){ (char *)value, (size_t)spec->size }, NULL, 0);
    }
    int rc = batch_end(&bb);
    if (rc < 0) die("batch: %s", err_text(rc));
    mem_free(value);
}

static void make_produce(struct request *r, const struct request_spec *spec, struct arena *a)
{
    struct bytes batch = { 0 };
    struct produce_request in = dflt_produce_request;
    make_batch(&batch, spec);
    in.acks = (int16_t)spec->acks;
    in.timeout_ms = 30000;
    in.topic_data = wire_new(a, produce_request_topic_produce_data);
    in.topic_data_n = 1;
    in.topic_data->name = slice_of(spec->topic);
    in.topic_data->partition_data = wire_new(a, produce_request_partition_produce_data);
    in.topic_data->partition_data_n = 1;
    in.topic_data->partition_data->index = mark_partition;
    in.topic_data->partition_data->records.bytes = (struct slice){ (char *)batch.p, batch.n };
    frame(&r->b, &msg_produce_request, PRODUCE_V, &in);
    r->batch_at = find(&r->b, batch.p, batch.n);
    r->batch_n = batch.n;
    if (spec->stamp) r->stamp_at = find(&r->b, mark_stamp, sizeof(mark_stamp) - 1);
    bytes_free(&batch);
}

static void make_fetch(struct request *r, const struct request_spec *spec, struct arena *a)
{
    struct fetch_request in = dflt_fetch_request;
    in.max_wait_ms = spec->max_wait_ms;
    in.min_bytes = spec->min_bytes;
    in.max_bytes = spec->max_bytes;
    in.session_epoch = -1;
    in.topics = wire_new(a, fetch_request_fetch_topic);
    in.topics_n = 1;
    in.topics->topic = slice_of(spec->topic);
    in.topics->partitions = wire_new(a, fetch_request_fetch_partition);
    in.topics->partitions_n = 1;
    in.topics->partitions->partition = mark_partition;
    in.topics->partitions->fetch_offset = mark_offset;
    in.topics->partitions->partition_max_bytes = spec->max_bytes;
    frame(&r->b, &msg_fetch_request, FETCH_V, &in);
}

static void make_commit(struct request *r, const struct request_spec *spec, struct arena *a)
{
    struct offset_commit_request in = dflt_offset_commit_request;
    in.group_id = S("g-000000");
    in.generation_id_or_member_epoch = -1;
    in.topics = wire_new(a, offset_commit_request_topic);
    in.topics_n = 1;
    in.topics->name = slice_of(spec->topic);
    in.topics->partitions = wire_new(a, offset_commit_request_partition);
    in.topics->partitions_n = 1;
    in.topics->partitions->committed_offset = 1;
    in.topics->partitions->committed_metadata = S("");
    frame(&r->b, &msg_offset_commit_request, COMMIT_V, &in);
}

void request_make(struct request *r, const struct request_spec *spec)
{
    struct arena a;
    uint8_t mark[8];
    arena_init(&a);
    *r = (struct request){ .batch_at = SIZE_MAX, .stamp_at = SIZE_MAX };
    switch (spec->kind) {
    case REQUEST_API_VERSIONS: {
        struct api_versions_request in = dflt_api_versions_request;
        in.client_software_name = S("bench");
        in.client_software_version = S("1");
        frame(&r->b, &msg_api_versions_request, API_VERSIONS_V, &in);
        break;
    }
    case REQUEST_METADATA: {
        struct metadata_request in = dflt_metadata_request;
        in.topics = wire_new(&a, metadata_request_topic);
        in.topics_n = 1;
        in.topics->name = slice_of(spec->topic);
        in.allow_auto_topic_creation = false;
        frame(&r->b, &msg_metadata_request, METADATA_V, &in);
        break;
    }
    case REQUEST_PRODUCE: make_produce(r, spec, &a); break;
    case REQUEST_FETCH: make_fetch(r, spec, &a); break;
    case REQUEST_COMMIT: make_commit(r, spec, &a); break;
    }
    put_be32(mark, (uint32_t)mark_partition);
    r->partition_at = find(&r->b, mark, 4);
    put_be64(mark, (uint64_t)mark_offset);
    r->offset_at = find(&r->b, mark, 8);
    r->group_at = find(&r->b, mark_group, sizeof(mark_group) - 1);
    if (r->group_at != SIZE_MAX) r->group_at += 2;
    if (r->partition_at != SIZE_MAX) put_be32(r->b.p + r->partition_at, 0);
    if (r->offset_at != SIZE_MAX) put_be64(r->b.p + r->offset_at, 0);
    arena_free(&a);
}

void request_free(struct request *r) { bytes_free(&r->b); }

void request_set_group(const struct request *r, uint8_t *p, uint32_t group)
{
    for (int i = 5; i >= 0; i--, group /= 10) p[r->group_at + (size_t)i] = (uint8_t)('0' + group % 10);
}

void request_set_stamp(const struct request *r, uint8_t *p, uint64_t ns)
{
    put_be64(p + r->stamp_at, ns);
    batch_seal(p + r->batch_at);
}

/* ---- answers: read by hand, because to decode all of one would cost the generator what it is to measure ------------------- */

static struct rd head_of(const uint8_t *p, size_t n, bool tags, struct answer *out)
{
    struct rd r = { p, p + n, 0 };
    rd_i32(&r);
    out->id = rd_u32(&r);
    if (tags) rd_skip_tags(&r);
    return r;
}

static bool one_of(struct rd *r) { return rd_uvarint(r) == 2; } /* a compact array of one */

struct answer answer_read(enum request_kind kind, const uint8_t *p, size_t n)
{
    struct answer out = { 0 };
    struct rd r = head_of(p, n, kind != REQUEST_API_VERSIONS, &out);
    bool sane = true;
    switch (kind) {
    case REQUEST_API_VERSIONS: out.error = rd_i16(&r); break;
    case REQUEST_METADATA: break;
    case REQUEST_PRODUCE:
        sane = one_of(&r);
        rd_compact(&r);
        sane = one_of(&r) && sane;
        rd_i32(&r);
        out.error = rd_i16(&r);
        out.offset = rd_i64(&r);
        break;
    case REQUEST_COMMIT:
        rd_i32(&r);
        sane = one_of(&r);
        rd_compact(&r);
        sane = one_of(&r) && sane;
        rd_i32(&r);
        out.error = rd_i16(&r);
        break;
    case REQUEST_FETCH:
        rd_i32(&r);
        out.error = rd_i16(&r);
        rd_i32(&r);
        if (out.error) break;
        sane = one_of(&r);
        rd_compact(&r);
        sane = one_of(&r) && sane;
        rd_i32(&r);
        out.error = rd_i16(&r);
        out.high = rd_i64(&r);
        rd_i64(&r);
        rd_i64(&r);
        if (rd_uvarint(&r) > 1) sane = false; /* aborted transactions: we make none */
        rd_i32(&r);
        uint32_t size = rd_uvarint(&r);
        out.record_bytes = size ? (int64_t)size - 1 : 0;
        out.records_at = (size_t)(r.p - p);
        break;
    }
    if (r.err || !sane) out.error = ANSWER_STRANGE;
    return out;
}

int64_t answer_stamps(const uint8_t *records, size_t n, int64_t next, void (*stamp)(void *arg, uint64_t ns), void *arg)
{
    struct batch_head h;
    for (size_t at = 0; batch_parse_head(records + at, n - at, &h) == 0 && n - at >= (size_t)h.size; at += (size_t)h.size) {
        struct rd r = { records + at + BATCH_AT_RECORDS, records + at + h.size, 0 };
        rd_varint(&r); /* the first record: size, attributes, deltas, no key */
        rd_i8(&r);
        rd_varlong(&r);
        rd_varint(&r);
        int32_t key_n = rd_varint(&r), value_n = rd_varint(&r);
        if (key_n < 0 && value_n >= 8) stamp(arg, rd_u64(&r));
        next = batch_last_offset(&h) + 1;
    }
    return next;
}

/* ---- asking once ----------------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, (char *)to + at, n - at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        at += (size_t)k;
    }
    return true;
}

/* Sends what b holds; then b is the answer behind its size. */
static bool ask(int fd, struct bytes *b)
{
    uint8_t size[4];
    if (write(fd, b->p, b->n) != (ssize_t)b->n || !read_all(fd, size, 4)) return false;
    b->n = 0;
    (void)bytes_room(b, be32(size));
    b->n = be32(size);
    return read_all(fd, b->p, b->n);
}

bool ask_hello(int fd)
{
    struct request r;
    struct request_spec spec = { .kind = REQUEST_API_VERSIONS, .topic = "" };
    request_make(&r, &spec);
    bool heard = ask(fd, &r.b);
    request_free(&r);
    return heard;
}

int64_t ask_end(int fd, const char *topic, int32_t partition)
{
    struct list_offsets_request in = dflt_list_offsets_request;
    struct list_offsets_response out;
    struct response_header head;
    struct bytes b = { 0 };
    struct arena a;
    size_t used = 0;
    arena_init(&a);
    in.replica_id = -1;
    in.topics = wire_new(&a, list_offsets_request_list_offsets_topic);
    in.topics_n = 1;
    in.topics->name = slice_of(topic);
    in.topics->partitions = wire_new(&a, list_offsets_request_list_offsets_partition);
    in.topics->partitions_n = 1;
    in.topics->partitions->partition_index = partition;
    in.topics->partitions->timestamp = -1;
    frame(&b, &msg_list_offsets_request, LIST_OFFSETS_V, &in);
    if (!ask(fd, &b)) die("the broker closed the connection");
    struct slice s = { (char *)b.p, b.n };
    int rc =
        wire_decode(&msg_response_header, (int16_t)wire_response_header_version(msg_list_offsets_request.key, LIST_OFFSETS_V), s,
                    &a, &head, &used);
    s = (struct slice){ s.p + used, s.n - used };
    if (!rc) rc = wire_decode(&msg_list_offsets_response, LIST_OFFSETS_V, s, &a, &out, NULL);
    if (rc || out.topics_n != 1 || out.topics->partitions_n != 1)
        die("ListOffsets: %s", rc ? err_text(rc) : "not what was asked");
    int64_t end = out.topics->partitions->error_code ? -out.topics->partitions->error_code : out.topics->partitions->offset;
    arena_free(&a);
    bytes_free(&b);
    return end;
}
