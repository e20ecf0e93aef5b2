/* What every request looks like: where to, who we are, whom we believe. */
#include "watcher/api_request.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define TOKEN_MAX (64 * 1024)

/* A blob for libcurl that points at our text; libcurl copies it. */
static struct curl_blob blob(char *text)
{
	return (struct curl_blob){.data = text, .len = strlen(text), .flags = CURL_BLOB_COPY};
}

/*
 * Reads the token file anew, as it is rotated (a projected token every hour). An allocated string,
 * or NULL after logging.
 */
static char *read_token(const char *path)
{
	char *token = NULL;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		token = malloc(TOKEN_MAX);
		n = token != NULL ? read(fd, token, TOKEN_MAX - 1) : -1;
		close(fd);
	}
	if (n < 0) {
		log_error("token file %s: %s; asking without a token", path, strerror(errno));
		free(token);
		return NULL;
	}
	token[n] = '\0';
	token[strcspn(token, "\r\n \t")] = '\0'; /* a header's value ends at the line's end */
	if (token[0] == '\0') {
		log_error("token file %s is empty; asking without a token", path);
		free(token);
		return NULL;
	}
	return token;
}

/* The token goes over TLS only. */
static CURLcode set_token(const struct api_client *c, CURL *easy)
{
	const struct api_access *a = c->access;
	char *fresh = NULL;
	const char *token = a->token;
	CURLcode rc = CURLE_OK;

	if (!c->tls)
		return CURLE_OK;
	if (a->token_file != NULL)
		token = fresh = read_token(a->token_file);
	if (token != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		rc = curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token);
	}
	if (fresh != NULL)
		freezero(fresh, strlen(fresh));
	return rc;
}

static CURLcode set_blob(CURL *easy, CURLoption option, char *text)
{
	struct curl_blob b = blob(text);

	return curl_easy_setopt(easy, option, &b);
}

static CURLcode set_tls(CURL *easy, const struct api_access *a)
{
	CURLcode rc = CURLE_OK;
	long verify = a->insecure_skip_tls_verify ? 0 : 1;

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2 * verify);
	if (a->ca_data != NULL || a->ca_file != NULL)
		/* Or libcurl would believe the system's authorities besides. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (a->ca_data != NULL)
		rc = set_blob(easy, CURLOPT_CAINFO_BLOB, a->ca_data);
	else if (a->ca_file != NULL)
		rc = curl_easy_setopt(easy, CURLOPT_CAINFO, a->ca_file);
	if (rc == CURLE_OK && a->cert_data != NULL)
		rc = set_blob(easy, CURLOPT_SSLCERT_BLOB, a->cert_data);
	else if (rc == CURLE_OK && a->cert_file != NULL)
		rc = curl_easy_setopt(easy, CURLOPT_SSLCERT, a->cert_file);
	if (rc == CURLE_OK && a->key_data != NULL)
		rc = set_blob(easy, CURLOPT_SSLKEY_BLOB, a->key_data);
	else if (rc == CURLE_OK && a->key_file != NULL)
		rc = curl_easy_setopt(easy, CURLOPT_SSLKEY, a->key_file);
	return rc;
}

/*
 * Probes an idle connection after 30 s, and gives one up whose peer has acknowledged nothing for
 * 60 s: what tells of a node that vanished while a watch was quiet.
 */
static int set_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned timeout_ms = 60000;

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
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "kube-proxy/" VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)API_CONNECT_SECONDS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)deadline);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket);
	/* Three watches on one HTTP/2 connection, rather than three made at once. */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, c->suspect ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, c->connect_to);
	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
	    set_tls(easy, c->access) != CURLE_OK || set_token(c, easy) != CURLE_OK)
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
	if (!c->tls && (a->token != NULL || a->token_file != NULL))
		log_warn(
		    "apiserver %s is without TLS: the token is not sent; use https", a->server);
	if (!c->tls || a->tls_server_name == NULL || set_tls_name(c, u) == 0)
		rc = curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK ? 0 : -1;
	if (rc == 0) {
		c->url = strdup(url);
		rc = c->url != NULL ? 0 : -1;
	}
	curl_free(url);
	return rc;
}

int api_request_prepare(struct api_client *c)
{
	CURLU *u;
	int rc;

	if (append(&c->headers, "Accept: application/json") != 0)
		return -1;
	u = curl_url();
	rc = u != NULL ? prepare_url(c, u) : -1;
	curl_url_cleanup(u);
	if (rc == 0 && c->url[strlen(c->url) - 1] == '/')
		c->url[strlen(c->url) - 1] = '\0'; /* libcurl adds the root path */
	return rc;
}
