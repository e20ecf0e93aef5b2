/* What the broker gives up before it hears of the first endpoint. */
#ifndef BROKER_LOCKDOWN_H
#define BROKER_LOCKDOWN_H

/* No file, no program, no process; sockets that connect, and none that listens. fatal() on failure.
 */
void broker_lock_down(void);

#endif
