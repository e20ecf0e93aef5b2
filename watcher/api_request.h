/* Private to api_client.c and api_request.c: a client and one request of it. */
#ifndef WATCHER_API_REQUEST_H
#define WATCHER_API_REQUEST_H

#include <curl/curl.h>

#include "watcher/api_client.h"

#define ERROR_BODY_MAX 4096 /* of an error response: a Status has a few hundred bytes */

struct api_client {
	struct event_base *base;
	const struct api_access *access;
	CURLM *multi;
	struct event *timer; /* libcurl's one timer */
	char *url;	     /* of the server; its host is the TLS name if that differs */
	struct curl_slist *headers;
	struct curl_slist *connect_to; /* NULL, or where the host in the URL really is */
	bool tls;
	/* The last response did not come: connections in the pool may be dead, take none of them.
	 */
	bool suspect;
};

struct api_request {
	struct api_client *client;
	const struct api_handler *handler;
	void *arg;
	CURL *easy;
	struct event *stall;
	bool list;   /* the stall timer runs to the body's end, not only to its beginning */
	long status; /* known once the response has begun */
	char curl_error[CURL_ERROR_SIZE];
	char why[256]; /* the handler ended it */
	size_t body_len;
	char body[ERROR_BODY_MAX]; /* of a response other than 200 */
};

/* Fills C's url, headers and connect_to from its access. 0, or -1 after logging. */
int api_request_prepare(struct api_client *c);
/* Sets EASY up for URL, everything but the callbacks. 0, or -1 without memory. */
int api_request_options(const struct api_client *c, CURL *easy, const char *url, unsigned deadline);

#endif
