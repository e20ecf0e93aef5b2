/* /metrics as text: names, labels, histograms that add up, what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "listener/metrics.h"

static struct metrics_told told;

/* The page, which the caller frees. */
static char *page(uint8_t mode)
{
	struct evbuffer *out = evbuffer_new();
	size_t len;
	char *text;

	assert_non_null(out);
	metrics_print(out, &told, mode);
	len = evbuffer_get_length(out);
	text = malloc(len + 1);
	assert_non_null(text);
	evbuffer_remove(out, text, len);
	text[len] = '\0';
	evbuffer_free(out);
	return text;
}

static void has(uint8_t mode, const char *line, bool want)
{
	char *text = page(mode), *at = strstr(text, line);

	/* A whole sample, or how some begin. */
	if ((at != NULL) != want ||
	    (want && line[strlen(line) - 1] != '{' && at[strlen(line)] != '\n'))
		fail_msg("%s: %s", want ? "missing" : "there", line);
	free(text);
}

static void test_values(void **state)
{
	struct metrics_planner *p = &told.all.planner;
	uint64_t *h = p->sync[FAMILY_6];

	(void)state;
	memset(&told, 0, sizeof(told));
	has(MODE_IPTABLES, "kubeproxy_sync_proxy_rules_last_timestamp_seconds{", false);
	has(MODE_IPTABLES, "rest_client_requests_total{", false);
	has(MODE_IPTABLES, "process_resident_memory_bytes{", false);
	p->synced_ms[FAMILY_4] = 1795370235007;
	p->applier.cpu_us = 1020000;
	p->rules[FAMILY_6][IPT_FILTER] = UINT64_MAX;
	metrics_observe(h, &metrics_sync_bounds, 1000);
	metrics_observe(h, &metrics_sync_bounds, 3000000);
	metrics_observe(h, &metrics_sync_bounds, 60000000);
	has(MODE_IPTABLES,
	    "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} "
	    "1795370235.007",
	    true);
	has(MODE_IPTABLES, "process_cpu_seconds_total{process=\"applier\"} 1.020000", true);
	has(MODE_IPTABLES,
	    "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv6\",table=\"filter\"} "
	    "18446744073709551615",
	    true);
	has(MODE_NFTABLES, "kubeproxy_sync_proxy_rules_iptables_total{", false);
	has(MODE_NFTABLES, "kubeproxy_sync_proxy_rules_nftables_sync_failures_total{", true);
#define SYNC "kubeproxy_sync_proxy_rules_duration_seconds"
	has(MODE_NFTABLES, SYNC "_bucket{ip_family=\"IPv6\",le=\"0.001\"} 1", true);
	has(MODE_NFTABLES, SYNC "_bucket{ip_family=\"IPv6\",le=\"2.048\"} 1", true);
	has(MODE_NFTABLES, SYNC "_bucket{ip_family=\"IPv6\",le=\"4.096\"} 2", true);
	has(MODE_NFTABLES, SYNC "_bucket{ip_family=\"IPv6\",le=\"16.384\"} 2", true);
	has(MODE_NFTABLES, SYNC "_bucket{ip_family=\"IPv6\",le=\"+Inf\"} 3", true);
	has(MODE_NFTABLES, SYNC "_count{ip_family=\"IPv6\"} 3", true);
	has(MODE_NFTABLES, SYNC "_sum{ip_family=\"IPv6\"} 63.001000", true);
	has(MODE_NFTABLES, SYNC "_count{ip_family=\"IPv4\"} 0", true);
}

/* The apiserver's name comes from a kubeconfig: whatever stands in it, a label is a label. */
static void test_host(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	told.all.watcher.requests[0] = 2;
	told.all.watcher.requests[METRICS_STATUS_CODES + 1] = 1;
	strcpy(told.all.apiserver, "a\"} 1\\n\n:6443");
	has(MODE_IPTABLES,
	    "rest_client_requests_total{method=\"GET\",host=\"a} 1n:6443\",code=\"200\"} 2", true);
	has(MODE_IPTABLES,
	    "rest_client_requests_total{method=\"GET\",host=\"a} 1n:6443\",code=\"<error>\"} 1",
	    true);
	memset(told.all.apiserver, 'h', sizeof(told.all.apiserver) - 1);
	has(MODE_IPTABLES, "code=\"404\"", false);
	has(MODE_IPTABLES, "rest_client_request_duration_seconds_count{", true);
}

/* Every row's numbers lie within the struct, and no two rows take the same ones. */
static void test_rows(void **state)
{
	static char taken[sizeof(struct metrics_told) / sizeof(uint64_t)];

	(void)state;
	for (size_t i = 0; i < metric_row_count; i++) {
		const struct metric_row *row = &metric_rows[i];
		size_t n = row->bounds != NULL ? METRICS_HISTOGRAM(row->bounds->count) : 1;
		size_t at = row->at / sizeof(uint64_t);

		assert_int_equal(row->bounds != NULL, row->type == METRIC_HISTOGRAM);
		assert_int_equal(row->at % sizeof(uint64_t), 0);
		for (unsigned k = 0; k < METRIC_LABELS_MAX; k++)
			if (row->labels[k] != NO_LABEL)
				n *= metric_labels[row->labels[k]].count;
		assert_true(at + n <= sizeof(taken));
		/* In one mode it is told under one name, in another under another. */
		if (row->modes == 1u << MODE_NFTABLES)
			continue;
		for (; n > 0; n--, at++) {
			if (taken[at])
				fail_msg("%s takes what another has", row->name);
			taken[at] = 1;
		}
	}
	for (unsigned l = NO_LABEL + 1; l < LABEL_COUNT; l++)
		for (unsigned i = 0; i < metric_labels[l].count; i++)
			assert_non_null(metric_labels[l].values[i]);
	for (unsigned i = 0; i < METRICS_STATUS_CODES; i++)
		assert_int_equal(
		    atoi(metric_labels[LABEL_CODE].values[i]), metrics_status_codes[i]);
}

/* Names are words, each is declared once, before its samples, and no sample is there twice. */
static void test_grammar(void **state)
{
	static char seen[65536];
	char *text, *line, *save = NULL;
	char declared[256] = "";

	(void)state;
	memset(&told, 1, sizeof(told));
	memset(told.all.apiserver, 'h', sizeof(told.all.apiserver));
	told.all.apiserver[20] = '\0';
	text = page(MODE_IPTABLES);
	strcpy(seen, "\n");
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char key[512];

		if (strncmp(line, "# HELP ", 7) == 0)
			continue;
		if (strncmp(line, "# TYPE ", 7) == 0) {
			snprintf(declared, sizeof(declared), "%.*s", (int)strcspn(line + 7, " "),
			    line + 7);
			snprintf(key, sizeof(key), "\n# %s\n", declared);
			assert_null(strstr(seen, key));
			strcat(seen, key + 1);
			continue;
		}
		for (const char *c = line; *c != '{' && *c != ' '; c++)
			assert_true(
			    islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
		assert_int_equal(strncmp(line, declared, strlen(declared)), 0);
		snprintf(key, sizeof(key), "\n%.*s\n", (int)(strrchr(line, ' ') - line), line);
		assert_null(strstr(seen, key));
		if (strstr(line, "_bucket") == NULL)
			strcat(seen, key + 1);
		assert_true(strlen(seen) < sizeof(seen) - 1024);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_grammar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
