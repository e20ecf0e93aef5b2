#include "watcher/yaml_anchor.h"

#include <stdlib.h>
#include <string.h>

#include "watcher/yaml_compose.h"

ssize_t anchors_open(struct anchors *a, const char *name)
{
	struct anchor *list;
	char *copy = strdup(name);

	list = yaml_grow(a->list, a->count, sizeof(*list));
	if (list != NULL)
		a->list = list;
	if (copy == NULL || list == NULL) {
		free(copy);
		return -1;
	}
	list[a->count] = (struct anchor){.name = copy};
	return (ssize_t)a->count++;
}

const struct anchor *anchors_find(const struct anchors *a, const char *name)
{
	for (size_t i = a->count; i > 0; i--)
		if (strcmp(a->list[i - 1].name, name) == 0)
			return &a->list[i - 1];
	return NULL;
}

void anchors_clear(struct anchors *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->list[i].name);
		json_decref(a->list[i].value);
	}
	free(a->list);
	memset(a, 0, sizeof(*a));
}
