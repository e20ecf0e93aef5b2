/* Base64 of RFC 4648, as kubeconfigs have it. Pure. */
#ifndef WATCHER_BASE64_H
#define WATCHER_BASE64_H

/*
 * What TEXT says, with a NUL after it; line breaks are skipped, padding must be there. Allocated,
 * and perhaps a secret; NULL if it is no base64 or there is no memory.
 */
char *base64_decode(const char *text);

#endif
