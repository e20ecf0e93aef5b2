/* What every request looks like: where to, who we are, whom we believe. */
#include "watcher/api_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/proxy.h"

/* Token and password go over TLS only. */
static CURLcode set_identity(const struct api_client *c, CURL *easy)
{
	const char *token = credentials_now(c->credentials)->token;
	CURLcode rc = CURLE_OK;

	if (!c->tls)
		return CURLE_OK;
	if (token != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		rc = curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token);
	} else if (c->access->username != NULL || c->access->password != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		rc = curl_easy_setopt(
		    easy, CURLOPT_USERNAME, c->access->username != NULL ? c->access->username : "");
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(easy, CURLOPT_PASSWORD,
			    c->access->password != NULL ? c->access->password : "");
	}
	return rc;
}

/* TEXT as a blob, which libcurl copies; OPTION stays as it is without one. */
static CURLcode set_blob(CURL *easy, CURLoption option, char *text)
{
	struct curl_blob b = {.data = text, .flags = CURL_BLOB_COPY};

	if (text == NULL)
		return CURLE_OK;
	b.len = strlen(text);
	return curl_easy_setopt(easy, option, &b);
}

/*
 * Whom we believe and who we are. libcurl takes no connection for a request whose certificates are
 * others than those it was made with, so new ones make a new connection. (Given a file's name
 * instead it would keep the authorities for a day.)
 */
static CURLcode set_tls(const struct api_client *c, CURL *easy)
{
	const struct secrets *s = credentials_now(c->credentials);
	long verify = c->access->insecure_skip_tls_verify ? 0 : 1;
	CURLcode rc;

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2 * verify);
	if (s->ca != NULL) {
		/* Or libcurl would believe the system's authorities besides. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	}
	rc = set_blob(easy, CURLOPT_CAINFO_BLOB, s->ca);
	if (rc == CURLE_OK)
		rc = set_blob(easy, CURLOPT_SSLCERT_BLOB, s->cert);
	if (rc == CURLE_OK)
		rc = set_blob(easy, CURLOPT_SSLKEY_BLOB, s->key);
	return rc;
}

/*
 * The proxy, or none: never one that libcurl finds itself. A proxy with TLS is verified as upstream
 * does it, by the cluster's authority; it gets neither token nor client certificate.
 */
static CURLcode set_proxy(const struct api_client *c, CURL *easy)
{
	const struct secrets *s = credentials_now(c->credentials);
	const char *proxy = c->access->proxy != NULL ? c->access->proxy : "";
	long verify = c->access->insecure_skip_tls_verify ? 0 : 1;

	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, verify);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2 * verify);
	if (s->ca != NULL) {
		curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
		curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, NULL);
		(void)set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, s->ca);
	}
	return curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
}

/*
 * A watch is quiet for long, and a peer that vanished says nothing: an idle connection is probed
 * after 20 s, and given up when nothing has been acknowledged for 40 s. Upstream needs 45 s (its
 * HTTP/2 pings: 30 s and 15 s).
 */
#define KEEPALIVE_IDLE_SECONDS	   20L
#define KEEPALIVE_INTERVAL_SECONDS 5L
#define DEAD_MS			   40000u

static int set_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned timeout_ms = DEAD_MS;

	(void)arg;
	(void)purpose;
	/* Refused by no kernel; without it the keepalive probes still tell, only later. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

int api_request_options(const struct api_client *c, CURL *easy, const char *url, unsigned deadline)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "kube-proxy/" VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)API_CONNECT_SECONDS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)deadline);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket);
	/* Three watches on one HTTP/2 connection, rather than three made at once. */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, c->suspect ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, c->connect_to);
	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK || set_tls(c, easy) != CURLE_OK ||
	    set_identity(c, easy) != CURLE_OK || set_proxy(c, easy) != CURLE_OK)
		return -1;
	return 0;
}

/* Appends FORMAT's text to a list; 0, or -1 without memory. */
__attribute__((format(printf, 2, 3))) static int append(
    struct curl_slist **list, const char *format, ...)
{
	struct curl_slist *longer = NULL;
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n >= 0) {
		longer = curl_slist_append(*list, text);
		free(text);
	}
	if (longer == NULL)
		return -1;
	*list = longer;
	return 0;
}

/*
 * With a TLS name of its own, the name stands in the URL, as libcurl takes it for SNI and for the
 * certificate from there; connection and Host header go to the server.
 */
static int set_tls_name(struct api_client *c, CURLU *u)
{
	const char *name = c->access->tls_server_name;
	char *host = NULL, *port = NULL;
	int rc = -1;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    append(&c->connect_to, "%s:%s:%s:%s", name, port, host, port) == 0 &&
	    append(&c->headers, "Host: %s:%s", host, port) == 0) {
		if (curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK)
			rc = 0;
		else
			log_error("tls-server-name \"%s\" is no host name; correct it in the "
				  "kubeconfig",
			    name);
	}
	curl_free(host);
	curl_free(port);
	return rc;
}

/* What somebody should know about how we reach the server. */
static void say_dangers(const struct api_client *c)
{
	const struct api_access *a = c->access;
	char proxy[256];

	if (!c->tls && (a->token != NULL || a->token_file != NULL))
		log_warn(
		    "apiserver %s is without TLS: the token is not sent; use https", a->server);
	if (!c->tls && a->password != NULL)
		log_warn(
		    "apiserver %s is without TLS: the password is not sent; use https", a->server);
	if (c->tls && a->insecure_skip_tls_verify)
		log_warn("apiserver %s: insecure-skip-tls-verify: whoever answers there is "
			 "believed and gets the credentials; give certificate-authority instead",
		    a->server);
	if (a->proxy != NULL)
		log_info("apiserver %s: by the proxy %s", a->server,
		    proxy_public(a->proxy, proxy, sizeof(proxy)));
}

static int prepare_url(struct api_client *c, CURLU *u)
{
	const struct api_access *a = c->access;
	char *scheme = NULL, *url = NULL;
	int rc = -1;

	if (strpbrk(a->server, "?#@") != NULL ||
	    curl_url_set(u, CURLUPART_URL, a->server, CURLU_DEFAULT_SCHEME) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)) {
		log_error("apiserver URL \"%s\": not of the form https://HOST[:PORT][/PATH]; "
			  "correct server in the kubeconfig, or --master",
		    a->server);
		curl_free(scheme);
		return -1;
	}
	c->tls = strcmp(scheme, "https") == 0;
	curl_free(scheme);
	say_dangers(c);
	if (!c->tls || a->tls_server_name == NULL || set_tls_name(c, u) == 0)
		rc = curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK ? 0 : -1;
	if (rc == 0) {
		c->url = strdup(url);
		rc = c->url != NULL ? 0 : -1;
	}
	curl_free(url);
	return rc;
}

int api_request_prepare(struct api_client *c, const char *accept)
{
	CURLU *u;
	int rc;

	if (append(&c->headers, "%s", accept) != 0)
		return -1;
	u = curl_url();
	rc = u != NULL ? prepare_url(c, u) : -1;
	curl_url_cleanup(u);
	if (rc == 0 && c->url[strlen(c->url) - 1] == '/')
		c->url[strlen(c->url) - 1] = '\0'; /* libcurl adds the root path */
	return rc;
}
