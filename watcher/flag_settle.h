/* From what flags and files say to one configuration: what they leave open, and what must fit. */
#ifndef WATCHER_FLAG_SETTLE_H
#define WATCHER_FLAG_SETTLE_H

#include "watcher/oneshot.h"
#include "watcher/setting.h"

/* Does what S says fit together? What does not is logged. */
enum flags_result flags_check(struct settings *s);
/* After that: completes S->cfg. What does not fit is logged. */
enum flags_result flags_settle(struct settings *s);

#endif
