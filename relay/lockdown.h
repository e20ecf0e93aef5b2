/* What the relay gives up before it hears of the first endpoint. */
#ifndef RELAY_LOCKDOWN_H
#define RELAY_LOCKDOWN_H

/* No file, no program, no process, and of sockets what relays take: none that connects. fatal() on
 * failure. */
void relay_lock_down(void);

#endif
