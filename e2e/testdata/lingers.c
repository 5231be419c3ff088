/* lingers - close(2) of TCP sockets with SO_LINGER: which closes wait for what was sent, for how long, and what ends the
 * wait. It says the same natively and under usock run --every-call. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"

static int listener, c, s;
static pid_t closer;                   /* the thread that closes */
static volatile int happened, returned; /* what is to end the wait has; the close has */
static struct sockaddr_in where;
static char much[65536];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void linger(int fd, int seconds)
{
	struct linger l = {1, seconds};

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0, "SO_LINGER");
}

/* A connection whose sender's buffers are full, or not: full for good is what stays so for a while. */
static void connection(int full)
{
	struct pollfd room;

	c = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(c, (struct sockaddr *)&where, sizeof where) == 0, "connect");
	must((s = accept(listener, 0, 0)) >= 0, "accept");
	room = (struct pollfd){c, POLLOUT, 0};
	while (full && (send(c, much, sizeof much, MSG_DONTWAIT) > 0 || poll(&room, 1, 50) > 0))
		;
}

/* Closes a descriptor that is to wait for some seconds at most, and says how long that took: a machine that is busy with others
 * has it take some seconds more, and what does not wait some of those that it may. */
static void closes(const char *what, int fd, int seconds)
{
	happened = returned = 0;
	double begin = now();
	int r = close(fd);
	double took = now() - begin;

	returned = 1;
	printf("%s: %d, %s\n", what, r,
	       took >= seconds + 5 ? "late" : took >= seconds - 0.1 ? "when its time is up" : happened ? "in a while" : "at once");
	printf("# %.3f\n", took);
	if (s >= 0)
		close(s);
}

/* Reads what was sent, from when the close has waited for a while. */
static void *reads(void *fd)
{
	long n;
	int from = *(int *)fd;

	while (!returned && call_of(closer) != SYS_close)
		usleep(1000);
	usleep(50000);
	happened = !returned;
	while ((n = recv(from, much, sizeof much, 0)) > 0)
		;
	return (void *)n;
}

static void ring(int sig) { happened = sig != 0; }

int main(void)
{
	socklen_t n = sizeof where;
	struct sigaction ringing = {.sa_handler = ring};
	pthread_t t;
	void *end;
	char b[10];
	int st, copy;

	closer = gettid();
	where.sin_family = AF_INET;
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&where, sizeof where) == 0 && listen(listener, 10) == 0, "listen");
	getsockname(listener, (struct sockaddr *)&where, &n);

	connection(1);
	closes("without SO_LINGER", c, 10);

	connection(0);
	linger(c, 10);
	must(send(c, "little", 6, 0) == 6, "send");
	closes("little", c, 10);

	connection(1);
	linger(c, 1);
	closes("nobody reads", c, 1);

	connection(1);
	linger(c, 1);
	fcntl(c, F_SETFL, O_NONBLOCK);
	closes("nobody reads, and it is not to wait", c, 1);

	connection(1);
	linger(c, 10);
	copy = s, s = -1;
	returned = 0;
	pthread_create(&t, 0, reads, &copy);
	closes("somebody reads", c, 10);
	pthread_join(t, &end);
	printf("and has the end: %ld\n", (long)end);
	close(copy);

	connection(1);
	linger(c, 10);
	shutdown(c, SHUT_WR);
	copy = s, s = -1;
	returned = 0;
	pthread_create(&t, 0, reads, &copy);
	closes("it is shut down", c, 10);
	pthread_join(t, &end);
	close(copy);

	connection(1);
	linger(c, 10);
	copy = dup(c);
	st = s, s = -1;
	closes("there is a duplicate", c, 10);
	s = st;
	linger(copy, 1);
	closes("there is none any more", copy, 1);

	connection(1);
	linger(c, 0);
	copy = s, s = -1;
	closes("0 seconds", c, 10);
	do
		st = recv(copy, much, sizeof much, 0);
	while (st > 0);
	printf("the other end: %s\n", st < 0 ? strerror(errno) : "no error");
	close(copy);

	connection(1);
	linger(c, 10);
	must(send(s, "unread", 6, 0) == 6 && recv(c, b, 1, MSG_PEEK) == 1, "unread");
	closes("bytes are unread", c, 10);

	sigaction(SIGALRM, &ringing, 0);
	connection(1);
	linger(c, 10);
	struct itimerval soon = {{0, 200000}, {0, 200000}}; /* again, were the first one before it waits */
	setitimer(ITIMER_REAL, &soon, 0);
	closes("a signal", c, 10);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);

	connection(1);
	linger(c, 10);
	double begin = now();
	if (fork() == 0)
		_exit(0);
	wait(&st);
	pid_t child = fork();
	if (child == 0) {
		close(s);
		_exit(close(c));
	}
	waitpid(child, &st, 0);
	printf("children that have it, too: %s\n", now() - begin < 9 ? "at once" : "late");
	linger(c, 0);
	close(c);
	close(s);

	linger(listener, 1);
	connection(0);
	while (send(s, much, sizeof much, MSG_DONTWAIT) > 0)
		;
	copy = s, s = c;
	closes("it has it from its listener", copy, 1);

	linger(listener, 0);
	closes("a listener", listener, 10);
	return 0;
}
