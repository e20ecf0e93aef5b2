/* What comes back on a request, bounded in each direction, and what a failure is called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/api_event.h"
#include "watcher/api_request.h"
#include "watcher/stats.h"

#define HEAD_MAX (256u * 1024) /* of a response with its 1xx heads and trailers; some 1 KiB */
/* A list's page may come slowly, but not for ever: so long, and a second more for each KiB. */
#define SLOW_MS		65000u
#define SLOW_MS_PER_KIB 1000u
/* The longest that a server may send us away: not for its lie, nor its clock's. */
#define RETRY_AFTER_MAX 300u

/* What a person can do about a failure of the connection. */
static const struct {
	CURLcode code;
	const char *hint;
} hints[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "check the server's name in the kubeconfig, and the resolver"},
    {CURLE_COULDNT_RESOLVE_PROXY,
	"check proxy-url in the kubeconfig, or HTTPS_PROXY, and the resolver"},
    {CURLE_COULDNT_CONNECT,
	"check address and port of the server in the kubeconfig, and whether it is running"},
    {CURLE_PEER_FAILED_VERIFICATION,
	"check certificate-authority and server (or tls-server-name) in the kubeconfig"},
    {CURLE_OUT_OF_MEMORY, "or a response header is longer than libcurl takes (100 KiB)"},
    {CURLE_SSL_CACERT_BADFILE, "certificate-authority(-data) is not a PEM certificate"},
    {CURLE_SSL_CERTPROBLEM,
	"client-certificate(-data) and client-key(-data) must be a matching PEM pair"},
};

/* --- while it comes --- */

/* Ends the request: WHY becomes its error. What libcurl's callbacks return then. */
static size_t stop(struct api_request *r, const char *why)
{
	snprintf(r->why, sizeof(r->why), "%s", why);
	return CURL_WRITEFUNC_ERROR;
}

static size_t on_head(struct api_request *r, size_t len)
{
	char *type = NULL;
	const char *why = NULL;

	if (r->status == OK_STATUS) {
		curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
		why = r->handler->start(r->arg, type);
	}
	api_request_heard(r);
	return why != NULL ? stop(r, why) : len;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct api_request *r = arg;
	size_t len = size * n;
	long status = 0;

	r->head_len += len;
	if (r->head_len > HEAD_MAX)
		return stop(r, "the response's headers are longer than 256 KiB; no genuine "
			       "apiserver sends that");
	/* The empty line ends a head; 1xx heads come before the response's own, trailers after. */
	if (len > 2 || bytes[0] != '\r' || r->status != 0)
		return len;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < OK_STATUS)
		return len;
	r->status = status;
	stats_response(status, api_now_ms() - r->begun_ms);
	return on_head(r, len);
}

bool api_response_drips(uint64_t bytes, uint64_t ms)
{
	return ms > SLOW_MS && (ms - SLOW_MS) / SLOW_MS_PER_KIB > bytes / 1024;
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
	r->received += len;
	why = r->handler->data(r->arg, bytes, len);
	if (why == NULL && *r->owing && api_response_drips(r->received, api_now_ms() - r->begun_ms))
		why = "the list comes more slowly than 1 KiB a second";
	if (why != NULL)
		return stop(r, why);
	api_request_heard(r);
	return len;
}

void api_response_options(struct api_request *r)
{
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->curl_error);
	curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
}

/* --- when it is over --- */

/*
 * The URL's scheme is not what the server speaks: TLS to a plain HTTP port makes OpenSSL find a
 * version number in "HTTP/1.1"; plain HTTP to a TLS port is answered with an alert, which libcurl
 * takes for HTTP/0.9, or not at all. False if it is something else.
 */
static bool describe_scheme(struct api_result *res, const struct api_request *r, CURLcode code)
{
	static const char *const not_tls[] = {"wrong version number", "packet length too long"};
	const struct api_client *c = r->client;
	bool plain = false;

	for (size_t i = 0; i < sizeof(not_tls) / sizeof(not_tls[0]); i++)
		plain |= strstr(r->curl_error, not_tls[i]) != NULL;
	if (c->tls && code == CURLE_SSL_CONNECT_ERROR && plain)
		snprintf(res->error, sizeof(res->error),
		    "the %s speaks plain HTTP, not TLS: give the server's URL with the port that "
		    "speaks TLS, or with http:// (then no credentials are sent)",
		    c->access->proxy != NULL ? "proxy or the server" : "server");
	else if (!c->tls && (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_GOT_NOTHING ||
				code == CURLE_WEIRD_SERVER_REPLY))
		snprintf(res->error, sizeof(res->error),
		    "the server does not answer plain HTTP: it probably expects TLS; give its URL "
		    "with https://");
	else
		return false;
	return true;
}

static void describe_transport(struct api_result *res, const struct api_request *r, CURLcode code)
{
	const char *text = r->curl_error[0] != '\0' ? r->curl_error : curl_easy_strerror(code);

	if (describe_scheme(res, r, code))
		return;
	/* OpenSSL's words for it: the other side ended the handshake. */
	snprintf(res->error, sizeof(res->error), "%s%s", text,
	    strstr(text, " alert ") != NULL
		? "; the server refuses our client certificate, or our TLS"
		: "");
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		size_t len = strlen(res->error);

		if (hints[i].code == code)
			snprintf(res->error + len, sizeof(res->error) - len, "; %s", hints[i].hint);
	}
}

/* Seconds only, as client-go: a date would depend on two clocks. */
static unsigned retry_after(CURL *easy)
{
	struct curl_header *h;
	unsigned long seconds = 0;

	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return 0;
	for (const char *p = h->value; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		seconds = seconds * 10 + (unsigned long)(*p - '0');
		if (seconds > RETRY_AFTER_MAX)
			seconds = RETRY_AFTER_MAX;
	}
	return (unsigned)seconds;
}

/* Where a redirect leads; of its URL only what cannot hold a secret. */
static void describe_redirect(char *text, size_t size, CURL *easy)
{
	char *url = NULL;
	const char *host;

	if (curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &url) != CURLE_OK || url == NULL)
		return;
	host = strstr(url, "://");
	host = host == NULL ? url : host + 3;
	if (strcspn(host, "@") < strcspn(host, "/?#"))
		host += strcspn(host, "@") + 1;
	snprintf(text, size,
	    ": sends us to %.*s; our credentials go nowhere else, so give the server itself in "
	    "the kubeconfig",
	    (int)strcspn(host, "/?#"), host);
}

static void describe_status(struct api_result *res, const struct api_request *r)
{
	char message[256];
	size_t len;

	api_status_message(r->body, r->body_len, message, sizeof(message));
	/* As Go's servers, and nginx, answer HTTP at a TLS port: "... to an HTTPS server". */
	if (r->status == 400 && !r->client->tls &&
	    memmem(r->body, r->body_len, " HTTPS ", strlen(" HTTPS ")) != NULL)
		snprintf(
		    message, sizeof(message), "the server expects TLS: give its URL with https://");
	snprintf(res->error, sizeof(res->error), "HTTP %ld%s%s", r->status,
	    message[0] != '\0' ? ": " : "", message);
	len = strlen(res->error);
	if (r->status >= 300 && r->status < 400)
		describe_redirect(res->error + len, sizeof(res->error) - len, r->easy);
	res->retry_after = retry_after(r->easy);
}

/* What the request was, for errors in what came back: its path, which has no secret. */
static void add_url(struct api_result *res, const struct api_request *r)
{
	size_t len = strlen(res->error);

	snprintf(res->error + len, sizeof(res->error) - len, " (GET %.*s)",
	    (int)strcspn(r->url, "?"), r->url);
}

void api_response_result(const struct api_request *r, CURLcode code, struct api_result *res)
{
	*res = (struct api_result){.status = r->status};
	if (r->why[0] != '\0')
		snprintf(res->error, sizeof(res->error), "%s", r->why);
	else if (r->status != 0 && r->status != OK_STATUS)
		describe_status(res, r);
	else if (code != CURLE_OK)
		describe_transport(res, r, code);
	else
		res->complete = true;
	if (!res->complete && r->status != 0)
		add_url(res, r);
}
