/* What dump-log prints, against what Apache Kafka's kafka-dump-log printed for the same files (data/pack.py), and what it does with
 * damaged ones. */
#include "dump_log.h"
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <odradek/batch.h>
#include <stdlib.h>

/* ---- what was recorded ------------------------------------------------------------------------------------------------------------ */

struct golden {
    struct bytes data;
};
struct golden_file {
    struct slice name, content;
};

static void golden_open(struct golden *g)
{
    struct bytes packed = { 0 };
    struct world *w = world_real_new();

    *g = (struct golden){ 0 };
    assert_int_equal(fs_read_file(w->fs, TESTDATA "/unit/odradek/data/kafka-4.3.1-dump-log.gz", 1 << 20, &packed), 0);
    assert_int_equal(codec_decompress(CODEC_GZIP, packed.p, packed.n, 1 << 24, &g->data), 0);
    bytes_free(&packed);
    world_free(&w);
}

static bool golden_next(const struct golden *g, size_t *at, struct golden_file *f)
{
    const char *p = (const char *)g->data.p + *at;

    if (*at == g->data.n) return false;
    f->name = (struct slice){ p + 2, be16(p) };
    f->content = (struct slice){ p + 6 + f->name.n, be32(p + 2 + f->name.n) };
    *at += 6 + f->name.n + f->content.n;
    return true;
}

static struct slice golden_get(const struct golden *g, const char *name)
{
    struct golden_file f;

    for (size_t at = 0; golden_next(g, &at, &f);)
        if (slice_eq(f.name, slice_of(name))) return f.content;
    return (struct slice){ 0 };
}

static void golden_put_files(const struct golden *g, struct fs *fs)
{
    struct golden_file f;
    char path[256], dir[256];

    for (size_t at = 0; golden_next(g, &at, &f);) {
        if (f.name.p[0] != '/') continue;
        snprintf(path, sizeof path, "%.*s", (int)f.name.n, f.name.p);
        snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
        assert_int_equal(fs_mkdirs(fs, dir), 0);
        assert_int_equal(fs_write_file(fs, path, f.content), 0);
    }
}

/* ---- runs -------------------------------------------------------------------------------------------------------------------------------- */

struct capture {
    struct dump_sink sink;
    struct bytes out, err;
};

static void take(struct dump_sink *s, bool error, struct slice text)
{
    struct capture *c = container_of(s, struct capture, sink);
    bytes_put(error ? &c->err : &c->out, text.p, text.n);
}

static struct slice text_of(const struct bytes *b) { return (struct slice){ b->n ? (const char *)b->p : "", b->n }; }

/* Runs with a line of arguments. The output stays until the next run. */
static int run(struct fs *fs, struct capture *c, const char *line)
{
    static struct arena a;
    struct dump_opts o;
    struct why w = { "" };
    char *argv[64], *save = NULL, *text = mem_strdup(slice_of(line));
    int argc = 0;

    c->sink.write = take;
    c->out.n = c->err.n = 0;
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        assert_true(argc < 64);
        argv[argc++] = p;
    }
    arena_init(&a);
    assert_int_equal(dump_log_options(argc, argv, &a, &o, &w), 0);
    o.cwd = "/where";
    o.inflate_max = 1 << 20;
    int rc = dump_log(fs, &o, &c->sink);
    arena_free(&a);
    mem_free(text);
    return rc;
}

static void capture_free(struct capture *c)
{
    bytes_free(&c->out);
    bytes_free(&c->err);
}

static void assert_text(const char *what, struct slice is, struct slice want)
{
    size_t line = 1, start = 0, i = 0;

    if (is.n == want.n && memcmp(is.p, want.p, is.n) == 0) return;
    for (; i < is.n && i < want.n && is.p[i] == want.p[i]; i++)
        if (is.p[i] == '\n') line++, start = i + 1;
    const char *is_end = memchr(is.p + start, '\n', is.n - start), *want_end = memchr(want.p + start, '\n', want.n - start);
    print_error("%s, line %zu, column %zu:\n  is   %.*s\n  want %.*s\n", what, line, i - start + 1,
                (int)((is_end ? is_end : is.p + is.n) - is.p - (ptrdiff_t)start), is.p + start,
                (int)((want_end ? want_end : want.p + want.n) - want.p - (ptrdiff_t)start), want.p + start);
    fail();
}

static bool has(const struct bytes *b, const char *text) { return b->n && memmem(b->p, b->n, text, strlen(text)); }

static int lines_of(const struct bytes *b)
{
    int n = 0;
    for (size_t i = 0; i < b->n; i++) n += b->p[i] == '\n';
    return n;
}

#define LOG30 "/golden/made/00000000000000000030.log"

static void put(struct fs *fs, const char *path, const void *p, size_t n)
{
    assert_int_equal(fs_write_file(fs, path, (struct slice){ p, n }), 0);
}

/* ---- tests ---------------------------------------------------------------------------------------------------------------------------------- */

static void what_kafka_prints_is_printed_for_every_kind_of_file_and_record(void **state)
{
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);
    int runs = 0;

    golden_open(&g);
    golden_put_files(&g, w->fs);
    for (;; runs++) {
        char name[32], what[2048];
        snprintf(name, sizeof name, "%d/args", runs);
        struct slice args = golden_get(&g, name);
        if (!args.p) break;
        snprintf(what, sizeof what, "%.*s", (int)args.n, args.p);
        assert_int_equal(run(w->fs, &c, what), 0);
        snprintf(name, sizeof name, "%d/out", runs);
        assert_text(what, text_of(&c.out), golden_get(&g, name));
        snprintf(name, sizeof name, "%d/err", runs);
        assert_text(what, text_of(&c.err), golden_get(&g, name));
    }
    assert_true(runs > 15);
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

static void with_json_every_line_is_an_object_and_says_the_same(void **state)
{
    static const char *const decoders[] = { "",
                                            "--print-data-log",
                                            "--offsets-decoder",
                                            "--transaction-log-decoder",
                                            "--cluster-metadata-decoder",
                                            "--share-group-state-decoder",
                                            "--remote-log-metadata-decoder",
                                            "--skip-record-metadata --offsets-decoder",
                                            "--index-sanity-check",
                                            "--verify-index-only" };
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);

    golden_open(&g);
    golden_put_files(&g, w->fs);
    for (size_t i = 0; i < ARRAY_LEN(decoders); i++) {
        char line[256];
        snprintf(line, sizeof line, "--json %s /golden/made /golden/kafka/t-txn-0 /golden/kafka/__consumer_offsets-18",
                 decoders[i]);
        (void)run(w->fs, &c, line);
        assert_int_equal(c.err.n, 0);
        assert_true(lines_of(&c.out) > 100);
        for (const char *p = (const char *)c.out.p, *end = p + c.out.n; p < end;) {
            const char *eol = memchr(p, '\n', (size_t)(end - p));
            json_error_t error;
            json_t *v = json_loadb(p, (size_t)(eol - p), JSON_ALLOW_NUL, &error);
            if (!v) print_error("%s: %.*s\n", error.text, (int)(eol - p), p);
            assert_non_null(v);
            assert_non_null(json_string_value(json_object_get(v, "type")));
            json_decref(v);
            p = eol + 1;
        }
    }
    assert_int_equal(run(w->fs, &c, "--json --offsets-decoder /golden/kafka/__consumer_offsets-18/00000000000000000000.log"), 0);
    assert_true(has(&c.out,
                    "\"key\":{\"type\":\"1\",\"data\":{\"group\":\"g-classic\",\"topic\":\"t-none\",\"partition\":0}},\"value\":{"
                    "\"version\":\"4\",\"data\":{\"offset\":10,"));
    assert_int_equal(run(w->fs, &c, "--json --deep-iteration /golden/kafka/t-txn-0/00000000000000000000.log"), 0);
    assert_true(has(&c.out, "\"controlType\":\"COMMIT\",\"coordinatorEpoch\":0}"));
    assert_false(has(&c.out, "\"value\":"));
    assert_int_equal(run(w->fs, &c, "--json --print-data-log /golden/made/00000000000000000005.log"), 0);
    assert_true(has(&c.out, "\"headers\":[{\"key\":\"h1\",\"value\":\"v1\"},{\"key\":\"h2\",\"value\":null}"));
    assert_true(has(&c.out, "\"key\":null,\"valueBase64\":\"//4=\"")); /* ff fe is no text */
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

static void a_directory_stands_for_the_files_in_it(void **state)
{
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);

    golden_open(&g);
    golden_put_files(&g, w->fs);
    put(w->fs, "/golden/kafka/t-txn-0/partition.metadata", "version: 0\n", 11);
    assert_int_equal(run(w->fs, &c, "/golden//kafka/t-txn-0/"), 0);
    assert_int_equal(c.err.n, 0);
    assert_memory_equal(c.out.p, "Dumping /golden/kafka/t-txn-0/00000000000000000000.index\n", 57);
    assert_true(has(&c.out, "/00000000000000000000.log\n") && has(&c.out, "/00000000000000000000.timeindex\n"));
    assert_true(has(&c.out, "/00000000000000000000.txnindex\n") && has(&c.out, "/00000000000000000066.snapshot\n"));
    assert_false(has(&c.out, "partition.metadata"));
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

/* Kafka's tool trims indexes when it closes them and creates those it misses. */
static void nothing_is_ever_written(void **state)
{
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);
    struct fs_stat st;

    golden_open(&g);
    golden_put_files(&g, w->fs);
    assert_int_equal(w->fs->unlink(w->fs, "/golden/made/00000000000000000030.index"), 0);
    sim_fault(w, (struct sim_fault){ .nth = 1,
                                     .sticky = true,
                                     .err = -EROFS,
                                     .ops = SIM_PWRITEV | SIM_TRUNCATE | SIM_DATASYNC | SIM_SYNC_DIR | SIM_RENAME | SIM_UNLINK |
                                            SIM_MKDIR | SIM_RMDIR | SIM_LOCK });
    (void)run(w->fs, &c, "--print-data-log /golden/kafka/t-none-0 /golden/made");
    assert_int_equal(run(w->fs, &c, "/golden/made/00000000000000000030.timeindex"), 0);
    assert_int_equal(lines_of(&c.out), 4);
    assert_int_equal(w->fs->stat(w->fs, "/golden/made/00000000000000000030.index", &st), -ENOENT);
    assert_int_equal(w->fs->stat(w->fs, "/golden/made/00000000000000000032.index", &st), 0);
    assert_int_equal(st.size, 824); /* its zero entries, too */
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

static void a_damaged_batch_is_told_and_what_follows_it_is_read(void **state)
{
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);
    struct bytes log = { 0 };
    size_t at[4];

    assert_int_equal(fs_mkdirs(w->fs, "/d"), 0);
    for (int i = 0; i < 3; i++) {
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder b;
        o.base_offset = i;
        o.codec = i == 1 ? CODEC_GZIP : CODEC_NONE;
        at[i] = log.n;
        batch_begin(&b, &o, &log);
        batch_append(&b, 1000 + i, S("key"), S("value"), NULL, 0);
        assert_true(batch_end(&b) > 0);
    }
    at[3] = log.n;
    log.p[at[2] - 12] ^= 0xff; /* in the compressed records of the second */
    put(w->fs, "/d/00000000000000000000.log", log.p, log.n);
    assert_int_equal(
        run(w->fs, &c, "--print-data-log --files /d/00000000000000000000.log,/d/none.log,/d/00000000000000000009.log"), 1);
    assert_true(has(&c.out, "compresscodec: gzip crc: ") && has(&c.out, "isvalid: false\n"));
    assert_true(has(
        &c.out, "| offset: 2 CreateTime: 1002 keySize: 3 valueSize: 5 sequence: -1 headerKeys: [] key: key payload: value\n"));
    assert_true(has(&c.err, "/d/00000000000000000000.log: batch at offset 1, position "));
    assert_true(has(&c.err, "/d/none.log: the name does not begin with an offset\n"));
    assert_true(has(&c.err, "/d/00000000000000000009.log: No such file or directory\n"));

    bytes_put(&log, (char[40]){ 0 }, 40); /* as a crash leaves a preallocated file */
    put(w->fs, "/d/00000000000000000000.log", log.p, log.n);
    assert_int_equal(run(w->fs, &c, "/d/00000000000000000000.log"), 1);
    assert_true(
        has(&c.err, "Found record size 0 smaller than minimum record overhead (14) in file /d/00000000000000000000.log."));
    assert_int_equal(lines_of(&c.out), 5);

    put(w->fs, "/d/00000000000000000000.log", log.p, at[3] - 7);
    assert_int_equal(run(w->fs, &c, "/d/00000000000000000000.log"), 0);
    char text[96];
    snprintf(text, sizeof text, "Found %zu invalid bytes at the end of 00000000000000000000.log\n", at[3] - 7 - at[2]);
    assert_true(has(&c.out, text));
    assert_int_equal(lines_of(&c.out), 5);

    sim_fault(w, (struct sim_fault){ .nth = 4, .err = -EIO, .ops = SIM_PREAD });
    assert_int_equal(run(w->fs, &c, "/d/00000000000000000000.log"), 1);
    assert_true(c.err.n > 0);
    bytes_free(&log);
    capture_free(&c);
    world_free(&w);
}

static void damaged_indexes_and_snapshots_are_told(void **state)
{
    static const uint8_t snapshot[] = { 0, 1, 0, 0, 0, 7, 0, 0, 0, 0 };
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);
    struct bytes index = { 0 };

    golden_open(&g);
    golden_put_files(&g, w->fs);
    assert_int_equal(fs_read_file(w->fs, "/golden/made/00000000000000000030.index", 1 << 20, &index), 0);
    bytes_put(&index, "abc", 3);
    put(w->fs, "/golden/made/00000000000000000030.index", index.p, index.n);
    assert_int_equal(run(w->fs, &c, "--index-sanity-check /golden/made/00000000000000000030.index"), 1);
    assert_true(has(&c.err, "is corrupt, found 27 bytes which is neither positive nor a multiple of 8\n"));
    put_be32(index.p + 12, 1000000000);
    put_be32(index.p + 20, (uint32_t)-1);
    put(w->fs, "/golden/made/00000000000000000030.index", index.p, index.n);
    assert_int_equal(run(w->fs, &c, "/golden/made/00000000000000000030.index"), 1);
    assert_true(has(&c.err, "position 1000000000 is not in the log") && has(&c.err, "position -1 is not in the log"));
    assert_int_equal(lines_of(&c.out), 4);
    assert_int_equal(w->fs->unlink(w->fs, LOG30), 0);
    assert_int_equal(run(w->fs, &c, "/golden/made/00000000000000000030.index /golden/made/00000000000000000030.timeindex"), 1);
    assert_int_equal(lines_of(&c.err), 2);

    put(w->fs, "/golden/1.snapshot", snapshot, sizeof snapshot);
    put(w->fs, "/golden/2.snapshot", snapshot, 9);
    put(w->fs, "/golden/3.snapshot", "\0\2", 2);
    assert_int_equal(run(w->fs, &c, "/golden/1.snapshot /golden/2.snapshot /golden/3.snapshot"), 1);
    assert_true(has(&c.err, "1.snapshot: Snapshot is corrupt (CRC is no longer valid). Stored crc: 7. Computed crc: "));
    assert_true(has(&c.err, "2.snapshot: Snapshot failed schema validation: it ends too early\n"));
    assert_true(has(&c.err, "3.snapshot: Snapshot failed schema validation: Snapshot contained an unknown file version 2\n"));
    bytes_free(&index);
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

/* Under the sanitizers this is a search for reads past the end. */
static void no_flipped_byte_and_no_cut_makes_it_stumble(void **state)
{
    static const char *const files[] = { "/golden/kafka/t-txn-0/00000000000000000000.log",
                                         "/golden/kafka/t-txn-0/00000000000000000066.snapshot",
                                         "/golden/kafka/t-txn-0/00000000000000000000.txnindex",
                                         "/golden/made/00000000000000000012.log",
                                         "/golden/made/00000000000000000016.log",
                                         "/golden/made/00000000000000000030.timeindex" };
    struct golden g;
    struct capture c = { 0 };
    struct world *w = world_sim_new(1);

    golden_open(&g);
    golden_put_files(&g, w->fs);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct bytes was = { 0 };
        char line[256];
        assert_int_equal(fs_read_file(w->fs, files[i], 1 << 20, &was), 0);
        snprintf(line, sizeof line, "--share-group-state-decoder %s", files[i]);
        for (size_t at = 0; at<was.n; at += was.n> 1000 ? 13 : 1) {
            was.p[at] ^= 0xff;
            put(w->fs, files[i], was.p, was.n);
            (void)run(w->fs, &c, line);
            assert_true(lines_of(&c.out) > 0);
            was.p[at] ^= 0xff;
            put(w->fs, files[i], was.p, at);
            (void)run(w->fs, &c, line);
            assert_true(lines_of(&c.out) > 0);
        }
        put(w->fs, files[i], was.p, was.n);
        bytes_free(&was);
    }
    capture_free(&c);
    world_free(&w);
    bytes_free(&g.data);
}

static int parse(struct arena *a, struct dump_opts *o, struct why *w, int argc, const char **argv)
{
    return dump_log_options(argc, (char **)argv, a, o, w);
}
#define PARSE(...) parse(&a, &o, &w, (int)ARRAY_LEN(((const char *[]){ __VA_ARGS__ })), (const char *[]){ __VA_ARGS__ })

static void options_are_those_of_kafka_dump_log(void **state)
{
    struct arena a;
    struct dump_opts o;
    struct why w;

    arena_init(&a);
    assert_int_equal(PARSE("--files", "a.log,b.index", "c.log", "--print-data-log"), 0);
    assert_int_equal(o.files_n, 3);
    assert_string_equal(o.files[1], "b.index");
    assert_string_equal(o.files[2], "c.log");
    assert_true(o.print_data && o.deep && !o.json && o.decoder == DUMP_PLAIN);
    assert_int_equal(o.max_message_size, 5242880);
    assert_int_equal(o.max_bytes, INT32_MAX);
    assert_int_equal(PARSE("--files=a.log", "--max-bytes=5", "--max-message-size", "7", "--deep"),
                     0); /* the beginning of a name will do */
    assert_true(o.deep && !o.print_data && o.max_bytes == 5 && o.max_message_size == 7);
    assert_int_equal(PARSE("--cluster-metadata-decoder", "--skip-record-metadata", "x.log"), 0);
    assert_true(o.print_data && o.deep && o.skip_metadata && o.decoder == DUMP_METADATA);
    assert_int_equal(PARSE("--value-decoder-class", "x.log", "--key-decoder-class", "org.apache.kafka.tools.api.StringDecoder"),
                     0);
    assert_true(o.print_data && o.files_n == 1);
    assert_int_equal(PARSE("--json", "--verify-index-only", "--index-sanity-check", "--", "--files"), 0);
    assert_true(o.json && o.verify_only && o.index_sanity);
    assert_string_equal(o.files[0], "--files");
    assert_int_equal(PARSE("--help"), 1);

    assert_int_equal(PARSE("--print-data-log"), E_INVALID);
    assert_string_equal(w.text, "no files: give --files, or names of files or directories");
    assert_int_equal(PARSE("--value-decoder-class", "org.apache.kafka.tools.api.LongDecoder", "x.log"), E_INVALID);
    assert_non_null(strstr(w.text, "only org.apache.kafka.tools.api.StringDecoder is known"));
    assert_int_equal(PARSE("--max-bytes", "many", "x.log"), E_INVALID);
    assert_string_equal(w.text, "--max-bytes: 'many' is not a number from 0 to 2147483647");
    assert_int_equal(PARSE("--max", "5", "x.log"), E_INVALID);
    assert_string_equal(w.text, "which option is meant: --max");
    assert_int_equal(PARSE("--nonsense", "x.log"), E_INVALID);
    assert_int_equal(PARSE("--files"), E_INVALID);
    assert_int_equal(PARSE("--json=1", "x.log"), E_INVALID);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_kafka_prints_is_printed_for_every_kind_of_file_and_record),
        cmocka_unit_test(with_json_every_line_is_an_object_and_says_the_same),
        cmocka_unit_test(a_directory_stands_for_the_files_in_it),
        cmocka_unit_test(nothing_is_ever_written),
        cmocka_unit_test(a_damaged_batch_is_told_and_what_follows_it_is_read),
        cmocka_unit_test(damaged_indexes_and_snapshots_are_told),
        cmocka_unit_test(no_flipped_byte_and_no_cut_makes_it_stumble),
        cmocka_unit_test(options_are_those_of_kafka_dump_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
