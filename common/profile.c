#include "common/profile.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"

#define PERIOD_US 10000
#define DEPTH_MAX 32

/* The handler itself, and the frame in which the kernel calls it. */
#define OWN_FRAMES 2

#define SAMPLES_MAX ((PROFILE_SECONDS_MAX + 1) * 1000000 / PERIOD_US)
#define WORDS_MAX   (5 + SAMPLES_MAX * (2 + DEPTH_MAX) + 3)
#define MAPS_MAX    (128 * 1024)
#define BUFFER_SIZE (WORDS_MAX * sizeof(uintptr_t) + MAPS_MAX)

static struct {
	int maps; /* our /proc/self/maps; nobody opens it later */
	uintptr_t *words;
	size_t count;
	bool running;
	atomic_flag taken; /* by a sample: threads may be interrupted at the same time */
} profile = {.maps = -1, .taken = ATOMIC_FLAG_INIT};

static const struct sandbox_rule system_calls[] = {ALLOW(setitimer)};

/*
 * Async-signal-safe: backtrace(3) was called before, so its library is loaded, and finds frames
 * with _dl_find_object(3), which takes no lock.
 */
static void on_signal(int signal)
{
	void *frames[OWN_FRAMES + DEPTH_MAX];
	int saved = errno, n;

	(void)signal;
	if (atomic_flag_test_and_set(&profile.taken))
		return;
	n = backtrace(frames, OWN_FRAMES + DEPTH_MAX) - OWN_FRAMES;
	if (profile.running && n > 0 && profile.count + 2 + (size_t)n + 3 <= WORDS_MAX) {
		profile.words[profile.count++] = 1;
		profile.words[profile.count++] = (uintptr_t)n;
		memcpy(&profile.words[profile.count], frames + OWN_FRAMES,
		    (size_t)n * sizeof(frames[0]));
		profile.count += (size_t)n;
	}
	atomic_flag_clear(&profile.taken);
	errno = saved;
}

void profile_prepare(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	void *frame;

	backtrace(&frame, 1); /* loads the unwinder */
	profile.maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (profile.maps < 0 || sigaction(SIGPROF, &action, NULL) != 0)
		fatal(EXIT_FAILED, "--profiling: %s", strerror(errno));
	sandbox_allow_also(system_calls, sizeof(system_calls) / sizeof(system_calls[0]));
}

static void set_timer(suseconds_t us)
{
	const struct itimerval timer = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

	setitimer(ITIMER_PROF, &timer, NULL);
}

bool profile_begin(void)
{
	/* No samples, three words follow: the version, the period, nothing. */
	static const uintptr_t header[] = {0, 3, 0, PERIOD_US, 0};

	if (profile.running)
		return false;
	if (profile.words == NULL) {
		void *p = mmap(
		    NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return false;
		profile.words = p;
	}
	memcpy(profile.words, header, sizeof(header));
	profile.count = sizeof(header) / sizeof(header[0]);
	profile.running = true;
	set_timer(PERIOD_US);
	return true;
}

size_t profile_maps(char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = pread(profile.maps, buf + len, size - len, (off_t)len)) > 0)
		len += (size_t)n;
	return len;
}

const void *profile_end(size_t *len)
{
	static const uintptr_t trailer[] = {0, 1, 0};
	char *bytes = (char *)profile.words;

	set_timer(0);
	while (atomic_flag_test_and_set(&profile.taken))
		continue;
	profile.running = false;
	atomic_flag_clear(&profile.taken);
	memcpy(&profile.words[profile.count], trailer, sizeof(trailer));
	*len = profile.count * sizeof(uintptr_t) + sizeof(trailer);
	*len += profile_maps(bytes + *len, MAPS_MAX);
	return bytes;
}
