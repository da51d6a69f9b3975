/* kept: metadata records that the image does not show (registrations, ACLs, SCRAM users, quotas, tokens, and types nobody here knows),
 * as they were written, so that they stay in the log and survive our snapshots (K11). A record replaces the one with its identity, a
 * removal removes it. Threads: one at a time (start-up, then the meta worker). */
#pragma once
#include "record.h"

struct kept {
    struct map map;
    struct list all; /* in order of their first arrival */
    int n;
};
void kept_init(struct kept *k);
void kept_free(struct kept *k);
/* Takes a record's effect. offset tells records of unknown type apart. 0, E_MALFORMED, E_UNSUPPORTED. */
int kept_apply(struct kept *k, const struct mrec *r, int64_t offset, struct why *why);
/* Walks the records of one type, or (key -1) of the types that are not in `known`: calls fn for each. */
void kept_each(const struct kept *k, int key, void (*fn)(void *arg, struct slice value), void *arg);
bool kept_knows(uint32_t key); /* a type with an identity of its own */
/* The registered epoch of a broker; -1 unknown. */
int64_t kept_broker_epoch(const struct kept *k, int32_t broker);
