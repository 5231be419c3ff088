/* sctptest.h - what the programs that try SCTP's sockets have in common. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCTP = 132, SCTP_EVENTS = 11, PEELOFF = 102 };

static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("%s: %s\n", what, strerrorname_np(errno));
	fflush(stdout);
	exit(1);
}

static const char *err(long r)
{
	static char b[4][32];
	static int i;

	i = (i + 1) % 4;
	if (r < 0)
		return strerrorname_np(errno);
	snprintf(b[i], sizeof b[i], "%ld", r);
	return b[i];
}

static struct sockaddr_in any(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return a;
}

static int sctp(int type)
{
	int fd = socket(AF_INET, type, SCTP);

	must(fd >= 0, "socket");
	return fd;
}

static struct sockaddr_in where(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof a;

	must(getsockname(fd, (struct sockaddr *)&a, &n) == 0, "getsockname");
	return a;
}

static int listener(int type)
{
	struct sockaddr_in a = any();
	int fd = sctp(type);

	must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	must(listen(fd, 1000) == 0, "listen");
	return fd;
}

static __attribute__((unused)) void pair(int *c, int *s)
{
	int l = listener(SOCK_STREAM);
	struct sockaddr_in a = where(l);

	*c = sctp(SOCK_STREAM);
	must(connect(*c, (struct sockaddr *)&a, sizeof a) == 0, "connect");
	*s = accept(l, 0, 0);
	must(*s >= 0, "accept");
	close(l);
}
