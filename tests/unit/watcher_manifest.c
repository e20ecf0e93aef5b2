/* Manifests: what is in a file, and what the planner hears when files change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "watcher/manifest.h"
#include "watcher/manifest_file.h"
#include "watcher/source.h"

static char dir[] = "/tmp/watcher_manifest.XXXXXX";

static void path_to(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	path_to(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_file(const char *name)
{
	char path[PATH_MAX];

	path_to(path, name);
	assert_int_equal(unlink(path), 0);
}

/* --- one file --- */

#define SERVICE(name)                                                                              \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n"                              \
	"spec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n"

static void test_documents(void **state)
{
	static const char text[] = "# several\n---\n" SERVICE(
	    "a") "---\nkind: Secret\napiVersion: v1\n---\n"
		 "apiVersion: v1\nkind: List\nitems:\n"
		 "- apiVersion: discovery.k8s.io/v1\n  kind: EndpointSlice\n"
		 "  metadata: {name: a-1, namespace: ns, labels: {kubernetes.io/service-name: a}}\n"
		 "  addressType: IPv4\n  endpoints: [{addresses: [10.0.0.2]}]\n"
		 "- apiVersion: v1\n  kind: Service\n  metadata: {name: b, namespace: null}\n"
		 "  spec: {clusterIP: 10.0.0.2}\n"
		 "- apiVersion: v1\n  kind: List\n  items: []\n" /* not in a list: passed over */
		 "---\napiVersion: v1\nkind: Node\nmetadata: {name: other}\n"
		 "---\napiVersion: v1\nkind: Node\nmetadata: {name: me}\n"
		 "---\njust text\n---\nkind: Service\napiVersion: v2\nmetadata: {name: c}\n";
	struct manifest m;

	(void)state;
	assert_int_equal(manifest_parse(&m, "test.yaml", text, strlen(text), "me"), 0);
	assert_int_equal(m.service_count, 2);
	assert_string_equal(m.services[0].name, "a");
	assert_string_equal(m.services[0].namespace, "default");
	assert_string_equal(m.services[1].namespace, "default");
	assert_int_equal(m.slice_count, 1);
	assert_string_equal(m.slices[0].namespace, "ns");
	assert_int_equal(m.slices[0].endpoint_count, 1);
	assert_true(m.has_node);
	assert_string_equal(m.node.name, "me");
	manifest_clear(&m);
}

/* What `kubectl get -o json` or the API itself printed is a manifest as well. */
static void test_recording(void **state)
{
	FILE *f = fopen("tests/data/recordings/services-list.json.body", "r");
	static char text[100000];
	size_t len;
	struct manifest m;

	(void)state;
	assert_non_null(f);
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_int_equal(manifest_parse(&m, "list.json", text, len, "me"), 0);
	assert_int_equal(m.service_count, 6);
	manifest_clear(&m);
}

static void test_no_yaml(void **state)
{
	struct manifest m;

	(void)state;
	assert_int_equal(manifest_parse(&m, "test.yaml", "a: [", 4, "me"), -1);
	assert_int_equal(m.service_count, 0);
	manifest_clear(&m);
}

/* --- the source --- */

static struct event_base *base;
static int planner;
static struct config cfg;
static struct feed feed;

static const char *no_message(void *arg, unsigned type, struct cursor *c)
{
	(void)arg, (void)type, (void)c;
	return "unexpected";
}

static void run_for(unsigned ms)
{
	struct timeval tv = {ms / 1000, (int)(ms % 1000) * 1000};

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* Appends what one message says, as "+ns/name" and the like, to HEARD. */
static void describe(char *heard, size_t size, unsigned type, struct cursor *c)
{
	size_t len = strlen(heard);
	enum object_kind kind;
	struct service svc;
	struct slice slice;
	struct node node;

	switch ((enum object_message)type) {
	case OBJ_LIST_BEGIN:
	case OBJ_LIST_END:
		assert_null(objects_decode_list(c, &kind));
		snprintf(heard + len, size - len, "%s%d ", type == OBJ_LIST_BEGIN ? "(" : ")",
		    (int)kind);
		return;
	case OBJ_SERVICE_PUT:
		assert_null(objects_decode_service(c, &svc));
		snprintf(heard + len, size - len, "%s/%s ", svc.namespace, svc.name);
		service_clear(&svc);
		return;
	case OBJ_SLICE_PUT:
		assert_null(objects_decode_slice(c, &slice));
		snprintf(heard + len, size - len, "%s#%u:%u%s ", slice.name, slice.part,
		    slice.endpoint_count, slice.last_part ? "." : "");
		slice_clear(&slice);
		return;
	case OBJ_NODE_PUT:
		assert_null(objects_decode_node(c, &node));
		snprintf(heard + len, size - len, "node=%s ", node.name);
		return;
	case OBJ_NODE_DEL:
		assert_null(cursor_end(c));
		snprintf(heard + len, size - len, "no-node ");
		return;
	default:
		fail_msg("message type %u", type);
	}
}

/* Everything that the planner was sent by now must be EXPECTED. */
static void hears(const char *expected)
{
	static uint8_t buf[FRAME_MAX];
	char heard[1024] = "";
	ssize_t n;

	while ((n = recv(planner, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct cursor c;
		unsigned type;

		assert_null(frame_open(buf, (size_t)n, &type, &c));
		describe(heard, sizeof(heard), type, &c);
	}
	assert_string_equal(heard, expected);
}

static void test_directory(void **state)
{
	char path[PATH_MAX], to[PATH_MAX];

	(void)state;
	write_file("b.yaml", SERVICE("b"));
	write_file("a.yml", SERVICE("a") "---\napiVersion: v1\nkind: Node\nmetadata: {name: me}\n");
	write_file("ignored.txt", SERVICE("x"));
	snprintf(cfg.manifest_path, sizeof(cfg.manifest_path), "%s", dir);
	assert_int_equal(manifest_source_start(base, &cfg, &feed), 0);
	hears("node=me (1 default/a default/b )1 (2 )2 ");

	write_file("b.yaml", SERVICE("b") "---\n" SERVICE("c"));
	run_for(200);
	hears("node=me (1 default/a default/b default/c )1 (2 )2 ");

	write_file("b.yaml", SERVICE("b") "---\n{{\n"); /* broken: what it said stays */
	run_for(200);
	hears("");
	write_file("0.json",
	    "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"j\"},"
	    " \"spec\": {\"clusterIP\": \"10.0.0.3\"}}");
	run_for(200);
	hears("node=me (1 default/j default/a default/b default/c )1 (2 )2 ");

	write_file("0.json",
	    "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"j\"},"
	    " \"spec\": {\"clusterIP\": \"10.0.0.3\"}}");
	run_for(200);
	hears(""); /* the same bytes */

	path_to(path, "a.yml");
	path_to(to, "a.off");
	assert_int_equal(rename(path, to), 0);
	run_for(200);
	hears("no-node (1 default/j default/b default/c )1 (2 )2 ");
	assert_int_equal(rename(to, path), 0);
	run_for(200);
	hears("node=me (1 default/j default/a default/b default/c )1 (2 )2 ");

	write_file("ignored.txt", "");
	run_for(200);
	hears("");
}

/* A slice that does not fit one message goes in parts. */
static void test_long_slice(void **state)
{
	char path[PATH_MAX];
	FILE *f;

	(void)state;
	path_to(path, "long.yaml");
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
	    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: l-1, labels: "
	    "{kubernetes.io/service-name: l}}\naddressType: IPv4\nendpoints:\n");
	for (int i = 0; i < 200; i++)
		fprintf(f, "- addresses: [10.1.0.%d]\n", i + 1);
	fclose(f);
	run_for(200);
	hears("node=me (1 default/j default/a default/b default/c )1 (2 l-1#0:159 l-1#1:41. )2 ");
	remove_file("long.yaml");
	run_for(200);
	hears("node=me (1 default/j default/a default/b default/c )1 (2 )2 ");
}

static void test_dirs(void **state)
{
	static char dirs[MANIFEST_DIRS_MAX][PATH_MAX];
	char path[PATH_MAX], link[PATH_MAX], real[PATH_MAX];

	(void)state;
	assert_int_equal(manifest_dirs(dir, dirs), 1);
	assert_string_equal(dirs[0], dir);
	path_to(path, "b.yaml");
	assert_int_equal(manifest_dirs(path, dirs), 1);
	assert_string_equal(dirs[0], dir);
	path_to(link, "link");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(manifest_dirs(link, dirs), 2);
	assert_non_null(realpath("/etc", real));
	assert_string_equal(dirs[0], real);
	assert_string_equal(dirs[1], dir);
	remove_file("link");
	assert_int_equal(manifest_dirs("/etc", dirs), 1);
	assert_int_equal(manifest_dirs("/vmlinux-that-is-not", dirs), 1);
	assert_string_equal(dirs[0], "/");
}

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	if (mkdtemp(dir) == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
		return -1;
	base = event_base_new();
	planner = pair[1];
	strcpy(cfg.node_name, "me");
	feed.planner = channel_new(base, pair[0], "the planner", no_message, NULL);
	feed.node_name = cfg.node_name;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"a.yml", "b.yaml", "0.json", "ignored.txt"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove_file(names[i]);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_documents),
	    cmocka_unit_test(test_recording),
	    cmocka_unit_test(test_no_yaml),
	    cmocka_unit_test(test_directory),
	    cmocka_unit_test(test_long_slice),
	    cmocka_unit_test(test_dirs),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
