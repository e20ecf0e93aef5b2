/*
 * For the tests' User-mode Linux, by LD_PRELOAD: the registers of its processes on a processor
 * whose extended state is larger than the kernel was built for.
 *
 * User-mode Linux 6.1 keeps 2,696 bytes of it (to PKRU) and sets it by PTRACE_SETREGSET. The host
 * takes nothing but its whole size, which is 11,008 bytes where there is AMX, and answers EFAULT:
 * the first process panics the machine. Here what is set is made up to the host's size, with
 * components beyond those bytes in their initial state. They are nobody's in there: whoever wants
 * AMX has to ask the kernel first, and that one knows of none.
 */
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE_BV     512   /* where the header says which components are there */
#define XSTATE_BV_OLD 0x3ff /* x87 to PKRU, which those 2,696 bytes hold */

/* Sets the state of PID to what GIVEN has of it; as ptrace(2). */
static long set_xstate(pid_t pid, const struct iovec *given)
{
	static _Alignas(64) unsigned char area[1 << 16];
	static size_t size; /* the host's, once it was asked */
	struct iovec whole = {area, sizeof(area)};
	uint64_t present;

	if (size == 0) {
		if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) != 0)
			return -1;
		size = whole.iov_len;
		memset(area, 0, sizeof(area));
	}
	if (given->iov_len >= size)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, given);
	whole.iov_len = size;
	memcpy(area, given->iov_base, given->iov_len);
	memcpy(&present, area + XSTATE_BV, sizeof(present));
	present &= XSTATE_BV_OLD;
	memcpy(area + XSTATE_BV, &present, sizeof(present));
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* In place of the C library's, which does all else. */
long ptrace(enum __ptrace_request request, ...)
{
	static long (*other)(enum __ptrace_request, pid_t, void *, void *);
	va_list args;
	pid_t pid;
	void *addr, *data;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);
	if (request == PTRACE_SETREGSET && (uintptr_t)addr == NT_X86_XSTATE)
		return set_xstate(pid, data);
	if (other == NULL)
		other = (long (*)(enum __ptrace_request, pid_t, void *, void *))dlsym(
		    RTLD_NEXT, "ptrace");
	return other(request, pid, addr, data);
}
