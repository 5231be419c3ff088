// A client and a server that exchange one byte at a time.
//
//	client serve PORT                 echoes, TCP and UDP, until it is killed
//	client rr|crr|urr HOST PORT SECS  prints exchanges a second and the median time of one in µs
//
// rr: on one connection; crr: each on a connection of its own; urr: datagrams.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int serve(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), e = epoll_create1(0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 1024) || bind(u, (void *)&a, sizeof a))
		fail("bind");
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = l};
	epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
	ev.data.fd = u;
	epoll_ctl(e, EPOLL_CTL_ADD, u, &ev);
	for (;;) {
		if (epoll_wait(e, &ev, 1, -1) < 1)
			continue;
		char b[2048];
		if (ev.data.fd == l) {
			ev.data.fd = accept(l, 0, 0);
			setsockopt(ev.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			epoll_ctl(e, EPOLL_CTL_ADD, ev.data.fd, &ev);
		} else if (ev.data.fd == u) {
			socklen_t n = sizeof a;
			ssize_t k = recvfrom(u, b, sizeof b, 0, (void *)&a, &n);
			sendto(u, b, k, 0, (void *)&a, n);
		} else {
			ssize_t k = read(ev.data.fd, b, sizeof b);
			if (k <= 0 || write(ev.data.fd, b, k) != k)
				close(ev.data.fd);
		}
	}
}

static int order(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc != 5)
		return 2;
	int udp = !strcmp(argv[1], "urr"), each = !strcmp(argv[1], "crr"), on = 1, s = -1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
	inet_pton(AF_INET, argv[2], &a.sin_addr);
	static float took[4 << 20];
	int n = 0;
	alarm(atoi(argv[4]) + 10); // an exchange that never ends
	double begin = now(), end = begin + atof(argv[4]), t;
	while ((t = now()) < end && n < (int)(sizeof took / sizeof *took)) {
		if (s < 0) {
			s = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
			if (connect(s, (void *)&a, sizeof a))
				fail("connect");
			if (!udp && !each)
				setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		}
		char b = 'x';
		if (write(s, &b, 1) != 1 || read(s, &b, 1) != 1)
			fail("exchange");
		if (each) {
			close(s);
			s = -1;
		}
		took[n++] = now() - t;
	}
	qsort(took, n, sizeof *took, order);
	printf("%.1f %.2f\n", n / (now() - begin), took[n / 2] * 1e6);
}
