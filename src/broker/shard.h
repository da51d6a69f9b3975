/* One loop's part of the broker, and what all parts share. */
#pragma once
#include "req.h"

struct fetch_session;
struct fetch_sessions;
struct coordinator;

struct broker {
    struct world *world;
    const struct conf *conf; /* as started; live values are in the image */
    struct logs *logs;
    struct meta *meta;
    int32_t node_id;
    char cluster_id[64];
    struct mem_budget memory; /* odradek.memory.max */
    _Atomic unsigned moves;   /* counts what requests that waited for memory got, and what requests gave back */
    size_t piece; /* bytes that are taken from it without being paid for first: so many that all shards together do not hurt */
    int shards_n;
    struct shard **shards;
    struct coordinator *coordinator;
    struct crunch *crunch;
    struct listener_ports *ports;
    pthread_mutex_t ports_mu;
    _Atomic bool draining;
    const struct conf *seen; /* on the meta worker: which settings everybody was told of; only compared */
    void (*failed)(void *arg);
    void *failed_arg;
};

struct shard {
    struct broker *broker;
    int index;
    struct loop *loop;
    struct waker *waker;
    struct image_cache image;
    struct producer_ids pids;
    struct list clients;
    struct list parked; /* requests that are not in a client's line any more or never were: internal, or the client is gone */
    struct list free_reqs;
    int free_reqs_n;
    int requests;                 /* alive */
    int64_t lined, lined_charged; /* bytes of requests that came while others of their connection were there; of them, charged */
    struct list wants;            /* requests that wait for memory: to be decoded, to go on, or to be answered */
    bool wants_looked;            /* being looked through */
    unsigned moves_seen;
    int64_t moved_us;             /* when they were last seen to change */
    struct timer wants_timer;     /* looks whether they may: other shards and net give memory back, too */
    struct wire_out wire_scratch; /* the answer being encoded */
    int64_t wall_ms, wall_turn;   /* the time of day, and the turn (its shard_now_us) it was asked for in */
    struct fetch_sessions *sessions;
    bool draining;
    bool drain_told; /* everything that waited has been told; `drained` is called once, when the last request has gone */
    void (*drained)(struct shard *s, void *arg);
    void *drained_arg;
    struct post drain_post;
    struct post relief_post;
    _Atomic bool relieving; /* relief_post is on its way */
};

struct client {
    struct shard *shard;
    struct list link;
    const struct client_ops *ops;
    void *conn;
    char listener[64], host[64], local_host[64];
    int local_port;
    bool local_loopback;
    char software[64];             /* name/version from ApiVersions */
    int32_t session_id;            /* of the fetch session it used last; 0: none */
    struct fetch_session *session; /* that one, on the way to another shard */
    struct list line;              /* requests in order of arrival */
    int line_n;
    size_t line_bytes; /* frames waiting to start */
    bool gone, closing, paused, pumping;
    bool held_back; /* the next request waits until answers have left */
};

int64_t shard_now_us(const struct shard *s);
int64_t shard_wall_ms(struct shard *s); /* asked for once a turn */

/* ---- work too long for a loop (DESIGN.md §3: the crunch worker) ---- */

struct crunch_job {
    void (*run)(struct crunch_job *j); /* on the worker */
    struct waker *home;
    ticket who;
    _Atomic bool done;
    struct list link;
};
struct crunch *crunch_start(struct world *w);
void crunch_submit(struct crunch *c, struct crunch_job *j);
void crunch_stop(struct crunch **c);

/* ---- helpers of the handlers ---- */

/* The address this client should use for us, for the listener it came in by (issue of wildcard listeners: see client_info). */
struct slice client_advertised_host(const struct client *c, struct arena *a, int *port);
