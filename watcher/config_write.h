/* Settings as a KubeProxyConfiguration, for --write-config-to. */
#ifndef WATCHER_CONFIG_WRITE_H
#define WATCHER_CONFIG_WRITE_H

#include <stdio.h>

#include "watcher/setting.h"

/* Prints S on OUT as YAML: every field, sorted, so that config_file_parse() reads back the same. */
void config_print(FILE *out, const struct settings *s);
/*
 * The same into the file PATH, over what is there; on standard output if PATH is "-" or
 * /dev/stdout. What cannot be said in a file is logged. 0, or -1 after logging why.
 */
int config_write(const char *path, const struct settings *s);

#endif
