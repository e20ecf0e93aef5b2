#include "common/port_list.h"

/* Takes a port from *AT. 0: there is none. */
static unsigned take_port(const char **at)
{
	unsigned port = 0;

	if (**at < '1' || **at > '9')
		return 0;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		port = port * 10 + (unsigned)(**at - '0');
		if (port > UINT16_MAX)
			return 0;
	}
	return port;
}

/* Takes "LOW" or "LOW-HIGH" from *AT. False if that is not what stands there. */
static bool take_range(const char **at, unsigned *low, unsigned *high)
{
	*low = *high = take_port(at);
	if (*low != 0 && **at == '-') {
		++*at;
		*high = take_port(at);
	}
	return *low != 0 && *high >= *low;
}

bool port_list_valid(const char *text)
{
	unsigned low, high;

	while (*text != '\0') {
		if (!take_range(&text, &low, &high) || (*text != '\0' && *text != ','))
			return false;
		if (*text == ',' && *++text == '\0')
			return false;
	}
	return true;
}

bool port_list_has(const char *text, uint16_t port)
{
	unsigned low, high;

	while (*text != '\0' && take_range(&text, &low, &high)) {
		if (port >= low && port <= high)
			return true;
		text += *text == ',';
	}
	return false;
}
