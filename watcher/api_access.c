#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/file.h"
#include "watcher/kubeconfig.h"
#include "watcher/proxy.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static void wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static int load_service_account(struct api_access *a, const struct config *cfg, bool checks_only)
{
	static const char token[] = SERVICE_ACCOUNT "token", ca[] = SERVICE_ACCOUNT "ca.crt";
	const char *const files[] = {token, ca};

	for (size_t i = 0; i < 2; i++) {
		if (access(files[i], R_OK) == 0 || (checks_only && file_is_denied(files[i])))
			continue;
		log_error("%s: %s; a pod's service account must be mounted there and readable by "
			  "the group _kproxy-w, or give --kubeconfig",
		    files[i], strerror(errno));
		return -1;
	}
	a->server = strdup(cfg->master);
	a->token_file = strdup(token);
	a->ca_file = strdup(ca);
	return a->server == NULL || a->token_file == NULL || a->ca_file == NULL ? -1 : 0;
}

static void strip_slashes(char *url)
{
	size_t len = strlen(url);

	while (len > 0 && url[len - 1] == '/')
		url[--len] = '\0';
}

/* What stands in the kubeconfig itself wins over a file, as with kubectl. */
static void prefer(const char *data, char **file)
{
	if (data == NULL)
		return;
	free(*file);
	*file = NULL;
}

/* What the kubeconfig does not say the environment may. */
static int add_proxy(struct api_access *a)
{
	struct proxy_env env;
	const char *why;

	if (a->proxy != NULL)
		return 0;
	proxy_env_load(&env);
	why = proxy_choose(&a->proxy, a->server, &env);
	if (why != NULL)
		log_error("apiserver %s: %s", a->server, why);
	return why == NULL ? 0 : -1;
}

static int load(struct api_access *a, const struct config *cfg, bool checks_only)
{
	if (cfg->kubeconfig[0] != '\0')
		return kubeconfig_load(a, cfg, checks_only);
	if (cfg->in_cluster)
		return load_service_account(a, cfg, checks_only);
	a->server = strdup(cfg->master);
	return a->server == NULL ? -1 : 0;
}

static int settle(struct api_access *a, const struct config *cfg, bool checks_only)
{
	memset(a, 0, sizeof(*a));
	if (load(a, cfg, checks_only) != 0) {
		api_access_clear(a);
		return -1;
	}
	prefer(a->ca_data, &a->ca_file);
	prefer(a->cert_data, &a->cert_file);
	prefer(a->key_data, &a->key_file);
	strip_slashes(a->server);
	if (add_proxy(a) != 0) {
		api_access_clear(a);
		return -1;
	}
	return 0;
}

int api_access_load(struct api_access *a, const struct config *cfg)
{
	return settle(a, cfg, false);
}

int api_access_check(const struct config *cfg)
{
	static struct api_access a;

	if (cfg->kubeconfig[0] != '\0' && file_is_denied(cfg->kubeconfig))
		return 0;
	if (settle(&a, cfg, true) != 0)
		return -1;
	api_access_clear(&a);
	return 0;
}

void api_access_clear(struct api_access *a)
{
	free(a->server);
	free(a->ca_file);
	free(a->ca_data);
	free(a->cert_file);
	free(a->cert_data);
	free(a->key_file);
	wipe(a->key_data);
	wipe(a->token);
	free(a->token_file);
	wipe(a->username);
	wipe(a->password);
	wipe(a->proxy);
	free(a->tls_server_name);
	memset(a, 0, sizeof(*a));
}
