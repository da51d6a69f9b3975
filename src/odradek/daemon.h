/* The daemon's own parts. */
#pragma once

/* Tells the service manager (sd_notify(3)); nothing happens without one. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_stopping(void);
