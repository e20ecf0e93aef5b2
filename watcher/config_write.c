#include "watcher/config_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

/* Rows, by number: those of one section stand together, since "." sorts before letters. */
static int by_field(const void *a, const void *b)
{
	const uint8_t *x = a, *y = b;

	return strcmp(setting_at(*x)->field, setting_at(*y)->field);
}

/* What has no place of its own has no value to write. */
static bool is_written(const struct setting *row)
{
	return row->field != NULL && !setting_is_ignored(row);
}

/* The character at *P of UTF-8, which it passes; bytes that are none give U+FFFD each. */
static uint32_t next_character(const unsigned char **p, const unsigned char *end)
{
	const unsigned char *at = (*p)++;
	unsigned more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;
	uint32_t c = more == 0 ? *at : *at & (0x3fu >> more);

	if (*at >= 0x80 && more == 0)
		return 0xfffd;
	for (; more > 0; more--, (*p)++) {
		if (*p == end || (**p & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (**p & 0x3f);
	}
	return c;
}

/* Quoted, and what is not ASCII escaped: nothing in it can be read as anything else. */
static void print_text(FILE *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;

	fputc('"', out);
	while (p < end) {
		uint32_t c = next_character(&p, end);

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c >= ' ' && c < 0x7f)
			fputc((int)c, out);
		else
			fprintf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
	}
	fputc('"', out);
}

/* The elements of a list "a,b" or a map "a=x,b=y", each on a line of its own below the field. */
static void print_elements(FILE *out, const struct setting *row, const char *text, int indent)
{
	bool map = row->kind == SETTING_GATES;

	indent += map ? 2 : 0;
	if (text[0] == '\0') {
		fputs(map ? " {}\n" : " []\n", out);
		return;
	}
	fputc('\n', out);
	while (*text != '\0') {
		size_t len = strcspn(text, ","), name = strcspn(text, "=,");

		fprintf(out, "%*s", indent, "");
		if (row->kind == SETTING_PREFIXES) {
			fputs("- ", out);
			print_text(out, text, len);
		} else {
			fputs(map ? "" : "- filePattern: ", out);
			print_text(out, text, name);
			if (map)
				fputs(": ", out);
			else
				fprintf(out, "\n%*s  verbosity: ", indent, "");
			fprintf(out, "%.*s", (int)(len - name - 1), text + name + 1);
		}
		fputc('\n', out);
		text += len + (text[len] == ',');
	}
}

static void print_value(FILE *out, const struct settings *s, const struct setting *row, int indent)
{
	char text[SETTING_TEXT_MAX];

	setting_text(s, row, text);
	switch (row->kind) {
	case SETTING_SWITCH:
	case SETTING_NUMBER:
	case SETTING_MILLI:
		fprintf(out, " %s\n", text);
		return;
	case SETTING_PREFIXES:
	case SETTING_GATES:
	case SETTING_VMODULE:
		if (!(row->marks & WHOLE)) {
			print_elements(out, row, text, indent);
			return;
		}
		break;
	default:
		break;
	}
	fputc(' ', out);
	print_text(out, text, strlen(text));
	fputc('\n', out);
}

/* The sections that FIELD is in and the field before it, BEFORE, is not; then its own name. */
static int print_name(FILE *out, const char *field, const char *before)
{
	int indent = 0;
	size_t at = 0;
	const char *dot;

	while ((dot = strchr(field + at, '.')) != NULL) {
		size_t end = (size_t)(dot - field) + 1;

		if (strncmp(field, before, end) != 0)
			fprintf(out, "%*s%.*s:\n", indent, "", (int)(end - at - 1), field + at);
		indent += 2;
		at = end;
	}
	fprintf(out, "%*s%s:", indent, "", field + at);
	return indent;
}

void config_print(FILE *out, const struct settings *s)
{
	uint8_t order[SETTINGS_MAX];
	const struct setting *row;
	const char *before = "";
	size_t count = 0;

	for (uint8_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (is_written(row))
			order[count++] = i;
	qsort(order, count, sizeof(order[0]), by_field);
	fputs("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n", out);
	for (size_t i = 0; i < count; i++) {
		row = setting_at(order[i]);
		print_value(out, s, row, print_name(out, row->field, before));
		before = row->field;
	}
}

/* In a file, nothing is as good as the default. */
static void warn_of_losses(const struct settings *s)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		char text[SETTING_TEXT_MAX];

		setting_text(s, row, text);
		if (is_written(row) && row->marks & EMPTY_IS_DEFAULT &&
		    setting_is_empty(row, text) && !setting_is_default(s, row))
			log_warn("--%s=%s cannot be said in a file: there %s \"%s\" means the "
				 "default, %s",
			    row->flag, text, row->field, text, row->standard);
	}
}

int config_write(const char *path, const struct settings *s)
{
	bool to_stdout = strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0;
	FILE *out = to_stdout ? stdout : fopen(path, "we");
	static char buf[BUFSIZ];

	if (out == NULL) {
		log_error("--write-config-to=%s: %s%s", path, strerror(errno),
		    errno == EACCES ? ": the user _kproxy-c may not create it; with - for the "
				      "file's name it goes to standard output"
				    : "");
		return -1;
	}
	if (!to_stdout)
		setvbuf(out, buf, _IOFBF, sizeof(buf)); /* or stdio asks whether it is a terminal */
	warn_of_losses(s);
	config_print(out, s);
	if (fflush(out) == 0 && ferror(out) == 0 && (to_stdout || fclose(out) == 0))
		return 0;
	log_error("--write-config-to=%s: %s", path, strerror(errno));
	return -1;
}
