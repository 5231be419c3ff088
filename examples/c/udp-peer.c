/*
 * udp-peer - a peer of the UDP servers that binds nothing.
 *
 *	udp-peer [address [port [datagrams]]]
 *
 * Sends the datagrams (10) one by one and waits for each to come back. Its local
 * port is chosen with the first sendto. A datagram may get lost: it is sent again
 * after half a second, ten times at most.
 */
#include <sys/time.h>

#include "net.h"

enum { TRIES = 10 };

/* exchange sends text until the same text comes back; 0 if it never did. */
static int exchange(int fd, const struct sockaddr_in *server, const char *text)
{
	size_t len = strlen(text);
	char buf[256];
	int i;

	for (i = 0; i < TRIES; i++) {
		struct sockaddr_in from;
		socklen_t fromlen = sizeof from;
		ssize_t n;

		if (sendto(fd, text, len, 0, (const struct sockaddr *)server, sizeof *server) < 0)
			die("sendto");
		/* An answer to an earlier try may come first: it is not this text. */
		for (;;) {
			n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &fromlen);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				break;
			if ((size_t)n == len && memcmp(buf, text, len) == 0 &&
			    from.sin_port == server->sin_port)
				return 1;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			die("recvfrom");
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = server_address(argc, argv, 1);
	struct sockaddr_in local;
	socklen_t len = sizeof local;
	long i, count = number(argc, argv, 3, 10, 1, LONG_MAX);
	struct timeval half = {.tv_sec = 0, .tv_usec = 500000};
	char text[INET_ADDRSTRLEN + 6];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &half, sizeof half) < 0)
		die("setsockopt");
	for (i = 0; i < count; i++) {
		char line[64];

		snprintf(line, sizeof line, "datagram %ld of process %ld", i, (long)getpid());
		if (!exchange(fd, &server, line)) {
			fprintf(stderr, "udp-peer: no answer to \"%s\"\n", line);
			return EXIT_FAILURE;
		}
	}
	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
		die("getsockname");
	printf("%ld datagrams came back to %s\n", count, show(&local, text));
	if (close(fd) < 0)
		die("close");
	return EXIT_SUCCESS;
}
