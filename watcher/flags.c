#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "watcher/config_file.h"
#include "watcher/config_show.h"
#include "watcher/config_write.h"
#include "watcher/flag_settle.h"
#include "watcher/oneshot.h"
#include "watcher/setting.h"

#define SEE_HELP "see --help"

/* --- a flag that does not exist --- */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* How many letters must be put, taken or changed to get from TEXT to NAME (Levenshtein). */
static size_t distance(const char *name, const char *text, size_t len)
{
	size_t row[64], n = strlen(name);

	if (n >= 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; i <= len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1,
			    diagonal + (tolower((unsigned char)text[i - 1]) != name[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

static enum flags_result unknown(const char *text, size_t len)
{
	const struct setting *row, *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; (row = setting_at(i)) != NULL && len < 64; i++) {
		size_t d = row->flag != NULL ? distance(row->flag, text, len) : SIZE_MAX;

		if (d < least) {
			least = d;
			nearest = row;
		}
	}
	if (nearest != NULL && least <= len / 3)
		log_error("unknown flag --%.*s; did you mean --%s? " SEE_HELP, (int)len, text,
		    nearest->flag);
	else
		log_error("unknown flag --%.*s; " SEE_HELP, (int)len, text);
	return FLAGS_BAD;
}

/* --- the command line --- */

/* The flags are gone through twice: which of them count depends on whether --config is there. */
enum pass {
	PASS_CHECK,	  /* is each good? Nothing is said but errors */
	PASS_TAKE,	  /* all count */
	PASS_BESIDE_FILE, /* a file has been read; some count, and before it */
};

struct command_line {
	struct settings *s;
	enum pass pass;
	int at, argc;
	char **argv;
};

/* VALUE is NULL if the flag had none with it; then the next argument is taken if it needs one. */
static enum flags_result take(struct command_line *l, const struct setting *row, const char *value)
{
	char file[SETTING_TEXT_MAX], joined[2 * SETTING_TEXT_MAX];
	const char *expected;

	if (value == NULL && row->argument == NULL)
		value = "true";
	if (value == NULL) {
		if (l->at + 1 >= l->argc) {
			log_error("--%s needs a value: --%s=%s; " SEE_HELP, row->flag, row->flag,
			    row->argument);
			return FLAGS_BAD;
		}
		value = l->argv[++l->at];
	}
	if (l->pass == PASS_BESIDE_FILE && !(row->marks & WITH_CONFIG)) {
		log_warn("--%s does not count beside --config%s%s", row->flag,
		    row->field != NULL ? "; the file has a field for it: " : "",
		    row->field != NULL ? row->field : "");
		return FLAGS_RUN;
	}
	/* Of patterns the first that fits counts: the file's come behind the flag's. */
	if (l->pass == PASS_BESIDE_FILE && row->kind == SETTING_VMODULE &&
	    setting_text(l->s, row, file)[0] != '\0' &&
	    snprintf(joined, sizeof(joined), "%s,%s", value, file) < (int)sizeof(joined))
		value = joined;
	expected = setting_take(l->s, row, value);
	if (expected != NULL) {
		const char *at = strrchr(value, '@'); /* behind a user and a password */

		log_error("--%s \"%s%s\": %s; " SEE_HELP, row->flag, at != NULL ? "..." : "",
		    at != NULL ? at : value, expected);
		return FLAGS_BAD;
	}
	if (l->pass != PASS_CHECK)
		setting_warn(l->s, row, NULL);
	return FLAGS_RUN;
}

/* "-v4", "-v=4", "-v 4", "-h". */
static enum flags_result take_letter(struct command_line *l)
{
	const char *arg = l->argv[l->at], *text = arg + 1;
	const struct setting *row = setting_of_letter(text[0]);
	const char *value = text[1] == '=' ? text + 2 : text + 1;

	if (row == NULL || (row->argument == NULL && text[1] != '\0' && text[1] != '=')) {
		log_error("unknown flag %s; " SEE_HELP, arg);
		return FLAGS_BAD;
	}
	return take(l, row, text[1] == '\0' ? NULL : value);
}

static enum flags_result take_name(struct command_line *l)
{
	const char *name = l->argv[l->at] + 2, *equals = strchr(name, '=');
	size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
	const struct setting *row = setting_of_flag(name, len);

	return row == NULL ? unknown(name, len) : take(l, row, equals == NULL ? NULL : equals + 1);
}

static enum flags_result take_all(struct settings *s, enum pass pass, int argc, char **argv)
{
	struct command_line l = {s, pass, 1, argc, argv};
	enum flags_result r = FLAGS_RUN;

	for (; l.at < argc && r == FLAGS_RUN && !s->help; l.at++) {
		const char *arg = argv[l.at];

		if (strcmp(arg, "--") == 0 && l.at == argc - 1)
			break;
		if (arg[0] != '-' || arg[1] == '\0' || strcmp(arg, "--") == 0) {
			log_error("\"%s\": only flags are expected (a switch takes its value as "
				  "--dry-run=false); " SEE_HELP,
			    arg);
			return FLAGS_BAD;
		}
		r = arg[1] == '-' ? take_name(&l) : take_letter(&l);
	}
	return r;
}

/* All that counts, in its order: the file's, then the flags'. */
static enum flags_result take_settings(struct settings *s, int argc, char **argv)
{
	char file[CONFIG_PATH_MAX];

	strlcpy(file, s->cfg.config_file, sizeof(file));
	settings_init(s);
	if (file[0] == '\0')
		return take_all(s, PASS_TAKE, argc, argv);
	return config_file_read(s, file) == 0 ? take_all(s, PASS_BESIDE_FILE, argc, argv)
					      : FLAGS_CONFIG;
}

enum flags_result flags_parse(struct config *cfg, int argc, char **argv)
{
	static struct settings s;
	enum flags_result r;

	settings_init(&s);
	r = take_all(&s, PASS_CHECK, argc, argv);
	if (r != FLAGS_RUN)
		return r;
	if (s.help) {
		setting_help();
		return FLAGS_DONE;
	}
	if (s.version) {
		printf("kube-proxy %s\n", VERSION);
		return FLAGS_DONE;
	}
	log_configure(s.cfg.verbosity, s.cfg.vmodule, s.cfg.log_json); /* what follows may warn */
	r = take_settings(&s, argc, argv);
	log_configure(s.cfg.verbosity, s.cfg.vmodule, s.cfg.log_json);
	if (r == FLAGS_RUN)
		r = flags_check(&s);
	if (r == FLAGS_RUN && s.write_config_to[0] != '\0')
		return config_write(s.write_config_to, &s) == 0 ? FLAGS_DONE : FLAGS_CONFIG;
	if (r == FLAGS_RUN)
		r = flags_settle(&s);
	if (r == FLAGS_RUN)
		config_show(&s);
	*cfg = s.cfg;
	return r;
}
