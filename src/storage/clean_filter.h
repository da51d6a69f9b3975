/* clean_filter: what of a batch survives cleaning. Batches in, batches out: no files, no locks.
 *
 * Judged as Apache Kafka judges:
 *   a record      goes when a later one of its key was seen, when it has no key, and a tombstone (null value) when its batch's delete horizon
 *                 has passed. What lies past the map stays
 *   a tombstone   or the marker of a transaction of which nothing is left: the first cleaning that meets it writes the delete horizon, now +
 *                 delete.retention.ms, into its batch (attribute bit and base timestamp, KIP-534); a later cleaning removes it
 *   a marker      stays as long as data of its transaction is seen before it
 *   aborted data  goes at once; the entry of the transaction index lives as long as the marker
 *   a batch       of which no record stays is kept empty when it holds the last sequence of a producer that is still known, or ends the round
 *                 (then the end offset would be lost); else it goes
 * A batch that loses nothing is copied as it is, else it is written anew with its codec, offsets, timestamps, headers and producer fields. Magic 0
 * and 1 become 2, as since Kafka 4.0; their tombstones go by the age of the segment (legacy_keep). */
#pragma once
#include "clean_map.h"
#include "txidx.h"
#include <odradek/batch.h>

/* Transactions while walking over a log in offset order. Zero it to initialise. */
struct clean_txns {
    struct txidx_entry *aborted; /* private: to come, by first offset */
    int aborted_n, aborted_at, aborted_cap;
    struct map open;          /* private: of struct clean_open, by producer id */
    struct txidx_entry *kept; /* out: entries of markers that stay, in order; the caller takes them and sets kept_n to 0 */
    int kept_n, kept_cap;
};
void clean_txns_add(struct clean_txns *t, const struct txidx_entry *e, int n); /* aborted ones; the same again is harmless */
/* A control batch (whole): 1 when nothing of its transaction was seen, so it may go; 0; E_MALFORMED. */
int clean_txns_control(struct clean_txns *t, const void *p, const struct batch_head *h);
/* Any other batch: true when it is aborted. */
bool clean_txns_data(struct clean_txns *t, const struct batch_head *h);
void clean_txns_free(struct clean_txns *t);

struct clean_stats {
    int64_t map_bytes, map_records;
    int64_t read_bytes, read_records, kept_bytes, kept_records;
    int64_t invalid; /* records without a key, which a compacted log cannot keep */
};

/* Enters the keys of one batch from `start` on; t NULL: none of it is in a transaction. 1; 0: the map is full, and m->latest says how far it
 * got; or an error of record_next. scratch is kept between calls. */
int clean_index(struct clean_map *m, struct clean_txns *t, const void *p, const struct batch_head *h, int64_t start,
                struct bytes *scratch, struct clean_stats *st);

struct clean_producer { /* what the log knows of a batch's producer */
    bool known;
    int16_t epoch;
    int64_t last_offset; /* of its last data batch; −1: none */
};
struct clean_filter {
    const struct clean_map *map;
    struct clean_txns *txns;
    int64_t now_ms, delete_retention_ms;
    int64_t upper;    /* end of what this round cleans: the batch that ends there is kept, if need be empty */
    bool legacy_keep; /* tombstones of magic 0 and 1 stay: their segment is younger than the delete horizon */
    struct clean_producer (*producer)(void *arg, int64_t producer_id);
    void *arg;
    struct bytes keep;    /* private: a bit for each record */
    struct bytes scratch; /* private */
    struct clean_stats *stats;
};
/* Appends what is left of the whole batch at p to out: 0 or an error of record_next or batch_end. */
int clean_batch(struct clean_filter *f, const void *p, const struct batch_head *h, struct bytes *out);
void clean_filter_free(struct clean_filter *f);
