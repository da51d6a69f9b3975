/* The machine's clock. */
#include "real.h"

#include <time.h>

static int64_t real_mono_us(struct clock *c)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_wall_ms(struct clock *c)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t real_cpu_us(struct clock *c)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct clock clock_real = { .mono_us = real_mono_us, .wall_ms = real_wall_ms, .cpu_us = real_cpu_us };
