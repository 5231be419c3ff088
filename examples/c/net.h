/*
 * net.h - what the example programs share: errors, arguments, and the loops that
 * send or receive all of a buffer.
 *
 * Every program takes its address and port as arguments, with defaults, says
 * "listening on ..." on standard output once it can be reached, and exits with
 * status 1 and a message when a call fails.
 */
#ifndef NET_H
#define NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define DEFAULT_ADDRESS "127.0.0.1"
#define DEFAULT_PORT 3000

/* die prints what failed, with the reason in errno, and ends the program. */
static inline void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* number reads argument i as a number in [low, high], or returns the default. */
static inline long number(int argc, char **argv, int i, long fallback, long low, long high)
{
	char *end;
	long n;

	if (i >= argc)
		return fallback;
	errno = 0;
	n = strtol(argv[i], &end, 10);
	if (errno != 0 || end == argv[i] || *end != '\0' || n < low || n > high) {
		fprintf(stderr, "%s: %s: not a number from %ld to %ld\n", argv[0], argv[i], low, high);
		exit(EXIT_FAILURE);
	}
	return n;
}

/* any returns the address of a server: every local address, the given port. */
static inline struct sockaddr_in any(long port)
{
	struct sockaddr_in a;

	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_ANY);
	return a;
}

/* server_address returns the address that a client is told in its arguments i
 * (the IP address) and i+1 (the port). */
static inline struct sockaddr_in server_address(int argc, char **argv, int i)
{
	const char *text = i < argc ? argv[i] : DEFAULT_ADDRESS;
	struct sockaddr_in a = any(number(argc, argv, i + 1, DEFAULT_PORT, 1, 65535));

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1) {
		fprintf(stderr, "%s: %s: not an IPv4 address\n", argv[0], text);
		exit(EXIT_FAILURE);
	}
	return a;
}

/* show writes an address as "127.0.0.1:3000" into text. */
static inline const char *show(const struct sockaddr_in *a, char text[static INET_ADDRSTRLEN + 6])
{
	char ip[INET_ADDRSTRLEN];

	if (inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip) == NULL)
		die("inet_ntop");
	snprintf(text, INET_ADDRSTRLEN + 6, "%s:%u", ip, (unsigned)ntohs(a->sin_port));
	return text;
}

/* announce prints the socket's local address, for those who wait to connect. */
static inline void announce(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	char text[INET_ADDRSTRLEN + 6];

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("getsockname");
	printf("listening on %s\n", show(&a, text));
	fflush(stdout);
}

/* tcp_listener returns a socket that listens on the port. */
static inline int tcp_listener(long port, int backlog)
{
	struct sockaddr_in a = any(port);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	/* A server that is started again need not wait until the connections of its
	 * former life have left TIME-WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind");
	if (listen(fd, backlog) < 0)
		die("listen");
	return fd;
}

/* udp_server returns a datagram socket on the port. */
static inline int udp_server(long port)
{
	struct sockaddr_in a = any(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind");
	return fd;
}

/* send_all sends len bytes; -1 with errno if that fails. A peer that is gone is
 * an error like others, not a signal. */
static inline int send_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* echo sends back all that comes until the peer has ended its direction; -1 with
 * errno if that fails. */
static inline int echo(int fd)
{
	static char buf[16384];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		if (send_all(fd, buf, (size_t)n) < 0)
			return -1;
	}
}

#endif
