/* The process's counters, one cell a row of metric_list.h. */
#include <odradek/base.h>

_Atomic int64_t metrics[M_COUNT];
