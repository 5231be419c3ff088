/*
 * tcp-server - the classic TCP server.
 *
 *	tcp-server [port [connections]]
 *
 * Accepts a connection on every local address, prints what the client sends until
 * it ends its direction, and closes; then the next one, for as many connections
 * as it is told (1; 0: without end).
 */
#include "net.h"

static void serve(int conn)
{
	char buf[1024];
	ssize_t n;

	while ((n = recv(conn, buf, sizeof buf, 0)) != 0) {
		if (n < 0) {
			if (errno == EINTR)
				continue;
			die("recv");
		}
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			die("write");
	}
	if (fflush(stdout) != 0)
		die("write");
	/* The client may be gone altogether by now. */
	if (shutdown(conn, SHUT_RDWR) < 0 && errno != ENOTCONN)
		die("shutdown");
	if (close(conn) < 0)
		die("close");
}

int main(int argc, char **argv)
{
	long port = number(argc, argv, 1, DEFAULT_PORT, 0, 65535);
	long left = number(argc, argv, 2, 1, 0, LONG_MAX);
	int listener = tcp_listener(port, 10);

	announce(listener);
	do {
		int conn = accept(listener, NULL, NULL);

		if (conn < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			die("accept");
		}
		serve(conn);
	} while (left == 0 || --left > 0);
	if (close(listener) < 0)
		die("close");
	return EXIT_SUCCESS;
}
