/* The codecs as Kafka's clients use them, as streams over contexts that are kept per thread.
 *
 * A stream takes an idle context of its codec from the thread's shelf, or makes one; closing resets it and puts it back. So a
 * steady thread allocates nothing. What grew large (a zstd window, a snappy block somebody else chose) is freed instead of kept.
 */
#include <lz4frame.h>
#include <odradek/batch.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    SHELF_MAX = 2,               /* idle contexts kept per codec and direction */
    KEEP_MAX = 16 * 1024 * 1024, /* a context larger than this is not kept */
    KEEP_BLOCK_MAX = 256 * 1024, /* nor a snappy block or an lz4 block size */
    SNAPPY_BLOCK = 32 * 1024,    /* what snappy-java cuts blocks at */
    SNAPPY_HEADER = 16,
    SNAPPY_RATIO = 32, /* no valid snappy block grows more (64 bytes from 3) */
    LZ4_BLOCK = 64 * 1024,
    GZIP_ROOM = 16 * 1024,
    GZIP_MEMBER_MIN = 18, /* header and trailer */
    ZSTD_WINDOW_LOG =
        21, /* at most 2 MiB of window when writing: batches are rarely larger, and high levels would take hundreds of MiB */
};
static const uint8_t snappy_magic[8] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };

struct inflate_ctx {
    struct inflate_ctx *next; /* on the shelf */
    enum codec codec;
    const uint8_t *at, *end; /* input to come */
    bool done, large;
    union {
        z_stream gzip;
        LZ4F_dctx *lz4;
        ZSTD_DCtx *zstd;
        struct {
            struct bytes block; /* one decompressed block */
            size_t from;        /* how much of it was read */
            bool framed;
        } snappy;
    };
    uint8_t lz4_head[LZ4F_HEADER_SIZE_MAX]; /* a magic 0 header with its checksum put right; read before `at` */
    uint8_t lz4_head_at, lz4_head_n;
    bool zstd_open; /* inside a frame */
};

struct deflate_ctx {
    struct deflate_ctx *next;
    enum codec codec;
    int level;
    struct bytes *out;
    union {
        z_stream gzip;
        struct {
            LZ4F_cctx *ctx;
            LZ4F_preferences_t prefs;
            uint8_t *block; /* gathered here: liblz4's own buffer would be allocated anew for every frame */
            size_t n;
            bool begun;
        } lz4;
        ZSTD_CCtx *zstd;
        struct {
            uint8_t *block;
            size_t n;
            bool begun;
        } snappy;
    };
};

/* ---- the shelf: idle contexts of one thread -------------------------------------------------------------------------- */

static _Thread_local struct shelf {
    struct inflate_ctx *in[CODEC_COUNT];
    struct deflate_ctx *out[CODEC_COUNT];
    int in_n[CODEC_COUNT], out_n[CODEC_COUNT];
    bool known; /* its destructor is registered */
} shelf;
static pthread_key_t shelf_key;
static pthread_once_t shelf_once = PTHREAD_ONCE_INIT;

static void inflate_free(struct inflate_ctx *c)
{
    switch (c->codec) {
    case CODEC_GZIP: inflateEnd(&c->gzip); break;
    case CODEC_SNAPPY: bytes_free(&c->snappy.block); break;
    case CODEC_LZ4: LZ4F_freeDecompressionContext(c->lz4); break;
    case CODEC_ZSTD: ZSTD_freeDCtx(c->zstd); break;
    default: break;
    }
    mem_free(c);
}

static void deflate_free(struct deflate_ctx *c)
{
    switch (c->codec) {
    case CODEC_GZIP: deflateEnd(&c->gzip); break;
    case CODEC_SNAPPY: mem_free(c->snappy.block); break;
    case CODEC_LZ4:
        LZ4F_freeCompressionContext(c->lz4.ctx);
        mem_free(c->lz4.block);
        break;
    case CODEC_ZSTD: ZSTD_freeCCtx(c->zstd); break;
    default: break;
    }
    mem_free(c);
}

static void shelf_clear(void *arg)
{
    struct shelf *s = arg;
    for (int i = 0; i < CODEC_COUNT; i++) {
        for (struct inflate_ctx *c; (c = s->in[i]);) {
            s->in[i] = c->next;
            inflate_free(c);
        }
        for (struct deflate_ctx *c; (c = s->out[i]);) {
            s->out[i] = c->next;
            deflate_free(c);
        }
        s->in_n[i] = s->out_n[i] = 0;
    }
}
static void shelf_init(void)
{
    int rc = pthread_key_create(&shelf_key, shelf_clear);
    assert(rc == 0);
    (void)rc;
}
static void shelf_know(void)
{
    if (shelf.known) return;
    pthread_once(&shelf_once, shelf_init);
    pthread_setspecific(shelf_key, &shelf);
    shelf.known = true;
}

void batch_trim(void) { shelf_clear(&shelf); }

/* ---- names and levels ------------------------------------------------------------------------------------------------ */

static const char *const names[CODEC_COUNT] = { "none", "gzip", "snappy", "lz4", "zstd" };

const char *codec_name(enum codec c) { return (unsigned)c < CODEC_COUNT ? names[c] : "unknown"; }

int codec_of_name(struct slice name)
{
    for (int i = 0; i < CODEC_COUNT; i++)
        if (slice_eq(name, slice_of(names[i]))) return i;
    return slice_eq(name, S("uncompressed")) ? CODEC_NONE : E_INVALID;
}

static int level_within(enum codec c, int level)
{
    switch (c) {
    case CODEC_GZIP: return level < 1 ? Z_DEFAULT_COMPRESSION : MIN(level, 9);
    /* Kafka's default 9 stands for lz4's fast mode; every other level is one of the high compressor, whose lowest in liblz4 is 3.
     */
    case CODEC_LZ4: return level == CODEC_LEVEL_DEFAULT || level == 9 ? 0 : MIN(MAX(level, 3), 12);
    case CODEC_ZSTD: return level == CODEC_LEVEL_DEFAULT ? 3 : MIN(MAX(level, ZSTD_minCLevel()), ZSTD_maxCLevel());
    default: return 0;
    }
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

static struct inflate_ctx *inflate_take(enum codec c)
{
    shelf_know();
    struct inflate_ctx *x = shelf.in[c];
    if (x) {
        shelf.in[c] = x->next;
        shelf.in_n[c]--;
        return x;
    }
    x = mem_zalloc(sizeof *x);
    x->codec = c;
    bool ok = true;
    if (c == CODEC_GZIP) ok = inflateInit2(&x->gzip, 16 + MAX_WBITS) == Z_OK;
    if (c == CODEC_LZ4) ok = !LZ4F_isError(LZ4F_createDecompressionContext(&x->lz4, LZ4F_VERSION));
    if (c == CODEC_ZSTD) ok = (x->zstd = ZSTD_createDCtx()) != NULL;
    if (ok) return x;
    mem_free(x);
    return NULL;
}

/* xxHash32 of fewer than 16 bytes, seed 0: the checksum of an lz4 frame descriptor is its second byte. */
static uint32_t xxh32_short(const uint8_t *p, size_t n)
{
    const uint32_t p1 = 2654435761u, p2 = 2246822519u, p3 = 3266489917u, p4 = 668265263u, p5 = 374761393u;
    uint32_t h = p5 + (uint32_t)n;
    for (; n >= 4; p += 4, n -= 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        h += k * p3;
        h = (h << 17 | h >> 15) * p4;
    }
    for (; n; p++, n--) {
        h += *p * p5;
        h = (h << 11 | h >> 21) * p1;
    }
    h = (h ^ h >> 15) * p2;
    h = (h ^ h >> 13) * p3;
    return h ^ h >> 16;
}

/* Writers of magic 0 hashed the frame's magic number too, so their header checksum is wrong: it is replaced by the right one. */
static void lz4_mend(struct inflate_ctx *c)
{
    size_t n = (size_t)(c->end - c->at);
    if (n < 7) return;
    size_t head = 7 + (c->at[4] & 0x08 ? 8u : 0) + (c->at[4] & 0x01 ? 4u : 0); /* content size, dictionary id */
    if (n < head) return;
    memcpy(c->lz4_head, c->at, head);
    c->lz4_head[head - 1] = (uint8_t)(xxh32_short(c->lz4_head + 4, head - 5) >> 8);
    c->lz4_head_n = (uint8_t)head;
    c->at += head;
}

int inflater_open(struct inflater *f, enum codec codec, const void *p, size_t n, bool legacy0)
{
    assert((unsigned)codec < CODEC_COUNT);
    struct inflate_ctx *c = f->ctx = inflate_take(codec);
    if (!c) return E_NO_MEMORY;
    if (!n) p = ""; /* it may be NULL then */
    c->at = p;
    c->end = c->at + n;
    c->done = c->large = c->zstd_open = false;
    c->lz4_head_at = c->lz4_head_n = 0;
    if (codec == CODEC_GZIP) {
        c->gzip.next_in = (Bytef *)(uintptr_t)p;
        c->gzip.avail_in = (uInt)MIN(n, (size_t)UINT32_MAX);
    } else if (codec == CODEC_SNAPPY) {
        c->snappy.block.n = c->snappy.from = 0;
        c->snappy.framed = n >= SNAPPY_HEADER && memcmp(p, snappy_magic, sizeof snappy_magic) == 0;
        if (c->snappy.framed) c->at += SNAPPY_HEADER;
    } else if (codec == CODEC_LZ4) {
        if (n >= 6) c->large = (c->at[5] >> 4 & 7) > 5; /* blocks of 1 or 4 MiB */
        if (legacy0) lz4_mend(c);
    }
    return 0;
}

static ssize_t gzip_read(struct inflate_ctx *c, uint8_t *out, size_t cap)
{
    z_stream *z = &c->gzip;
    z->next_out = out;
    z->avail_out = (uInt)MIN(cap, (size_t)INT32_MAX);
    while (!c->done && z->avail_out) {
        int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) { /* members may follow one another; anything else behind the last is ignored, as Java does */
            if (z->avail_in >= GZIP_MEMBER_MIN && z->next_in[0] == 0x1f && z->next_in[1] == 0x8b) inflateReset(z);
            else c->done = true;
        } else if (rc != Z_OK || (z->avail_in == 0 && z->avail_out)) return E_MALFORMED;
    }
    return z->next_out - out;
}

/* Decompresses the next block into out where it fits, else into the context's own block. Bytes put into out, or an error. */
static ssize_t snappy_block(struct inflate_ctx *c, uint8_t *out, size_t cap)
{
    size_t n = (size_t)(c->end - c->at), grown;
    if (c->snappy.framed) {
        if (n < 4) return E_MALFORMED;
        uint32_t len = be32(c->at);
        if (len == be32(snappy_magic)) { /* streams may be concatenated */
            if (n < SNAPPY_HEADER) return E_MALFORMED;
            c->at += SNAPPY_HEADER;
            return 0;
        }
        if (len > n - 4) return E_MALFORMED;
        c->at += 4;
        n = len;
    }
    const char *src = (const char *)c->at;
    if (snappy_uncompressed_length(src, n, &grown) != SNAPPY_OK || grown / SNAPPY_RATIO > n) return E_MALFORMED;
    c->at += n;
    if (grown <= cap) {
        if (snappy_uncompress(src, n, (char *)out, &grown) != SNAPPY_OK) return E_MALFORMED;
        return (ssize_t)grown;
    }
    c->snappy.block.n = c->snappy.from = 0;
    if (snappy_uncompress(src, n, bytes_room(&c->snappy.block, grown), &grown) != SNAPPY_OK) return E_MALFORMED;
    c->snappy.block.n = grown;
    return 0;
}

static ssize_t snappy_read(struct inflate_ctx *c, uint8_t *out, size_t cap)
{
    size_t got = 0;
    while (got < cap) {
        size_t have = c->snappy.block.n - c->snappy.from;
        if (have) {
            have = MIN(have, cap - got);
            memcpy(out + got, c->snappy.block.p + c->snappy.from, have);
            c->snappy.from += have;
            got += have;
            continue;
        }
        if (c->at == c->end) break;
        ssize_t n = snappy_block(c, out + got, cap - got);
        if (n < 0) return n;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static ssize_t lz4_read(struct inflate_ctx *c, uint8_t *out, size_t cap)
{
    size_t got = 0;
    while (got < cap && !c->done) {
        bool head = c->lz4_head_at < c->lz4_head_n;
        const uint8_t *src = head ? c->lz4_head + c->lz4_head_at : c->at;
        size_t in = head ? (size_t)(c->lz4_head_n - c->lz4_head_at) : (size_t)(c->end - c->at), room = cap - got;
        bool starved = in == 0;
        size_t rc = LZ4F_decompress(c->lz4, out + got, &room, src, &in, NULL);
        if (LZ4F_isError(rc)) return E_MALFORMED;
        if (head) c->lz4_head_at = (uint8_t)(c->lz4_head_at + in);
        else c->at += in;
        got += room;
        if (rc == 0) c->done = true; /* what stands behind the frame is ignored, as Kafka does */
        else if (starved && room == 0) return E_MALFORMED;
    }
    return (ssize_t)got;
}

static ssize_t zstd_read(struct inflate_ctx *c, uint8_t *out, size_t cap)
{
    ZSTD_outBuffer o = { out, cap, 0 };
    ZSTD_inBuffer in = { c->at, (size_t)(c->end - c->at), 0 };
    int rc = 0;
    while (o.pos < cap && (in.pos < in.size || c->zstd_open)) {
        size_t before = o.pos + in.pos;
        size_t n = ZSTD_decompressStream(c->zstd, &o, &in);
        if (ZSTD_isError(n) || (n && o.pos + in.pos == before)) { /* bad, or it ends inside a frame */
            rc = E_MALFORMED;
            break;
        }
        c->zstd_open = n != 0;
    }
    c->at += in.pos;
    return rc ? rc : (ssize_t)o.pos;
}

ssize_t inflater_read(struct inflater *f, void *out, size_t cap)
{
    struct inflate_ctx *c = f->ctx;
    switch (c->codec) {
    case CODEC_GZIP: return gzip_read(c, out, cap);
    case CODEC_SNAPPY: return snappy_read(c, out, cap);
    case CODEC_LZ4: return lz4_read(c, out, cap);
    case CODEC_ZSTD: return zstd_read(c, out, cap);
    default: break;
    }
    size_t n = MIN(cap, (size_t)(c->end - c->at));
    if (n == 0) return 0;
    memcpy(out, c->at, n);
    c->at += n;
    return (ssize_t)n;
}

void inflater_close(struct inflater *f)
{
    struct inflate_ctx *c = f->ctx;
    if (!c) return;
    f->ctx = NULL;
    bool keep = !c->large && shelf.in_n[c->codec] < SHELF_MAX;
    switch (c->codec) {
    case CODEC_GZIP: keep = keep && inflateReset(&c->gzip) == Z_OK; break;
    case CODEC_SNAPPY: keep = keep && c->snappy.block.cap <= KEEP_BLOCK_MAX; break;
    case CODEC_LZ4:
        keep = keep && c->done; /* liblz4 1.9.4 takes the content size of a frame cut short over into the next one */
        LZ4F_resetDecompressionContext(c->lz4);
        break;
    case CODEC_ZSTD:
        keep = keep && ZSTD_sizeof_DCtx(c->zstd) <= KEEP_MAX;
        if (keep) ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
        break;
    default: break;
    }
    if (!keep) {
        inflate_free(c);
        return;
    }
    c->at = c->end = NULL;
    c->next = shelf.in[c->codec];
    shelf.in[c->codec] = c;
    shelf.in_n[c->codec]++;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static struct deflate_ctx *deflate_take(enum codec c, int level)
{
    shelf_know();
    struct deflate_ctx *x = shelf.out[c];
    if (x) {
        shelf.out[c] = x->next;
        shelf.out_n[c]--;
        return x;
    }
    x = mem_zalloc(sizeof *x);
    x->codec = c;
    x->level = level;
    bool ok = true;
    if (c == CODEC_GZIP) ok = deflateInit2(&x->gzip, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    if (c == CODEC_LZ4) ok = !LZ4F_isError(LZ4F_createCompressionContext(&x->lz4.ctx, LZ4F_VERSION));
    if (c == CODEC_ZSTD) ok = (x->zstd = ZSTD_createCCtx()) != NULL;
    if (!ok) {
        mem_free(x);
        return NULL;
    }
    if (c == CODEC_SNAPPY) x->snappy.block = mem_alloc(SNAPPY_BLOCK);
    if (c == CODEC_LZ4) x->lz4.block = mem_alloc(LZ4_BLOCK);
    return x;
}

void deflater_open(struct deflater *f, enum codec codec, int level, struct bytes *out)
{
    assert((unsigned)codec < CODEC_COUNT);
    level = level_within(codec, level);
    struct deflate_ctx *c = f->ctx = deflate_take(codec, level);
    if (!c) return; /* write and finish will say so */
    c->out = out;
    if (codec == CODEC_GZIP) {
        if (c->level != level) deflateParams(&c->gzip, level, Z_DEFAULT_STRATEGY);
        c->gzip.next_in = NULL;
        c->gzip.avail_in = 0;
    } else if (codec == CODEC_SNAPPY) {
        c->snappy.n = 0;
        c->snappy.begun = false;
    } else if (codec == CODEC_LZ4) {
        c->lz4.n = 0;
        c->lz4.begun = false;
        c->lz4.prefs = (LZ4F_preferences_t){
            .frameInfo = { .blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent },
            .compressionLevel = level,
            .autoFlush = 1,
        };
    } else if (codec == CODEC_ZSTD) {
        ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level);
        ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, level > 3 ? ZSTD_WINDOW_LOG : 0);
    }
    c->level = level;
}

static int gzip_write(struct deflate_ctx *c, const void *p, size_t n, int flush)
{
    z_stream *z = &c->gzip;
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    for (;;) {
        z->next_out = bytes_room(c->out, GZIP_ROOM);
        z->avail_out = GZIP_ROOM;
        int rc = deflate(z, flush);
        c->out->n += GZIP_ROOM - z->avail_out;
        if (rc == Z_STREAM_END) return 0;
        if (rc != Z_OK && rc != Z_BUF_ERROR) return E_NO_MEMORY;
        if (flush == Z_NO_FLUSH && z->avail_in == 0 && z->avail_out) return 0;
    }
}

static void snappy_flush(struct deflate_ctx *c)
{
    if (!c->snappy.begun) {
        static const uint8_t versions[8] = { 0, 0, 0, 1, 0, 0, 0, 1 }; /* written by, readable from */
        bytes_put(c->out, snappy_magic, sizeof snappy_magic);
        bytes_put(c->out, versions, sizeof versions);
        c->snappy.begun = true;
    }
    if (c->snappy.n == 0) return;
    size_t n = snappy_max_compressed_length(c->snappy.n);
    char *to = bytes_room(c->out, 4 + n);
    snappy_status rc = snappy_compress((const char *)c->snappy.block, c->snappy.n, to + 4, &n);
    assert(rc == SNAPPY_OK);
    (void)rc;
    put_be32(to, (uint32_t)n);
    c->out->n += 4 + n;
    c->snappy.n = 0;
}

static void snappy_write(struct deflate_ctx *c, const uint8_t *p, size_t n)
{
    while (n) {
        size_t part = MIN(n, SNAPPY_BLOCK - c->snappy.n);
        memcpy(c->snappy.block + c->snappy.n, p, part);
        c->snappy.n += part;
        p += part;
        n -= part;
        if (c->snappy.n == SNAPPY_BLOCK) snappy_flush(c);
    }
}

/* Writes one block, and the frame's header before the first. */
static int lz4_flush(struct deflate_ctx *c, const uint8_t *p, size_t n)
{
    if (!c->lz4.begun) {
        size_t head =
            LZ4F_compressBegin(c->lz4.ctx, bytes_room(c->out, LZ4F_HEADER_SIZE_MAX), LZ4F_HEADER_SIZE_MAX, &c->lz4.prefs);
        if (LZ4F_isError(head)) return E_NO_MEMORY;
        c->out->n += head;
        c->lz4.begun = true;
    }
    if (n == 0) return 0;
    size_t room = LZ4F_compressBound(n, &c->lz4.prefs);
    size_t put = LZ4F_compressUpdate(c->lz4.ctx, bytes_room(c->out, room), room, p, n, NULL);
    if (LZ4F_isError(put)) return E_NO_MEMORY;
    c->out->n += put;
    return 0;
}

static int lz4_write(struct deflate_ctx *c, const uint8_t *p, size_t n)
{
    while (n) {
        bool whole = c->lz4.n == 0 && n >= LZ4_BLOCK; /* needs no gathering */
        size_t part = MIN(n, LZ4_BLOCK - c->lz4.n);
        if (!whole) memcpy(c->lz4.block + c->lz4.n, p, part);
        c->lz4.n += part;
        if (c->lz4.n == LZ4_BLOCK) {
            int rc = lz4_flush(c, whole ? p : c->lz4.block, LZ4_BLOCK);
            if (rc) return rc;
            c->lz4.n = 0;
        }
        p += part;
        n -= part;
    }
    return 0;
}

static int lz4_finish(struct deflate_ctx *c)
{
    int rc = lz4_flush(c, c->lz4.block, c->lz4.n);
    if (rc) return rc;
    size_t room = LZ4F_compressBound(0, &c->lz4.prefs);
    size_t put = LZ4F_compressEnd(c->lz4.ctx, bytes_room(c->out, room), room, NULL);
    if (LZ4F_isError(put)) return E_NO_MEMORY;
    c->out->n += put;
    return 0;
}

static int zstd_write(struct deflate_ctx *c, const void *p, size_t n, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = { p, n, 0 };
    for (;;) {
        size_t room = MIN(ZSTD_CStreamOutSize(), ZSTD_compressBound(n) + 64);
        ZSTD_outBuffer o = { bytes_room(c->out, room), room, 0 };
        size_t left = ZSTD_compressStream2(c->zstd, &o, &in, end);
        if (ZSTD_isError(left)) return E_NO_MEMORY;
        c->out->n += o.pos;
        if (end == ZSTD_e_end ? left == 0 : in.pos == in.size) return 0;
    }
}

int deflater_write(struct deflater *f, const void *p, size_t n)
{
    struct deflate_ctx *c = f->ctx;
    if (!c) return E_NO_MEMORY;
    if (n == 0) return 0;
    assert(n <= INT32_MAX);
    switch (c->codec) {
    case CODEC_GZIP: return gzip_write(c, p, n, Z_NO_FLUSH);
    case CODEC_SNAPPY: snappy_write(c, p, n); return 0;
    case CODEC_LZ4: return lz4_write(c, p, n);
    case CODEC_ZSTD: return zstd_write(c, p, n, ZSTD_e_continue);
    default: bytes_put(c->out, p, n); return 0;
    }
}

int deflater_finish(struct deflater *f)
{
    struct deflate_ctx *c = f->ctx;
    int rc = 0;
    if (!c) return E_NO_MEMORY;
    switch (c->codec) {
    case CODEC_GZIP: rc = gzip_write(c, NULL, 0, Z_FINISH); break;
    case CODEC_SNAPPY: snappy_flush(c); break;
    case CODEC_LZ4: rc = lz4_finish(c); break;
    case CODEC_ZSTD: rc = zstd_write(c, NULL, 0, ZSTD_e_end); break;
    default: break;
    }
    deflater_close(f);
    return rc;
}

void deflater_close(struct deflater *f)
{
    struct deflate_ctx *c = f->ctx;
    if (!c) return;
    f->ctx = NULL;
    bool keep = shelf.out_n[c->codec] < SHELF_MAX;
    if (c->codec == CODEC_GZIP) keep = keep && deflateReset(&c->gzip) == Z_OK;
    if (c->codec == CODEC_ZSTD) {
        keep = keep && ZSTD_sizeof_CCtx(c->zstd) <= KEEP_MAX;
        if (keep) ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
    }
    if (!keep) {
        deflate_free(c);
        return;
    }
    c->out = NULL;
    c->next = shelf.out[c->codec];
    shelf.out[c->codec] = c;
    shelf.out_n[c->codec]++;
}

/* ---- whole buffers --------------------------------------------------------------------------------------------------- */

int codec_compress(enum codec codec, int level, const void *p, size_t n, struct bytes *out)
{
    struct deflater f = { NULL };
    size_t start = out->n;
    deflater_open(&f, codec, level, out);
    int rc = deflater_write(&f, p, n);
    if (rc == 0) rc = deflater_finish(&f);
    deflater_close(&f);
    if (rc) out->n = start;
    return rc;
}

int codec_decompress(enum codec codec, const void *p, size_t n, size_t max, struct bytes *out)
{
    struct inflater f = { NULL };
    size_t start = out->n, piece = MAX(n, (size_t)4096);
    max = MIN(max, (size_t)PTRDIFF_MAX);
    int rc = inflater_open(&f, codec, p, n, false);
    while (rc == 0) {
        size_t seen = out->n - start;
        ssize_t got = inflater_read(&f, bytes_room(out, MIN(piece, max - seen + 1)), MIN(piece, max - seen + 1));
        if (got <= 0) {
            rc = (int)got;
            break;
        }
        if ((size_t)got > max - seen) rc = E_MESSAGE_TOO_LARGE;
        out->n += (size_t)got;
        piece = MIN(out->n - start, (size_t)MiB);
        piece = MAX(piece, (size_t)4096);
    }
    inflater_close(&f);
    if (rc) out->n = start;
    return rc;
}
