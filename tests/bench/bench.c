#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static double seconds_of(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0) return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double cpu_self(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
double cpu_thread(void) { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

double cpu_of(pid_t pid)
{
    clockid_t id;
    if (pid <= 0) return 0;
    if (clock_getcpuclockid(pid, &id) != 0) die("no process %d", (int)pid);
    return seconds_of(id);
}

long resident_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;
    if (pid <= 0) return 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) die("%s: %s", path, strerrordesc_np(errno));
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "VmRSS:", 6) == 0) kb = strtol(line + 6, NULL, 10);
    (void)fclose(f);
    return kb;
}

void raise_file_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

void exact_timers(void) { (void)prctl(PR_SET_TIMERSLACK, 1L, 0L, 0L, 0L); }

int dial_try(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    const char *colon = strrchr(address, ':');
    char host[64];
    int one = 1;
    if (!colon || (size_t)(colon - address) >= sizeof(host)) die("%s: not HOST:PORT", address);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (strcmp(host, "localhost") == 0) snprintf(host, sizeof(host), "127.0.0.1");
    to.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("%s: the host must be a number, or localhost", address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s", strerrordesc_np(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

int dial(const char *address)
{
    int fd = dial_try(address);
    if (fd < 0) die("%s: %s", address, strerrordesc_np(errno));
    return fd;
}

/* ---- latencies ----------------------------------------------------------------------------------------------------------- */

struct hist *hist_new(void)
{
    struct hist *h = calloc(1, sizeof(*h));
    if (!h) die("no memory");
    h->min = UINT64_MAX;
    return h;
}

void hist_add(struct hist *h, uint64_t value)
{
    uint64_t slot = value;
    if (value >= 1u << HIST_BITS) {
        int shift = 63 - __builtin_clzll(value) - HIST_BITS;
        slot = ((uint64_t)(shift + 1) << HIST_BITS) + ((value >> shift) & ((1u << HIST_BITS) - 1));
    }
    h->count[slot]++;
    h->n++;
    h->sum += (double)value;
    if (value < h->min) h->min = value;
    if (value > h->max) h->max = value;
}

double hist_at(const struct hist *h, double part)
{
    uint64_t below = (uint64_t)(part * (double)h->n), seen = 0;
    if (h->n == 0) return 0;
    if (below >= h->n) below = h->n - 1;
    for (uint64_t i = 0; i < HIST_SLOTS; i++) {
        seen += h->count[i];
        if (seen <= below) continue;
        if (i < 1u << HIST_BITS) return (double)i;
        uint64_t shift = (i >> HIST_BITS) - 1, low = ((1u << HIST_BITS) + (i & ((1u << HIST_BITS) - 1))) << shift;
        double middle = (double)low + (double)(1ull << shift) / 2;
        return middle > (double)h->max ? (double)h->max : middle;
    }
    return (double)h->max;
}

void hist_print(FILE *out, const struct hist *h)
{
    static const struct {
        const char *name;
        double part;
    } points[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 } };
    (void)fprintf(out, "{\"n\":%llu,\"min\":%.2f,\"mean\":%.2f", (unsigned long long)h->n, h->n ? (double)h->min / 1e3 : 0,
                  h->n ? h->sum / (double)h->n / 1e3 : 0);
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
        (void)fprintf(out, ",\"%s\":%.2f", points[i].name, hist_at(h, points[i].part) / 1e3);
    (void)fprintf(out, ",\"max\":%.2f}", (double)h->max / 1e3);
}
