#include "watcher/proxy.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ip.h"

#define NAME_MAX_LEN 256 /* of a host, with its NUL */

/* libcurl's socks5 looks names up itself and its HTTP proxies have port 1080; Go's do neither. */
static const struct {
	const char *scheme, *as, *port;
} schemes[] = {
    {"http", "http", "80"},
    {"https", "https", "443"},
    {"socks5", "socks5h", "1080"},
    {"socks5h", "socks5h", "1080"},
};

static const char *first_of(const char *a, const char *b)
{
	return a != NULL && a[0] != '\0' ? a : b;
}

void proxy_env_load(struct proxy_env *e)
{
	e->https = first_of(getenv("HTTPS_PROXY"), getenv("https_proxy"));
	e->http = first_of(getenv("HTTP_PROXY"), getenv("http_proxy"));
	e->no = first_of(getenv("NO_PROXY"), getenv("no_proxy"));
}

/* --- a proxy's URL --- */

/* Gives U the scheme and port that libcurl needs. NULL, or what is wrong. */
static const char *settle(CURLU *u)
{
	static const CURLUPart none[] = {CURLUPART_PATH, CURLUPART_QUERY, CURLUPART_FRAGMENT};
	const char *why = "its scheme is none of http, https, socks5 and socks5h";
	char *scheme = NULL, *port = NULL;

	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return "out of memory";
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strcmp(schemes[i].scheme, scheme) != 0)
			continue;
		why = NULL;
		if (curl_url_set(u, CURLUPART_SCHEME, schemes[i].as, CURLU_NON_SUPPORT_SCHEME) !=
			CURLUE_OK ||
		    (curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_NO_PORT &&
			curl_url_set(u, CURLUPART_PORT, schemes[i].port, 0) != CURLUE_OK))
			why = "out of memory";
		break;
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		curl_url_set(u, none[i], NULL, 0);
	curl_free(port);
	curl_free(scheme);
	return why;
}

/*
 * What is wrong with the host of URL, which has "://" in it; NULL: nothing. libcurl takes "http:/"
 * for a scheme too, would decode a %, to what need not be a host's name, and look for a missing
 * host in the path.
 */
static const char *check_host(const char *url)
{
	const char *host = strstr(url, "://") + 3, *end = host + strcspn(host, "/?#");

	if (url + strcspn(url, "/?#") < host - 2)
		return "it is not of the form http://[USER:PASSWORD@]HOST:PORT";
	for (const char *p = host; p < end; p++)
		if (*p == '@')
			host = p + 1;
	if (host == end)
		return "it has no host";
	return memchr(host, '%', (size_t)(end - host)) != NULL ? "its host has a %" : NULL;
}

char *proxy_url(const char *text, const char **why)
{
	char *whole = NULL, *url = NULL, *copy = NULL;
	CURLU *u = curl_url();

	*why = "out of memory";
	if (u == NULL ||
	    asprintf(&whole, "%s%s", strstr(text, "://") == NULL ? "http://" : "", text) < 0)
		goto out;
	for (const char *p = text; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p)) {
			*why = "it has a blank or control character";
			goto out;
		}
	*why = check_host(whole);
	if (*why != NULL)
		goto out;
	if (curl_url_set(u, CURLUPART_URL, whole, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
		*why = "it is not of the form http://[USER:PASSWORD@]HOST:PORT";
		goto out;
	}
	*why = settle(u);
	if (*why == NULL && curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK)
		copy = strdup(url);
	if (*why == NULL && copy == NULL)
		*why = "out of memory";
out:
	if (whole != NULL)
		explicit_bzero(whole, strlen(whole));
	free(whole);
	curl_free(url);
	curl_url_cleanup(u);
	return copy;
}

const char *proxy_public(const char *proxy, char *buf, unsigned size)
{
	const char *host = strstr(proxy, "://"), *at = strrchr(proxy, '@');
	int scheme;

	host = host == NULL ? proxy : host + 3;
	scheme = (int)(host - proxy);
	if (at != NULL)
		host = at + 1;
	snprintf(buf, size, "%.*s%.*s", scheme, proxy, (int)strcspn(host, "/"), host);
	return buf;
}

/* --- NO_PROXY --- */

/* The server as NO_PROXY is asked about it. */
struct target {
	char host[NAME_MAX_LEN]; /* in lower case, without brackets */
	char port[8];
	bool is_ip;
	struct ip_addr ip;
};

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Does TEXT, which may be of a bracketed address, end "HOST" or "HOST:PORT"? Cuts off the port. */
static const char *split_port(char *text)
{
	char *colon = strrchr(text, ':'), *close = strrchr(text, ']');

	if (colon == NULL || (close != NULL && colon < close) ||
	    (close == NULL && strchr(text, ':') != colon))
		return "";
	*colon = '\0';
	return colon + 1;
}

static void strip_brackets(char *host)
{
	size_t len = strlen(host);

	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return;
	memmove(host, host + 1, len - 2);
	host[len - 2] = '\0';
}

/* "example.com" means it and what is below, ".example.com" and "*.example.com" what is below. */
static bool name_matches(const char *host, const char *entry)
{
	size_t len = strlen(host), n;

	if (entry[0] == '*' && entry[1] == '.')
		entry++;
	n = strlen(entry);
	if (entry[0] != '.' && strcmp(host, entry) == 0)
		return true;
	if (entry[0] == '.')
		return len >= n && strcmp(host + len - n, entry) == 0;
	return len > n && host[len - n - 1] == '.' && strcmp(host + len - n, entry) == 0;
}

static bool entry_matches(const struct target *t, char *entry)
{
	struct ip_cidr cidr;
	struct ip_addr ip;
	const char *port;

	if (strcmp(entry, "*") == 0)
		return true;
	if (strchr(entry, '/') != NULL && ip_cidr_parse(&cidr, entry) == 0)
		return t->is_ip && ip_cidr_contains(&cidr, &t->ip);
	port = split_port(entry);
	strip_brackets(entry);
	if (entry[0] == '\0' || (port[0] != '\0' && strcmp(port, t->port) != 0))
		return false;
	if (ip_parse(&ip, entry) == 0)
		return t->is_ip && ip_cmp(&ip, &t->ip) == 0;
	return name_matches(t->host, entry);
}

static bool is_loopback(const struct target *t)
{
	static const uint8_t one[16] = {[15] = 1};

	if (!t->is_ip)
		return strcmp(t->host, "localhost") == 0;
	return t->ip.family == FAMILY_4 ? t->ip.b[0] == 127 : memcmp(t->ip.b, one, 16) == 0;
}

/* Is T to be reached without a proxy? LIST is NO_PROXY's value. */
static bool goes_direct(const struct target *t, const char *list)
{
	if (is_loopback(t))
		return true;
	while (list != NULL && *list != '\0') {
		char entry[NAME_MAX_LEN + 8];
		size_t len = strcspn(list, ","), from = 0, to = len;

		while (from < to && isspace((unsigned char)list[from]))
			from++;
		while (to > from && isspace((unsigned char)list[to - 1]))
			to--;
		if (to > from && to - from < sizeof(entry)) {
			memcpy(entry, list + from, to - from);
			entry[to - from] = '\0';
			lower(entry);
			if (entry_matches(t, entry))
				return true;
		}
		list += len + (list[len] == ',');
	}
	return false;
}

/* Fills T from SERVER. 0, or -1: it is no URL, which others say. */
static int target_of(struct target *t, const char *server)
{
	char *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	int rc = -1;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, server, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
		snprintf(t->host, sizeof(t->host), "%s", host);
		snprintf(t->port, sizeof(t->port), "%s", port);
		lower(t->host);
		strip_brackets(t->host);
		t->is_ip = ip_parse(&t->ip, t->host) == 0;
		rc = 0;
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return rc;
}

const char *proxy_choose(char **proxy, const char *server, const struct proxy_env *e)
{
	static char said[128];
	bool tls = strncmp(server, "https:", 6) == 0;
	const char *value = tls ? e->https : e->http, *why;
	struct target t;

	*proxy = NULL;
	if (value == NULL || value[0] == '\0' || target_of(&t, server) != 0 ||
	    goes_direct(&t, e->no))
		return NULL;
	*proxy = proxy_url(value, &why);
	if (*proxy != NULL)
		return NULL;
	snprintf(
	    said, sizeof(said), "%s_PROXY in the environment: %s", tls ? "HTTPS" : "HTTP", why);
	return said;
}
