/* The clock begins before the process is made and is read by a program that is small itself: a start takes a few milliseconds. */
#include "start.h"
#include "bench.h"
#include "request.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
enum { PAUSE_US = 50, PATIENCE_S = 180 };

static pid_t start(char **argv)
{
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    int rc = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
    if (rc) die("%s: %s", argv[0], strerrordesc_np(rc));
    posix_spawn_file_actions_destroy(&quiet);
    return pid;
}

static double ms_since(uint64_t began) { return (double)(now_ns() - began) / 1e6; }

static void again(pid_t pid, uint64_t began)
{
    int status;
    if (waitpid(pid, &status, WNOHANG) == pid) die("the broker ended with %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    if (ms_since(began) > PATIENCE_S * 1e3) {
        (void)kill(pid, SIGKILL);
        die("no answer after %d s", PATIENCE_S);
    }
    (void)usleep(PAUSE_US);
}

int run_start(const char *address, char **topics, int n, int last, char **argv)
{
    uint64_t began = now_ns();
    pid_t pid = start(argv);
    int fd;
    while ((fd = dial_try(address)) < 0 || !ask_hello(fd)) {
        if (fd >= 0) close(fd);
        again(pid, began);
    }
    double answers = ms_since(began);
    for (int i = 0; i < n; i++)
        while (ask_end(fd, topics[i], last) < 0) again(pid, began);
    double serves = ms_since(began), cpu = cpu_of(pid);
    long kb = resident_kb(pid);
    close(fd);
    began = now_ns();
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    printf("{\"answers_ms\":%.3f,\"serves_ms\":%.3f,\"cpu_ms\":%.3f,\"rss_kb\":%ld,\"stop_ms\":%.3f}\n", answers, serves,
           cpu * 1e3, kb, ms_since(began));
    return 0;
}
