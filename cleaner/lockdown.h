/* The cleaner's walls. */
#ifndef CLEANER_LOCKDOWN_H
#define CLEANER_LOCKDOWN_H

/*
 * Once everything is open: CAP_NET_ADMIN alone, no way to another user or capability, resource
 * limits, Landlock, seccomp. Any failure is fatal().
 */
void cleaner_lockdown(void);

#endif
