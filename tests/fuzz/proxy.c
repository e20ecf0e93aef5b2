/*
 * What stands in HTTPS_PROXY, NO_PROXY and a server's URL, a line each: read by Go's rules. A proxy
 * that is taken has a scheme and port libcurl knows, and its public form no password.
 */
#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/kubeconfig.h"
#include "watcher/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_proxy(const char *proxy)
{
	char public[128], *again;
	const char *why;

	proxy_public(proxy, public, sizeof(public));
	if (strchr(public, '@') != NULL)
		abort();
	again = proxy_url(proxy, &why); /* what is settled stays so */
	if (again == NULL || strcmp(again, proxy) != 0)
		abort();
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text, *lines[3], *proxy;

	for (int i = 0; i < 3; i++) {
		char *line = strsep(&rest, "\n");

		lines[i] = line != NULL ? line : text + strlen(text);
	}
	if (api_url_check(lines[2]) == NULL) {
		struct proxy_env e = {.https = lines[0], .http = lines[0], .no = lines[1]};

		if (proxy_choose(&proxy, lines[2], &e) == NULL && proxy != NULL)
			check_proxy(proxy);
		free(proxy);
	}
	free(text);
	return 0;
}
