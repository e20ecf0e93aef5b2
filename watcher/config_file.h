/*
 * A KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) in YAML or JSON to settings. Read
 * strictly; where that fails only because a field is unknown or stands twice, as Kubernetes does it
 * leniently, with a warning that names field and line.
 */
#ifndef WATCHER_CONFIG_FILE_H
#define WATCHER_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/setting.h"

#define CONFIG_FILE_MAX (1024 * 1024)

/* What the file PATH holds, to be freed, and its length; NULL after logging why there is none. */
char *config_file_text(const char *path, size_t *len);
/* Tells versions of a file apart. */
uint64_t config_file_digest(const char *text, size_t len);
/*
 * Takes LEN bytes of TEXT, which PATH holds, into *S, which has its defaults. 0, or -1 after
 * logging each thing that is wrong with file and line, field, value, and what is expected. WARN:
 * what is passed over or has no effect is logged too.
 */
int config_file_parse(
    struct settings *s, const char *path, const char *text, size_t len, bool warn);
/* All three: S->cfg gets the digest. 0, or -1 after logging. */
int config_file_read(struct settings *s, const char *path);
/* Do the two differ in what a file can say? Logs each field that does, with FROM's and TO's. */
bool config_file_differs(const struct settings *from, const struct settings *to, const char *path);

#endif
