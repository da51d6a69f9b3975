/* The load engine: one thread, epoll, as many requests in flight as asked for.
 *
 * A connection has a ring of `in_flight` slots, each a copy of the request (or of its first bytes, when the rest is large and the same
 * for all), so that to send is: patch a few bytes, one sendmsg for all that is due. Answers come in the order of the requests; the
 * correlation id must match.
 *
 * Latency counts from when a request was due. Without a rate that is when the answer before it freed its place; with one it is the
 * time on the schedule, even if it could be sent only later: a broker that stalls pays for every request that had to wait. */
#include "flow.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOT_MAX = 4096, IOV = 128, EVENTS = 512, INPUT = 256 * 1024, DRAIN_S = 45, OWED_S = 10 };

struct conn {
    struct flow *flow;
    int fd, index;
    bool blocked;   /* its socket is full; EPOLLOUT is awaited */
    uint8_t *slots; /* in_flight × slot_n */
    uint64_t *due;  /* in_flight times, ns */
    uint64_t asked, sent, answered;
    size_t sent_part; /* bytes of request `sent` that have left */
    uint8_t *rest;    /* the beginning of an answer that has not come whole */
    size_t rest_n, rest_cap;
    uint64_t skip; /* bytes of the present answer still to be dropped */
    struct answer head;
    int64_t offset, end;
};

static enum { WARM, MEASURE, DRAIN } phase;
static uint64_t measure_from;
static int ep;
static uint8_t *input;
static size_t input_cap;

/* ---- sending ---------------------------------------------------------------------------------------------------------------- */

static uint8_t *slot_of(const struct conn *c, uint64_t request)
{
    return c->slots + request % (uint64_t)c->flow->spec.in_flight * c->flow->slot_n;
}

/* Puts one more request in the ring. */
static void ask(struct conn *c, uint64_t due)
{
    struct flow *f = c->flow;
    const struct request *r = &f->request;
    uint8_t *p = slot_of(c, c->asked);
    c->due[c->asked % (uint64_t)f->spec.in_flight] = due;
    request_set_id(p, (uint32_t)c->asked);
    if (f->spec.rotate) {
        put_be32(p + r->partition_at, (uint32_t)f->rotation);
        if (++f->rotation == f->spec.partitions) f->rotation = 0;
    }
    if (r->offset_at != SIZE_MAX) {
        put_be64(p + r->offset_at, (uint64_t)c->offset);
        if (!f->spec.tail && c->end > 0) c->offset = (c->offset + f->spec.step) % c->end;
    }
    if (r->group_at != SIZE_MAX) {
        request_set_group(r, p, f->group);
        if (++f->group == f->spec.groups) f->group = 0;
    }
    if (r->stamp_at != SIZE_MAX) {
        request_set_stamp(r, p, due);
        f->stamped += phase == MEASURE && due >= measure_from;
    }
    c->asked++;
}

static void want_room(struct conn *c, bool want)
{
    struct epoll_event e = { .events = EPOLLIN | (want ? EPOLLOUT : 0u), .data.ptr = c };
    if (c->blocked == want) return;
    c->blocked = want;
    if (epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e) != 0) die("epoll: %s", strerrordesc_np(errno));
}

/* One sendmsg's worth: neighbouring slots without a shared rest are one piece. */
static int gather(const struct conn *c, struct iovec *v, size_t *total)
{
    const struct flow *f = c->flow;
    size_t rest = f->request.b.n - f->slot_n, from = c->sent_part;
    int n = 0;
    *total = 0;
    for (uint64_t k = c->sent; k < c->asked && n + 2 <= IOV; k++, from = 0) {
        uint8_t *p = slot_of(c, k);
        if (from < f->slot_n) {
            if (n > 0 && (uint8_t *)v[n - 1].iov_base + v[n - 1].iov_len == p) v[n - 1].iov_len += f->slot_n;
            else v[n++] = (struct iovec){ p + from, f->slot_n - from };
            *total += f->slot_n - from;
            from = 0;
        } else {
            from -= f->slot_n;
        }
        if (rest > 0) {
            v[n++] = (struct iovec){ f->request.b.p + f->slot_n + from, rest - from };
            *total += rest - from;
        }
    }
    return n;
}

static void send_asked(struct conn *c)
{
    struct iovec v[IOV];
    size_t total, size = c->flow->request.b.n;
    while (c->sent < c->asked) {
        struct msghdr m = { .msg_iov = v };
        m.msg_iovlen = (size_t)gather(c, v, &total);
        ssize_t k = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno != EAGAIN) die("%s: send: %s", c->flow->spec.name, strerrordesc_np(errno));
        if (k > 0) {
            size_t done = c->sent_part + (size_t)k;
            c->sent += done / size;
            c->sent_part = done % size;
        }
        if (k < (ssize_t)total) {
            want_room(c, true);
            return;
        }
    }
    want_room(c, false);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------- */

static void count_error(struct flow *f, int code)
{
    int i = 0;
    f->errors++;
    while (i < ERRORS_MAX - 1 && f->by_code[i].n && f->by_code[i].code != code) i++;
    f->by_code[i].code = code;
    f->by_code[i].n++;
    if (f->errors > 100000) die("%s: too many errors, the first is %d", f->spec.name, f->by_code[0].code);
}

static void seen(void *arg, uint64_t stamp)
{
    struct flow *f = arg;
    if (phase != WARM && stamp >= measure_from) hist_add(f->age, now_ns() - stamp);
}

/* An answer has come whole. p: as much of it as was kept, at least its head. */
static void answered(struct conn *c, const struct answer *a, const uint8_t *p, uint64_t size, uint64_t now)
{
    struct flow *f = c->flow;
    const struct request_spec *r = &f->spec.request;
    uint64_t due = c->due[c->answered % (uint64_t)f->spec.in_flight];
    if (c->answered == c->sent) die("%s: an answer that nobody asked for", f->spec.name);
    if (a->id != (uint32_t)c->answered) die("%s: answer %u where %u was due", f->spec.name, a->id, (uint32_t)c->answered);
    c->answered++;
    if (a->error) count_error(f, a->error);
    else if (r->kind == REQUEST_PRODUCE) f->acknowledged += (uint64_t)r->records;
    if (f->spec.tail && !a->error && a->record_bytes > 0)
        c->offset = answer_stamps(p + a->records_at, (size_t)a->record_bytes, c->offset, seen, f);
    if (phase != MEASURE) return;
    f->answers++;
    hist_add(f->latency, now > due ? now - due : 0);
    if (r->kind == REQUEST_PRODUCE) {
        f->records += (uint64_t)r->records;
        f->bytes += (uint64_t)r->records * (uint64_t)r->size;
    } else if (r->kind == REQUEST_FETCH) {
        f->bytes += (uint64_t)a->record_bytes;
        f->empty += a->record_bytes == 0;
    } else {
        f->bytes += size;
    }
}

/* Takes whole answers off p[0..n) and returns how many bytes they were. */
static size_t take_answers(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    const struct flow *f = c->flow;
    size_t at = 0;
    while (n - at >= 4) {
        uint64_t size = 4 + (uint64_t)be32(p + at);
        if (n - at >= size) {
            c->head = answer_read(f->spec.request.kind, p + at, size);
            answered(c, &c->head, p + at, size, now);
            at += size;
            continue;
        }
        if (f->skip_rest && n - at >= ANSWER_HEAD) {
            c->head = answer_read(f->spec.request.kind, p + at, n - at);
            c->skip = size - (n - at);
            return n;
        }
        if (!f->skip_rest && size > input_cap) die("%s: an answer of %llu bytes", f->spec.name, (unsigned long long)size);
        break;
    }
    return at;
}

static ssize_t receive(struct conn *c, void *to, size_t n, int flags)
{
    ssize_t k;
    do k = recv(c->fd, to, n, MSG_DONTWAIT | flags);
    while (k < 0 && errno == EINTR);
    if (k == 0 || (k < 0 && errno != EAGAIN))
        die("%s: %s", c->flow->spec.name, k ? strerrordesc_np(errno) : "the broker closed a connection");
    return k;
}

static void read_answers(struct conn *c)
{
    const struct flow *f = c->flow;
    for (;;) {
        if (c->skip > 0) {
            ssize_t k = receive(c, NULL, c->skip, MSG_TRUNC);
            if (k < 0) return;
            c->skip -= (uint64_t)k;
            if (c->skip > 0) continue;
            answered(c, &c->head, NULL, 0, now_ns());
        }
        size_t room = MIN(input_cap, c->rest_n + f->peek) - c->rest_n;
        if (c->rest_n > 0) memcpy(input, c->rest, c->rest_n);
        ssize_t k = receive(c, input + c->rest_n, room, 0);
        if (k < 0) return;
        size_t n = c->rest_n + (size_t)k, used = take_answers(c, input, n, now_ns());
        c->rest_n = n - used;
        if (c->rest_n > c->rest_cap) c->rest = mem_realloc(c->rest, c->rest_cap = c->rest_n);
        if (c->rest_n > 0) memcpy(c->rest, input + used, c->rest_n);
        if ((size_t)k < room && c->skip == 0) return;
    }
}

/* ---- when to ask ------------------------------------------------------------------------------------------------------------ */

static int in_flight(const struct conn *c) { return (int)(c->asked - c->answered); }

/* Of a flow with a rate: all that is due and finds a place. */
static void ask_due(struct flow *f, uint64_t now)
{
    while (f->next_due <= now) {
        int k = 0;
        while (k < f->spec.connections && in_flight(&f->conns[f->turn]) >= f->spec.in_flight) {
            f->turn = (f->turn + 1) % f->spec.connections;
            k++;
        }
        if (k == f->spec.connections) {
            f->late += phase == MEASURE;
            return;
        }
        ask(&f->conns[f->turn], f->next_due);
        send_asked(&f->conns[f->turn]);
        f->turn = (f->turn + 1) % f->spec.connections;
        f->due += 1e9 / f->spec.rate;
        f->next_due = (uint64_t)f->due;
    }
}

/* Fills the places that answers on c have freed. */
static void ask_again(struct conn *c, int freed)
{
    struct flow *f = c->flow;
    uint64_t now = now_ns();
    if (f->spec.total == 0) {
        while (in_flight(c) < f->spec.in_flight) ask(c, now);
        return;
    }
    for (; freed > 0; freed--) {
        while (in_flight(&f->conns[f->turn]) >= f->spec.in_flight) f->turn = (f->turn + 1) % f->spec.connections;
        struct conn *to = &f->conns[f->turn];
        f->turn = (f->turn + 1) % f->spec.connections;
        ask(to, now);
        if (to != c) send_asked(to);
    }
}

static void ready(struct conn *c, uint32_t events)
{
    uint64_t before = c->answered;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_answers(c);
    if ((phase != DRAIN || c->flow->spec.tail) && c->flow->spec.rate == 0 && c->answered > before)
        ask_again(c, (int)(c->answered - before));
    if (c->sent < c->asked) send_asked(c);
}

/* ---- the run ---------------------------------------------------------------------------------------------------------------- */

static void flow_open(struct run *run, struct flow *f)
{
    struct flow_spec *s = &f->spec;
    request_make(&f->request, &s->request);
    if (s->rotate && f->request.partition_at == SIZE_MAX) die("%s has no partition to rotate", s->name);
    if (s->total) s->in_flight = (s->total + s->connections - 1) / s->connections; /* there is always one with a place */
    f->slot_n = f->request.b.n <= SLOT_MAX ? f->request.b.n : f->request.partition_at + 4;
    f->skip_rest = s->request.kind == REQUEST_FETCH && !s->tail;
    f->peek = f->skip_rest && s->request.max_bytes > INPUT / 8 ? ANSWER_HEAD : INPUT;
    if (s->request.kind == REQUEST_FETCH && !f->skip_rest && (size_t)s->request.max_bytes + INPUT > input_cap)
        input_cap = f->peek = (size_t)s->request.max_bytes * 2 + INPUT;
    f->latency = hist_new();
    f->age = hist_new();
    f->conns = mem_zalloc(sizeof(struct conn) * (size_t)s->connections);
    for (int i = 0; i < s->connections; i++) {
        struct conn *c = &f->conns[i];
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
        int32_t partition = i % s->partitions;
        *c = (struct conn){ .flow = f, .index = i, .fd = dial(run->broker) };
        c->slots = mem_alloc((size_t)s->in_flight * f->slot_n);
        c->due = mem_zalloc((size_t)s->in_flight * sizeof(*c->due));
        for (int k = 0; k < s->in_flight; k++) {
            uint8_t *p = c->slots + (size_t)k * f->slot_n;
            memcpy(p, f->request.b.p, f->slot_n);
            if (f->request.partition_at != SIZE_MAX) put_be32(p + f->request.partition_at, (uint32_t)partition);
        }
        if (s->request.kind == REQUEST_FETCH) {
            c->end = ask_end(c->fd, s->request.topic, partition);
            if (c->end < 0) die("%s-%d: error %d", s->request.topic, (int)partition, (int)-c->end);
            c->offset = s->tail ? c->end : s->step && c->end ? s->step * (i / s->partitions) % c->end : 0;
        }
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) != 0) die("epoll: %s", strerrordesc_np(errno));
    }
}

static void flow_start(struct flow *f)
{
    uint64_t now = now_ns();
    if (f->spec.rate > 0) {
        f->due = (double)(now + 1000000);
        f->next_due = now + 1000000;
        return;
    }
    f->next_due = UINT64_MAX;
    if (f->spec.total) {
        for (int i = 0; i < f->spec.total; i++, f->turn = (f->turn + 1) % f->spec.connections) ask(&f->conns[f->turn], now);
        for (int i = 0; i < f->spec.connections; i++) send_asked(&f->conns[i]);
        return;
    }
    for (int i = 0; i < f->spec.connections; i++) {
        while (in_flight(&f->conns[i]) < f->spec.in_flight) ask(&f->conns[i], now_ns());
        send_asked(&f->conns[i]);
    }
}

static bool waiting(const struct run *run)
{
    for (int i = 0; i < run->flows; i++)
        for (int k = 0; k < run->flow[i].spec.connections; k++)
            if (!run->flow[i].spec.tail && in_flight(&run->flow[i].conns[k]) > 0) return true;
    return false;
}

/* A tail has not yet seen every measured stamp. */
static bool owed(const struct run *run)
{
    uint64_t stamped = 0, seen_n = 0;
    bool tail = false;
    for (int i = 0; i < run->flows; i++) {
        stamped += run->flow[i].stamped;
        seen_n += run->flow[i].age->n;
        tail = tail || run->flow[i].spec.tail;
    }
    return tail && seen_n < stamped;
}

/* One wait for events, no longer than until `at`, and all that they ask for. */
static void turn(struct run *run, uint64_t at)
{
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    for (int i = 0; phase != DRAIN && i < run->flows; i++) {
        struct flow *f = &run->flow[i];
        if (f->spec.rate == 0) continue;
        ask_due(f, now);
        /* one that is late waits for an answer, not for the clock */
        if (f->next_due > now && f->next_due < at) at = f->next_due;
    }
    now = now_ns();
    uint64_t wait = at > now ? at - now : 0;
    struct timespec t = { (time_t)(wait / 1000000000u), (long)(wait % 1000000000u) };
    int n = epoll_pwait2(ep, events, EVENTS, &t, NULL);
    if (n < 0 && errno != EINTR) die("epoll: %s", strerrordesc_np(errno));
    for (int i = 0; i < n; i++) ready(events[i].data.ptr, events[i].events);
}

static uint64_t ns_of(double seconds) { return (uint64_t)(seconds * 1e9); }

void run_flows(struct run *run)
{
    const struct flow *first = &run->flow[0];
    input_cap = INPUT;
    ep = epoll_create1(EPOLL_CLOEXEC);
    raise_file_limit();
    exact_timers();
    for (int i = 0; i < run->flows; i++) flow_open(run, &run->flow[i]);
    input = mem_alloc(input_cap);

    phase = WARM;
    for (int i = 0; i < run->flows; i++) flow_start(&run->flow[i]);
    if (run->count) {
        const struct conn *c = first->conns;
        uint64_t done = 0;
        while (done < run->count / 10) {
            turn(run, now_ns() + ns_of(0.1));
            done = 0;
            for (int i = 0; i < first->spec.connections; i++) done += c[i].answered;
        }
    } else {
        for (uint64_t until = now_ns() + ns_of(run->warm_s); now_ns() < until;) turn(run, until);
    }

    phase = MEASURE;
    double cpu = cpu_self(), broker = cpu_of(run->pid);
    measure_from = now_ns();
    uint64_t end = measure_from + ns_of(run->measure_s), count = run->count - run->count / 10;
    while (run->count ? first->answers < count : now_ns() < end) turn(run, run->count ? now_ns() + ns_of(0.1) : end);
    run->seconds = (double)(now_ns() - measure_from) / 1e9;
    run->client_cpu = cpu_self() - cpu;
    run->broker_cpu = cpu_of(run->pid) - broker;

    phase = DRAIN;
    for (uint64_t until = now_ns() + ns_of(DRAIN_S); waiting(run);) {
        if (now_ns() > until) die("requests without an answer after %d s", DRAIN_S);
        turn(run, now_ns() + ns_of(0.1));
    }
    for (uint64_t until = now_ns() + ns_of(OWED_S); owed(run) && now_ns() < until;) turn(run, now_ns() + ns_of(0.05));
}
