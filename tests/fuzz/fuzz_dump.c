/* Bytes as a file that dump-log is asked to print: the first byte chooses its kind, the second the decoder and other options. It must
 * come through, say the same twice, leave the file alone, and with JSON every line begins and ends as an object. */
#include "fuzz.h"

#include "dump_log.h"

struct capture {
    struct dump_sink sink;
    struct bytes out;
};

static void must(bool ok)
{
    if (!ok) __builtin_trap();
}

static void take(struct dump_sink *s, bool error, struct slice text)
{
    struct capture *c = container_of(s, struct capture, sink);
    bytes_put(&c->out, text.p, text.n);
}

static void must_put(struct fs *fs, const char *path, struct slice content) { must(fs_write_file(fs, path, content) == 0); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = { "/00000000000000000000.log",       "/00000000000000000000.index",
                                         "/00000000000000000000.timeindex", "/00000000000000000000.txnindex",
                                         "/00000000000000000000.snapshot",  "/00000000000000000007-0000000001.checkpoint" };
    static struct capture c = { .sink.write = take };
    static struct bytes first, after;

    if (n < 2 || n > 64 * KiB) return 0;
    const char *path = names[data[0] % ARRAY_LEN(names)];
    struct dump_opts o = DUMP_OPTS;
    o.decoder = (enum dump_decoder)(data[1] & 7) % (DUMP_REMOTE + 1);
    o.print_data = o.deep = !(data[1] & 8);
    o.json = data[1] & 16;
    o.skip_metadata = data[1] & 32;
    o.index_sanity = data[1] & 64;
    o.verify_only = data[1] & 128;
    o.inflate_max = 1 << 20;
    o.files = &path;
    o.files_n = 1;

    struct world *w = world_sim_new(1);
    struct slice content = { (const char *)data + 2, n - 2 };
    if (data[0] % ARRAY_LEN(names) == 1 || data[0] % ARRAY_LEN(names) == 2) { /* an index needs a log: the file's second half */
        size_t half = content.n / 2;
        must_put(w->fs, names[0], (struct slice){ content.p + half, content.n - half });
        must_put(w->fs, names[1], (struct slice){ content.p, half / 2 });
        content.n = half;
    }
    must_put(w->fs, path, content);
    c.out.n = first.n = after.n = 0;
    int rc = dump_log(w->fs, &o, &c.sink);
    bytes_put(&first, c.out.p, c.out.n);
    c.out.n = 0;
    must(dump_log(w->fs, &o, &c.sink) == rc);
    must(first.n == c.out.n && memcmp(first.p, c.out.p, first.n) == 0);
    must(fs_read_file(w->fs, path, 64 * KiB, &after) == 0);
    must(after.n == content.n && (after.n == 0 || memcmp(after.p, content.p, after.n) == 0));
    if (o.json) {
        for (size_t i = 0; i < c.out.n;) {
            const uint8_t *eol = memchr(c.out.p + i, '\n', c.out.n - i);
            must(eol && c.out.p[i] == '{' && eol[-1] == '}');
            i = (size_t)(eol - c.out.p) + 1;
        }
    }
    world_free(&w);
    return 0;
}
