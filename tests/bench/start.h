/* How long a broker takes from its start until it answers. */
#pragma once

/* Runs argv[0] with argv, NULL at its end, until it has answered ApiVersions at `address` and ListOffsets for partition `last` of each topic in
 * topics[0..n); then ends it with SIGTERM. Prints one line of JSON; exit code. */
int run_start(const char *address, char **topics, int n, int last, char **argv);
