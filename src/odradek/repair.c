/* After a power cut Odradek goes first (K4, J14): Apache Kafka knows no journal. Whoever wants to go on with Kafka needs no running broker for that. */
#include "repair.h"
#include "daemon.h"

#include <odradek/broker.h>
#include <odradek/odradek.h>

#include <sys/stat.h>

static int open_and_close(struct world *w, const struct conf *conf, struct why *why)
{
    struct broker *b;
    int rc = broker_open(w, conf, 1, &b, why);
    if (rc) return rc;
    struct loop *loop = shard_loop(broker_shard(b, 0));
    loop_start(loop);
    loop_stop(loop);
    loop_join(loop);
    rc = broker_close(&b);
    if (rc) (void)snprintf(why->text, sizeof why->text, "not closed clean: %s", err_text(rc));
    return rc;
}

static int refuse(const char *what, const char *arg)
{
    (void)fprintf(stderr, "odradek: check --repair: %s%s%s\n", what, arg ? ": " : "", arg ? arg : "");
    return ODR_EXIT_USAGE;
}

int repair_main(int argc, char **argv, char **envp)
{
    struct bytes dirs = { 0 };
    struct why why = { .text = "" };
    struct conf_report report = { 0 };
    struct conf *conf = NULL;
    for (int i = 0; i < argc; i++) {
        struct stat st;
        if (argv[i][0] == '-') return refuse("unknown option", argv[i]);
        char meta[4096];
        (void)snprintf(meta, sizeof meta, "%s/meta.properties", argv[i]);
        if (stat(argv[i], &st) || !S_ISDIR(st.st_mode)) return refuse("not a directory", argv[i]);
        if (stat(meta, &st))
            return refuse("not a log directory, it has no meta.properties", argv[i]); /* a start would make a new one */
        bytes_printf(&dirs, "%s%s", i ? "," : "log.dirs=", argv[i]);
    }
    if (argc == 0) return refuse("which log directories?", NULL);
    bytes_put(&dirs, "", 1);
    const char *overrides[] = { (const char *)dirs.p };
    const struct conf_input in = { .overrides = overrides, .overrides_n = 1, .envp = envp };
    struct world *w = world_real_new();
    int code = ODR_EXIT_CONFIG, rc = conf_load(w->fs, &in, &conf, &report);
    conf_report_log(&report);
    conf_report_free(&report);
    if (rc == 0) {
        code = ODR_EXIT_DATA;
        rc = open_and_close(w, conf, &why);
    }
    if (rc) log_error("odradek", "not repaired", KV_STR("reason", why.text[0] ? why.text : err_text(rc)));
    else log_info("odradek", "the directories are in order, and closed clean");
    if (conf) conf_unref(&conf);
    world_free(&w);
    bytes_free(&dirs);
    return rc ? code : ODR_EXIT_OK;
}
