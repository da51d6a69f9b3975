/* A byte string that doubles as it grows. Aborts when memory ends: for what we make ourselves, not for what clients size. */
#include <odradek/base.h>

void *bytes_room(struct bytes *b, size_t n)
{
    size_t need;
    bool over = __builtin_add_overflow(b->n, n, &need);
    assert(!over);
    (void)over;
    if (need > b->cap || !b->p) {
        b->cap = MAX(MAX(need, b->cap * 2), 64);
        b->p = mem_realloc(b->p, b->cap);
    }
    return b->p + b->n;
}

void bytes_put(struct bytes *b, const void *p, size_t n)
{
    if (n == 0) return;
    memcpy(bytes_room(b, n), p, n);
    b->n += n;
}

void bytes_printf(struct bytes *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    void *at = bytes_room(b, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void bytes_free(struct bytes *b)
{
    mem_free(b->p);
    *b = (struct bytes){ 0 };
}
