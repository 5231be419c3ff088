/*
 * udp-iter-server - the iterative UDP server: one datagram after another.
 *
 *	udp-iter-server [port]
 *
 * Sends every datagram back to where it came from. One socket serves all peers:
 * there is no connection, and each datagram brings its sender's address. SIGTERM
 * or SIGINT ends it.
 */
#include "net.h"

int main(int argc, char **argv)
{
	int fd = udp_server(number(argc, argv, 1, DEFAULT_PORT, 0, 65535));
	static char buf[65536];

	announce(fd);
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
