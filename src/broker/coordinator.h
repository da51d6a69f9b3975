/* The broker's side of group coordination: who owns which __consumer_offsets partition, writing and loading it. */
#pragma once
#include "shard.h"

struct coordinator;
/* Starts loading the offsets partitions that exist, on the shards' own time. */
struct coordinator *coordinator_open(struct broker *b);
/* At home, while the shard drains: every waiting group request is answered. */
void coordinator_drain(struct coordinator *c, struct shard *s);
/* Their committed offsets are to go. Any shard. */
void coordinator_topics_deleted(struct coordinator *c, const struct slice *names, int n);
void coordinator_reconfigure(struct coordinator *c, const struct conf *conf); /* any thread */
void coordinator_close(struct coordinator **c);                               /* the loops have ended */
