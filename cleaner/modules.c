#include "cleaner/modules.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

const char *const module_states[] = {
    [MODULE_BUILT_IN] = "built in",
    [MODULE_LOADED] = "loaded",
    [MODULE_LOADABLE] = "can be loaded",
    [MODULE_MISSING] = "missing",
    [MODULE_UNKNOWN] = "unknown",
};

/* Does a line of LIST, a file of paths in /lib/modules of this kernel, name module NAME? -1: no
 * such file. */
static int is_listed(const char *list, const char *name)
{
	char path[512], line[4096], part[96];
	struct utsname host;
	bool found = false;
	FILE *f;

	if (uname(&host) != 0)
		return -1;
	snprintf(path, sizeof(path), "/lib/modules/%s/%s", host.release, list);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	snprintf(part, sizeof(part), "/%s.ko", name);
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, ":\n")] = '\0'; /* modules.dep: what it depends on */
		found = strstr(line, part) != NULL;
	}
	fclose(f);
	return found;
}

enum module_state module_state(const char *name)
{
	char path[96] = "/sys/module/", *p = path + strlen(path);
	int listed;

	strlcat(path, name, sizeof(path));
	for (; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
	if (is_listed("modules.builtin", name) == 1)
		return MODULE_BUILT_IN;
	if (access(path, F_OK) == 0)
		return MODULE_LOADED;
	listed = is_listed("modules.dep", name);
	return listed < 0 ? MODULE_UNKNOWN : listed > 0 ? MODULE_LOADABLE : MODULE_MISSING;
}
