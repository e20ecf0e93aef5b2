/* What the listener gives up before the first stranger can reach it. */
#ifndef LISTENER_LOCKDOWN_H
#define LISTENER_LOCKDOWN_H

/*
 * No file, no program, no process; TCP sockets that listen and those that they accept, and none
 * that connects or has another option set. fatal() on failure.
 */
void listener_lock_down(void);

#endif
