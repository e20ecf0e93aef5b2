/* In which of the API's two encodings a body is. Pure. */
#ifndef WATCHER_API_FORMAT_H
#define WATCHER_API_FORMAT_H

#define API_MEDIA_JSON	"application/json"
#define API_MEDIA_PROTO "application/vnd.kubernetes.protobuf"

enum api_format { FORMAT_JSON, FORMAT_PROTO };

/*
 * The format that CONTENT_TYPE, a response's header (NULL: it has none, and counts as JSON), names.
 * NULL, or in words (valid until the next call) that it is neither.
 */
const char *api_format_of(enum api_format *format, const char *content_type);

/*
 * The Accept header of requests for objects when WANTED, the --kube-api-content-type, is preferred:
 * JSON stands behind anything else, as every server has it. "" is protobuf.
 */
const char *api_format_accept(const char *wanted);

#endif
