#include "watcher/api_envelope.h"

#include <string.h>

#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

const void *api_envelope_open(const void *bytes, size_t *len)
{
	static const char magic[] = API_ENVELOPE_MAGIC;
	const Kube__Unknown *u;

	if (*len < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
		return NULL;
	u = proto_unpack(
	    &kube__unknown__descriptor, (const char *)bytes + sizeof(magic), *len - sizeof(magic));
	if (u == NULL || !u->has_raw || u->raw.data == NULL ||
	    (u->contentencoding != NULL && u->contentencoding[0] != '\0'))
		return NULL;
	*len = u->raw.len;
	return u->raw.data;
}
