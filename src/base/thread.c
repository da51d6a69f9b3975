/* Starting threads. Signals that tell of the thread's own mistake (SIGSEGV and the like) stay open for sanitizers and core dumps.
 *
 * Threads are made at start-up, or when the listeners are open; when the system refuses one, the process cannot do its work and ends. */
#include "thread.h"

#include <signal.h>
#include <stdlib.h>

void thread_start(pthread_t *t, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(t, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        log_error("thread", "cannot start a thread", KV_ERR(-rc));
        abort();
    }
}

void thread_name(const char *name)
{
    char cut[16];
    snprintf(cut, sizeof(cut), "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

void thread_block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}
