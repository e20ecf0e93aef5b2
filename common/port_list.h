/* Lists of ports and ranges of ports as text: "22,2379-2380". Pure. */
#ifndef COMMON_PORT_LIST_H
#define COMMON_PORT_LIST_H

#include <stdbool.h>
#include <stdint.h>

/* Is TEXT a list of ports from 1 to 65535 and of ranges, separated by commas, or empty? */
bool port_list_valid(const char *text);
/* Does TEXT, a valid list, have PORT? */
bool port_list_has(const char *text, uint16_t port);

#endif
