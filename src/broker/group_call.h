/* Asking the group coordinator from a request. The answer is there when group_answered(); until then the request may only wait. */
#pragma once
#include "shard.h"

#include <odradek/coord.h>

struct coord_shard;
struct group_asked {
    struct group_call call; /* in, out, group are the asker's */
    struct arena arena;     /* what the answer points to; freed by group_asked_free */
    struct post post;
    struct coord_shard *cs;
    struct waker *home;
    ticket who;
    _Atomic bool done;
    size_t counted; /* the asker's: of the arena's memory */
};
/* Sends ga->call to the home of its group. E_NOT_COORDINATOR or E_COORDINATOR_NOT_AVAILABLE: there is no such home, nothing was sent. */
int group_ask(struct req *rq, struct group_asked *ga);
void group_ask_shard(struct req *rq, struct group_asked *ga, int shard); /* to one shard, whatever the group: for listings */
static inline bool group_answered(const struct group_asked *ga) { return atomic_load_explicit(&ga->done, memory_order_acquire); }
static inline void group_asked_free(struct group_asked *ga)
{
    if (ga->arena.used) arena_free(&ga->arena);
}
