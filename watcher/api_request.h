/* Private to api_client.c and api_request.c: a client and one request of it. */
#ifndef WATCHER_API_REQUEST_H
#define WATCHER_API_REQUEST_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "watcher/api_bucket.h"
#include "watcher/api_client.h"
#include "watcher/credentials.h"

#define OK_STATUS      200
#define ERROR_BODY_MAX 4096 /* of an error response: a Status has a few hundred bytes */

struct api_client {
	struct event_base *base;
	const struct api_access *access;
	struct credentials *credentials;
	void (*renewed)(void *arg); /* NULL: nobody cares */
	void *renewed_arg;
	CURLM *multi;
	struct event *timer; /* libcurl's one timer */
	struct event *nudge; /* a socket was closed: let libcurl take the next address */
	LIST_HEAD(, api_request) requests;
	struct api_bucket bucket;
	char *url; /* of the server; its host is the TLS name if that differs */
	struct curl_slist *headers;
	struct curl_slist *connect_to; /* NULL, or where the host in the URL really is */
	bool tls;
	/* The last response did not come: connections in the pool may be dead, take none of them.
	 */
	bool suspect;
};

struct api_request {
	LIST_ENTRY(api_request) others;
	struct api_client *client;
	const struct api_handler *handler;
	void *arg;
	char *url;
	unsigned deadline; /* seconds */
	const bool *owing; /* the stall timer runs on, though the response has begun */
	CURL *easy;
	struct event *turn; /* it waits for this before it begins */
	struct event *stall;

	uint64_t begun_ms;
	long status; /* known once the response has begun */
	size_t head_len;
	uint64_t received; /* of the body */
	char curl_error[CURL_ERROR_SIZE];
	char why[256]; /* the handler, or we, ended it */
	size_t body_len;
	char body[ERROR_BODY_MAX]; /* of a response other than 200 */
};

/* --- api_client.c --- */

/* Something of the response has come: until when may the server be silent? */
void api_request_heard(struct api_request *r);

/* --- api_request.c --- */

/* Fills C's url, headers and connect_to from its access. 0, or -1 after logging. */
int api_request_prepare(struct api_client *c, const char *accept);
/* Sets EASY up for URL, everything but the callbacks. 0, or -1 without memory. */
int api_request_options(const struct api_client *c, CURL *easy, const char *url, unsigned deadline);

/* --- api_response.c --- */

/* Makes R's easy handle call us with the response. */
void api_response_options(struct api_request *r);
/* Has a list that brought BYTES in MS been too slow to be waited for? Pure. */
bool api_response_drips(uint64_t bytes, uint64_t ms);
/* Fills RES with R's end, which libcurl calls CODE. */
void api_response_result(const struct api_request *r, CURLcode code, struct api_result *res);

#endif
