/* broker: requests in, answers out. It never sees a socket: a test is a client.
 *
 * A broker has one shard per loop. A connection is a `struct client` of one shard; its frames are executed in order and answered in order
 * (DESIGN.md §4). Everything of a shard runs on its loop. */
#pragma once
#include <odradek/base.h>
#include <odradek/config.h>
#include <odradek/meta.h>
#include <odradek/storage.h>

struct broker;
struct shard;
struct client;

/* Opens the log directories and the metadata log, recovers what an unclean stop left, opens every partition, loads the coordinators.
 * loops: how many shards. conf is referenced. Blocks. */
int broker_open(struct world *w, const struct conf *conf, int loops, struct broker **out, struct why *why);
/* fn is called, on some worker, when the last log directory has failed: stop the broker. */
void broker_on_failed(struct broker *b, void (*fn)(void *arg), void *arg);
/* The port the system chose for a listener opened on port 0, before clients come. */
void broker_listener_port(struct broker *b, struct slice listener, int port);
struct shard *broker_shard(struct broker *b, int i);
struct loop *shard_loop(struct shard *s);
struct waker *shard_waker(struct shard *s);
int broker_shards(const struct broker *b);
struct meta *broker_meta(struct broker *b);
/* odradek.memory.max: what requests hold, and what net holds for them. */
struct mem_budget *broker_memory(struct broker *b);
/* Memory is short: fetches that wait, and hold more than ARENA_FREE, answer with what there is. Any thread; soon. */
void broker_relieve(struct broker *b);
struct logs *broker_logs(struct broker *b);
/* Any thread: every waiting request is answered now, new ones are not started; `drained` is called on each shard's loop when it has nothing
 * left to answer. Then stop the loops and call broker_close: clean stop (J18), blocks. */
void broker_drain(struct broker *b, void (*drained)(struct shard *s, void *arg), void *arg);
int broker_close(struct broker **b);

/* ---- connections ------------------------------------------------------------------------------------------------------------ */

struct client_info {
    struct slice listener;   /* its name */
    struct slice host;       /* peer address as text, "127.0.0.1" */
    struct slice local_host; /* address the peer dialled, as text; for advertised.listeners left unset */
    int local_port;
    bool local_loopback;
};
/* A part of an answer that comes from a file: inserted before byte `at` of the answer's bytes. */
struct reply_range {
    size_t at;
    struct file_range range; /* ownership moves to send() */
};
struct reply {
    struct slice bytes;         /* with the length prefix; valid during send() only */
    struct bytes *memory;       /* what they lie in: send() may take it instead of copying them, and leaves it zeroed */
    struct reply_range *ranges; /* sorted by at; the array is valid during send() only */
    int ranges_n;
};
struct client_ops { /* net's side; called at home */
    void (*send)(void *conn, struct reply *r);
    void (*close)(void *conn, const char *reason,
                  bool after_answers);  /* later than this call; reason is for the log; NULL: quietly */
    void (*pause)(void *conn, bool on); /* too much is waiting: stop reading this connection, and go on again */
    bool (*full)(void *conn); /* are answers waiting that must leave before more are made? NULL: never. Then client_go_on() */
};
struct client *client_open(struct shard *s, const struct client_info *info, const struct client_ops *ops,
                           void *conn); /* copies info */
/* A whole frame, without its length prefix. Small ones are copied; for larger ones `holder` (the buffer they lie in, or NULL) is referenced. */
void client_frame(struct client *c, struct buf *holder, uint8_t *frame, size_t n);
/* Does a request wait for full() to become false? Then client_go_on() starts it. */
bool client_held_back(const struct client *c);
void client_go_on(struct client *c);
/* The connection is gone: nothing is sent any more; c is freed when its last request has ended. */
void client_close(struct client *c);
bool client_idle(const struct client *c); /* nothing is executing or waiting */
/* An idle client goes to another shard: leave at its old home, then join at the new one. Its fetch session goes with it. */
void client_leave(struct client *c);
void client_join(struct client *c, struct shard *s);
