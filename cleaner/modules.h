/* Kernel modules, without loading any. */
#ifndef CLEANER_MODULES_H
#define CLEANER_MODULES_H

enum module_state {
	MODULE_BUILT_IN,
	MODULE_LOADED,
	MODULE_LOADABLE, /* /lib/modules has it */
	MODULE_MISSING,	 /* ... has others, not it */
	MODULE_UNKNOWN,	 /* there is no list of this kernel's modules */
};
extern const char *const module_states[];

/* The state of module NAME, as spelled in /lib/modules. */
enum module_state module_state(const char *name);

#endif
