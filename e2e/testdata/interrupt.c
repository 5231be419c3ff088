/* interrupt - signals for a thread that waits in accept: with SA_RESTART, without,
 * sent to the thread and to the process. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asleep.h"

static atomic_int handled, interrupted, tid;

static void handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void *acceptor(void *p)
{
	atomic_store(&tid, gettid());
	for (;;) {
		int fd = accept(*(int *)p, NULL, NULL);

		if (fd >= 0) {
			close(fd);
			return NULL;
		}
		if (errno != EINTR) {
			printf("accept: %s (%d)\n", strerror(errno), errno);
			exit(1);
		}
		atomic_fetch_add(&interrupted, 1);
	}
}

static void wait_for(atomic_int *n, int want)
{
	while (atomic_load(n) < want)
		usleep(1000);
}

/* asleep waits until the acceptor is asleep in accept. */
static void asleep(void)
{
	while (call_of(atomic_load(&tid)) != SYS_accept)
		usleep(1000);
	taken();
}

static void on(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

	sigaction(sig, &sa, NULL);
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	sigset_t set;
	pthread_t t;
	int i, c, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 5) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		perror("listener");
		return 1;
	}
	on(SIGUSR1, SA_RESTART);
	on(SIGUSR2, 0);
	pthread_create(&t, NULL, acceptor, &fd);
	/* The process's signals go to the thread that accepts. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (i = 1; i <= 20; i++) {
		pthread_kill(t, SIGUSR1);
		wait_for(&handled, i);
	}
	if (atomic_load(&interrupted) != 0)
		printf("interrupted in spite of SA_RESTART\n");
	asleep(); /* it must be waiting again to be interrupted */
	pthread_kill(t, SIGUSR2);
	wait_for(&interrupted, 1);
	for (i = 1; i <= 20; i++) {
		kill(getpid(), SIGUSR1);
		wait_for(&handled, 21 + i);
	}
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (c < 0 || connect(c, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("connect");
		return 1;
	}
	pthread_join(t, NULL);
	printf("20 restarts, %d EINTR, 20 more restarts, accepted\n", atomic_load(&interrupted));
	return 0;
}
