/* Threads of ours: named, and deaf to signals, which are the main thread's business. */
#pragma once
#include <odradek/base.h>

void thread_start(pthread_t *t, void *(*fn)(void *arg), void *arg); /* aborts when the system has no more threads */
void thread_name(const char *name);                                 /* the caller's; cut to 15 characters */
void thread_block_sigpipe(void);
