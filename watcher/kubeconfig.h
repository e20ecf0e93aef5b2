/*
 * How to reach the apiserver: a kubeconfig's current context, or the in-cluster service account.
 * Holds secrets. The watcher keeps it; the one-shot only checks what its user may read.
 */
#ifndef WATCHER_KUBECONFIG_H
#define WATCHER_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/config.h"

/* Strings are NULL where unset; *_data is decoded PEM text. All owned by the struct. */
struct api_access {
	char *server; /* URL without a trailing slash */
	char *ca_file;
	char *ca_data;
	char *cert_file;
	char *cert_data;
	char *key_file;
	char *key_data;
	char *token;
	char *token_file; /* wins over token */
	char *username;	  /* of HTTP's Basic authentication */
	char *password;
	char *proxy; /* as proxy_url() has it; NULL: none */
	char *tls_server_name;
	bool insecure_skip_tls_verify;
};

/*
 * Fills A from CFG: its kubeconfig, else the pod's service account if CFG is in_cluster, else its
 * master URL alone; master overrides the server. Relative paths in a kubeconfig count from its
 * directory. The files that it names must be readable now. A proxy that the kubeconfig does not
 * name may come from the environment.
 * 0, or -1 after logging what is wrong, where (file:line, field), and what to do.
 */
int api_access_load(struct api_access *a, const struct config *cfg);
/*
 * The one-shot's check of the same: what its user is denied (EACCES) is left to the watcher, which
 * has another uid. 0, or -1 after logging what is wrong.
 */
int api_access_check(const struct config *cfg);
void api_access_clear(struct api_access *a); /* frees, and wipes the secrets */

/*
 * Of the above, what the kubeconfig of CFG says; CHECKS_ONLY: for the one-shot. 0, or -1 after
 * logging, with part of A filled in.
 */
int kubeconfig_load(struct api_access *a, const struct config *cfg, bool checks_only);

/* NULL if URL can be an apiserver's (http or https, a host, nothing secret), else what is wrong. */
const char *api_url_check(const char *url);

#endif
