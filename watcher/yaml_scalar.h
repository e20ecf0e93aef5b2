/* What type a YAML scalar has. The rules are those of go-yaml v2's resolve.go, which kubectl uses.
 */
#ifndef WATCHER_YAML_SCALAR_H
#define WATCHER_YAML_SCALAR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The value of the scalar TEXT (LEN bytes, ended by a NUL that is not counted). TAG is its explicit
 * tag or NULL; QUOTED means that it is not plain, and so a string unless tagged otherwise.
 * A new reference, or NULL with *WHY set.
 */
json_t *yaml_scalar(const char *text, size_t len, const char *tag, bool quoted, const char **why);

#endif
