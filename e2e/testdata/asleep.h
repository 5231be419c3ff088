/* asleep.h - in which call a thread waits, for programs that then do something to it. It needs _GNU_SOURCE. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* call_of is the system call in which a thread, of this process or of a child, is asleep; -1: it runs; -2: it has ended. */
static inline long call_of(int tid)
{
	char path[64];
	long call;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/syscall", tid); /* "running", or the call and its arguments */
	if (!(f = fopen(path, "r")))
		return -2;
	if (fscanf(f, "%ld", &call) != 1)
		call = -1;
	fclose(f);
	return call;
}

/* taken returns when the supervisor has taken the calls that threads are asleep in: it answers one that was made later. Who is
 * asleep may else wait for it to be taken, and a signal then ends the call before anything was done for it
 * (docs/CONFORMANCE.md). */
static inline void taken(void)
{
	close(socket(AF_INET, SOCK_STREAM, 0));
	usleep(3000); /* it may not be done with what was before */
}
