/* repair: `odradek check --repair DIR…`: a start and a clean stop without a listener. */
#pragma once

/* Opens the log directories of one broker as a start does (the commit journal is replayed, torn tails are cut, indexes rebuilt) and closes them clean,
 * so that Apache Kafka may open them next (K4). Says what happened on stderr; an exit code. */
int repair_main(int argc, char **argv, char **envp);
