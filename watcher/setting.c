#include "watcher/setting.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

const struct setting *setting_at(size_t number)
{
	const struct setting_rows *const parts[] = {
	    &setting_source_rows, &setting_rules_rows, &setting_other_rows};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (number < parts[i]->count)
			return &parts[i]->rows[number];
		number -= parts[i]->count;
	}
	return NULL;
}

/* Names compare with "_" as "-", as Kubernetes programs take them. */
static bool name_is(const char *name, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] == '\0' || (text[i] == '_' ? '-' : text[i]) != name[i])
			return false;
	return name[len] == '\0';
}

const struct setting *setting_of_flag(const char *text, size_t len)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->flag != NULL && name_is(row->flag, text, len))
			return row;
	return NULL;
}

const struct setting *setting_of_letter(char letter)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->letter != '\0' && row->letter == letter)
			return row;
	return NULL;
}

const struct setting *setting_of_field(const char *path)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->field != NULL && strcmp(row->field, path) == 0)
			return row;
	return NULL;
}

static size_t number_of(const struct setting *row)
{
	const struct setting *r;

	for (size_t i = 0; (r = setting_at(i)) != NULL; i++)
		if (r == row)
			return i;
	abort(); /* no row of the table */
}

void settings_init(struct settings *s)
{
	const struct setting *row;

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		const char *expected = setting_store(s, row, row->standard);

		if (i >= SETTINGS_MAX || expected != NULL) /* a mistake in the table */
			fatal(EXIT_FAILED, "the default of %s: %s",
			    row->flag != NULL ? row->flag : row->field, expected);
	}
}

const char *setting_take(struct settings *s, const struct setting *row, const char *text)
{
	const char *expected = setting_store(s, row, text);

	if (expected == NULL)
		s->given[number_of(row)] = true;
	return expected;
}

bool setting_given(const struct settings *s, const char *name)
{
	return s->given[number_of(setting_of_flag(name, strlen(name)))];
}

bool setting_is_ignored(const struct setting *row)
{
	return row->at >= offsetof(struct settings, ignored) &&
	       row->at <
		   offsetof(struct settings, ignored) + sizeof(((struct settings *)NULL)->ignored);
}

bool setting_is_default(const struct settings *s, const struct setting *row)
{
	static struct settings defaults;
	static bool ready;
	char a[SETTING_TEXT_MAX], b[SETTING_TEXT_MAX];

	if (!ready)
		settings_init(&defaults);
	ready = true;
	if (setting_is_ignored(row)) /* what was given last, so ask at once */
		return strcmp(setting_text(s, row, a), row->standard) == 0;
	return strcmp(setting_text(s, row, a), setting_text(&defaults, row, b)) == 0;
}

void setting_warn(const struct settings *s, const struct setting *row, const char *where)
{
	const char *name = where != NULL ? row->field : row->flag;
	const char *help = row->help != NULL ? row->help : "";

	if (!(row->marks & (NO_EFFECT | NOT_YET)) || setting_is_default(s, row))
		return;
	if (row->marks & NOT_YET)
		log_warn("%s%s has no effect: this version cannot do it yet",
		    where != NULL ? where : "--", name);
	else
		log_warn("%s%s has no effect%s%.*s", where != NULL ? where : "--", name,
		    help[0] != '\0' ? ": " : "", (int)strcspn(help, "\n"), help);
}

/* --- the help --- */

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_SOURCE] = "Where Services and EndpointSlices come from",
    [GROUP_NODE] = "Node and network",
    [GROUP_RULES] = "Rules",
    [GROUP_CONNTRACK] = "Connection tracking",
    [GROUP_HEALTH] = "Health and metrics",
    [GROUP_PROCESS] = "What to do, and how",
    [GROUP_LOG] = "Logs",
    [GROUP_OTHER_MODES] = "For ipvs mode",
    [GROUP_IGNORED] = "Taken, but without effect",
};

enum { LEFT = 40, LINE_MAX_RIGHT = 62 };

static void print_flag(const struct setting *f)
{
	char left[80], standard[96] = "";
	const char *line = f->help, *end;
	size_t len;

	snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", f->letter ? '-' : ' ',
	    f->letter ? f->letter : ' ', f->letter ? ',' : ' ', f->flag, f->argument ? " " : "",
	    f->argument ? f->argument : "");
	if (f->standard[0] != '\0' &&
	    (f->kind != SETTING_SWITCH || strcmp(f->standard, "false") != 0))
		snprintf(standard, sizeof(standard), "(default %s)", f->standard);
	if (strlen(left) + 1 >= LEFT) {
		puts(left);
		left[0] = '\0';
	}
	for (;; line = end + 1) {
		end = strchr(line, '\n');
		len = end == NULL ? strlen(line) : (size_t)(end - line);
		printf("%-*s%.*s", LEFT, left, (int)len, line);
		left[0] = '\0';
		if (end == NULL)
			break;
		putchar('\n');
	}
	if (standard[0] != '\0' && len + 1 + strlen(standard) > LINE_MAX_RIGHT)
		printf("\n%-*s%s\n", LEFT, "", standard);
	else
		printf("%s%s\n", standard[0] != '\0' ? " " : "", standard);
}

void setting_help(void)
{
	const struct setting *row;

	printf("Usage: kube-proxy [flags]\n\n"
	       "Makes the addresses of Kubernetes Services reach their endpoints on this node.\n");
	for (unsigned g = 0; g < GROUP_COUNT; g++) {
		printf("\n%s:\n", group_titles[g]);
		for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
			if (row->flag != NULL && row->group == g)
				print_flag(row);
	}
}
