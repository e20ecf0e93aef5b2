/* What the log says of a server that does not do as asked: each change once, not each try. */
#ifndef WATCHER_API_PROBLEM_H
#define WATCHER_API_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

#include "watcher/api_client.h"

/* The server as all who ask it see it, so that its going and coming is one line in the log each. */
struct api_server {
	const char *url;
	uint64_t down_since; /* in ms of the monotonic clock; 0: it answers */
	bool no_watchlist;   /* it refuses sendInitialEvents, or knows nothing of it */
};

/* Zeroed: none so far. */
struct api_problem {
	char text[384];	  /* "": none, or it is over */
	const char *verb; /* what did not work, and the response's status then */
	long status;
};

/*
 * VERB ("list") of NAME ("services") ended with RES: logged unless it is what P or S says already.
 * VERB must be the same pointer each time.
 */
void api_problem_report(struct api_problem *p, struct api_server *s, const char *verb,
    const char *name, const struct api_result *res);
/* VERB works; that says nothing of a problem with another one. */
void api_problem_over(struct api_problem *p, const char *verb, const char *name);
/* May it be that the server does not take our credentials, or we not its own? */
bool api_problem_refused(const struct api_problem *p, const struct api_server *s);
/* A response has come. */
void api_server_answers(struct api_server *s);

#endif
