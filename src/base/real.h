/* The real world's parts, put together in world.c. */
#pragma once
#include <odradek/base.h>

extern struct clock clock_real;
extern struct rnd rnd_real;
extern struct fs fs_real;
