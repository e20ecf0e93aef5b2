/*
 * The flags as a table for what is generated from them, such as shell completion. A line for each:
 * name, letter, argument, type, words of a choice (with "|" between), default, "yes" if the flag
 * has an effect, group and help, separated by tabs. What a flag does not have is empty.
 */
#include <stdio.h>

#include "watcher/setting.h"

static const char *const kinds[] = {
    [SETTING_SWITCH] = "switch",
    [SETTING_NUMBER] = "number",
    [SETTING_MILLI] = "number",
    [SETTING_DURATION] = "duration",
    [SETTING_SECONDS] = "duration",
    [SETTING_TEXT] = "text",
    [SETTING_PATH] = "path",
    [SETTING_CHOICE] = "choice",
    [SETTING_ADDRESS] = "address",
    [SETTING_BIND] = "bind",
    [SETTING_PORTS] = "ports",
    [SETTING_PREFIXES] = "prefixes",
    [SETTING_GATES] = "gates",
    [SETTING_VMODULE] = "vmodule",
};

static void print_words(const char *const *words)
{
	const char *between = "";

	for (; words != NULL && *words != NULL; words++) {
		if (**words == '\0')
			continue; /* empty is the default */
		printf("%s%s", between, *words);
		between = "|";
	}
}

static void print_flag(const struct setting *row)
{
	printf("%s\t%.*s\t%s\t%s\t", row->flag, row->letter != '\0' ? 1 : 0, &row->letter,
	    row->argument != NULL ? row->argument : "", kinds[row->kind]);
	print_words(row->words);
	printf("\t%s\t%s\t%s\t%s\n", row->standard, row->marks & NO_EFFECT ? "" : "yes",
	    setting_group_title(row->group), row->help);
}

int main(void)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->flag != NULL)
			print_flag(row);
	return ferror(stdout) || fflush(stdout) != 0;
}
