/* One run of the simulated broker: its clients and what they have under way. Shared by the files of sim_broker. */
#pragma once
#include "truth.h"

enum {
    PEERS = 8,
    LIVES = 4,
    STEPS = 220,
    LIVE_TOPICS = 5,
    PRODUCERS = 3,
    LANES = 4,
    IN_FLIGHT = 5,
    LINE_MAX = 12,
    FETCH_MAX = 3,
};

struct lane {                  /* what an idempotent producer sends to one partition */
    struct part *part;         /* NULL: free */
    int32_t seq;               /* of the next batch */
    struct sent *q[IN_FLIGHT]; /* not answered, in order */
    int n;
    bool lenient;   /* after a restart: the broker may have forgotten what came before */
    bool disturbed; /* a batch was refused: those behind it are out of order */
};
struct producer {
    int64_t pid;
    int16_t epoch;
    int16_t acks;
    bool asking, ready, dead; /* dead: gave up; takes another id when nothing is in flight */
    int flying;
    struct peer *peer;
    struct lane lanes[LANES];
};
struct consumer { /* a peer's fetch session */
    int32_t id, epoch;
    int n;
    struct part *part[FETCH_MAX];
    int64_t at[FETCH_MAX];
    bool busy;
};
struct client_state {
    struct peer *peer; /* NULL: not connected */
    struct consumer consumer;
};

struct promise { /* a group's committed offset of one partition */
    struct part *part;
    bool busy;           /* somebody commits or asks: one at a time */
    int64_t value;       /* acknowledged; -1: none */
    int64_t pending[12]; /* or one of these: nobody knows; until the next start */
    int pending_n;
};
struct group {
    char name[8];
    bool simple; /* without members: whoever likes commits */
    struct promise promises[16];
    int promises_n;
};
struct member {
    struct group *group;
    struct client_state *client;
    enum { MEMBER_OUT, MEMBER_JOINED, MEMBER_STABLE } state;
    char id[80]; /* empty: none yet */
    int32_t generation;
    bool leads, busy;
    char all[PEERS][80]; /* the leader's: who is in this generation */
    int all_n;
};

struct run {
    struct node node;
    struct truth truth;
    uint64_t rng;
    struct client_state clients[PEERS];
    struct producer producers[PRODUCERS];
    int life, names;
    int dirs;    /* log directories: /data, which has the metadata log, /more, /third */
    bool faulty; /* a fault was or may have been injected in this life: requests may fail, with any error */
    int calls;   /* on their way */
    int64_t answers, records;
    bool shrunk;      /* and its segments are small */
    bool coordinated; /* the offsets topic is there */
    int64_t commits;
    struct group groups[3];
    struct member members[6];
};

struct row { /* a partition in a request, and what was known when it was sent */
    struct part *part;
    int64_t offset;
    int64_t shown, end_acked, start_min;
    struct sent *batch;
};
struct op {
    struct call call;
    struct run *sim;
    struct topic *topic;
    int knob;
    const char *value;
    int count;
    int16_t acks;
    struct producer *producer;
    struct lane *lane;
    struct client_state *client;
    struct group *group;
    struct promise *promise;
    struct member *member;
    bool session;
    struct row rows[FETCH_MAX];
    int rows_n;
};

/* Random, from the seed. */
uint64_t rnd(struct run *s, uint64_t n); /* 0 … n - 1 */
bool one_in(struct run *s, uint64_t n);
int between(struct run *s, int lo, int hi);

int16_t version_of(struct run *s, int16_t key); /* one of those served */
/* May a request fail with this error, for what goes on around it? t may be NULL. */
bool excused(struct run *s, const struct topic *t, int err);

/* An op is on its way until op_free or op_lost; op_new counts it. */
struct op *op_new(struct run *s, int16_t key);
void op_free(struct op *o);
void op_lost(struct call *c); /* call.lost of most */
struct row *op_row(struct op *o, struct part *p);
struct client_state *any_client(struct run *s); /* connected, with room in its line; or NULL */
struct part *any_part(struct run *s);           /* or NULL */

struct asking {
    struct call call;
    void *out;
    bool lost;
};
/* Sends and waits for the answer, which lives until call_free(&a->call). */
void *ask(struct run *s, struct peer *p, struct asking *a, int16_t key, int16_t version, const void *in);

/* ---- groups.c ---------------------------------------------------------------------------------------------------------------------- */

void members_init(struct run *s);
void members_act(struct run *s);                     /* one step of a member, a commit, a question */
void members_restarted(struct run *s);               /* the broker's former life is over */
void members_read(struct run *s, struct peer *peer); /* after a start: everything committed is there */
