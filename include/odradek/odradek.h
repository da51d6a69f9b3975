/* libodradek: a broker in your own process. The daemon is its first user.
 *
 *     struct odr_options o = { .overrides = (const char *[]){ "listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=/tmp/x" }, .overrides_n = 2 };
 *     struct odr_broker *b;
 *     char why[512];
 *     if (odr_start(&o, &b, why, sizeof why)) errx(1, "%s", why);
 *     printf("bootstrap.servers=127.0.0.1:%d\n", odr_port(b));
 *     odr_stop(&b);
 */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct odr_broker;
struct odr_options {
    const char *file;             /* a server.properties; NULL: defaults, listening on localhost only */
    const char *const *overrides; /* "key=value" */
    int overrides_n;
    char **envp;               /* environment to read KAFKA_… settings from; NULL: none */
    void (*failed)(void *arg); /* from some thread: no log directory is left (call odr_stop); may be NULL */
    void *arg;
};
/* Starts a broker: when it returns 0 clients may connect. Else a positive exit code (ODR_EXIT_…) and why, a text of at most why_n bytes. */
int odr_start(const struct odr_options *o, struct odr_broker **out, char *why, size_t why_n);
int odr_port(const struct odr_broker *b); /* of the first listener */
/* The line to show when it has started: listeners, directories, partitions, milliseconds. Lives as long as b. */
const char *odr_summary(const struct odr_broker *b);
/* Clean stop: waiting requests are answered, everything is synced. 0, or ODR_EXIT_IO when a directory had failed. Nulls *b. */
int odr_stop(struct odr_broker **b);

enum { /* exit codes of the daemon, as in sysexits(3) where there is one */
       ODR_EXIT_OK = 0,
       ODR_EXIT_FAILURE = 1,
       ODR_EXIT_USAGE = 64,   /* wrong command line */
       ODR_EXIT_DATA = 65,    /* a directory cannot be used: identity, lock, damage */
       ODR_EXIT_ADDRESS = 69, /* a listener cannot be opened */
       ODR_EXIT_IO = 74,      /* every log directory failed */
       ODR_EXIT_CONFIG = 78,  /* a wrong setting */
};

#ifdef __cplusplus
}
#endif
