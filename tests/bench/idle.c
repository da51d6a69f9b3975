/* Opens connections that each ask for ApiVersions once, holds them, and tells how fast they opened, what the broker's memory grew by,
 * what it used while they were idle, and how long one request takes beside them. */
#include "idle.h"
#include "bench.h"
#include "request.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void reset_on_close(int fd) /* the client's ports are free again at once */
{
    struct linger l = { 1, 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void say(int fd, const struct request *hello)
{
    if (send(fd, hello->b.p, hello->b.n, MSG_NOSIGNAL) != (ssize_t)hello->b.n) die("send: %s", strerrordesc_np(errno));
}

/* An answer to hello fits one segment on loopback; a part of it is waited out. */
static void hear(int fd)
{
    uint8_t b[65536];
    size_t n = 0;
    while (n < 4 || n < 4 + (size_t)be32(b)) {
        ssize_t k = recv(fd, b + n, sizeof(b) - n, 0);
        if (k <= 0) die("idle: %s", k ? strerrordesc_np(errno) : "the broker closed a connection");
        n += (size_t)k;
    }
    struct answer a = answer_read(REQUEST_API_VERSIONS, b, n);
    if (a.error) die("ApiVersions: error %d", a.error);
}

static void pause_s(double s) { (void)usleep((useconds_t)(s * 1e6)); }

int run_idle(const char *broker, pid_t pid, const struct idle_spec *spec)
{
    struct request hello;
    struct request_spec what = { .kind = REQUEST_API_VERSIONS, .topic = "" };
    int *fds = mem_zalloc(sizeof(int) * (size_t)spec->connections);
    int opened = 0, greeted = 0, ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64];
    raise_file_limit();
    request_make(&hello, &what);

    long before = resident_kb(pid);
    double cpu = cpu_of(pid);
    uint64_t began = now_ns();
    while (greeted < spec->connections) {
        while (opened < spec->connections && opened - greeted < spec->window) {
            struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };
            e.data.fd = fds[opened] = dial(broker);
            reset_on_close(e.data.fd);
            say(e.data.fd, &hello);
            if (epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e) != 0) die("epoll: %s", strerrordesc_np(errno));
            opened++;
        }
        int n = epoll_wait(ep, events, (int)ARRAY_LEN(events), -1);
        if (n < 0 && errno != EINTR) die("epoll: %s", strerrordesc_np(errno));
        for (int i = 0; i < n; i++, greeted++) hear(events[i].data.fd);
    }
    double open_s = (double)(now_ns() - began) / 1e9, open_cpu = cpu_of(pid) - cpu;
    (void)fprintf(stderr, "idle: all open\n"); /* for who waits for that */

    pause_s(1);
    cpu = cpu_of(pid);
    pause_s(spec->hold_s);
    double held_cpu = cpu_of(pid) - cpu;
    long held = resident_kb(pid);
    began = now_ns();
    say(fds[spec->connections / 2], &hello);
    hear(fds[spec->connections / 2]);
    double one_us = (double)(now_ns() - began) / 1e3;
    for (int i = 0; i < spec->connections; i++) close(fds[i]);
    pause_s(1);
    printf(
        "{\"connections\":%d,\"open_s\":%.4f,\"per_s\":%.1f,\"open_broker_cpu_s\":%.4f,\"rss_before_kb\":%ld,\"rss_held_kb\":%ld,"
        "\"rss_closed_kb\":%ld,\"kb_each\":%.3f,\"held_s\":%.2f,\"held_broker_cpu_s\":%.4f,\"one_request_us\":%.1f}\n",
        spec->connections, open_s, spec->connections / open_s, open_cpu, before, held, resident_kb(pid),
        (double)(held - before) / spec->connections, spec->hold_s, held_cpu, one_us);
    mem_free(fds);
    request_free(&hello);
    return 0;
}
