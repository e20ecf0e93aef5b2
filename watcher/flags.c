#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/version.h"
#include "watcher/config_file.h"
#include "watcher/config_show.h"
#include "watcher/config_write.h"
#include "watcher/flag_settle.h"
#include "watcher/flag_suggest.h"
#include "watcher/flag_value.h"
#include "watcher/oneshot.h"
#include "watcher/setting.h"

#define SEE_HELP "see --help"

/* --- a flag that does not exist --- */

static enum flags_result unknown(const char *text, size_t len)
{
	char meant[FLAG_SUGGEST_MAX];

	log_usage(
	    "unknown flag --%.*s; %s" SEE_HELP, (int)len, text, flag_suggest(text, len, meant));
	return FLAGS_BAD;
}

/* "-proxy-mode=x": pflag takes one dash for letters, of which upstream then names the first. */
static enum flags_result unknown_letter(const char *arg)
{
	const char *name = arg + 1;
	size_t len = strcspn(name, "=");
	char meant[FLAG_SUGGEST_MAX];
	const struct setting *row = len > 1 ? setting_of_flag(name, len) : NULL;

	if (row != NULL)
		log_usage("unknown flag -%.*s; flags have two dashes: --%s; " SEE_HELP, (int)len,
		    name, row->flag);
	else
		log_usage("unknown flag -%.*s; %s" SEE_HELP, (int)len, name,
		    flag_suggest(name, len, meant));
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
			log_usage("--%s needs a value: --%s=%s; " SEE_HELP, row->flag, row->flag,
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

		log_usage("--%s \"%s%s\": %s; " SEE_HELP, row->flag, at != NULL ? "..." : "",
		    at != NULL ? at : value, expected);
		return FLAGS_BAD;
	}
	if (l->pass != PASS_CHECK)
		setting_warn(l->s, row, value, NULL);
	return FLAGS_RUN;
}

/* "-v4", "-v=4", "-v 4", "-h". */
static enum flags_result take_letter(struct command_line *l)
{
	const char *arg = l->argv[l->at], *text = arg + 1;
	const struct setting *row = setting_of_letter(text[0]);
	const char *value = text[1] == '=' ? text + 2 : text + 1;
	size_t len = strcspn(text, "=");

	if (row == NULL || (row->argument == NULL && text[1] != '\0' && text[1] != '=') ||
	    (len > 1 && setting_of_flag(text, len) != NULL)) /* "-vmodule=x=1", "-version" */
		return unknown_letter(arg);
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

	for (; l.at < argc && r == FLAGS_RUN && !s->help && !s->help_all; l.at++) {
		const char *arg = argv[l.at];

		if (strcmp(arg, "--") == 0 && l.at == argc - 1)
			break;
		if (arg[0] != '-' || arg[1] == '\0' || strcmp(arg, "--") == 0) {
			log_usage(
			    "unexpected argument \"%s\": kube-proxy takes flags only (a switch "
			    "takes its value as --dry-run=false); " SEE_HELP,
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

/*
 * As upstream prints it: scripts compare that line with the apiserver's release. "raw" is for
 * people, and so has this program's own version. False if no version is asked for.
 */
static bool print_version(const char *how)
{
	bool asked = false;

	if (strcmp(how, "raw") == 0)
		printf("version.Info{Major:\"" KUBERNETES_MAJOR "\", Minor:\"" KUBERNETES_MINOR
		       "\", GitVersion:\"" KUBERNETES_VERSION
		       "\", GitCommit:\"\", GitTreeState:\"\", BuildDate:\"\", GoVersion:\"\", "
		       "Compiler:\"" VERSION_COMPILER "\", Platform:\"" VERSION_PLATFORM "\"}\n"
		       "kube-proxy " VERSION "\n");
	else if (value_bool(&asked, how) == 0 && asked)
		printf("Kubernetes " KUBERNETES_VERSION "\n");
	else
		return false;
	return true;
}

enum flags_result flags_parse(struct config *cfg, int argc, char **argv)
{
	static struct settings s;
	enum flags_result r;

	settings_init(&s);
	r = take_all(&s, PASS_CHECK, argc, argv);
	if (r != FLAGS_RUN)
		return r;
	if (s.help || s.help_all) {
		setting_help(s.help_all);
		return FLAGS_DONE;
	}
	if (print_version(s.version))
		return FLAGS_DONE;
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
