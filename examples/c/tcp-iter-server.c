/*
 * tcp-iter-server - the iterative TCP server: one client after another.
 *
 *	tcp-iter-server [port]
 *
 * Echoes until the client has ended its direction, then takes the next one;
 * those who come meanwhile wait in the queue of the listener. SIGTERM or SIGINT
 * ends it.
 */
#include "net.h"

int main(int argc, char **argv)
{
	long port = number(argc, argv, 1, DEFAULT_PORT, 0, 65535);
	int listener = tcp_listener(port, 128);

	announce(listener);
	for (;;) {
		int conn = accept(listener, NULL, NULL);

		if (conn < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			die("accept");
		}
		/* A client that breaks its connection is its own problem. */
		if (echo(conn) < 0)
			perror("echo");
		if (close(conn) < 0)
			die("close");
	}
}
