/* ServiceCIDRs (networking.k8s.io/v1, v1beta1). */
#include <string.h>

#include "watcher/decode.h"
#include "watcher/decode_meta.h"

enum decode_result decode_service_cidr(const json_t *object, struct service_cidr *s)
{
	const json_t *list;
	struct fields f;
	size_t i;
	json_t *one;

	memset(s, 0, sizeof(*s));
	if (!meta_open(&f, "ServiceCIDR", object, NULL, 0, s->name, sizeof(s->name)))
		return DECODE_BAD;
	list = field_array(&f, field_object(&f, object, "", "spec"), "spec", "cidrs");
	json_array_foreach (list, i, one) {
		const char *text = json_is_string(one) ? json_string_value(one) : "";

		if (s->count == FAMILY_COUNT)
			field_warn(&f, "spec.cidrs: more than %d; left out", FAMILY_COUNT);
		else if (ip_cidr_parse(&s->cidrs[s->count], text) != 0)
			field_warn(&f, "spec.cidrs[%zu]: \"%.80s\" is no CIDR; left out", i, text);
		else
			s->count++;
	}
	return f.bad ? DECODE_BAD : DECODE_OK;
}
