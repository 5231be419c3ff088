/*
 * tcp-fork-server - the concurrent TCP server: a child process for each client.
 *
 *	tcp-fork-server [port]
 *
 * Every child echoes until its client has ended its direction. The parent goes
 * on to accept and collects children as they end. SIGTERM or SIGINT ends it.
 */
#include <sys/wait.h>

#include "net.h"

/* collect takes the status of all children that have ended: signals that come
 * together are delivered once. */
static void collect(int signum)
{
	int saved = errno;

	(void)signum;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

static void handle_children(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = collect;
	sa.sa_flags = SA_RESTART | SA_NOCLDSTOP;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGCHLD, &sa, NULL) < 0)
		die("sigaction");
}

int main(int argc, char **argv)
{
	long port = number(argc, argv, 1, DEFAULT_PORT, 0, 65535);
	/* Clients come faster than processes are made. With a short queue those that
	 * find it full when their handshake ends may be reset once they send. */
	int listener = tcp_listener(port, SOMAXCONN);

	handle_children();
	announce(listener);
	for (;;) {
		int conn = accept(listener, NULL, NULL);
		pid_t child;

		if (conn < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			die("accept");
		}
		child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			if (close(listener) < 0)
				die("close");
			if (echo(conn) < 0)
				die("echo");
			if (close(conn) < 0)
				die("close");
			_exit(EXIT_SUCCESS);
		}
		/* The child has the connection now; it ends when both have closed. */
		if (close(conn) < 0)
			die("close");
	}
}
