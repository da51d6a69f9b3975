/* odradek: the command line and the daemon's signals.
 *
 * All signals are blocked before the first thread starts; the main thread waits for them: SIGTERM and SIGINT stop the broker clean, a
 * second one ends it at once, SIGHUP is noted. */
#include "check_dir.h"
#include "daemon.h"
#include "dump_log.h"
#include "repair.h"

#include <odradek/base.h>
#include <odradek/config.h>
#include <odradek/odradek.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "odradek " ODR_VERSION ": a Kafka broker for one machine\n"
    "\n"
    "  odradek [run] [FILE] [--override KEY=VALUE]...   run in the foreground; FILE is a server.properties\n"
    "  odradek check FILE [--override KEY=VALUE]...     say what FILE means, without starting\n"
    "  odradek check [--deep] DIR...                    say what is in log directories, without changing anything\n"
    "  odradek check --repair DIR...                    replay, recover and close them clean after a crash, without serving\n"
    "  odradek config                                   print a server.properties with every setting explained\n"
    "  odradek dump-log [OPTION]... FILE...             print what is in the files of a log directory (dump-log --help)\n"
    "  odradek version\n"
    "\n"
    "Without FILE it listens on localhost:9092. Settings are also read from KAFKA_... environment variables.\n";

static pthread_t main_thread;

static void on_failed(void *arg) { (void)pthread_kill(main_thread, SIGUSR1); }

static int run(const struct odr_options *o)
{
    struct odr_broker *b;
    struct odr_options opts = *o;
    sigset_t set;
    char why[512];
    int sig = 0;

    mem_setup();
    main_thread = pthread_self();
    opts.failed = on_failed;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int rc = odr_start(&opts, &b, why, sizeof why);
    if (rc) {
        log_error("odradek", "not started", KV_STR("reason", why));
        return rc;
    }
    notify_ready(odr_summary(b));
    while (sigwait(&set, &sig) == 0 && sig != SIGTERM && sig != SIGINT && sig != SIGUSR1)
        if (sig == SIGHUP) log_info("odradek", "SIGHUP: nothing to reload; settings change by kafka-configs or a restart");
    notify_stopping();
    log_info("odradek", "stopping",
             KV_STR("reason", sig == SIGUSR1  ? "no log directory is left"
                              : sig == SIGINT ? "SIGINT"
                                              : "SIGTERM"));
    sigset_t again; /* whoever asks twice does not want to wait */
    sigemptyset(&again);
    sigaddset(&again, SIGTERM);
    sigaddset(&again, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &again, NULL);
    return odr_stop(&b);
}

static int check(const struct odr_options *o)
{
    struct world *w = world_real_new();
    struct bytes text = { 0 };
    const struct conf_input in = { .file = o->file, .overrides = o->overrides, .overrides_n = o->overrides_n, .envp = o->envp };
    int rc = conf_check(w->fs, &in, &text);
    (void)fwrite(text.p, 1, text.n, stdout);
    bytes_free(&text);
    world_free(&w);
    return rc ? ODR_EXIT_CONFIG : ODR_EXIT_OK;
}

static int sample(void)
{
    struct bytes text = { 0 };
    conf_sample(&text);
    (void)fwrite(text.p, 1, text.n, stdout);
    bytes_free(&text);
    return ODR_EXIT_OK;
}

static int refuse(const char *what, const char *arg)
{
    (void)fprintf(stderr, "odradek: %s%s%s\n\n%s", what, arg ? ": " : "", arg ? arg : "", usage);
    return ODR_EXIT_USAGE;
}

int main(int argc, char **argv, char **envp)
{
    static const char *const commands[] = { "run", "check", "config", "version", "help" };
    struct odr_options o = { .envp = envp };
    const char **overrides = mem_zalloc(sizeof *overrides * (size_t)argc);
    const char *command = "run";
    int i = 1, rc;

    if (argc > 1 && strcmp(argv[1], "dump-log") == 0) {
        mem_free(overrides);
        return dump_log_main(argc - 2, argv + 2);
    }
    if (argc > 2 && strcmp(argv[1], "check") == 0 && strcmp(argv[2], "--repair") == 0) {
        mem_free(overrides);
        return repair_main(argc - 3, argv + 3, envp);
    }
    if (argc > 1 && strcmp(argv[1], "check") == 0 && check_dirs_wanted(argc - 2, argv + 2)) {
        mem_free(overrides);
        return check_dirs_main(argc - 2, argv + 2);
    }
    if (argc > 1 && argv[1][0] != '-') {
        for (size_t k = 0; k < ARRAY_LEN(commands); k++) {
            if (strcmp(argv[1], commands[k]) != 0) continue;
            command = commands[k];
            i = 2;
        }
    }
    o.overrides = overrides;
    for (rc = 0; i < argc && !rc; i++) {
        if (strcmp(argv[i], "--override") == 0) {
            if (i + 1 == argc || !strchr(argv[i + 1], '=')) rc = refuse("--override needs KEY=VALUE", NULL);
            else overrides[o.overrides_n++] = argv[++i];
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            command = "help";
        } else if (strcmp(argv[i], "--version") == 0) {
            command = "version";
        } else if (argv[i][0] == '-') {
            rc = refuse("unknown option", argv[i]);
        } else if (o.file) {
            rc = refuse("more than one file", argv[i]);
        } else {
            o.file = argv[i];
        }
    }
    if (!rc) {
        if (strcmp(command, "help") == 0) {
            (void)fputs(usage, stdout);
        } else if (strcmp(command, "version") == 0) {
            (void)puts("odradek " ODR_VERSION);
        } else if (strcmp(command, "config") == 0) {
            rc = sample();
        } else if (strcmp(command, "check") == 0) {
            rc = o.file ? check(&o) : refuse("check needs a file", NULL);
        } else {
            rc = run(&o);
        }
    }
    mem_free(overrides);
    return rc;
}
