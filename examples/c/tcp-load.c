/*
 * tcp-load - clients of an echo server, all at once, that check what comes back.
 *
 *	tcp-load [address [port [clients [bytes]]]]
 *
 * Connects the clients (20), has each send its own bytes (1 MiB) and compares
 * what is echoed with what was sent, byte by byte, to the end of the stream. One
 * process and one poll(2) loop serve them all: a client that only sent first
 * would wait for a server that waits for it.
 */
#include <fcntl.h>
#include <poll.h>

#include "net.h"

struct client {
	unsigned id;
	size_t sent, received;
};

static size_t total; /* bytes each way and client */

/* pattern is byte i of a client's stream: different for each client, and not the
 * same at any two places less than 2^32 apart that a mix-up could confuse. */
static unsigned char pattern(unsigned id, size_t i)
{
	uint32_t x = (uint32_t)i * 2654435761u ^ id * 40503u;

	x ^= x >> 15;
	x *= 2246822519u;
	return (unsigned char)(x >> 24);
}

static void fail(const struct client *c, const char *what)
{
	fprintf(stderr, "tcp-load: client %u: %s at byte %zu\n", c->id, what, c->received);
	exit(EXIT_FAILURE);
}

/* send_some sends as much as the socket takes now, and ends the direction after
 * the last byte. */
static void send_some(struct client *c, struct pollfd *p)
{
	unsigned char buf[16384];
	size_t i, want = total - c->sent < sizeof buf ? total - c->sent : sizeof buf;
	ssize_t n;

	for (i = 0; i < want; i++)
		buf[i] = pattern(c->id, c->sent + i);
	n = send(p->fd, buf, want, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		die("send");
	}
	c->sent += (size_t)n;
	if (c->sent == total) {
		if (shutdown(p->fd, SHUT_WR) < 0)
			die("shutdown");
		p->events = POLLIN;
	}
}

/* receive_some checks what has come; 1 at the end of the stream. */
static int receive_some(struct client *c, struct pollfd *p)
{
	unsigned char buf[16384];
	ssize_t i, n = recv(p->fd, buf, sizeof buf, 0);

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		die("recv");
	}
	if (n == 0) {
		if (c->received != total)
			fail(c, "early end of stream");
		return 1;
	}
	for (i = 0; i < n; i++) {
		if (c->received == total)
			fail(c, "more than was sent");
		if (buf[i] != pattern(c->id, c->received))
			fail(c, "wrong byte");
		c->received++;
	}
	return 0;
}

static void start(struct client *c, struct pollfd *p, const struct sockaddr_in *server)
{
	int flags;

	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (p->fd < 0)
		die("socket");
	flags = fcntl(p->fd, F_GETFL);
	if (flags < 0 || fcntl(p->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		die("fcntl");
	if (connect(p->fd, (const struct sockaddr *)server, sizeof *server) < 0 && errno != EINPROGRESS)
		die("connect");
	p->events = POLLIN | POLLOUT;
	c->sent = c->received = 0;
}

/* check_connect dies if the connection could not be made. */
static void check_connect(int fd)
{
	int err;
	socklen_t len = sizeof err;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		die("getsockopt");
	if (err != 0) {
		errno = err;
		die("connect");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in server = server_address(argc, argv, 1);
	long count = number(argc, argv, 3, 20, 1, 60000);
	long i, open;
	struct client *clients = calloc((size_t)count, sizeof *clients);
	struct pollfd *polls = calloc((size_t)count, sizeof *polls);

	if (clients == NULL || polls == NULL)
		die("calloc");
	total = (size_t)number(argc, argv, 4, 1 << 20, 1, LONG_MAX);
	for (i = 0; i < count; i++) {
		clients[i].id = (unsigned)i;
		start(&clients[i], &polls[i], &server);
	}
	for (open = count; open > 0;) {
		if (poll(polls, (nfds_t)count, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		for (i = 0; i < count; i++) {
			struct pollfd *p = &polls[i];

			if (p->fd < 0 || p->revents == 0)
				continue;
			if (p->revents & (POLLERR | POLLNVAL))
				check_connect(p->fd);
			if (p->revents & POLLOUT)
				send_some(&clients[i], p);
			if (p->revents & (POLLIN | POLLHUP) && receive_some(&clients[i], p)) {
				if (close(p->fd) < 0)
					die("close");
				p->fd = -1; /* poll passes over it */
				open--;
			}
		}
	}
	printf("%ld clients, %zu bytes each way, all as sent\n", count, total);
	free(clients);
	free(polls);
	return EXIT_SUCCESS;
}
