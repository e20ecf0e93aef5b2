/* --help. */
#include <stdio.h>
#include <string.h>

#include "common/version.h"
#include "watcher/setting.h"

enum { COLUMNS = 80, INDENT = 10 };

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_SOURCE] = "Source of Services and EndpointSlices",
    [GROUP_NODE] = "Node and network",
    [GROUP_RULES] = "Rules",
    [GROUP_POLICY] = "Node policy",
    [GROUP_CONNTRACK] = "Connection tracking",
    [GROUP_HEALTH] = "Health and metrics",
    [GROUP_PROCESS] = "Actions and process",
    [GROUP_LOG] = "Logs",
    [GROUP_OTHER_MODES] = "ipvs mode",
    [GROUP_IGNORED] = "Accepted without effect",
};

/* Of the word that TEXT begins with, what a line has room for: a long list ends behind a comma. */
static size_t word_len(const char *text)
{
	size_t len = strcspn(text, " "), cut = len;

	while (cut > COLUMNS || (cut < len && cut > 1 && text[cut - 1] != ','))
		cut--;
	return cut;
}

/* Prints TEXT's words in lines of at most COLUMNS, each after INDENT blanks. */
static void print_wrapped(const char *text)
{
	size_t at = 0;

	while (*text != '\0') {
		size_t len = word_len(text);

		if (at > 0 && at + 1 + len > COLUMNS) {
			putchar('\n');
			at = 0;
		}
		if (at == 0)
			at = (size_t)printf("%*s%.*s", INDENT, "", (int)len, text);
		else
			at += (size_t)printf(" %.*s", (int)len, text);
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

/* Does the default tell more than that the flag is off, or empty? */
static bool has_standard(const struct setting *f)
{
	return f->standard[0] != '\0' && strcmp(f->standard, "false") != 0;
}

static void print_flag(const struct setting *f)
{
	char text[1024];

	printf("  %c%c%c --%s%s%s\n", f->letter ? '-' : ' ', f->letter ? f->letter : ' ',
	    f->letter ? ',' : ' ', f->flag, f->argument ? " " : "", f->argument ? f->argument : "");
	snprintf(text, sizeof(text), "%s%s%s%s", f->help, has_standard(f) ? " (default " : "",
	    has_standard(f) ? f->standard : "", has_standard(f) ? ")" : "");
	print_wrapped(text);
}

void setting_help(bool all)
{
	const struct setting *row;

	printf("Usage: kube-proxy [flags]\n\n"
	       "Programs this node's kernel so that traffic to Kubernetes Services reaches their\n"
	       "endpoints, as the kube-proxy of Kubernetes " KUBERNETES_VERSION
	       " does. Version " VERSION ".\n");
	for (unsigned g = 0; g < GROUP_COUNT; g++) {
		if (g == GROUP_IGNORED && !all)
			continue;
		printf("\n%s:\n", group_titles[g]);
		for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
			if (row->flag != NULL && row->group == g)
				print_flag(row);
	}
	puts("\nExit status: 0 ended by SIGTERM or SIGINT, or done; 1 something failed, and a\n"
	     "restart may help; 2 wrong command line; 75 planned restart (changed --config\n"
	     "file, SIGHUP); 78 wrong file or unprepared machine.");
	if (!all)
		printf("--help-all also lists the flags of other kube-proxies that have no effect "
		       "here.\n");
}
