/* What the measuring programs share: a clock, latencies, what a process has used, and how to give up.
 *
 * They are clients: nothing of the broker's runs in them but the library for the wire. One thread each. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Ends the program with exit code 2 and one line. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);             /* monotonic */
void raise_file_limit(void);       /* descriptors, as far as the machine lets us */
void exact_timers(void);           /* sleeps of this thread end when they should, not up to 50 µs later */
double cpu_self(void);             /* seconds of CPU used by this process */
double cpu_thread(void);           /* and by this thread */
double cpu_of(pid_t pid);          /* by another process, to the nanosecond; 0 for pid 0 */
long resident_kb(pid_t pid);       /* its resident memory; 0 for pid 0 */
int dial(const char *address);     /* a blocking connection without Nagle to "127.0.0.1:9092" */
int dial_try(const char *address); /* the same, or -1 when nobody listens there */

/* ---- latencies --------------------------------------------------------------------------------------------------------------
 * Counts by size: every power of two is cut in 128 parts, so that a value is known to 0.8 %, from nanoseconds to minutes. */

enum { HIST_BITS = 7, HIST_SLOTS = (64 - HIST_BITS + 1) << HIST_BITS };
struct hist {
    uint64_t n, min, max;
    double sum;
    uint64_t count[HIST_SLOTS];
};
struct hist *hist_new(void);
void hist_add(struct hist *h, uint64_t value);
double hist_at(const struct hist *h, double part); /* the value below which that part of all lies: 0.99 for p99; 0 of nothing */
/* {"n":…,"min":…,"mean":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…}, nanoseconds as microseconds */
void hist_print(FILE *out, const struct hist *h);
