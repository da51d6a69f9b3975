/* What this machine can do at all, with nothing of a broker in the way. One line of JSON a figure.
 *
 *   limits echo           requests of 200 bytes, answers of 60, over loopback: a bare epoll server of one thread
 *   limits memory         memcpy and CRC-32C
 *   limits append DIR     writes to the page cache, to a new file
 *   limits sync DIR       a write and an fdatasync: to a growing file, and to one written before
 *   limits send DIR       a file to loopback sockets whose reader drops what it gets: sendfile, and pread and send
 *   limits ingest DIR     what the bytes of bulk cost with no broker: blocks from loopback sockets appended to files, each answered; two threads, as
 *                         many files as connections, -d blocks in flight on each
 *   limits connect        connections opened to a server that answers one request on each, 32 at a time
 *   limits start          a process that does nothing, from its start to its end
 *   limits create DIR     1,000 directories with a file each, synced all at once
 *   limits touch DIR N    no figure: N bytes of page cache are used once, so that what is measured next need not wait for the host
 *                         to back the guest's memory
 *
 *   --seconds S           for each figure (1)
 *   --block B             only with this size
 *   -c N, -d N, --rate R  echo: connections, requests in flight on each, or one at a time with a pause of 1/R s; send: connections, a sending thread each, one reader */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <odradek/base.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUEST = 200, ANSWER = 60, BUFFER = 1 << 20, CONNS_MAX = 64, WINDOW = 32 };
static double seconds = 1;
static size_t only_block;
static int conns_wanted, in_flight_wanted;
static double rate_wanted;
static uint8_t buffer[BUFFER];

static bool over(uint64_t began) { return (double)(now_ns() - began) / 1e9 >= seconds; }
static bool skipped(size_t block) { return only_block && block != only_block; }
static double since(uint64_t began) { return (double)(now_ns() - began) / 1e9; }
static void say(const char *text)
{
    puts(text);
    (void)fflush(stdout);
}
#define SAY(...)                                   \
    do {                                           \
        char line[512];                            \
        snprintf(line, sizeof(line), __VA_ARGS__); \
        say(line);                                 \
    } while (0)

/* ---- loopback ---------------------------------------------------------------------------------------------------------------- */

static int listen_any(char address[32])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 1024) != 0) die("listen: %s", strerrordesc_np(errno));
    getsockname(fd, (struct sockaddr *)&a, &n);
    snprintf(address, 32, "127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

struct server {
    int listener, conns;
    _Atomic bool stop;
    double cpu; /* out */
};

static void *echo_server(void *arg)
{
    static uint8_t in[65536];
    struct server *s = arg;
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN };
    size_t have[CONNS_MAX] = { 0 };
    int fds[CONNS_MAX] = { 0 }, ep = epoll_create1(0), one = 1;
    double cpu = cpu_thread();
    for (int i = 0; i < s->conns; i++) {
        fds[i] = accept(s->listener, NULL, NULL);
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        e.data.u32 = (uint32_t)i;
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    while (!atomic_load(&s->stop)) {
        int n = epoll_wait(ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++) {
            uint32_t c = events[i].data.u32;
            ssize_t k = recv(fds[c], in, sizeof(in), MSG_DONTWAIT);
            if (k <= 0) continue;
            have[c] += (size_t)k;
            size_t answers = have[c] / REQUEST;
            have[c] %= REQUEST;
            if (answers && send(fds[c], buffer, answers * ANSWER, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
        }
    }
    s->cpu = cpu_thread() - cpu;
    for (int i = 0; i < s->conns; i++) close(fds[i]);
    close(ep);
    return NULL;
}

static void echo(int conns, int in_flight, double rate)
{
    static uint8_t in[65536];
    char address[32];
    /* A process of its own, as a broker is: two threads of one are put beside each other on a core more often, and then answer ten times as fast. */
    struct server *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED) die("no memory");
    s->listener = listen_any(address);
    s->conns = conns;
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN };
    struct hist *latency = hist_new();
    size_t have[CONNS_MAX] = { 0 };
    int fds[CONNS_MAX], ep = epoll_create1(0);
    uint64_t answers = 0;
    pid_t pid = fork();
    if (pid < 0) die("fork: %s", strerrordesc_np(errno));
    if (pid == 0) {
        echo_server(s);
        _exit(0);
    }
    for (int i = 0; i < conns; i++) {
        fds[i] = dial(address);
        e.data.u32 = (uint32_t)i;
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    uint64_t began = now_ns(), asked = began;
    for (int i = 0; i < conns; i++) (void)send(fds[i], buffer, (size_t)in_flight * REQUEST, MSG_NOSIGNAL);
    while (!over(began)) {
        int n = epoll_wait(ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++) {
            uint32_t c = events[i].data.u32;
            ssize_t k = recv(fds[c], in, sizeof(in), MSG_DONTWAIT);
            if (k <= 0) continue;
            have[c] += (size_t)k;
            size_t done = have[c] / ANSWER;
            have[c] %= ANSWER;
            answers += done;
            if (conns * in_flight == 1 && done) hist_add(latency, now_ns() - asked);
            if (done && rate > 0) (void)usleep((useconds_t)(1e6 / rate));
            asked = now_ns();
            if (done && send(fds[c], buffer, done * REQUEST, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
        }
    }
    double took = since(began);
    atomic_store(&s->stop, true);
    (void)waitpid(pid, NULL, 0);
    for (int i = 0; i < conns; i++) close(fds[i]);
    close(s->listener);
    close(ep);
    SAY("{\"what\":\"echo\",\"connections\":%d,\"in_flight\":%d,\"rate\":%.0f,\"per_s\":%.0f,\"server_cpu_us\":%.3f,\"p50_us\":%."
        "2f,\"p99_us\":"
        "%.2f}",
        conns, in_flight, rate, (double)answers / took, s->cpu * 1e6 / (double)answers, hist_at(latency, 0.5) / 1e3,
        hist_at(latency, 0.99) / 1e3);
    free(latency);
    munmap(s, sizeof(*s));
}

/* Answers one request on each connection, of any number. */
static void *greeter(void *arg)
{
    struct server *s = arg;
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN, .data.fd = s->listener };
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, s->listener, &e);
    while (!atomic_load(&s->stop)) {
        int n = epoll_wait(ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            uint8_t in[REQUEST];
            if (fd != s->listener) {
                if (recv(fd, in, sizeof(in), MSG_DONTWAIT) <= 0) close(fd);
                else if (send(fd, buffer, ANSWER, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
                continue;
            }
            for (; (e.data.fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0; epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e)) {}
        }
    }
    close(ep);
    return NULL;
}

static void connect_many(void)
{
    char address[32];
    struct server s = { .listener = listen_any(address) };
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN };
    struct linger reset = { 1, 0 }; /* the ports are free again at once */
    int ep = epoll_create1(0), open = 0;
    uint64_t greeted = 0;
    pthread_t t;
    (void)fcntl(s.listener, F_SETFL, O_NONBLOCK);
    pthread_create(&t, NULL, greeter, &s);
    for (uint64_t began = now_ns(); !over(began);) {
        for (; open < WINDOW; open++) {
            e.data.fd = dial(address);
            (void)setsockopt(e.data.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            if (send(e.data.fd, buffer, REQUEST, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
            epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
        }
        int n = epoll_wait(ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++, open--, greeted++) close(events[i].data.fd);
    }
    atomic_store(&s.stop, true);
    pthread_join(t, NULL);
    SAY("{\"what\":\"connect\",\"per_s\":%.0f}", (double)greeted / seconds);
    close(s.listener);
    close(ep);
}

/* ---- processes --------------------------------------------------------------------------------------------------------------- */

static void start_nothing(void)
{
    char *argv[] = { "limits", "nothing", NULL }, *none[] = { NULL };
    struct hist *h = hist_new();
    for (uint64_t began = now_ns(); !over(began);) {
        uint64_t start = now_ns();
        pid_t pid;
        int rc = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, none);
        if (rc || waitpid(pid, NULL, 0) != pid) die("cannot start a process: %s", strerrordesc_np(rc ? rc : errno));
        hist_add(h, now_ns() - start);
    }
    SAY("{\"what\":\"start\",\"ms\":%.3f}", hist_at(h, 0.5) / 1e6);
    free(h);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

static void memory(void)
{
    static const size_t sizes[] = { 200, 4096, 65536, 1 << 20, 64 << 20 };
    uint8_t *from = malloc(64 << 20), *to = malloc(64 << 20);
    volatile uint32_t sum = 0;
    if (!from || !to) die("no memory");
    memset(from, 1, 64 << 20);
    memset(to, 2, 64 << 20);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (skipped(sizes[i])) continue;
        double bytes = 0;
        uint64_t began = now_ns();
        for (int64_t k = 0; k % 64 || !over(began); k++) {
            memcpy(to, from, sizes[i]);
            __asm__ volatile("" ::: "memory");
            bytes += (double)sizes[i];
        }
        double copy = bytes / since(began) / 1e9;
        bytes = 0;
        began = now_ns();
        for (int64_t k = 0; k % 64 || !over(began); k++) {
            sum = crc32c(sum, from, sizes[i]);
            bytes += (double)sizes[i];
        }
        SAY("{\"what\":\"memory\",\"block\":%zu,\"memcpy_GB_per_s\":%.2f,\"crc32c_GB_per_s\":%.2f}", sizes[i], copy,
            bytes / since(began) / 1e9);
    }
    free(from);
    free(to);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------- */

static int scratch(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/limits-XXXXXX", dir);
    int fd = mkstemp(path);
    if (fd < 0) die("%s: %s", path, strerrordesc_np(errno));
    unlink(path);
    return fd;
}

static void write_at(int fd, size_t n, int64_t at)
{
    if (pwrite(fd, buffer, n, at) != (ssize_t)n) die("write: %s", strerrordesc_np(errno));
}

static void touch(const char *dir, int64_t bytes)
{
    int fd = scratch(dir);
    for (int64_t at = 0; at < bytes; at += BUFFER) write_at(fd, BUFFER, at);
    close(fd);
}

static void append(const char *dir)
{
    static const size_t sizes[] = { 200, 4096, 65536, 1 << 20 };
    const int64_t total = 512 * MiB;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (skipped(sizes[i])) continue;
        struct hist *h = hist_new();
        touch(dir, total);
        int fd = scratch(dir);
        double cpu = cpu_self();
        int64_t at = 0;
        uint64_t began = now_ns();
        while (at < total && !over(began)) {
            uint64_t before = now_ns();
            write_at(fd, sizes[i], at);
            hist_add(h, now_ns() - before);
            at += (int64_t)sizes[i];
        }
        double took = since(began);
        SAY("{\"what\":\"append\",\"block\":%zu,\"per_s\":%.0f,\"MB_per_s\":%.0f,\"cpu_s_per_GB\":%.3f,\"p50_us\":%.2f,\"p99_"
            "us\":%.2f,"
            "\"max_us\":%.0f}",
            sizes[i], (double)h->n / took, (double)at / 1e6 / took, (cpu_self() - cpu) / ((double)at / 1e9),
            hist_at(h, 0.5) / 1e3, hist_at(h, 0.99) / 1e3, (double)h->max / 1e3);
        close(fd);
        free(h);
    }
}

static void sync_writes(const char *dir)
{
    static const size_t sizes[] = { 200, 4096, 65536, 1 << 20 };
    const int64_t total = 256 * MiB;
    for (int before = 0; before < 2; before++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            if (skipped(sizes[i])) continue;
            struct hist *h = hist_new();
            int fd = scratch(dir);
            for (int64_t at = 0; before && at < total; at += BUFFER) write_at(fd, BUFFER, at);
            if (fdatasync(fd) != 0) die("fdatasync: %s", strerrordesc_np(errno));
            uint64_t began = now_ns();
            for (int64_t at = 0; at + (int64_t)sizes[i] <= total && !over(began); at += (int64_t)sizes[i]) {
                uint64_t start = now_ns();
                write_at(fd, sizes[i], at);
                if (fdatasync(fd) != 0) die("fdatasync: %s", strerrordesc_np(errno));
                hist_add(h, now_ns() - start);
            }
            double took = since(began);
            SAY("{\"what\":\"sync\",\"file\":\"%s\",\"block\":%zu,\"per_s\":%.0f,\"MB_per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%."
                "1f}",
                before ? "written before" : "growing", sizes[i], (double)h->n / took,
                (double)h->n * (double)sizes[i] / 1e6 / took, hist_at(h, 0.5) / 1e3, hist_at(h, 0.99) / 1e3);
            close(fd);
            free(h);
        }
}

struct intake {
    int conns, ep;
    size_t block;
    _Atomic bool stop;
    double cpu; /* out */
    struct feed {
        int fd, file;
        size_t have;
        int64_t at;
        uint8_t *bytes;
    } feed[CONNS_MAX];
};

static void *take_in(void *arg)
{
    struct intake *s = arg;
    struct epoll_event events[CONNS_MAX];
    double cpu = cpu_thread();
    while (!atomic_load(&s->stop)) {
        int n = epoll_wait(s->ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++) {
            struct feed *f = events[i].data.ptr;
            ssize_t k = recv(f->fd, f->bytes + f->have, s->block - f->have, MSG_DONTWAIT);
            if (k <= 0) continue;
            f->have += (size_t)k;
            if (f->have < s->block) continue;
            if (pwrite(f->file, f->bytes, s->block, f->at) != (ssize_t)s->block) die("write: %s", strerrordesc_np(errno));
            f->at = f->at + (int64_t)s->block < 512 * MiB ? f->at + (int64_t)s->block : 0;
            f->have = 0;
            if (send(f->fd, buffer, ANSWER, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
        }
    }
    s->cpu = cpu_thread() - cpu;
    return NULL;
}

static void ingest(const char *dir, size_t block, int conns, int in_flight)
{
    enum { THREADS = 2 };
    struct intake *in = calloc(THREADS, sizeof(*in));
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN };
    int fds[CONNS_MAX], ep = epoll_create1(0);
    size_t have[CONNS_MAX] = { 0 };
    char address[32];
    pthread_t t[THREADS];
    double blocks = 0, cpu = 0;
    if (!in || block > BUFFER) die("no memory, or too large a block");
    int listener = listen_any(address);
    for (int i = 0; i < THREADS; i++) in[i].ep = epoll_create1(0), in[i].block = block;
    for (int i = 0; i < conns; i++) {
        struct intake *s = &in[i % THREADS];
        struct feed *f = &s->feed[s->conns++];
        fds[i] = dial(address);
        *f = (struct feed){ .fd = accept(listener, NULL, NULL), .file = scratch(dir), .bytes = malloc(block) };
        e.data.ptr = f;
        epoll_ctl(s->ep, EPOLL_CTL_ADD, f->fd, &e);
        e.data.u32 = (uint32_t)i;
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    for (int i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, take_in, &in[i]);
    uint64_t began = now_ns();
    for (int k = 0; k < conns * in_flight; k++)
        if (send(fds[k % conns], buffer, block, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
    while (!over(began)) {
        int n = epoll_wait(ep, events, CONNS_MAX, 50);
        for (int i = 0; i < n; i++) {
            uint32_t c = events[i].data.u32;
            uint8_t answers[ANSWER * 64];
            ssize_t k = recv(fds[c], answers, sizeof(answers), MSG_DONTWAIT);
            if (k <= 0) continue;
            for (have[c] += (size_t)k; have[c] >= ANSWER; have[c] -= ANSWER) {
                if (send(fds[c], buffer, block, MSG_NOSIGNAL) < 0) die("send: %s", strerrordesc_np(errno));
                blocks += 1;
            }
        }
    }
    double took = since(began);
    for (int i = 0; i < THREADS; i++) {
        atomic_store(&in[i].stop, true);
        pthread_join(t[i], NULL);
        cpu += in[i].cpu;
        for (int k = 0; k < in[i].conns; k++) {
            close(in[i].feed[k].fd);
            close(in[i].feed[k].file);
            free(in[i].feed[k].bytes);
        }
        close(in[i].ep);
    }
    for (int i = 0; i < conns; i++) close(fds[i]);
    close(listener);
    close(ep);
    SAY("{\"what\":\"ingest\",\"block\":%zu,\"connections\":%d,\"in_flight\":%d,\"per_s\":%.0f,\"MB_per_s\":%.0f,\"cpu_s_per_"
        "GB\":%.3f}",
        block, conns, in_flight, blocks / took, blocks * (double)block / 1e6 / took, cpu / (blocks * (double)block / 1e9));
    free(in);
}

static void create_many(const char *dir)
{
    enum { DIRS = 1000 };
    char top[300], path[400];
    snprintf(top, sizeof(top), "%s/limits-XXXXXX", dir);
    if (!mkdtemp(top)) die("%s: %s", top, strerrordesc_np(errno));
    int at = open(top, O_RDONLY | O_DIRECTORY);
    uint64_t began = now_ns();
    for (int i = 0; i < DIRS; i++) {
        snprintf(path, sizeof(path), "%s/%d", top, i);
        if (mkdir(path, 0755) != 0) die("%s: %s", path, strerrordesc_np(errno));
        snprintf(path, sizeof(path), "%s/%d/log", top, i);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        if (fd < 0) die("%s: %s", path, strerrordesc_np(errno));
        close(fd);
    }
    if (syncfs(at) != 0) die("syncfs: %s", strerrordesc_np(errno));
    SAY("{\"what\":\"create\",\"seconds\":%.4f}", since(began));
    for (int i = 0; i < DIRS; i++) {
        snprintf(path, sizeof(path), "%s/%d/log", top, i);
        (void)unlink(path);
        snprintf(path, sizeof(path), "%s/%d", top, i);
        (void)rmdir(path);
    }
    (void)rmdir(top);
    close(at);
}

struct sender {
    int file, to;
    bool copy;
    size_t block;
    int64_t total;
    double cpu, sent; /* out */
};

static void *sender(void *arg)
{
    struct sender *s = arg;
    uint8_t *bytes = malloc(s->block);
    double cpu = cpu_thread();
    uint64_t began = now_ns();
    if (!bytes) die("no memory");
    for (off_t at = 0; !over(began); at = at + (off_t)s->block < s->total ? at + (off_t)s->block : 0) {
        off_t from = at;
        if (s->copy && pread(s->file, bytes, s->block, at) != (ssize_t)s->block) die("read: %s", strerrordesc_np(errno));
        for (size_t done = 0; done < s->block;) {
            ssize_t k = s->copy ? send(s->to, bytes + done, s->block - done, MSG_NOSIGNAL)
                                : sendfile(s->to, s->file, &from, s->block - done);
            if (k <= 0) die("send: %s", strerrordesc_np(errno));
            done += (size_t)k;
        }
        s->sent += (double)s->block;
    }
    s->cpu = cpu_thread() - cpu;
    shutdown(s->to, SHUT_WR);
    free(bytes);
    return NULL;
}

/* Drops what comes, of all connections, until all are at their end. */
static void drop_all(const int *fds, int n)
{
    struct epoll_event events[CONNS_MAX], e = { .events = EPOLLIN };
    int ep = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        e.data.fd = fds[i];
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    for (int open = n; open > 0;) {
        int k = epoll_wait(ep, events, CONNS_MAX, -1);
        for (int i = 0; i < k; i++)
            if (recv(events[i].data.fd, NULL, BUFFER, MSG_TRUNC | MSG_DONTWAIT) == 0) {
                epoll_ctl(ep, EPOLL_CTL_DEL, events[i].data.fd, NULL);
                open--;
            }
    }
    close(ep);
}

static void send_file(const char *dir)
{
    static const size_t sizes[] = { 4096, 65536, 1 << 20 };
    const int64_t total = 512 * MiB;
    int file = scratch(dir), n = conns_wanted ? MIN(conns_wanted, CONNS_MAX) : 1;
    for (int64_t at = 0; at < total; at += BUFFER) write_at(file, BUFFER, at);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int copy = 0; copy < 2; copy++) {
            struct sender s[CONNS_MAX];
            pthread_t t[CONNS_MAX];
            int from[CONNS_MAX];
            char address[32];
            double cpu = 0, sent = 0;
            if (skipped(sizes[i])) continue;
            int listener = listen_any(address);
            (void)setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4); /* inherited: BBR paces with timers */
            uint64_t began = now_ns();
            for (int k = 0; k < n; k++) {
                from[k] = dial(address);
                s[k] = (struct sender){ file, accept(listener, NULL, NULL), copy, sizes[i], total, 0, 0 };
                pthread_create(&t[k], NULL, sender, &s[k]);
            }
            drop_all(from, n);
            double took = since(began);
            for (int k = 0; k < n; k++) {
                pthread_join(t[k], NULL);
                cpu += s[k].cpu;
                sent += s[k].sent;
                close(s[k].to);
                close(from[k]);
            }
            close(listener);
            SAY("{\"what\":\"send\",\"how\":\"%s\",\"block\":%zu,\"connections\":%d,\"MB_per_s\":%.0f,\"cpu_s_per_GB\":%.3f}",
                copy ? "copy" : "sendfile", sizes[i], n, sent / 1e6 / took, cpu / (sent / 1e9));
        }
    close(file);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seconds", 1, NULL, 's' }, { "block", 1, NULL, 'b' }, { "rate", 1, NULL, 'r' }, { 0 }
    };
    int option;
    if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0; /* limits start */
    while ((option = getopt_long(argc, argv, "c:d:", options, NULL)) != -1) switch (option) {
        case 's': seconds = strtod(optarg, NULL); break;
        case 'r': rate_wanted = strtod(optarg, NULL); break;
        case 'b': only_block = strtoul(optarg, NULL, 10); break;
        case 'c': conns_wanted = (int)strtol(optarg, NULL, 10); break;
        case 'd': in_flight_wanted = (int)strtol(optarg, NULL, 10); break;
        default: die("see the top of limits.c");
        }
    const char *what = optind < argc ? argv[optind] : "", *dir = optind + 1 < argc ? argv[optind + 1] : ".";
    memset(buffer, 'x', sizeof(buffer));
    exact_timers();
    if (strcmp(what, "echo") == 0 && conns_wanted) {
        echo(MIN(conns_wanted, CONNS_MAX), in_flight_wanted ? in_flight_wanted : 1, rate_wanted);
    } else if (strcmp(what, "echo") == 0) {
        echo(1, 1, 0);
        echo(1, 1, 1000);
        echo(16, 5, 0);
        echo(16, 8, 0);
    } else if (strcmp(what, "memory") == 0) memory();
    else if (strcmp(what, "append") == 0) append(dir);
    else if (strcmp(what, "sync") == 0) sync_writes(dir);
    else if (strcmp(what, "send") == 0) send_file(dir);
    else if (strcmp(what, "ingest") == 0)
        ingest(dir, only_block ? only_block : 65536, conns_wanted ? MIN(conns_wanted, CONNS_MAX) : 6,
               in_flight_wanted ? in_flight_wanted : 2);
    else if (strcmp(what, "connect") == 0) connect_many();
    else if (strcmp(what, "start") == 0) start_nothing();
    else if (strcmp(what, "create") == 0) create_many(dir);
    else if (strcmp(what, "touch") == 0 && optind + 2 < argc) touch(dir, strtoll(argv[optind + 2], NULL, 10));
    else die("see the top of limits.c");
    return 0;
}
