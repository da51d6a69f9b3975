/* Listeners, the acceptor, and the per-loop housekeeping of connections.
 *
 * Every listener is watched by the first loop. It accepts up to ACCEPT_BATCH a turn and posts each connection to its loop (spread.c).
 * When descriptors run out (EMFILE), or only those are left that the storage needs, the listener is not watched for a while: the peers wait in the backlog. A sweep per loop, every few
 * seconds and only while there are connections, closes idle ones and frames that do not get on. */
#include "net_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    DRAIN_LOOK_US = 10 * 1000,
    ACCEPT_BATCH = 32,
    RETRY_US = 100 * 1000,
    FDS_OTHERS = 64,
    SWEEP_US = 5 * 1000 * 1000
};

/* ---- who is connected ------------------------------------------------------------------------------------------------------------ */

struct ip {
    struct map_node node;
    char host[64];
    int n;
};

static bool ip_eq(const struct map_node *n, const void *key) { return strcmp(container_of(n, struct ip, node)->host, key) == 0; }

bool net_conn_begins(struct net *n, const char *host)
{
    uint64_t h = hash_bytes(host, strlen(host));
    int64_t per_ip = conf_max_connections_of_ip(n->conf, slice_of(host));
    bool ok = atomic_load(&n->total) < conf_i64(n->conf, CONF_MAX_CONNECTIONS);
    pthread_mutex_lock(&n->ips_mu);
    struct map_node *found = map_find(&n->ips, h, ip_eq, host);
    struct ip *ip = found ? container_of(found, struct ip, node) : NULL;
    ok = ok && (ip ? ip->n : 0) < per_ip;
    if (ok && !ip) {
        ip = new (struct ip);
        (void)snprintf(ip->host, sizeof ip->host, "%s", host);
        map_put(&n->ips, h, &ip->node);
    }
    if (ok) {
        ip->n++;
        atomic_fetch_add(&n->total, 1);
    }
    pthread_mutex_unlock(&n->ips_mu);
    return ok;
}

void net_conn_ended(struct net *n, const char *host)
{
    pthread_mutex_lock(&n->ips_mu);
    struct map_node *found = map_find(&n->ips, hash_bytes(host, strlen(host)), ip_eq, host);
    struct ip *ip = container_of(found, struct ip, node);
    if (--ip->n == 0) {
        map_remove(&n->ips, found);
        mem_free(ip);
    }
    atomic_fetch_sub(&n->total, 1);
    pthread_mutex_unlock(&n->ips_mu);
}

/* ---- handing a connection to its loop ------------------------------------------------------------------------------------------------ */

struct arrival { /* on its way from the acceptor to its loop */
    struct post post;
    struct net_loop *nl;
    int fd;
    struct client_info info;
    char listener[64], host[64], local_host[64];
};

static void arrive(struct post *p)
{
    struct arrival *a = container_of(p, struct arrival, post);
    struct net_loop *nl = a->nl;
    if (nl->draining) {
        close(a->fd);
        atomic_fetch_sub(&nl->conns_n, 1);
        net_conn_ended(nl->net, a->host);
    } else {
        (void)conn_new(nl, a->fd, &transport_plain, &a->info);
        net_sweep_start(nl);
    }
    mem_free(a);
}

/* "127.0.0.1" also for a v4 address mapped into v6. */
static void address_text(const struct sockaddr_storage *sa, char out[64], int *port, bool *loopback)
{
    out[0] = 0;
    *port = 0;
    *loopback = false;
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &v4->sin_addr, out, 64);
        *port = ntohs(v4->sin_port);
        *loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
        *port = ntohs(v6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out, 64);
            *loopback = v6->sin6_addr.s6_addr[12] == 127;
        } else {
            inet_ntop(AF_INET6, &v6->sin6_addr, out, 64);
            *loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        }
    }
}

/* BBR paces what it sends with a timer for each burst, which on the way to the machine itself costs half of a large answer's time and keeps nothing
 * from overflowing. It cannot be turned off once a connection has had it, so the listener goes without, and peers of other machines are given it
 * back. Other kinds need no change. */
static void go_without_pacing(struct net *n, int listener)
{
    static const char plain[] = "reno"; /* allowed everywhere */
    char system[CONGESTION_NAME] = "";
    socklen_t len = sizeof system - 1;
    if (getsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, system, &len) || strncmp(system, "bbr", 3) != 0) return;
    if (setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1) == 0)
        memcpy(n->congestion, system, sizeof system);
}

static void give_pacing_back(const struct net *n, int fd)
{
    char now[CONGESTION_NAME] = "";
    socklen_t len = sizeof now - 1;
    if (!n->congestion[0] || getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len) || strcmp(now, "reno") != 0)
        return; /* a route's own stays */
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, n->congestion, (socklen_t)strlen(n->congestion)))
        log_debug("net", "congestion control stays plain", KV_STR("system", n->congestion), KV_ERR(-errno));
}

static void accept_one(struct listener *l, int fd, const struct sockaddr_storage *peer)
{
    struct net *n = l->net;
    struct arrival *a = new (struct arrival);
    struct sockaddr_storage local = { 0 };
    socklen_t len = sizeof local;
    int on = 1, port;
    bool loopback;

    address_text(peer, a->host, &port, &loopback);
    if (!net_conn_begins(n, a->host)) {
        log_warn("net", "too many connections; closing", KV_STR("client", a->host));
        close(fd);
        mem_free(a);
        return;
    }
    (void)getsockname(fd, (struct sockaddr *)&local, &len);
    address_text(&local, a->local_host, &a->info.local_port, &a->info.local_loopback);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    bool same_machine = a->info.local_loopback || strcmp(a->host, a->local_host) == 0;
    if (!same_machine) give_pacing_back(n, fd);
    if (n->send_buffer > 0) (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n->send_buffer, sizeof n->send_buffer);
    (void)snprintf(a->listener, sizeof a->listener, S_FMT, S_ARG(l->name));
    a->info.listener = slice_of(a->listener);
    a->info.host = slice_of(a->host);
    a->info.local_host = slice_of(a->local_host);
    a->fd = fd;
    a->post.fn = arrive;
    a->nl = spread_place(n);
    atomic_fetch_add(&a->nl->conns_n, 1);
    loop_post(a->nl->loop, &a->post);
}

static void listener_retry(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, retry);
    if (l->open) loop_io_want(l->net->loops[0].loop, &l->io, IO_READ);
}

/* Not watched for a while: the peers wait in the backlog. */
static void listener_pause(struct listener *l, int err)
{
    struct loop *loop = l->net->loops[0].loop;
    log_warn("net", "cannot accept; trying again", KV_ERR(err));
    loop_io_want(loop, &l->io, 0);
    l->retry.fn = listener_retry;
    loop_timer(loop, &l->retry, loop_now_us(loop) + RETRY_US);
}

static void listener_ready(struct loop_io *io, unsigned events)
{
    struct listener *l = container_of(io, struct listener, io);
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof peer;
        if (atomic_load(&l->net->total) >= l->net->fds_max) {
            listener_pause(l, -EMFILE);
            return;
        }
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            listener_pause(l, -errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* ECONNABORTED and the like: that peer has gone; the next */
    }
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

static int bind_one(struct net *n, const struct conf_listener *cl, const struct addrinfo *ai, int port, struct listener *l)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = ai->ai_addrlen;
    int on = 1, off = 0;
    memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
    if (sa.ss_family == AF_INET) ((struct sockaddr_in *)&sa)->sin_port = htons((uint16_t)port);
    else ((struct sockaddr_in6 *)&sa)->sin6_port = htons((uint16_t)port);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    go_without_pacing(n, fd);
    if (sa.ss_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, cl->host.n ? &on : &off, sizeof on);
    if (n->receive_buffer > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n->receive_buffer,
                         sizeof n->receive_buffer); /* inherited, before the handshake */
    if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, n->backlog) || getsockname(fd, (struct sockaddr *)&sa, &len)) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    bool loopback;
    char text[64];
    *l = (struct listener){ .net = n, .name = cl->name, .fd = fd };
    address_text(&sa, text, &l->port, &loopback);
    return 0;
}

/* One configured listener: one socket, or two for localhost (127.0.0.1 and ::1, on one port). */
static int listener_open(struct net *n, const struct conf_listener *cl, struct why *w)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *all = NULL;
    char host[256];
    int port = cl->port, opened = 0, rc = 0, err = 0;
    bool any = cl->host.n == 0;
    (void)snprintf(host, sizeof host, S_FMT, S_ARG(cl->host));
    rc = getaddrinfo(any ? "::" : host, NULL, &hints, &all);
    if (rc) return why(w, E_IO, "listener " S_FMT ": host \"%s\": %s", S_ARG(cl->name), host, gai_strerror(rc));
    for (struct addrinfo *ai = all; ai; ai = ai->ai_next) {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6) continue;
        rc = bind_one(n, cl, ai, port, &n->listeners[n->listeners_n]);
        if (rc) {
            err = rc;
            if (rc == -EADDRINUSE) break;
            continue; /* no IPv6 here, perhaps */
        }
        port = n->listeners[n->listeners_n].port;
        n->listeners_n++;
        opened++;
    }
    freeaddrinfo(all);
    if (!opened && any && err != -EADDRINUSE) { /* a machine without IPv6 */
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct addrinfo ai = { .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&v4, .ai_addrlen = sizeof v4 };
        err = bind_one(n, cl, &ai, port, &n->listeners[n->listeners_n]);
        if (!err) {
            n->listeners_n++;
            opened++;
        }
    }
    if (err == -EADDRINUSE || !opened)
        return why(w, E_IO, "listener " S_FMT "://%s:%d cannot be opened: %s", S_ARG(cl->name), any ? "*" : host, cl->port,
                   err_text(err));
    broker_listener_port(n->broker, cl->name, port);
    return 0;
}

/* A quarter is the storage's cache of open files, and some are for what it opens in passing, and for everybody else: a connection can wait, a sync
 * cannot. */
static int64_t fds_for_connections(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == RLIM_INFINITY || r.rlim_cur > INT32_MAX) return INT64_MAX;
    int64_t all = (int64_t)r.rlim_cur;
    return MAX(all - all / 4 - FDS_OTHERS, all / 4);
}

struct net *net_new(struct broker *b, const struct conf *conf)
{
    struct net *n = new (struct net);
    int count;
    (void)conf_listeners(conf, &count);

    n->broker = b;
    n->conf = conf;
    n->loops_n = broker_shards(b);
    n->loops = mem_zalloc(sizeof *n->loops * (size_t)n->loops_n);
    n->listeners = mem_zalloc(sizeof *n->listeners * (size_t)count * 8);
    n->memory = broker_memory(b);
    n->out_pause = (size_t)MIN(MAX(n->memory->limit / 64, OUT_PAUSE_LEAST), OUT_PAUSE);
    n->frame_max = conf_i64(conf, CONF_SOCKET_REQUEST_MAX_BYTES);
    if (n->memory->limit) n->frame_max = MIN(n->frame_max, n->memory->limit / 16 * 7); /* what it decodes to takes some, too */
    n->idle_us = conf_i64(conf, CONF_CONNECTIONS_MAX_IDLE_MS) * 1000;
    n->frame_timeout_us = conf_i64(conf, CONF_ODRADEK_FRAME_TIMEOUT_MS) * 1000;
    /* Unset, the system's own sizes are better than Kafka's default for a peer far away; written down, they are taken. */
    n->send_buffer = conf_is_set(conf, CONF_SOCKET_SEND_BUFFER_BYTES) ? (int)conf_i64(conf, CONF_SOCKET_SEND_BUFFER_BYTES) : -1;
    n->receive_buffer =
        conf_is_set(conf, CONF_SOCKET_RECEIVE_BUFFER_BYTES) ? (int)conf_i64(conf, CONF_SOCKET_RECEIVE_BUFFER_BYTES) : -1;
    /* A crowd that connects at once must not wait for its SYN to be sent again. */
    n->backlog =
        conf_is_set(conf, CONF_SOCKET_LISTEN_BACKLOG_SIZE) ? (int)conf_i64(conf, CONF_SOCKET_LISTEN_BACKLOG_SIZE) : BACKLOG;
    n->fds_max = fds_for_connections();
    pthread_mutex_init(&n->ips_mu, NULL);
    for (int i = 0; i < n->loops_n; i++) {
        struct net_loop *nl = &n->loops[i];
        nl->net = n;
        nl->shard = broker_shard(b, i);
        nl->loop = shard_loop(nl->shard);
        nl->waker = shard_waker(nl->shard);
        list_init(&nl->conns);
        list_init(&nl->partials);
        list_init(&nl->starved);
        list_init(&nl->movers);
        list_init(&nl->spare_parts);
    }
    return n;
}

int net_open(struct broker *b, const struct conf *conf, struct net **out, struct why *w)
{
    struct net *n = net_new(b, conf);
    int count;
    const struct conf_listener *cl = conf_listeners(conf, &count);
    for (int i = 0; i < count; i++) {
        int rc = listener_open(n, &cl[i], w);
        if (!rc) continue;
        net_free(&n);
        return rc;
    }
    *out = n;
    return 0;
}

static void start_post(struct post *p)
{
    struct net *n = container_of(p, struct net, start_post);
    for (int i = 0; i < n->listeners_n; i++) {
        struct listener *l = &n->listeners[i];
        l->io = (struct loop_io){ .fd = l->fd, .ready = listener_ready };
        int rc = loop_io_open(n->loops[0].loop, &l->io, IO_READ);
        l->open = rc == 0;
        if (rc) log_error("net", "cannot watch a listener", KV_SLICE("listener", l->name), KV_ERR(rc));
    }
}

void net_start(struct net *n)
{
    n->start_post.fn = start_post;
    loop_post(n->loops[0].loop, &n->start_post);
}

struct slice net_listeners_text(const struct net *n, struct arena *a)
{
    struct slice all = S("");
    for (int i = 0; i < n->listeners_n; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t len = sizeof sa;
        char text[64];
        int port;
        bool loopback;
        (void)getsockname(n->listeners[i].fd, (struct sockaddr *)&sa, &len);
        address_text(&sa, text, &port, &loopback);
        all = arena_printf(a, S_FMT "%s" S_FMT "://%s%s%s:%d", S_ARG(all), i ? "," : "", S_ARG(n->listeners[i].name),
                           sa.ss_family == AF_INET6 && strchr(text, ':') ? "[" : "", text,
                           sa.ss_family == AF_INET6 && strchr(text, ':') ? "]" : "", port);
    }
    return all;
}

int net_port(const struct net *n, int listener)
{
    int count;
    const struct conf_listener *cl = conf_listeners(n->conf, &count);
    for (int i = 0; listener < count && i < n->listeners_n; i++)
        if (slice_eq(n->listeners[i].name, cl[listener].name)) return n->listeners[i].port;
    return 0;
}

/* ---- housekeeping ------------------------------------------------------------------------------------------------------------------------ */

static void sweep(struct timer *t)
{
    struct net_loop *nl = container_of(t, struct net_loop, sweep);
    struct net *n = nl->net;
    int64_t now = loop_now_us(nl->loop);
    list_each_safe (l, next, &nl->conns) {
        struct conn *c = container_of(l, struct conn, link);
        if (c->partial_us && !c->starved && now - c->partial_us > n->frame_timeout_us) {
            conn_close(c, "a request did not arrive whole in time");
        } else if (n->idle_us > 0 && now - c->used_us > n->idle_us && list_empty(&c->out) && client_idle(c->client)) {
            conn_close(c, NULL);
        }
    }
    conn_close_deaf(nl);
    conn_feed(nl);
    if (nl->chunk && atomic_load(&nl->chunk->refs) == 1) buf_unref(&nl->chunk);
    mem_pool_trim();
    if (!list_empty(&nl->conns)) loop_timer(nl->loop, t, now + SWEEP_US);
}

void net_sweep_start(struct net_loop *nl)
{
    if (nl->sweep.heap_at) return;
    nl->sweep.fn = sweep;
    loop_timer(nl->loop, &nl->sweep, loop_now_us(nl->loop) + SWEEP_US);
}

static void drain_check(struct net_loop *nl)
{
    list_each_safe (l, next, &nl->conns) {
        struct conn *c = container_of(l, struct conn, link);
        if (client_idle(c->client)) conn_finish(c, NULL);
    }
}

static void drain_tick(struct timer *t)
{
    struct net_loop *nl = container_of(t, struct net_loop, drain_deadline);
    bool late = loop_now_us(nl->loop) >= nl->net->drain_ms * 1000 + nl->drain_began_us;
    if (late)
        list_each_safe (l, next, &nl->conns) conn_close(container_of(l, struct conn, link), NULL);
    else drain_check(nl);
    if (!list_empty(&nl->conns) || atomic_load(&nl->net->moving) > 0) { /* who arrives is closed there, while loops run */
        loop_timer(nl->loop, t, loop_now_us(nl->loop) + DRAIN_LOOK_US);
        return;
    }
    nl->net->drained(nl->net->drained_arg);
}

static void listener_closed(struct loop_io *io)
{
    struct listener *l = container_of(io, struct listener, io);
    close(l->fd);
    l->fd = -1;
}

static void drain_post(struct post *p)
{
    struct net_loop *nl = container_of(p, struct net_loop, drain_post);
    struct net *n = nl->net;
    nl->draining = true;
    nl->drain_began_us = loop_now_us(nl->loop);
    if (nl == &n->loops[0]) {
        for (int i = 0; i < n->listeners_n; i++) {
            struct listener *l = &n->listeners[i];
            if (!l->open) continue;
            l->open = false;
            l->io.closed = listener_closed;
            loop_timer_stop(nl->loop, &l->retry);
            loop_io_close(nl->loop, &l->io);
        }
    }
    loop_timer_stop(nl->loop, &nl->sweep);
    nl->drain_deadline.fn = drain_tick;
    loop_timer(nl->loop, &nl->drain_deadline, loop_now_us(nl->loop));
}

void net_drain(struct net *n, int64_t timeout_ms, void (*drained)(void *arg), void *arg)
{
    n->drained = drained;
    n->drained_arg = arg;
    n->drain_ms = timeout_ms;
    for (int i = 0; i < n->loops_n; i++) {
        n->loops[i].drain_post.fn = drain_post;
        loop_post(n->loops[i].loop, &n->loops[i].drain_post);
    }
}

void net_free(struct net **np)
{
    struct net *n = *np;
    *np = NULL;
    if (!n) return;
    for (int i = 0; i < n->listeners_n; i++)
        if (n->listeners[i].fd >= 0) close(n->listeners[i].fd);
    for (int i = 0; i < n->loops_n; i++) {
        if (n->loops[i].chunk) buf_unref(&n->loops[i].chunk);
        for (struct list *l; (l = list_pop(&n->loops[i].spare_parts));) mem_free(container_of(l, struct out_part, link));
    }
    map_free(&n->ips);
    pthread_mutex_destroy(&n->ips_mu);
    mem_free(n->listeners);
    mem_free(n->loops);
    mem_free(n);
}
