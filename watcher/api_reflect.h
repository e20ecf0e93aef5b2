/* Private to api_reflector.c, api_reflect_list.c and api_reflect_watch.c: the parts of one. */
#ifndef WATCHER_API_REFLECT_H
#define WATCHER_API_REFLECT_H

#include "watcher/api_reflector.h"

#define HTTP_OK	  200
#define HTTP_GONE 410

/* The verbs, as RBAC names them too. */
extern const char api_list_verb[], api_watch_verb[];
/* Why a list beyond API_OBJECTS_MAX is ended. */
extern const char api_reflect_too_many[];

/* Goes on at once: with a watch from where things stand, or with all there is. */
void api_reflect_on(struct api_reflector *r);
/* The same after the back-off, and not before the server's own wish of AT_LEAST seconds. */
void api_reflect_later(struct api_reflector *r, unsigned at_least);

/*
 * The response's STATUS may mean that the resource is not served here: then another version of it
 * is asked for, or none. True if that has been seen to.
 */
bool api_reflect_unserved(struct api_reflector *r, long status);

/*
 * All there is has come, as of VERSION; HOW is "listed". False, after logging, if that is an older
 * state than one seen before: the next list will be the newest.
 */
bool api_reflect_synced(struct api_reflector *r, const char *version, const char *how);

/* Asks for the page that r->continue_token names. */
void api_reflect_list(struct api_reflector *r);
/* Watches from r->version on; without one, with all there is before. */
void api_reflect_watch(struct api_reflector *r);

#endif
