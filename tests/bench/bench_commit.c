/* What a durable append costs, with the commit journal and without, on the disk that holds DIR.
 *
 *   bench_commit DIR files   N files get an append of S bytes each; until all are on the disk by syncing every file on 8 threads, or by one write
 *                            and one sync of a zero-written file. What the journal's thresholds were chosen from
 *   bench_commit DIR logs    N partitions get a batch of S bytes each at once; until all are durable, through storage, with odradek.journal.max=0
 *                            and with its default
 *
 * The two ways take turns, round by round, so that a disk that changes its mind is fair to both. Prints medians, in milliseconds. */
#include "../unit/storage/rig.h"
#include <odradek/wire.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILES_MAX = 1000, THREADS = 8, ROUNDS_MAX = 400, JOURNAL = 64 * 1024 * 1024 };
static const int counts[] = { 1, 2, 10, 100, 1000 };
static const size_t sizes[] = { 100, 1024, 4096, 16384, 32768, 65536, 262144, 1048576 };
static const int64_t budget_us = 2500000; /* per row */
static struct world *w;

static int64_t now(void) { return w->clock->mono_us(w->clock); }

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
static double median_ms(int64_t *v, int n)
{
    qsort(v, (size_t)n, sizeof(*v), by_value);
    return (double)v[n / 2] / 1000.0;
}

static void row(const char *what, int n, size_t size, int64_t *direct, int64_t *journal, int rounds)
{
    double a = median_ms(direct, rounds), b = median_ms(journal, rounds);
    printf("%s  %5d × %7zu B   every file %9.3f   journal %9.3f   %6.2f ×   (%d rounds)\n", what, n, size, a, b, a / b, rounds);
    (void)fflush(stdout);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------- */

struct files {
    int fd[FILES_MAX], n;
    int64_t at;
    _Atomic int next;
};

static void *sync_some(void *arg)
{
    struct files *f = arg;
    for (int i; (i = atomic_fetch_add(&f->next, 1)) < f->n;) assert_ok(w->fs->datasync(w->fs, f->fd[i]));
    return NULL;
}

static void append_all(struct files *f, const void *bytes, size_t size)
{
    struct iovec v = { (void *)(uintptr_t)bytes, size };
    for (int i = 0; i < f->n; i++) assert_ok(w->fs->pwritev(w->fs, f->fd[i], &v, 1, f->at));
    f->at += (int64_t)size;
}

static void bench_files(const char *dir)
{
    static struct files f;
    static int64_t direct[ROUNDS_MAX], journal[ROUNDS_MAX];
    char path[512];
    uint8_t *bytes = mem_zalloc(JOURNAL);
    int64_t at = 0;
    snprintf(path, sizeof(path), "%s/bench-journal", dir);
    int jfd = w->fs->open(w->fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
    struct iovec v = { bytes, JOURNAL };
    assert_ok(w->fs->pwritev(w->fs, jfd, &v, 1, 0));
    assert_ok(w->fs->datasync(w->fs, jfd));
    for (size_t c = 0; c < ARRAY_LEN(counts); c++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            size_t total = (sizes[s] * (size_t)counts[c] + 4095) / 4096 * 4096;
            int rounds = 0;
            if (total > JOURNAL) continue;
            f.n = counts[c];
            f.at = 0;
            for (int i = 0; i < f.n; i++) {
                snprintf(path, sizeof(path), "%s/bench-%d", dir, i);
                f.fd[i] = w->fs->open(w->fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
                assert_true(f.fd[i] >= 0);
            }
            for (int64_t began = now(); rounds < ROUNDS_MAX && (rounds < 5 || now() - began < budget_us); rounds++) {
                pthread_t t[THREADS];
                append_all(&f, bytes, sizes[s]);
                int64_t before = now();
                atomic_store(&f.next, 0);
                for (int k = 1; k < MIN(THREADS, f.n); k++) pthread_create(&t[k], NULL, sync_some, &f);
                sync_some(&f);
                for (int k = 1; k < MIN(THREADS, f.n); k++) pthread_join(t[k], NULL);
                direct[rounds] = now() - before;

                append_all(&f, bytes, sizes[s]);
                before = now();
                if (at + (int64_t)total > JOURNAL) at = 0;
                v = (struct iovec){ bytes, total };
                assert_ok(w->fs->pwritev(w->fs, jfd, &v, 1, at));
                assert_ok(w->fs->datasync(w->fs, jfd));
                journal[rounds] = now() - before;
                at += (int64_t)total;
                atomic_store(&f.next, 0); /* what was written behind the journal is not the next round's to pay */
                sync_some(&f);
            }
            row("files", f.n, sizes[s], direct, journal, rounds);
            for (int i = 0; i < f.n; i++) {
                snprintf(path, sizeof(path), "%s/bench-%d", dir, i);
                w->fs->close(w->fs, f.fd[i]);
                w->fs->unlink(w->fs, path);
            }
        }
    w->fs->close(w->fs, jfd);
    snprintf(path, sizeof(path), "%s/bench-journal", dir);
    w->fs->unlink(w->fs, path);
    mem_free(bytes);
}

/* ---- logs -------------------------------------------------------------------------------------------------------------------------------- */

struct side {
    struct rig r;
    struct plog *log[FILES_MAX];
    struct append a[FILES_MAX];
    uint8_t *bytes[FILES_MAX];
    char dir[512];
};

static void side_open(struct side *s, const char *dir, const char *name, const char *conf)
{
    snprintf(s->dir, sizeof(s->dir), "%s/bench-%s", dir, name);
    fs_remove_tree(w->fs, s->dir);
    rig_init(&s->r, w, s->dir, conf);
    rig_open(&s->r);
    rig_begin(&s->r);
    assert_ok(logs_lead(s->r.logs, 1, NULL));
    for (int i = 0; i < FILES_MAX; i++) s->log[i] = rig_plog(&s->r, "t", i, "segment.bytes=1073741824");
}

static void side_close(struct side *s)
{
    for (int i = 0; i < FILES_MAX; i++) plog_unref(&s->log[i]);
    assert_ok(rig_close(&s->r));
    fs_remove_tree(w->fs, s->dir);
    rig_free(&s->r);
}

/* One batch to each of n logs; microseconds until the last is durable. */
static int64_t produce(struct side *s, int n, const struct bytes *batch)
{
    for (int i = 0; i < n; i++) {
        memcpy(s->bytes[i], batch->p, batch->n);
        s->a[i] = (struct append){ .log = s->log[i], .bytes = s->bytes[i], .n = batch->n, .records = 1, .home = s->r.waker };
    }
    int64_t before = now();
    rig_home(&s->r, rig_stage_many, &(struct rig_many){ s->a, n });
    for (int i = 0; i < n; i++) {
        rig_until(&s->r, &s->a[i].done);
        assert_ok(s->a[i].err);
        while (rig_offsets(s->log[i]).durable <= s->a[i].last) usleep(20);
    }
    return now() - before;
}

static void bench_logs(const char *dir)
{
    static struct side direct, journal;
    static int64_t a[ROUNDS_MAX], b[ROUNDS_MAX];
    side_open(&direct, dir, "direct", "odradek.journal.max=0\n");
    side_open(&journal, dir, "journal", "odradek.journal.max=67108864\n");
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct bytes batch = { 0 };
        struct batch_opts o = BATCH_OPTS;
        struct batch_builder bb;
        uint8_t *value = mem_zalloc(sizes[s]);
        batch_begin(&bb, &o, &batch);
        batch_append(&bb, 1000, (struct slice){ 0 }, (struct slice){ (char *)value, sizes[s] - MIN(sizes[s] - 10, (size_t)80) },
                     NULL, 0);
        assert_true(batch_end(&bb) > 0);
        for (int i = 0; i < FILES_MAX; i++) direct.bytes[i] = journal.bytes[i] = mem_realloc(direct.bytes[i], batch.n);
        for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
            int rounds = 0;
            if (batch.n * (size_t)counts[c] > JOURNAL) continue;
            produce(&direct, counts[c], &batch);
            produce(&journal, counts[c], &batch); /* the first one may make the journal */
            for (int64_t began = now(); rounds < ROUNDS_MAX && (rounds < 5 || now() - began < budget_us); rounds++) {
                a[rounds] = produce(&direct, counts[c], &batch);
                b[rounds] = produce(&journal, counts[c], &batch);
            }
            row("logs", counts[c], batch.n, a, b, rounds);
        }
        bytes_free(&batch);
        mem_free(value);
    }
    side_close(&direct);
    side_close(&journal);
    for (int i = 0; i < FILES_MAX; i++) mem_free(direct.bytes[i]);
}

int main(int argc, char **argv)
{
    struct rlimit r;
    if (argc != 3 || (strcmp(argv[2], "files") != 0 && strcmp(argv[2], "logs") != 0)) {
        (void)fprintf(stderr, "bench_commit DIR files|logs\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
    w = world_real_new();
    log_threshold = LOG_WARN;
    if (strcmp(argv[2], "files") == 0) bench_files(argv[1]);
    else bench_logs(argv[1]);
    world_free(&w);
    return 0;
}
