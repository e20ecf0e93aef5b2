/*
 * The machine's own addresses, from the kernel: all of them at start, and again, whole, whenever
 * one comes or goes.
 */
#ifndef WATCHER_ADDRESSES_H
#define WATCHER_ADDRESSES_H

#include <event2/event.h>

#include "watcher/feed.h"

/*
 * Sends the addresses to the planner and watches them on BASE, for the life of the process. To be
 * called before the sandbox: it opens a socket, which reaches nobody but the kernel, and later only
 * reads and writes. Where that cannot be had it logs so, and the planner knows of no address.
 * SERVICES, if not NULL, names an interface whose addresses are not the machine's own but
 * services'.
 */
void addresses_start(struct event_base *base, struct feed *feed, const char *services);

#endif
