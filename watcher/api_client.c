/* libcurl's sockets and timer on libevent, and the life of a request. */
#include "watcher/api_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/api_event.h"
#include "watcher/api_request.h"

#define OK_STATUS 200

/* What a person can do about a failure of the connection. */
static const struct {
	CURLcode code;
	const char *hint;
} hints[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "check the server's name in the kubeconfig, and the resolver"},
    {CURLE_PEER_FAILED_VERIFICATION,
	"check certificate-authority and server (or tls-server-name) in the kubeconfig"},
    {CURLE_SSL_CACERT_BADFILE, "certificate-authority(-data) is not a PEM certificate"},
    {CURLE_SSL_CERTPROBLEM,
	"client-certificate(-data) and client-key(-data) must be a matching PEM pair"},
};

static void request_free(struct api_request *r)
{
	if (r->stall != NULL)
		event_free(r->stall);
	if (r->easy != NULL)
		curl_easy_cleanup(r->easy);
	free(r);
}

/* --- a request's end --- */

static void describe_transport(struct api_result *res, const struct api_request *r, CURLcode code)
{
	const char *text = r->curl_error[0] != '\0' ? r->curl_error : curl_easy_strerror(code);

	snprintf(res->error, sizeof(res->error), "%s", text);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		size_t len = strlen(res->error);

		if (hints[i].code == code)
			snprintf(res->error + len, sizeof(res->error) - len, "; %s", hints[i].hint);
	}
}

static void describe_status(struct api_result *res, const struct api_request *r)
{
	char message[256];
	curl_off_t wait = 0;

	api_status_message(r->body, r->body_len, message, sizeof(message));
	snprintf(res->error, sizeof(res->error), "HTTP %ld%s%s", r->status,
	    message[0] != '\0' ? ": " : "", message);
	if (curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
		res->retry_after = wait < 3600 ? (unsigned)wait : 3600;
}

/* Ends R, which libcurl is done with or is made to be, and tells its owner. */
static void finish(struct api_request *r, CURLcode code)
{
	struct api_client *c = r->client;
	struct api_result res = {.status = r->status};

	curl_multi_remove_handle(c->multi, r->easy);
	if (r->why[0] != '\0')
		snprintf(res.error, sizeof(res.error), "%s", r->why);
	else if (r->status != 0 && r->status != OK_STATUS)
		describe_status(&res, r);
	else if (code != CURLE_OK)
		describe_transport(&res, r, code);
	else
		res.complete = true;
	c->suspect = code != CURLE_OK && r->why[0] == '\0';
	r->handler->done(r->arg, &res);
	request_free(r);
}

static void finish_all_done(struct api_client *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct api_request *r = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		finish(r, code);
	}
}

static void on_stall(evutil_socket_t fd, short what, void *arg)
{
	struct api_request *r = arg;

	(void)fd;
	(void)what;
	snprintf(r->curl_error, sizeof(r->curl_error), "the server said nothing for %d s",
	    API_STALL_SECONDS);
	finish(r, CURLE_OPERATION_TIMEDOUT);
}

static void stall_restart(struct api_request *r)
{
	event_add(r->stall, &(struct timeval){.tv_sec = API_STALL_SECONDS});
}

/* --- a response --- */

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct api_request *r = arg;
	long status = 0;

	/* The empty line ends a head; 1xx heads come before the response's own, trailers after. */
	if (n > 2 || bytes[0] != '\r' || r->status != 0)
		return size * n;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < OK_STATUS)
		return size * n;
	r->status = status;
	if (r->list || status != OK_STATUS)
		stall_restart(r);
	else
		event_del(r->stall);
	r->client->suspect = false;
	if (status == OK_STATUS)
		r->handler->start(r->arg);
	return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct api_request *r = arg;
	size_t len = size * n;
	const char *why;

	if (r->status != OK_STATUS) {
		size_t room = sizeof(r->body) - r->body_len;
		size_t take = len < room ? len : room;

		memcpy(r->body + r->body_len, bytes, take);
		r->body_len += take;
		/* Beyond that it is nothing we would show; the status says enough. */
		return take;
	}
	why = r->handler->data(r->arg, bytes, len);
	if (why != NULL) {
		snprintf(r->why, sizeof(r->why), "%s", why);
		return CURL_WRITEFUNC_ERROR;
	}
	if (r->list)
		stall_restart(r);
	return len;
}

static int request_start(struct api_request *r, const char *url, unsigned deadline)
{
	struct api_client *c = r->client;

	r->easy = curl_easy_init();
	r->stall = evtimer_new(c->base, on_stall, r);
	if (r->easy == NULL || r->stall == NULL)
		return -1;
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->curl_error);
	curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
	if (api_request_options(c, r->easy, url, deadline) != 0 ||
	    curl_multi_add_handle(c->multi, r->easy) != CURLM_OK)
		return -1;
	stall_restart(r);
	return 0;
}

int api_get(struct api_client *c, const char *path, unsigned deadline,
    const struct api_handler *handler, void *arg)
{
	struct api_request *r = calloc(1, sizeof(*r));
	char *url = NULL;
	int rc = -1;

	if (r == NULL)
		return -1;
	r->client = c;
	r->handler = handler;
	r->arg = arg;
	r->list = deadline == 0;
	if (asprintf(&url, "%s%s", c->url, path) >= 0) {
		rc = request_start(r, url, deadline);
		free(url);
	}
	if (rc != 0)
		request_free(r);
	return rc;
}

/* --- libcurl on libevent --- */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct api_client *c = arg;
	int running;
	int flags =
	    ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(c->multi, fd, flags, &running);
	finish_all_done(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct api_client *c = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_all_done(c);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct api_client *c = arg;
	struct event *ev = assigned;
	int events = EV_PERSIST | ((what & CURL_POLL_IN) ? EV_READ : 0) |
		     ((what & CURL_POLL_OUT) ? EV_WRITE : 0);

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(c->base, fd, (short)events, on_socket, c);
		if (ev == NULL || event_add(ev, NULL) != 0)
			log_error("the event loop refuses the apiserver's socket: out of memory");
	}
	curl_multi_assign(c->multi, fd, ev);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct api_client *c = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		event_del(c->timer);
	else
		event_add(c->timer, &tv);
	return 0;
}

/* Of a client that has made no request; one that has lives as long as the process. */
static void client_free(struct api_client *c)
{
	if (c->multi != NULL)
		curl_multi_cleanup(c->multi);
	if (c->timer != NULL)
		event_free(c->timer);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	free(c->url);
	free(c);
	curl_global_cleanup();
}

struct api_client *api_client_new(struct event_base *base, const struct api_access *access)
{
	struct api_client *c = calloc(1, sizeof(*c));

	if (c == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		log_error("libcurl does not start: out of memory");
		free(c);
		return NULL;
	}
	c->base = base;
	c->access = access;
	c->timer = evtimer_new(base, on_timer, c);
	c->multi = curl_multi_init();
	if (c->timer == NULL || c->multi == NULL || api_request_prepare(c) != 0) {
		client_free(c);
		return NULL;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}
