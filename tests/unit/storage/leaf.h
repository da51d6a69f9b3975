/* What the tests of storage's small modules share: a simulated disk, bytes as hex, a crash at every file call. */
#pragma once
#include <errno.h>
#include <odradek/base.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIR "/data"

static inline struct bytes hex(const char *text)
{
    struct bytes b = { 0 };
    for (; text[0] && text[1]; text += 2) {
        unsigned v;
        assert_int_equal(sscanf(text, "%2x", &v), 1);
        bytes_put(&b, &(uint8_t){ (uint8_t)v }, 1);
    }
    return b;
}

static inline struct slice bytes_slice(const struct bytes *b) { return (struct slice){ (const char *)b->p, b->n }; }

/* A simulated world with an empty, durable DIR. */
static inline struct world *disk_new(uint64_t seed)
{
    struct world *w = world_sim_new(seed);
    assert_int_equal(fs_mkdirs(w->fs, DIR), 0);
    return w;
}

static inline void disk_put(struct world *w, const char *path, struct slice content)
{
    assert_int_equal(fs_write_file(w->fs, path, content), 0);
}

static inline bool disk_has(struct world *w, const char *path)
{
    struct fs_stat st;
    return w->fs->stat(w->fs, path, &st) == 0;
}

static inline void assert_file(struct world *w, const char *path, struct slice want)
{
    struct bytes is = { 0 };
    assert_int_equal(fs_read_file(w->fs, path, 1 << 20, &is), 0);
    assert_int_equal(is.n, want.n);
    assert_memory_equal(is.p, want.p, want.n);
    bytes_free(&is);
}

/* Runs `act` on a disk made by `before`, and cuts the power at the 1st, 2nd, … file call until act comes through; after each
 * `after` looks at what is left. acted: act had returned 0, so what it wrote must be there. Several seeds, so that limbo bytes
 * fall both ways. */
static inline void crash_everywhere(void (*before)(struct world *w), int (*act)(struct world *w),
                                    void (*after)(struct world *w, bool acted))
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool acted = false;
        for (int64_t nth = 1; !acted; nth++) {
            assert_true(nth < 100);
            struct world *w = disk_new(seed);
            before(w);
            sim_fault(w, (struct sim_fault){ .nth = nth, .sticky = true, .err = -EIO });
            acted = act(w) == 0;
            sim_fault(w, (struct sim_fault){ 0 });
            sim_power_loss(w);
            after(w, acted);
            world_free(&w);
        }
    }
}

/* Calls `load` with the text cut at every length, and with every byte changed in several ways: it may refuse, it may not crash
 * or read beyond the end (each copy is an allocation of its own, so that the sanitizer sees the end). */
static inline void mutate(struct slice good, void (*load)(struct slice bytes))
{
    for (size_t n = 0; n <= good.n; n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, good.p, n);
        load((struct slice){ copy, n });
        free(copy);
    }
    static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x20, 0x0a, 0x55 };
    for (size_t i = 0; i < good.n; i++)
        for (size_t f = 0; f < ARRAY_LEN(flips); f++) {
            char *copy = malloc(good.n);
            memcpy(copy, good.p, good.n);
            copy[i] = (char)(copy[i] ^ flips[f]);
            load((struct slice){ copy, good.n });
            free(copy);
        }
    struct world *w = world_sim_new(7); /* and at many places at once */
    for (int round = 0; round < 500; round++) {
        char *copy = malloc(good.n + 1);
        memcpy(copy, good.p, good.n);
        for (uint64_t k = 1 + rnd_below(w->rnd, 8); k; k--) copy[rnd_below(w->rnd, good.n + 1)] = (char)rnd_u64(w->rnd);
        load((struct slice){ copy, good.n });
        free(copy);
    }
    world_free(&w);
}
