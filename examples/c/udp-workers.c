/*
 * udp-workers - the parallel UDP server: four processes receive from one socket.
 *
 *	udp-workers [port]
 *
 * The socket is made and bound once and inherited by four children. All datagrams
 * for the port are in its one queue, and each goes to whichever worker receives
 * it first; the worker sends it back. SIGTERM or SIGINT ends all of them.
 */
#include <sys/wait.h>

#include "net.h"

enum { WORKERS = 4 };

static void work(int fd)
{
	static char buf[65536];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t len = sizeof peer;
		ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&peer, &len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			die("recvfrom");
		}
		if (sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&peer, len) != n)
			perror("sendto");
	}
}

/* start forks the workers. Their signals are those of the parent before it took
 * them for itself. */
static void start(int fd, pid_t workers[WORKERS], const sigset_t *signals)
{
	int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i] < 0)
			die("fork");
		if (workers[i] == 0) {
			if (sigprocmask(SIG_SETMASK, signals, NULL) < 0)
				die("sigprocmask");
			work(fd);
		}
	}
}

int main(int argc, char **argv)
{
	int fd = udp_server(number(argc, argv, 1, DEFAULT_PORT, 0, 65535));
	sigset_t mine, former;
	pid_t workers[WORKERS];
	int i, signum;

	sigemptyset(&mine);
	sigaddset(&mine, SIGTERM);
	sigaddset(&mine, SIGINT);
	sigaddset(&mine, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mine, &former) < 0)
		die("sigprocmask");
	start(fd, workers, &former);
	announce(fd);

	errno = sigwait(&mine, &signum);
	if (errno != 0)
		die("sigwait");
	for (i = 0; i < WORKERS; i++)
		kill(workers[i], SIGTERM);
	while (wait(NULL) > 0)
		;
	if (signum == SIGCHLD) {
		fprintf(stderr, "udp-workers: a worker died\n");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
