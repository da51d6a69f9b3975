/* The service manager is told through libsystemd where it was built in, which does nothing when $NOTIFY_SOCKET is unset. */
#include "daemon.h"

#ifdef ODR_SYSTEMD
#include <systemd/sd-daemon.h>
void notify_ready(const char *status) { (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status); }
void notify_status(const char *status) { (void)sd_notifyf(0, "STATUS=%s", status); }
void notify_stopping(void) { (void)sd_notify(0, "STOPPING=1\nSTATUS=stopping"); }
#else
void notify_ready(const char *status) { (void)status; }
void notify_status(const char *status) { (void)status; }
void notify_stopping(void) {}
#endif
