/* The API table, from api_table.h. */
#include "req.h"

#define ROW(NAME, handler, lo, hi, f, hide)              \
    { .key = API_##NAME,                                 \
      .min = (lo),                                       \
      .max = (hi),                                       \
      .shown_min = API_##NAME == API_PRODUCE ? 0 : (lo), \
      .name = #NAME,                                     \
      .start = handler##_start,                          \
      .flags = (f),                                      \
      .hidden = (hide),                                  \
      .in = &msg_##handler##_request,                    \
      .out = &msg_##handler##_response },
static const struct api table[] = {
#define API(NAME, handler, lo, hi, f)    ROW(NAME, handler, lo, hi, f, false)
#define HIDDEN(NAME, handler, lo, hi, f) ROW(NAME, handler, lo, hi, f, true)
#include "api_table.h"
};

enum { KEYS_MAX = 128 };

const struct api *api_find(int16_t key)
{
    /* Filled on first use by whoever comes first; every filling writes the same values. */
    static _Atomic(const struct api *) by_key[KEYS_MAX];
    static _Atomic bool filled;
    if (!atomic_load_explicit(&filled, memory_order_acquire)) {
        for (size_t i = 0; i < ARRAY_LEN(table); i++)
            atomic_store_explicit(&by_key[table[i].key], &table[i], memory_order_relaxed);
        atomic_store_explicit(&filled, true, memory_order_release);
    }
    return key >= 0 && key < KEYS_MAX ? atomic_load_explicit(&by_key[key], memory_order_relaxed) : NULL;
}

const struct api *api_table(int *n)
{
    *n = ARRAY_LEN(table);
    return table;
}
