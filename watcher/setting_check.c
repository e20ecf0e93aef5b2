#include "watcher/setting_check.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/port_list.h"
#include "ipc/config.h"
#include "ipc/query.h"
#include "watcher/flag_value.h"
#include "watcher/kubeconfig.h"

/* Node names are DNS subdomains in lower case; the kubelet registers them so. */
const char *check_node_name(const char *text)
{
	static const char expected[] =
	    "expected a node's name: letters, digits, \"-\" and \".\", at most 253 characters";
	size_t len = strlen(text), n;

	if (len == 0)
		return NULL;
	while (isspace((unsigned char)*text))
		text++, len--;
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (n = 0; n < len; n++)
		if (!isalnum((unsigned char)text[n]) && text[n] != '-' && text[n] != '.')
			return expected;
	return n == 0 || n >= CONFIG_NODE_MAX ? expected : NULL;
}

const char *check_master(const char *text)
{
	return text[0] == '\0' || api_url_check(text) == NULL
		   ? NULL
		   : "expected a URL such as https://10.0.0.1:6443";
}

const char *check_content_type(const char *text)
{
	static const char *const good[] = {
	    "", "application/json", "application/vnd.kubernetes.protobuf"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(text, good[i]) == 0)
			return NULL;
	return "expected application/json or application/vnd.kubernetes.protobuf";
}

const char *check_version(const char *text)
{
	bool b;

	return strcmp(text, "raw") == 0 || value_bool(&b, text) == 0
		   ? NULL
		   : "expected true, false or raw";
}

const char *check_audit_log(const char *text)
{
	return text[0] != '\0' ? NULL : "expected a path, syslog, stderr or auto";
}

const char *check_ports(const char *text)
{
	return port_list_valid(text) ? NULL
				     : "expected ports and ranges such as 22,2379-2380, or nothing";
}

/* What the kernel takes (dev_valid_name), and what may stand in a rule without quotes. */
const char *check_interface(const char *text)
{
	size_t len = strlen(text);

	if (len < CONFIG_INTERFACE_MAX && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@") ==
		len)
		return NULL;
	return "expected at most 15 letters, digits, \".\", \"_\", \"-\" or \"@\"";
}

const char *check_release(const char *text)
{
	uint64_t minor;

	if (text[0] == '\0' ||
	    (strncmp(text, "1.", 2) == 0 && value_number(&minor, text + 2, 0, 9999) == 0))
		return NULL;
	return "expected a release such as 1.35";
}

const char *check_scheduler(const char *text)
{
	static const char *const good[] = {"", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh",
	    "dh", "sed", "nq", "mh", "fo", "ovf", "twos"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(text, good[i]) == 0)
			return NULL;
	return "expected rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, mh, fo, ovf or twos";
}

/* Does every element of the list TEXT hold a name and, behind SEPARATOR, a good value? */
static bool each_pair(const char *text, char separator, bool (*good)(const char *value))
{
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		const char *at = memchr(text, separator, len);
		char value[32];
		size_t n;

		if (at == NULL || at == text)
			return false;
		n = len - (size_t)(at + 1 - text);
		if (n >= sizeof(value))
			return false;
		memcpy(value, at + 1, n);
		value[n] = '\0';
		if (!good(value))
			return false;
		text += len;
		if (*text == ',')
			text++;
	}
	return true;
}

static bool good_bool(const char *value)
{
	bool b;

	return value_bool(&b, value) == 0;
}

static bool good_level(const char *value)
{
	uint64_t level;

	return value_number(&level, value, 0, INT_MAX) == 0;
}

const char *check_gates(const char *text)
{
	return each_pair(text, '=', good_bool)
		   ? NULL
		   : "expected Name=true or Name=false, with commas between";
}

const char *check_vmodule(const char *text)
{
	return each_pair(text, '=', good_level) ? NULL : "expected file=level, with commas between";
}

const char *check_inspect(const char *text)
{
	struct query q;
	const char *why = text[0] != '\0' ? query_parse_url(&q, text) : NULL;

	if (why == NULL && text[0] != '\0' && q.kind == QUERY_DIFF)
		return "differences are between a running proxy and the kernel: ask its metrics "
		       "port";
	return why;
}
