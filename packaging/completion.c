/*
 * Prints the completion of kube-proxy's flags for a shell, from the table of settings:
 * `completion bash` or `completion zsh`. Flags that have no effect are left out.
 */
#include <stdio.h>
#include <string.h>

#include "watcher/setting.h"

static bool is_offered(const struct setting *row)
{
	return row->flag != NULL && row->group != GROUP_IGNORED && !(row->marks & NO_EFFECT);
}

/* May the flag stand without a value? It takes one only behind "=" then. */
static bool is_switch(const struct setting *row)
{
	return row->argument == NULL;
}

static bool takes_file(const struct setting *row)
{
	return row->kind == SETTING_PATH ||
	       (row->argument != NULL && strstr(row->argument, "FILE") != NULL);
}

/* The values that ROW's flag may have, separated by spaces; "" if they cannot be listed. */
static const char *values_of(const struct setting *row)
{
	static char list[SETTING_TEXT_MAX];

	list[0] = '\0';
	if (row->kind == SETTING_SWITCH)
		return "true false";
	for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
		if (row->words[i][0] == '\0')
			continue;
		if (list[0] != '\0')
			strlcat(list, " ", sizeof(list));
		strlcat(list, row->words[i], sizeof(list));
	}
	return list;
}

/* --- bash: long flags end with "=" if they take a value; then the value is completed --- */

static const char bash_head[] =
    "# bash completion for kube-proxy. Generated from the program's table of flags.\n"
    "_kube_proxy()\n"
    "{\n"
    "    local cur prev words cword split\n"
    "    _init_completion -s || return\n"
    "    case $prev in\n";
static const char bash_tail[] = "    COMPREPLY=($(compgen -W '$flags' -- \"$cur\"))\n"
				"    [[ ${COMPREPLY-} == *= ]] && compopt -o nospace\n"
				"} &&\n"
				"    complete -F _kube_proxy kube-proxy\n";

static void print_bash_values(const struct setting *row)
{
	const char *values = values_of(row);

	printf("    --%s)\n", row->flag);
	if (takes_file(row))
		puts("        _filedir");
	else if (is_switch(row))
		printf("        $split && COMPREPLY=($(compgen -W '%s' -- \"$cur\")) && return\n",
		    values);
	else if (values[0] != '\0')
		printf("        COMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n", values);
	if (!is_switch(row))
		puts("        return");
	puts("        ;;");
}

static void print_bash(void)
{
	const struct setting *row;

	fputs(bash_head, stdout);
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (is_offered(row))
			print_bash_values(row);
	printf("    esac\n    $split && return\n    local flags='");
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (is_offered(row))
			printf("\n        --%s%s", row->flag, row->argument != NULL ? "=" : "");
	puts("'");
	fputs(bash_tail, stdout);
}

/* --- zsh: _arguments has the syntax --- */

/* TEXT up to the end of its first sentence, on one line, quoted for a description in '...[...]'. */
static void print_zsh_sentence(const char *text)
{
	for (char before = '.'; *text != '\0'; before = *text++) {
		if (*text == '.' && before != '.' && strchr(" \n", text[1]) != NULL)
			return; /* strchr() finds the terminating NUL too */
		if (*text == '\n')
			putchar(' ');
		else if (*text == '\'')
			fputs("'\\''", stdout);
		else
			printf("%s%c", strchr("[]:\\", *text) != NULL ? "\\" : "", *text);
	}
}

static void print_zsh_flag(const struct setting *row)
{
	const char *values = values_of(row);

	printf("    '--%s=%s[", row->flag, is_switch(row) ? "-" : "");
	print_zsh_sentence(row->help);
	printf("]%s:", is_switch(row) ? ":" : "");
	print_zsh_sentence(row->argument != NULL ? row->argument : "BOOL");
	if (takes_file(row))
		fputs(":_files", stdout);
	else if (values[0] != '\0')
		printf(":(%s)", values);
	else
		fputs(": ", stdout);
	puts("' \\");
}

static void print_zsh(void)
{
	const struct setting *row;

	fputs("#compdef kube-proxy\n"
	      "# Generated from the program's table of flags.\n"
	      "_arguments \\\n",
	    stdout);
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (is_offered(row))
			print_zsh_flag(row);
	puts("    '*: :_message \"no further argument\"'");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "bash") == 0) {
		print_bash();
	} else if (argc == 2 && strcmp(argv[1], "zsh") == 0) {
		print_zsh();
	} else {
		fputs("usage: completion bash|zsh\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
