/* clean: log compaction. Which log, up to where, its segments grouped, written anew and swapped in.
 *
 * One worker, one log at a time, the one with the largest share of bytes not cleaned yet:
 *
 *   CHOOSE ──► PREPARE ──► INDEX ──────────────► COPY ─────────────────────────────► SWAP ──► COPY … ──► (checkpoint) CHOOSE
 *   looks at   syncs and   the dirty segments'   a group of old segments, filtered   the new segment
 *   all logs   checkpoints keys into the map     by the map, into .cleaned files     for the group
 *              (J10)
 *
 * A turn does a bounded piece of it; throttle and backoff are times before which nothing is done, kept by a timer on the house's loop. Whatever
 * goes wrong before a swap leaves the log as it was: the clean is given up, its files are removed. */
#pragma once
#include "clean_filter.h"
#include "internal.h"

struct cleaner;

/* In the order of a life. clean_init reads the settings and the checkpoints of cleaned offsets; clean_start begins to work (after house_start)
 * unless log.cleaner.enable is false; clean_stop gives up what is under way (before house_stop). */
void clean_init(struct logs *l, const struct conf *conf);
void clean_start(struct logs *l);
void clean_stop(struct logs *l);
void clean_free(struct logs *l);

/* Cleans one log, without throttle: false when none was due, or it failed. Worker; blocks. */
bool clean_once(struct logs *l);

/* The log is gone, and a later one of its name shall not inherit its cleaned offset: rewrites the checkpoint where it was named. Worker. */
void clean_forget(struct plog *p);
