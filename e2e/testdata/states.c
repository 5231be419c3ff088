/* states - what poll says of a socket in each state, and what calls in it fail
 * with. The wanted values are Linux's for its own sockets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures;

static int mask(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	poll(&p, 1, 0);
	return p.revents;
}

/* want checks that fd's mask is or becomes the one wanted. */
static void want(const char *state, int fd, int wanted)
{
	int i, got = 0;

	for (i = 0; i < 10000; i++) {
		if ((got = mask(fd)) == wanted)
			return;
		usleep(1000);
	}
	printf("%s: poll says %#x, not %#x\n", state, got, wanted);
	failures++;
}

/* is checks the outcome of a call. */
static void is(const char *what, long r, int err)
{
	if (err == 0 ? r >= 0 : r < 0 && errno == err)
		return;
	printf("%s: %ld, %s; wanted %s\n", what, r, r < 0 ? strerror(errno) : "ok", strerror(err));
	failures++;
}

static int so_error(int fd)
{
	int e = -1;
	socklen_t n = sizeof e;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	return e;
}

static struct sockaddr_in at(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof a;

	getsockname(fd, (struct sockaddr *)&a, &n);
	return a;
}

static int dial(struct sockaddr_in a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

int main(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, a, closed;
	struct linger abort_it = {1, 0};
	char buf[65536] = {0};
	long sent = 0, received = 0;
	int l, c, s, n;

	signal(SIGPIPE, SIG_IGN);
	l = socket(AF_INET, SOCK_STREAM, 0);
	want("fresh", l, POLLOUT | POLLHUP);
	is("recv on a fresh socket", recvfrom(l, buf, 1, 0, (struct sockaddr *)&a, &(socklen_t){sizeof a}), ENOTCONN);
	c = socket(AF_INET, SOCK_STREAM, 0);
	is("shutdown of a fresh socket", shutdown(c, SHUT_WR), ENOTCONN);
	close(c);
	is("accept on a fresh socket", accept(l, NULL, NULL), EINVAL);
	is("bind", bind(l, (struct sockaddr *)&any, sizeof any), 0);
	is("bind again", bind(l, (struct sockaddr *)&any, sizeof any), EINVAL);
	want("bound", l, POLLOUT | POLLHUP);
	is("listen", listen(l, 5), 0);
	want("listening", l, 0);
	fcntl(l, F_SETFL, O_NONBLOCK);
	is("accept with nothing to accept", accept(l, NULL, NULL), EAGAIN);
	a = at(l);
	c = dial(a);
	want("connection pending", l, POLLIN);
	s = accept(l, NULL, NULL);
	is("accept", s, 0);
	want("listening again", l, 0);
	want("connected", c, POLLOUT);
	want("accepted", s, POLLOUT);
	is("connect again", connect(c, (struct sockaddr *)&a, sizeof a), EISCONN);

	is("send", send(c, "abc", 3, 0), 0);
	want("data to read", s, POLLIN | POLLOUT);
	is("FIONREAD", ioctl(s, FIONREAD, &n), 0);
	if (n != 3) {
		printf("FIONREAD: %d\n", n);
		failures++;
	}
	is("recv", recv(s, buf, 10, 0), 0);

	fcntl(c, F_SETFL, O_NONBLOCK);
	do {
		while ((n = send(c, buf, sizeof buf, 0)) > 0)
			sent += n;
		is("send into a full socket", n, EAGAIN);
		usleep(50000);
	} while (mask(c) & POLLOUT);
	want("full", c, 0);
	fcntl(s, F_SETFL, O_NONBLOCK);
	while (received < sent) {
		while ((n = recv(s, buf, sizeof buf, 0)) > 0)
			received += n;
		usleep(1000);
	}
	want("empty again", c, POLLOUT);

	is("shutdown", shutdown(c, SHUT_WR), 0);
	want("peer has ended", s, POLLIN | POLLOUT | POLLRDHUP);
	is("recv at the end", recv(s, buf, 1, 0), 0);
	is("send after shutdown", send(c, "x", 1, 0), EPIPE);
	is("shutdown of the other end", shutdown(s, SHUT_WR), 0);
	want("both have ended", s, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	want("both have ended", c, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close(c);
	close(s);

	c = dial(a);
	fcntl(l, F_SETFL, 0);
	s = accept(l, NULL, NULL);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
	close(s);
	want("reset", c, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	is("recv after a reset", recv(c, buf, 1, 0), ECONNRESET);
	is("recv once more", recv(c, buf, 1, 0), 0);
	is("send after a reset", send(c, "x", 1, 0), EPIPE);
	close(c);

	/* The peer closes with data unread. */
	c = dial(a);
	s = accept(l, NULL, NULL);
	is("send", send(c, "unread", 6, 0), 0);
	want("data to read", s, POLLIN | POLLOUT);
	close(s);
	want("reset", c, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	if ((n = so_error(c)) != ECONNRESET) {
		printf("SO_ERROR after a reset: %s\n", strerror(n));
		failures++;
	}
	close(c);

	close(l);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	closed = a;
	n = connect(c, (struct sockaddr *)&closed, sizeof closed);
	if (n < 0 && errno == EINPROGRESS) {
		want("refused", c, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
		if ((n = so_error(c)) != ECONNREFUSED) {
			printf("SO_ERROR after a refusal: %s\n", strerror(n));
			failures++;
		}
		if ((n = so_error(c)) != 0) {
			printf("SO_ERROR told twice: %s\n", strerror(n));
			failures++;
		}
	} else {
		is("connect", n, ECONNREFUSED);
	}
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	is("connect to a closed port", connect(c, (struct sockaddr *)&closed, sizeof closed), ECONNREFUSED);
	want("refused while waiting", c, POLLOUT | POLLHUP);
	close(c);
	if (failures == 0)
		printf("all as wanted\n");
	return failures != 0;
}
