/* How many descriptors relays may take, so that there are always some for the health server. */
#ifndef RELAY_DESCRIPTORS_H
#define RELAY_DESCRIPTORS_H

#include <stdbool.h>

struct relay_fds {
	unsigned left;
	bool told; /* the log knows that there are none left */
};

/* Takes N, which the caller then opens. False if there are not so many left. */
static inline bool relay_fds_take(struct relay_fds *f, unsigned n)
{
	if (f->left < n)
		return false;
	f->left -= n;
	return true;
}

/* Gives back N that are closed. */
static inline void relay_fds_give(struct relay_fds *f, unsigned n)
{
	f->left += n;
	f->told = false;
}

#endif
