/*
 * Who we are and whom we believe, as the files that a kubeconfig names say it now: tokens and
 * certificates are renewed under a running process. Files are read again when their directories
 * tell of a change, and when the apiserver refused what they said. What is read is checked first,
 * and what worked stays while a file is missing, half written, or not the other one's match.
 */
#ifndef WATCHER_CREDENTIALS_H
#define WATCHER_CREDENTIALS_H

#include <event2/event.h>

#include "watcher/kubeconfig.h"

/* NUL-terminated; NULL where the access names none, or none could be read yet. */
struct secrets {
	char *ca;   /* PEM */
	char *cert; /* PEM, and KEY is its private key */
	char *key;
	char *token;
};

struct credentials;

/*
 * Reads what ACCESS names and follows it with BASE's events, for the life of the process, as long
 * as which ACCESS must live. CHANGED (may be NULL) is called with ARG after something was replaced.
 * To be called before the walls stand. NULL without memory. A file that is no good is logged, and
 * taken as soon as it is.
 */
struct credentials *credentials_new(struct event_base *base, const struct api_access *access,
    void (*changed)(void *arg), void *arg);
/* Of one that no event has reached. */
void credentials_free(struct credentials *c);

/* What is good now; valid until the next event or credentials_doubt(). */
const struct secrets *credentials_now(const struct credentials *c);
/* NULL, or what the access names and nothing could be read of: asking without it is no use. */
const char *credentials_missing(const struct credentials *c);
/* A request failed: reads the files again even if no change of them was told (as of NFS). */
void credentials_doubt(struct credentials *c);

#endif
