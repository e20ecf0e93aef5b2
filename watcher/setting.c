#include "watcher/setting.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

const struct setting *setting_at(size_t number)
{
	const struct setting_rows *const parts[] = {
	    &setting_source_rows, &setting_rules_rows, &setting_policy_rows, &setting_other_rows};

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

/* A prefix is meant to name a network: host bits are usually a mistake, and upstream warns too. */
static void warn_of_host_bits(const char *text, const char *where, const char *name)
{
	for (; *text != '\0'; text += strcspn(text, ","), text += *text == ',') {
		char one[CIDR_STRLEN], clean[CIDR_STRLEN], *slash;
		size_t len = strcspn(text, ",");
		struct ip_cidr cidr;
		struct ip_addr given;

		if (len >= sizeof(one))
			continue;
		memcpy(one, text, len);
		one[len] = '\0';
		if (ip_cidr_parse(&cidr, one) != 0)
			continue;
		slash = strchr(one, '/');
		*slash = '\0';
		if (ip_parse(&given, one) != 0 ||
		    memcmp(given.b, cidr.addr.b, ip_len(given.family)) == 0)
			continue;
		*slash = '/';
		log_warn("%s%s: %s has host bits set; using %s", where != NULL ? where : "--", name,
		    one, ip_cidr_format(&cidr, clean));
	}
}

void setting_warn(
    const struct settings *s, const struct setting *row, const char *text, const char *where)
{
	const char *name = where != NULL ? row->field : row->flag;
	const char *help = row->help != NULL ? row->help : "";

	if (row->kind == SETTING_PREFIXES)
		warn_of_host_bits(text, where, name);
	if (row->marks & NO_EFFECT && !setting_is_default(s, row))
		log_warn("%s%s has no effect%s%s", where != NULL ? where : "--", name,
		    help[0] != '\0' ? ": " : "", help);
}
