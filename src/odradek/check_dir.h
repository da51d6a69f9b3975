/* check_dir: `odradek check DIR…`: what lies in log directories, who could open them, and what opening them here would change. Nothing is written,
 * created or locked. */
#pragma once
#include <odradek/base.h>

struct check_dirs {
    const char **paths; /* the log.dirs of one broker; borrowed */
    int n;
    bool deep; /* verify the checksums of all batches, too */
};
/* Appends the report. 0; E_INVALID the directories contradict each other; E_CORRUPT there is damage; or what else keeps a broker from opening them. */
int check_dirs(struct world *w, const struct check_dirs *o, struct bytes *out);

/* Are the arguments behind `check` meant for check_dirs? Else they name a properties file. */
bool check_dirs_wanted(int argc, char **argv);
/* The whole sub-command, on stdout: an exit code. */
int check_dirs_main(int argc, char **argv);
