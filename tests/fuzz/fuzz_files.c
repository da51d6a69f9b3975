/* Bytes as one of the small files of a log directory; the first byte chooses which. What is taken must hold together and
 * survive being written and read again. */
#include "fuzz.h"

#include "checkpoint.h"
#include "epochs.h"
#include "identity.h"
#include "marker.h"
#include "partmeta.h"
#include "pstate.h"
#include "txidx.h"
#include <odradek/batch.h>

enum { SNAPSHOT, TXNINDEX, EPOCHS, CHECKPOINT, IDENTITY, PARTMETA, NAME, MARKER, BATCH, KINDS };
#define IDLE_MS 86400000LL

static void must(bool ok)
{
    if (!ok) __builtin_trap();
}

static struct slice of(const struct bytes *b) { return (struct slice){ (const char *)b->p, b->n }; }

static void try_snapshot(struct slice in)
{
    static struct bytes copy, out, again;
    struct pstate ps, back;
    copy.n = out.n = again.n = 0;
    bytes_put(&copy, in.p, in.n);
    if (copy.n >= 10) put_be32(copy.p + 2, crc32c(0, copy.p + 6, copy.n - 6));
    pstate_init(&ps, 0);
    pstate_init(&back, 0);
    if (pstate_decode(&ps, of(&copy), 1000, 0, IDLE_MS, NULL) == 0) {
        pstate_encode(&ps, &out);
        must(pstate_decode(&back, of(&out), 1000, 0, IDLE_MS, NULL) == 0);
        must(pstate_count(&ps) == pstate_count(&back) && pstate_first_unstable(&ps) == pstate_first_unstable(&back));
        must(pstate_file_max_id(of(&copy)) >= pstate_max_producer_id(&ps));
        struct pstate_run run = { 0 }; /* and appends to each producer, taken back */
        struct arena a;
        struct pstate_view *v;
        arena_init(&a);
        int n = pstate_list(&ps, &a, &v);
        for (int i = 0; i < n; i++) {
            struct pstate_batch b = { .producer_id = v[i].producer_id,
                                      .epoch = v[i].epoch,
                                      .transactional = true,
                                      .base_sequence = v[i].last_sequence,
                                      .last_sequence = v[i].last_sequence,
                                      .first_offset = 1000 + i,
                                      .last_offset = 1000 + i,
                                      .marker = PSTATE_NO_MARKER };
            (void)pstate_check(&ps, &b, true, NULL);
            pstate_apply(&ps, &b, &run, NULL);
            b.control = true;
            b.marker = PSTATE_ABORT;
            pstate_apply(&ps, &b, &run, NULL);
        }
        pstate_run_undo(&ps, &run, 0);
        must(pstate_first_unstable(&ps) == pstate_first_unstable(&back));
        pstate_run_free(&run);
        arena_free(&a);
    }
    pstate_free(&ps);
    pstate_free(&back);
}

static void try_txnindex(struct slice in)
{
    const char *path = "/f.txnindex";
    struct world *w = world_sim_new(1);
    struct arena a;
    bool complete;
    arena_init(&a);
    struct txidx_found f = { .arena = &a };
    must(fs_write_file(w->fs, path, in) == 0);
    bool sound = txidx_check(w->fs, path, 0, NULL) == 0;
    int rc = txidx_collect(w->fs, path, 100, 5000, &f, &complete);
    must(!sound || rc == 0);
    must((size_t)f.n <= in.n / TXIDX_ENTRY_SIZE);
    rc = txidx_truncate(w->fs, path, 1000);
    must(!sound || (rc == 0 && txidx_check(w->fs, path, 0, NULL) == 0));
    rc = txidx_append(w->fs, path, &(struct txidx_entry){ 1, 1000, 1000, 1001 }, 1);
    must(!sound || (rc == 0 && txidx_check(w->fs, path, 0, NULL) == 0));
    arena_free(&a);
    world_free(&w);
}

static void try_epochs(struct slice in)
{
    static struct bytes out, again;
    struct epochs e = { 0 };
    out.n = again.n = 0;
    if (epochs_decode(&e, in, NULL) == 0) {
        for (int i = 1; i < e.n; i++) must(e.v[i - 1].epoch < e.v[i].epoch && e.v[i - 1].start < e.v[i].start);
        epochs_encode(&e, &out);
        must(epochs_decode(&e, of(&out), NULL) == 0);
        epochs_encode(&e, &again);
        must(slice_eq(of(&out), of(&again)));
    } else {
        must(e.n == 0);
    }
    epochs_free(&e);
}

static void try_checkpoint(struct slice in)
{
    static struct bytes out;
    struct arena a;
    struct checkpoint_entry *e, *back;
    int n, m;
    out.n = 0;
    arena_init(&a);
    if (checkpoint_parse(in, &a, &e, &n, NULL) == 0) {
        checkpoint_format(e, n, &out);
        must(checkpoint_parse(of(&out), &a, &back, &m, NULL) == 0 && m == n);
        for (int i = 0; i < n; i++) must(checkpoint_find(back, m, e[i].topic, e[i].partition) == e[i].offset);
    }
    arena_free(&a);
}

static void try_identity(struct slice in)
{
    static struct bytes out;
    struct identity id, back;
    out.n = 0;
    if (identity_parse(in, &id, NULL) != 0) return;
    must(id.version == 0 || (id.node_id >= 0 && id.cluster_id[0]));
    identity_format(&id, 0, &out);
    must(identity_parse(of(&out), &back, NULL) == 0);
    must(back.version == id.version && back.node_id == id.node_id && strcmp(back.cluster_id, id.cluster_id) == 0);
    must(uuid_eq(back.directory_id, id.directory_id));
}

static void try_name(struct slice in)
{
    struct partname p, back;
    char out[PARTNAME_MAX];
    if (partname_parse(in, &p) != 0) return;
    if (p.kind != PARTNAME_LIVE) partname_format_kind(out, p.topic, p.partition, p.kind, (struct uuid){ { 1 } });
    else if (partname_format(out, p.topic, p.partition) != 0) return;
    must(strlen(out) < PARTNAME_MAX && partname_parse(slice_of(out), &back) == 0);
    must(back.kind == p.kind && back.partition == p.partition && back.topic.n <= p.topic.n);
}

static void try_marker(struct slice in)
{
    struct world *w = world_sim_new(1);
    bool present;
    int64_t epoch;
    must(fs_mkdirs(w->fs, "/d") == 0 && fs_write_file(w->fs, "/d/.kafka_cleanshutdown", in) == 0);
    must(marker_read(w->fs, "/d", &present, &epoch) == 0 && present && epoch >= -1);
    world_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    struct slice in = { (const char *)data + 1, n - 1 };
    struct uuid id;
    struct pstate_batch b;
    struct batch_head h;
    switch (data[0] % KINDS) {
    case SNAPSHOT: try_snapshot(in); break;
    case TXNINDEX: try_txnindex(in); break;
    case EPOCHS: try_epochs(in); break;
    case CHECKPOINT: try_checkpoint(in); break;
    case IDENTITY: try_identity(in); break;
    case PARTMETA:
        if (partmeta_parse(in, &id, NULL) == 0) must(!uuid_is_zero(id));
        break;
    case NAME: try_name(in); break;
    case MARKER: try_marker(in); break;
    case BATCH:
        if (batch_parse_head(in.p, in.n, &h) == 0) (void)pstate_batch_of(in.p, in.n, &b);
        break;
    }
    return 0;
}
