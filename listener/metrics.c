#include "listener/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/version.h"

#define LABELS_MAX 512

static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* Labels of a sample, as they stand between the braces. */
struct labels {
	char text[LABELS_MAX];
	size_t len;
};

/* VALUE is the apiserver's host, which is not ours to trust: quotes and backslashes go. */
static void add_label(struct labels *l, const char *name, const char *value)
{
	l->len += (size_t)snprintf(
	    l->text + l->len, sizeof(l->text) - l->len, "%s%s=\"", l->len > 0 ? "," : "", name);
	for (; *value != '\0' && l->len < sizeof(l->text) - 2; value++)
		if (*value != '"' && *value != '\\' && *value != '\n')
			l->text[l->len++] = *value;
	l->text[l->len++] = '"';
	l->text[l->len] = '\0';
}

static void print_value(struct evbuffer *out, enum metric_unit unit, uint64_t v)
{
	switch (unit) {
	case UNIT_ONE:
		evbuffer_add_printf(out, " %" PRIu64 "\n", v);
		break;
	case UNIT_MS:
		evbuffer_add_printf(out, " %" PRIu64 ".%03u\n", v / 1000, (unsigned)(v % 1000));
		break;
	case UNIT_US:
		evbuffer_add_printf(
		    out, " %" PRIu64 ".%06u\n", v / 1000000, (unsigned)(v % 1000000));
		break;
	}
}

static void print_sample(struct evbuffer *out, const struct metric_row *row, const char *suffix,
    const struct labels *l, enum metric_unit unit, uint64_t v)
{
	evbuffer_add_printf(out, "%s%s", row->name, suffix);
	if (l->len > 0)
		evbuffer_add_printf(out, "{%s}", l->text);
	print_value(out, unit, v);
}

static void print_histogram(
    struct evbuffer *out, const struct metric_row *row, const struct labels *l, const uint64_t *v)
{
	const unsigned n = row->bounds->count;
	uint64_t sum = 0;

	for (unsigned i = 0; i <= n; i++) {
		struct labels with = *l;
		char bound[32] = "+Inf";

		if (i < n)
			snprintf(bound, sizeof(bound), "%.10g", (double)row->bounds->us[i] / 1e6);
		add_label(&with, "le", bound);
		sum += v[i];
		print_sample(out, row, "_bucket", &with, UNIT_ONE, sum);
	}
	print_sample(out, row, "_sum", l, UNIT_US, v[n + 1]);
	print_sample(out, row, "_count", l, UNIT_ONE, sum);
}

/* Prints what V points to, spanned by the labels from number AT on. Returns what is behind it. */
static const uint64_t *print_span(struct evbuffer *out, const struct metric_row *row, unsigned at,
    const struct labels *before, const uint64_t *v)
{
	const struct metric_label_row *label =
	    at < METRIC_LABELS_MAX ? &metric_labels[row->labels[at]] : &metric_labels[NO_LABEL];

	if (label->count > 0) {
		for (unsigned i = 0; i < label->count; i++) {
			struct labels l = *before;

			add_label(&l, label->name, label->values[i]);
			v = print_span(out, row, at + 1, &l, v);
		}
		return v;
	}
	if (row->type == METRIC_HISTOGRAM) {
		print_histogram(out, row, before, v);
		return v + METRICS_HISTOGRAM(row->bounds->count);
	}
	if (*v != 0 || !(row->marks & METRIC_SKIP_ZERO))
		print_sample(out, row, "", before, row->unit, *v);
	return v + 1;
}

static void print_row(
    struct evbuffer *out, const struct metric_row *row, const struct metrics_told *told)
{
	const uint64_t *v = (const uint64_t *)(const void *)((const char *)told + row->at);
	struct labels l = {.len = 0};

	if (row->constant != NULL)
		l.len = strlcpy(l.text, row->constant, sizeof(l.text));
	if (row->marks & METRIC_HOST) {
		if (told->all.apiserver[0] == '\0')
			return; /* manifests have no apiserver */
		add_label(&l, "host", told->all.apiserver);
	}
	print_span(out, row, 0, &l, v);
}

/*
 * Alerts such as kubernetes-mixin's KubeVersionMismatch count the releases in
 * kubernetes_build_info, so that names the release whose behaviour this program has; its own
 * version is another metric.
 */
static void print_build(struct evbuffer *out)
{
	evbuffer_add_printf(out, "%s",
	    "# HELP kubernetes_build_info The Kubernetes release whose behaviour this program "
	    "implements, its compiler and platform\n"
	    "# TYPE kubernetes_build_info gauge\n"
	    "kubernetes_build_info{build_date=\"\",compiler=\"" VERSION_COMPILER
	    "\",git_commit=\"\",git_tree_state=\"\",git_version=\"" KUBERNETES_VERSION
	    "\",go_version=\"\",major=\"" KUBERNETES_MAJOR "\",minor=\"" KUBERNETES_MINOR
	    "\",platform=\"" VERSION_PLATFORM "\"} 1\n"
	    "# HELP kubeproxy_build_info This program's own version\n"
	    "# TYPE kubeproxy_build_info gauge\n"
	    "kubeproxy_build_info{version=\"" VERSION "\"} 1\n");
}

void metrics_print(struct evbuffer *out, const struct metrics_told *told, uint8_t mode)
{
	const char *before = "";

	for (size_t i = 0; i < metric_row_count; i++) {
		const struct metric_row *row = &metric_rows[i];

		if (row->modes != 0 && !(row->modes & 1u << mode))
			continue;
		if (strcmp(row->name, before) != 0)
			evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name,
			    row->help, row->name, type_names[row->type]);
		before = row->name;
		print_row(out, row, told);
	}
	print_build(out);
}
