/*
 * Which proxy, if any, is between us and the apiserver: a kubeconfig's proxy-url, or what the
 * environment says, read as Go's net/http reads it, so that what works for upstream works here.
 * libcurl would read the environment by other rules. Pure but for proxy_env_load().
 */
#ifndef WATCHER_PROXY_H
#define WATCHER_PROXY_H

/* The variables' values; NULL or "" where unset. Where both are set the upper case counts. */
struct proxy_env {
	const char *https; /* HTTPS_PROXY, https_proxy */
	const char *http;  /* HTTP_PROXY, http_proxy */
	const char *no;	   /* NO_PROXY, no_proxy */
};

/* Points E into the process's environment. */
void proxy_env_load(struct proxy_env *e);

/*
 * TEXT ("http://user:password@host:3128", "socks5://host", "host:3128") as libcurl needs it: with
 * scheme and port, names left to a SOCKS proxy to look up. Allocated, and a secret if it has a
 * password; or NULL and *WHY in words, without anything of TEXT.
 */
char *proxy_url(const char *text, const char **why);

/*
 * The proxy that E wants for SERVER, as proxy_url() has it. *PROXY is NULL if there is none. NULL,
 * or what is wrong with which variable (never its value).
 */
const char *proxy_choose(char **proxy, const char *server, const struct proxy_env *e);

/* Scheme, host and port of PROXY for log lines, into BUF of SIZE bytes; returns BUF. */
const char *proxy_public(const char *proxy, char *buf, unsigned size);

#endif
