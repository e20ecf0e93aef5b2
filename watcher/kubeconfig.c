#include "watcher/kubeconfig.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/base64.h"
#include "watcher/file.h"
#include "watcher/proxy.h"
#include "watcher/yaml.h"

#define FILE_SIZE_MAX (4u * 1024 * 1024) /* of a kubeconfig, and what it names */

struct kubeconfig {
	const char *path;
	struct yaml *y;
	const json_t *root;
	bool checks_only; /* for the one-shot: a file that its user may not read is the watcher's */
};

/* Logs "PATH:LINE: text"; AT is the value that is wrong or lacks something. Returns -1. */
__attribute__((format(printf, 3, 4))) static int bad(
    const struct kubeconfig *k, const json_t *at, const char *fmt, ...)
{
	char text[1024];
	unsigned line = yaml_line(k->y, at);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line != 0)
		log_error("kubeconfig %s:%u: %s", k->path, line, text);
	else
		log_error("kubeconfig %s: %s", k->path, text);
	return -1;
}

const char *api_url_check(const char *url)
{
	const char *host;

	if (strncmp(url, "https://", 8) == 0)
		host = url + 8;
	else if (strncmp(url, "http://", 7) == 0)
		host = url + 7;
	else
		return "must begin with https:// (or http://)";
	if (*host == '\0' || *host == '/' || *host == ':')
		return "names no host";
	for (const char *p = host; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p) || strchr("@?#\"<>\\^`{|}", *p) != NULL)
			return "must be scheme, host, port and path only";
	return NULL;
}

/* --- values --- */

/* PATH as it is if absolute, else below the kubeconfig's directory. */
static char *resolve(const struct kubeconfig *k, const char *path)
{
	const char *slash = strrchr(k->path, '/');
	char *whole;
	int dir = slash == NULL ? 0 : (int)(slash - k->path) + 1;

	if (path[0] == '/')
		dir = 0;
	return asprintf(&whole, "%.*s%s", dir, k->path, path) < 0 ? NULL : whole;
}

enum value_kind { VALUE_TEXT, VALUE_FILE, VALUE_PEM, VALUE_PROXY, VALUE_BOOL, VALUE_REFUSED };

struct value {
	const char *key;
	enum value_kind kind;
	size_t offset;	     /* in struct api_access */
	const char *instead; /* VALUE_REFUSED: what to do */
};

static const struct value cluster_values[] = {
    {"server", VALUE_TEXT, offsetof(struct api_access, server), NULL},
    {"certificate-authority", VALUE_FILE, offsetof(struct api_access, ca_file), NULL},
    {"certificate-authority-data", VALUE_PEM, offsetof(struct api_access, ca_data), NULL},
    {"tls-server-name", VALUE_TEXT, offsetof(struct api_access, tls_server_name), NULL},
    {"insecure-skip-tls-verify", VALUE_BOOL, offsetof(struct api_access, insecure_skip_tls_verify),
	NULL},
    {"proxy-url", VALUE_PROXY, offsetof(struct api_access, proxy), NULL},
    {NULL, VALUE_TEXT, 0, NULL},
};

#define CREDENTIALS "use a client certificate, a token or a tokenFile"
#define NO_ROLES    "give the credentials of the identity itself"

static const struct value user_values[] = {
    {"client-certificate", VALUE_FILE, offsetof(struct api_access, cert_file), NULL},
    {"client-certificate-data", VALUE_PEM, offsetof(struct api_access, cert_data), NULL},
    {"client-key", VALUE_FILE, offsetof(struct api_access, key_file), NULL},
    {"client-key-data", VALUE_PEM, offsetof(struct api_access, key_data), NULL},
    {"token", VALUE_TEXT, offsetof(struct api_access, token), NULL},
    {"tokenFile", VALUE_FILE, offsetof(struct api_access, token_file), NULL},
    {"exec", VALUE_REFUSED, 0, "the watcher runs no programs; " CREDENTIALS},
    {"auth-provider", VALUE_REFUSED, 0, CREDENTIALS},
    {"username", VALUE_TEXT, offsetof(struct api_access, username), NULL},
    {"password", VALUE_TEXT, offsetof(struct api_access, password), NULL},
    {"as", VALUE_REFUSED, 0, NO_ROLES},
    {"as-uid", VALUE_REFUSED, 0, NO_ROLES},
    {"as-groups", VALUE_REFUSED, 0, NO_ROLES},
    {"as-user-extra", VALUE_REFUSED, 0, NO_ROLES},
    {NULL, VALUE_TEXT, 0, NULL},
};

/* PATH is what the kubeconfig's TEXT_PATH resolves to. */
static int check_readable(const struct kubeconfig *k, const json_t *at, const char *key,
    const char *text_path, const char *path)
{
	const char *why;
	size_t len;
	char *text = file_read(path, FILE_SIZE_MAX, &len, &why);

	if (text == NULL && k->checks_only && file_is_denied(path))
		return 0;
	if (text == NULL)
		return bad(k, at, "%s: %s: cannot be read: %s%s", key, path, why,
		    text_path[0] == '/' ? ""
					: "; a relative path starts at the kubeconfig's directory, "
					  "give an absolute one");
	freezero(text, len);
	return 0;
}

static int take_string(
    const struct kubeconfig *k, const struct value *v, const json_t *json, char **out)
{
	const char *text = json_string_value(json), *why;

	if (text == NULL)
		return bad(k, json, "%s: must be a string; put it in quotes", v->key);
	if (text[0] == '\0')
		return 0;
	if (v->kind == VALUE_PROXY) {
		*out = proxy_url(text, &why); /* the text may have a password */
		return *out != NULL ? 0 : bad(k, json, "%s: %s", v->key, why);
	}
	if (v->kind == VALUE_FILE)
		*out = resolve(k, text);
	else
		*out = v->kind == VALUE_PEM ? base64_decode(text) : strdup(text);
	if (*out == NULL)
		return bad(k, json, "%s: %s", v->key,
		    v->kind == VALUE_PEM ? "is not base64" : "not enough memory");
	if (v->kind == VALUE_PEM && strstr(*out, "-----BEGIN ") == NULL)
		return bad(k, json, "%s: is no PEM text (\"-----BEGIN ...\") in base64", v->key);
	return v->kind == VALUE_FILE ? check_readable(k, json, v->key, text, *out) : 0;
}

/* Fills A with what TABLE knows of OBJECT; other keys are none of ours. */
static int take_values(const struct kubeconfig *k, struct api_access *a, const struct value *table,
    const json_t *object)
{
	for (const struct value *v = table; v->key != NULL; v++) {
		const json_t *json = json_object_get(object, v->key);
		char *field = (char *)a + v->offset;

		if (json == NULL || json_is_null(json))
			continue;
		if (v->kind == VALUE_REFUSED)
			return bad(k, yaml_line(k->y, json) != 0 ? json : object,
			    "%s is not supported: %s", v->key, v->instead);
		if (v->kind == VALUE_BOOL) {
			if (!json_is_boolean(json))
				return bad(k, json, "%s: must be true or false", v->key);
			*(bool *)(void *)field = json_is_true(json);
		} else if (take_string(k, v, json, (char **)(void *)field) != 0)
			return -1;
	}
	return 0;
}

/* --- the document --- */

/* The entry called NAME of the list LIST, its member MEMBER. NULL after logging. */
static const json_t *named(
    const struct kubeconfig *k, const char *list, const char *member, const char *name)
{
	const json_t *array = json_object_get(k->root, list), *object;
	size_t i;
	json_t *entry;

	if (array != NULL && !json_is_null(array) && !json_is_array(array)) {
		bad(k, array, "%s: must be a list", list);
		return NULL;
	}
	json_array_foreach (array, i, entry) {
		const char *is = json_string_value(json_object_get(entry, "name"));

		if (is == NULL || strcmp(is, name) != 0)
			continue;
		object = json_object_get(entry, member);
		if (json_is_object(object))
			return object;
		bad(k, entry, "%s \"%s\": %s: must be a mapping", list, name, member);
		return NULL;
	}
	bad(k, array != NULL ? array : k->root, "%s: none has the name \"%s\"", list, name);
	return NULL;
}

static int check_access(const struct kubeconfig *k, const struct api_access *a,
    const json_t *cluster, const json_t *user)
{
	bool cert = a->cert_file != NULL || a->cert_data != NULL;
	bool key = a->key_file != NULL || a->key_data != NULL;
	const char *why;

	if (a->server == NULL)
		return bad(k, cluster, "server: is missing; give the apiserver's URL");
	why = api_url_check(a->server);
	if (why != NULL)
		return bad(k, cluster, "server \"%s\": %s", a->server, why);
	if (a->insecure_skip_tls_verify && (a->ca_file != NULL || a->ca_data != NULL))
		return bad(k, cluster,
		    "insecure-skip-tls-verify: cannot stand beside a certificate "
		    "authority; remove one of them");
	if ((a->username != NULL || a->password != NULL) &&
	    (a->token != NULL || a->token_file != NULL))
		return bad(k, user,
		    "username and password: cannot stand beside a token; remove one of them");
	if (cert != key)
		return bad(k, user, "client-%s: is missing beside client-%s",
		    cert ? "key" : "certificate", cert ? "certificate" : "key");
	return 0;
}

static int take_context(const struct kubeconfig *k, struct api_access *a, const char *master)
{
	const json_t *current = json_object_get(k->root, "current-context");
	const json_t *context, *cluster, *user = NULL;
	const char *cluster_name, *user_name;

	if (json_string_length(current) == 0)
		return bad(k, k->root, "current-context: is missing; name the context to use");
	context = named(k, "contexts", "context", json_string_value(current));
	if (context == NULL)
		return -1;
	cluster_name = json_string_value(json_object_get(context, "cluster"));
	user_name = json_string_value(json_object_get(context, "user"));
	if (cluster_name == NULL)
		return bad(k, context, "cluster: the context \"%s\" must name one",
		    json_string_value(current));
	cluster = named(k, "clusters", "cluster", cluster_name);
	if (cluster == NULL || take_values(k, a, cluster_values, cluster) != 0)
		return -1;
	if (user_name != NULL && user_name[0] != '\0') {
		user = named(k, "users", "user", user_name);
		if (user == NULL || take_values(k, a, user_values, user) != 0)
			return -1;
	}
	if (master[0] != '\0') {
		free(a->server);
		a->server = strdup(master);
	}
	return check_access(k, a, cluster, user);
}

/* A kubeconfig may leave its kind out, as with kubectl. */
static bool is_of_other_kind(const json_t *root)
{
	const char *kind = json_string_value(json_object_get(root, "kind"));

	return kind != NULL && kind[0] != '\0' && strcmp(kind, "Config") != 0;
}

int kubeconfig_load(struct api_access *a, const struct config *cfg, bool checks_only)
{
	struct yaml y;
	struct kubeconfig k = {.path = cfg->kubeconfig, .y = &y, .checks_only = checks_only};
	struct yaml_error err;
	const char *why;
	size_t len;
	char *text = file_read(k.path, FILE_SIZE_MAX, &len, &why);
	int r;

	if (text == NULL) {
		log_error("kubeconfig %s: cannot be read: %s%s", k.path, why,
		    access(k.path, F_OK) != 0 && errno == ENOENT ? "; is the path right?" : "");
		return -1;
	}
	r = yaml_parse(&y, text, len, &err);
	explicit_bzero(text, len);
	free(text);
	if (r != 0)
		log_error("kubeconfig %s:%u: %s", k.path, err.line != 0 ? err.line : 1, err.text);
	else if (y.count == 0)
		r = bad(&k, NULL, "is empty; expected a document of kind Config");
	else if (y.count != 1)
		r = bad(&k, NULL, "expected one document of kind Config; there are %zu", y.count);
	else if (!json_is_object(y.documents[0]))
		r = bad(&k, NULL, "is not a kubeconfig; expected a document of kind Config");
	else if (is_of_other_kind(y.documents[0]))
		r = bad(&k, json_object_get(y.documents[0], "kind"),
		    "kind \"%s\": expected Config (a KubeProxyConfiguration is given with "
		    "--config)",
		    json_string_value(json_object_get(y.documents[0], "kind")));
	else {
		k.root = y.documents[0];
		r = take_context(&k, a, cfg->master);
	}
	yaml_clear(&y);
	return r;
}
