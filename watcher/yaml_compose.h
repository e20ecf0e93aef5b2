/* The inside of yaml.h: libyaml's events to values. */
#ifndef WATCHER_YAML_COMPOSE_H
#define WATCHER_YAML_COMPOSE_H

#include <stddef.h>

#include "watcher/yaml.h"

/* What is told of a key that stands twice; NULL instead of one: that is an error. */
struct yaml_twice {
	void (*tell)(void *arg, unsigned line, const char *key);
	void *arg;
};

/* Adds the documents of TEXT to the empty *Y. 0, or -1 with *ERR; yaml_clear() in any case. */
int yaml_compose(struct yaml *y, const char *text, size_t len, struct yaml_error *err,
    const struct yaml_twice *twice);

/* Adds VALUE, whose reference it takes in any case. 0, or -1 without memory. */
int yaml_add_document(struct yaml *y, json_t *value);
/* ARRAY of COUNT elements with room for one more (it doubles), or NULL and ARRAY stays. */
void *yaml_grow(void *array, size_t count, size_t size);

#endif
