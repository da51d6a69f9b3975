/* scrub: reads sealed segments now and then (odradek.scrub.interval.ms), and says where a batch's bytes are not those that were written. Nothing is
 * changed: what is damaged stays readable before and after it. */
#pragma once
#include "internal.h"

struct scrub;

/* In the order of a life, beside the cleaner's. Without an interval there is no worker. */
void scrub_start(struct logs *l);
void scrub_stop(struct logs *l); /* before house_stop */
void scrub_free(struct logs *l); /* after it: its timer is on the house's loop */
