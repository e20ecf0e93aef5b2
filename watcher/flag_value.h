/* Values of flags: text to numbers, durations, prefixes, addresses, in the forms that Go's take. */
#ifndef WATCHER_FLAG_VALUE_H
#define WATCHER_FLAG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

/* Each returns 0, or -1 if TEXT is none; *OUT is then unchanged. */

/* Go's strconv.ParseBool: 1, t, true, 0, f, false and their capital forms. */
int value_bool(bool *out, const char *text);
/* Decimal digits only, LOW..HIGH. */
int value_number(uint64_t *out, const char *text, uint64_t low, uint64_t high);
/* Go's strconv.ParseInt of base 0: decimal, 0x10, 0o17 or 017, 0b101; a sign; LOW..HIGH. */
int value_integer(int64_t *out, const char *text, int64_t low, int64_t high);
/* Go's time.ParseDuration ("1h2m3.5s", "500ms", "0") in milliseconds, rounded up; not negative. */
int value_duration_ms(uint64_t *out, const char *text);
/* "IP", "IP:port" or "[IPv6]:port". *PORT stays as it is if TEXT has none. */
int value_bind_address(struct ip_addr *addr, uint16_t *port, const char *text);
/*
 * A decimal fraction, "5" or "0.25", in thousandths, at least one; 0 if it is 0 or negative.
 */
int value_milli(uint32_t *out, const char *text);
/* Go's port ranges: "30000-32767", "30000+100", "30000"; "", "0" and "0-0" are 0 and 0. */
int value_ports(uint16_t *low, uint16_t *high, const char *text);

#endif
