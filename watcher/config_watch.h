/* Notices when the file of --config changes while the proxy runs. */
#ifndef WATCHER_CONFIG_WATCH_H
#define WATCHER_CONFIG_WATCH_H

#include <event2/event.h>

#include "ipc/config.h"

/*
 * Watches CFG->config_file, by event. A version that is good, and says something else than what is
 * in force, ends the process with EXIT_RESTART, and so the proxy, for the service manager to start
 * it anew: every rule stays meanwhile. One that is wrong is refused with the reason in the log, and
 * nothing changes. Without such a file it does nothing. CFG must outlive the process's event base.
 */
void config_watch_start(struct event_base *base, const struct config *cfg);

#endif
