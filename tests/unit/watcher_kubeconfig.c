/* Kubeconfigs: which context counts, what of it is taken, and errors with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "watcher/kubeconfig.h"

/* "-----BEGIN TEST-----\n" */
#define PEM64 "LS0tLS1CRUdJTiBURVNULS0tLS0K"

static char dir[] = "/tmp/watcher_kubeconfig.XXXXXX";
static struct config cfg;

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Loads TEXT as a kubeconfig; what it logs goes into SAID. */
static int load(struct api_access *a, const char *text, char *said, size_t size)
{
	int saved = dup(STDERR_FILENO), captured = memfd_create("captured", 0), r;
	ssize_t n;

	write_file("config", text);
	snprintf(cfg.kubeconfig, sizeof(cfg.kubeconfig), "%s/config", dir);
	dup2(captured, STDERR_FILENO);
	r = api_access_load(a, &cfg);
	dup2(saved, STDERR_FILENO);
	n = pread(captured, said, size - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(saved);
	close(captured);
	return r;
}

static void load_good(struct api_access *a, const char *text)
{
	char said[2048];

	if (load(a, text, said, sizeof(said)) != 0)
		fail_msg("%s", said);
	assert_string_equal(said, "");
}

#define HEAD                                                                                       \
	"apiVersion: v1\nkind: Config\ncurrent-context: c\n"                                       \
	"contexts:\n- {name: other, context: {cluster: none, user: none}}\n"                       \
	"- {name: c, context: {cluster: k, user: u}}\n" /* 6 lines */
#define CLUSTER "clusters:\n- name: k\n  cluster:\n    server: https://10.0.0.1:6443/\n" /* 10 */

static void test_files(void **state)
{
	struct api_access a;
	char want[256];

	(void)state;
	load_good(&a, HEAD "clusters:\n- name: k\n  cluster: {server: 'https://h:1//', "
			   "certificate-authority: ca.pem, tls-server-name: name, extra: 1}\n"
			   "users:\n- name: u\n  user: {client-certificate: cert.pem, "
			   "client-key: key.pem, tokenFile: token}\n");
	assert_string_equal(a.server, "https://h:1");
	snprintf(want, sizeof(want), "%s/ca.pem", dir);
	assert_string_equal(a.ca_file, want);
	snprintf(want, sizeof(want), "%s/token", dir);
	assert_string_equal(a.token_file, want);
	assert_string_equal(a.tls_server_name, "name");
	assert_non_null(a.cert_file);
	assert_non_null(a.key_file);
	assert_null(a.token);
	assert_null(a.ca_data);
	assert_false(a.insecure_skip_tls_verify);
	api_access_clear(&a);
	assert_null(a.server);
}

static void test_data(void **state)
{
	struct api_access a;

	(void)state;
	load_good(&a,
	    HEAD "clusters:\n- name: k\n  cluster:\n    server: https://h\n"
		 "    certificate-authority: ca.pem\n    certificate-authority-data: " PEM64
		 "\nusers:\n- name: u\n  user:\n    client-certificate-data: " PEM64
		 "\n    client-key-data: " PEM64 "\n    token: secret\n");
	assert_string_equal(a.ca_data, "-----BEGIN TEST-----\n");
	assert_null(a.ca_file); /* the data counts */
	assert_string_equal(a.cert_data, "-----BEGIN TEST-----\n");
	assert_string_equal(a.key_data, "-----BEGIN TEST-----\n");
	assert_string_equal(a.token, "secret");
	api_access_clear(&a);
}

static void test_json(void **state)
{
	struct api_access a;

	(void)state;
	load_good(&a,
	    "{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":"
	    "{\"cluster\":\"k\",\"user\":\"\"}}],\"clusters\":[{\"name\":\"k\",\"cluster\":"
	    "{\"server\":\"https://h\",\"insecure-skip-tls-verify\":true}}]}");
	assert_true(a.insecure_skip_tls_verify);
	api_access_clear(&a);
}

static void test_master(void **state)
{
	struct api_access a;

	(void)state;
	strcpy(cfg.master, "https://override:1/");
	load_good(&a, HEAD CLUSTER "users: [{name: u, user: {token: t}}]\n");
	assert_string_equal(a.server, "https://override:1");
	assert_string_equal(a.token, "t");
	api_access_clear(&a);
	cfg.kubeconfig[0] = '\0';
	assert_int_equal(api_access_load(&a, &cfg), 0);
	assert_string_equal(a.server, "https://override:1");
	assert_null(a.token_file); /* a pod's token goes nowhere else */
	api_access_clear(&a);
	cfg.master[0] = '\0';
}

static void test_password(void **state)
{
	struct api_access a;

	(void)state;
	load_good(&a, HEAD CLUSTER "users: [{name: u, user: {username: me, password: p}}]\n");
	assert_string_equal(a.username, "me");
	assert_string_equal(a.password, "p");
	api_access_clear(&a);
	assert_null(a.password);
}

static void test_proxy(void **state)
{
	struct api_access a;
	char said[2048];

	(void)state;
	load_good(
	    &a, HEAD CLUSTER "    proxy-url: socks5://u:p@proxy\nusers: [{name: u, user: {}}]\n");
	assert_string_equal(a.proxy, "socks5h://u:p@proxy:1080/");
	api_access_clear(&a);
	setenv("HTTPS_PROXY", "elsewhere:3128", 1);
	load_good(&a, HEAD CLUSTER "users: [{name: u, user: {}}]\n");
	assert_string_equal(a.proxy, "http://elsewhere:3128/");
	api_access_clear(&a);
	load_good(&a, HEAD CLUSTER "    proxy-url: http://proxy\nusers: [{name: u, user: {}}]\n");
	assert_string_equal(a.proxy, "http://proxy:80/"); /* the kubeconfig's counts */
	api_access_clear(&a);
	setenv("NO_PROXY", "10.0.0.0/8", 1);
	load_good(&a, HEAD CLUSTER "users: [{name: u, user: {}}]\n");
	assert_null(a.proxy);
	api_access_clear(&a);
	unsetenv("NO_PROXY");
	setenv("HTTPS_PROXY", "ftp://u:hunter2@h", 1);
	assert_int_not_equal(
	    load(&a, HEAD CLUSTER "users: [{name: u, user: {}}]\n", said, sizeof(said)), 0);
	assert_non_null(strstr(said, "apiserver https://10.0.0.1:6443: HTTPS_PROXY in the env"));
	assert_null(strstr(said, "hunter2"));
	unsetenv("HTTPS_PROXY");
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "config: is empty; expected a document of kind Config"},
	    {"a: 1\n---\nb: 2\n", "expected one document of kind Config; there are 2"},
	    {"[]", "config: is not a kubeconfig"},
	    {"kind: Pod\ncurrent-context: x\n", "config:1: kind \"Pod\": expected Config"},
	    {"a: 1\na: 2\n", "config:2: duplicate key \"a\""},
	    {"clusters: []\n", "config:1: current-context: is missing"},
	    {"current-context: x\ncontexts:\n- {name: y}\n",
		"config:3: contexts: none has the name \"x\""},
	    {"current-context: x\ncontexts: {}\n", "config:2: contexts: must be a list"},
	    {"current-context: x\ncontexts:\n- {name: x}\n",
		"config:3: contexts \"x\": context: must be"},
	    {"current-context: x\ncontexts:\n- {name: x, context: {user: u}}\n",
		":3: cluster: the context"},
	    {HEAD, "clusters: none has the name \"k\""},
	    {HEAD CLUSTER, "users: none has the name \"u\""},
	    {HEAD "clusters:\n- name: k\n  cluster: {}\nusers: [{name: u, user: {}}]\n",
		"config:9: server: is missing"},
	    {HEAD "clusters:\n- name: k\n  cluster: {server: 7}\nusers: [{name: u, user: {}}]\n",
		"config:9: server: must be a string"},
	    {HEAD "clusters: [{name: k, cluster: {server: 'h:1'}}]\nusers: [{name: u, user: {}}]\n",
		"server \"h:1\": must begin with https://"},
	    {HEAD CLUSTER "    insecure-skip-tls-verify: \"yes\"\n",
		"config:11: insecure-skip-tls-verify: must be true or false"},
	    {HEAD CLUSTER "    insecure-skip-tls-verify: true\n    certificate-authority: ca.pem\n"
			  "users: [{name: u, user: {}}]\n",
		"cannot stand beside a certificate authority"},
	    {HEAD CLUSTER "    proxy-url: ftp://u:hunter2@p\n",
		"config:11: proxy-url: its scheme is"},
	    {HEAD CLUSTER "    proxy-url: 'http://u:hunter2@p:99999'\n",
		"config:11: proxy-url: it is not of"},
	    {HEAD CLUSTER "    certificate-authority: none.pem\n",
		"/none.pem: cannot be read: No such file"},
	    {HEAD CLUSTER "    certificate-authority: /etc\n",
		"config:11: certificate-authority: /etc: cannot be read: it is a directory, not a "
		"file"},
	    {HEAD CLUSTER "    certificate-authority-data: '*'\n", "is not base64"},
	    {HEAD CLUSTER "    certificate-authority-data: QUJ\n", "is not base64"},
	    {HEAD CLUSTER "    certificate-authority-data: QUJD\n", "is no PEM text"},
	    {HEAD CLUSTER "users:\n- name: u\n  user:\n    exec: {command: aws}\n",
		"config:14: exec is not supported: the watcher runs no programs; use a client "
		"certificate"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {auth-provider: {}}\n",
		"auth-provider is not"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {username: a, password: hunter2, token: t}\n",
		"config:13: username and password: cannot stand beside a token"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {token: t, as: root}\n",
		"config:13: as is not supported: give the credentials of the identity"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {token: t, as-groups: [a]}\n",
		"config:13: as-groups is not supported"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {client-certificate: cert.pem}\n",
		"client-key: is missing"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {client-key-data: " PEM64 "}\n",
		"client-certificate: is missing"},
	    {HEAD CLUSTER "users:\n- name: u\n  user: {token: 12345678}\n",
		"config:13: token: must be a string"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct api_access a;
		char said[2048];

		if (load(&a, cases[i].text, said, sizeof(said)) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (strstr(said, cases[i].says) == NULL)
			fail_msg("not \"%s\" but \"%s\"", cases[i].says, said);
		if (strstr(said, "hunter2") != NULL || strstr(said, "12345678") != NULL)
			fail_msg("a secret is in \"%s\"", said);
		assert_null(a.server);
	}
}

static void test_unreadable(void **state)
{
	struct api_access a;

	(void)state;
	snprintf(cfg.kubeconfig, sizeof(cfg.kubeconfig), "%s", dir); /* a directory */
	assert_int_equal(api_access_load(&a, &cfg), -1);
	snprintf(cfg.kubeconfig, sizeof(cfg.kubeconfig), "%s/absent", dir);
	assert_int_equal(api_access_load(&a, &cfg), -1);
}

static void test_url(void **state)
{
	(void)state;
	assert_null(api_url_check("https://10.0.0.1:6443"));
	assert_null(api_url_check("https://[fd00::1]:6443/k8s/clusters/c-1"));
	assert_null(api_url_check("http://localhost"));
	assert_non_null(api_url_check("ftp://h"));
	assert_non_null(api_url_check("https://"));
	assert_non_null(api_url_check("https://:6443"));
	assert_non_null(api_url_check("https://u:p@h"));
	assert_non_null(api_url_check("https://h/?a=b"));
	assert_non_null(api_url_check("https://h\r\nX: y"));
}

static int set_up(void **state)
{
	static const char *const proxies[] = {
	    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"};

	(void)state;
	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		unsetenv(proxies[i]);
	if (mkdtemp(dir) == NULL)
		return -1;
	write_file("ca.pem", "-----BEGIN TEST-----\n");
	write_file("cert.pem", "-----BEGIN TEST-----\n");
	write_file("key.pem", "-----BEGIN TEST-----\n");
	write_file("token", "t\n");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"ca.pem", "cert.pem", "key.pem", "token", "config"};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_data),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_master),
	    cmocka_unit_test(test_password),
	    cmocka_unit_test(test_proxy),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_url),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
