/* Connections that say hello and then nothing more. */
#pragma once
#include <sys/types.h>

struct idle_spec {
    int connections, window; /* so many are being opened at a time: fewer than a listener's backlog, which for Kafka is 50 */
    double hold_s;           /* how long all stay open */
};
/* Prints one line of JSON; exit code. */
int run_idle(const char *broker, pid_t pid, const struct idle_spec *spec);
