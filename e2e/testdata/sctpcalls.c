/* sctpcalls - what calls on SCTP's sockets give that ask for much, for little or for nonsense. It says the
 * same on Linux and under usock run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "sctptest.h"

enum { SCTP_STATUS = 14, SCTP_SNDRCV = 1, SCTP_INIT = 0, SCTP_SNDINFO = 2 };

static int mask(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	poll(&p, 1, 0);
	return p.revents;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* until waits for poll to show the events, and returns what it shows then. */
static int until(int fd, int events, int others)
{
	for (double end = now() + 3; (mask(fd) & (events | others)) != events && now() < end;)
		usleep(1000);
	return mask(fd);
}

static void done(int c, int s)
{
	close(c);
	close(s);
}

/* The calls that receive. */
enum { READ, READV, RECV, RECVFROM, RECVMSG, RECVMMSG, CALLS };
static const char *const names[] = {"read", "readv", "recv", "recvfrom", "recvmsg", "recvmmsg"};

static long take(int how, int fd, char *b, size_t n, int flags)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	struct iovec iov[2] = {{b, n / 2}, {b + n / 2, n - n / 2}};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = iov, .msg_iovlen = 2}};

	switch (how) {
	case READ:
		return read(fd, b, n);
	case READV:
		return readv(fd, iov, 2);
	case RECV:
		return recv(fd, b, n, flags);
	case RECVFROM:
		return recvfrom(fd, b, n, flags, (struct sockaddr *)&a, &len);
	case RECVMSG:
		return recvmsg(fd, &m.msg_hdr, flags);
	}
	return recvmmsg(fd, &m, 1, flags, 0) == 1 ? (long)m.msg_len : -1;
}

/* Messages of 1 to 40 bytes are read in pieces of 7, by all calls in turn: no byte is lost. */
static void pieces(int nonblocking, int edge)
{
	int c, s, ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN | (edge ? EPOLLET : 0)};
	char text[40], got[2000];
	size_t sent = 0, have = 0;

	pair(&c, &s);
	if (nonblocking)
		fcntl(s, F_SETFL, O_NONBLOCK);
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	for (int i = 0; i < 40; i++)
		text[i] = 'A' + i;
	for (int i = 1; i <= 40; i++) {
		must(write(c, text, i) == i, "write");
		sent += i;
	}
	for (int how = 0; have < sent; how = (how + 1) % CALLS) {
		char b[7];
		long n = take(how, s, b, sizeof b, 0);
		if (n < 0 && errno == EAGAIN) {
			epoll_wait(ep, &ev, 1, 5000);
			continue;
		}
		must(n > 0, names[how]);
		memcpy(got + have, b, n);
		have += n;
	}
	size_t at = 0;
	int ok = have == sent;
	for (int i = 1; ok && i <= 40; at += i++)
		ok = memcmp(got + at, text, i) == 0;
	printf("in pieces, nonblocking %d, edge %d: %zu of %zu, right: %d, then %s\n", nonblocking, edge, have, sent, ok,
	       err(recv(s, text, 1, MSG_DONTWAIT)));
	done(c, s);
	close(ep);
}

static void flags(void)
{
	static const struct {
		const char *name;
		int flags;
	} f[] = {{"PEEK", MSG_PEEK}, {"TRUNC", MSG_TRUNC}, {"PEEK|TRUNC", MSG_PEEK | MSG_TRUNC}, {"DONTWAIT", MSG_DONTWAIT},
		 {"WAITALL", MSG_WAITALL}, {"PEEK|WAITALL", MSG_PEEK | MSG_WAITALL}};

	for (size_t i = 0; i < sizeof f / sizeof f[0]; i++)
		for (int how = RECV; how < CALLS; how++) {
			int c, s, left = -1;
			char b[100];
			pair(&c, &s);
			must(write(c, "0123456789", 10) == 10, "write");
			must(write(c, "next", 4) == 4, "write");
			until(s, POLLIN, 0);
			long n = take(how, s, b, 4, f[i].flags);
			printf("%s with %s: %s", names[how], f[i].name, err(n));
			ioctl(s, FIONREAD, &left);
			printf(", left %d,", left);
			for (int k = 0; k < 3; k++) {
				n = recv(s, b, sizeof b, MSG_DONTWAIT);
				printf(" %.*s", n > 0 ? (int)n : 0, b);
			}
			printf("\n");
			done(c, s);
		}
}

static void states(void)
{
	char b[10];
	int one = sctp(SOCK_STREAM), many = sctp(SOCK_SEQPACKET), l = listener(SOCK_STREAM), c, s;

	signal(SIGPIPE, SIG_IGN);
	printf("fresh: %#x read %s", mask(one), err(read(one, b, 1)));
	printf(" recv %s", err(recv(one, b, 1, MSG_DONTWAIT)));
	printf(" write %s", err(write(one, b, 1)));
	printf(" send %s", err(send(one, b, 1, 0)));
	printf(" empty read %s", err(read(one, b, 0)));
	printf(" empty write %s\n", err(write(one, b, 0)));
	printf("fresh, of many: %#x", mask(many));
	printf(" recv %s", err(recv(many, b, 1, MSG_DONTWAIT)));
	printf(" write %s", err(write(many, b, 1)));
	printf(" send %s\n", err(send(many, b, 1, 0)));
	printf("listening: %#x read %s", mask(l), err(read(l, b, 1)));
	printf(" write %s", err(write(l, b, 1)));
	printf(" send %s\n", err(send(l, b, 1, 0)));
	fcntl(one, F_SETFL, O_NONBLOCK);
	pair(&c, &s);
	printf("connected: %#x", mask(c));
	printf(" empty read %s", err(read(c, b, 0)));
	printf(" empty write %s", err(write(c, b, 0)));
	printf(" empty writev %s", err(writev(c, 0, 0)));
	printf(" sendfile's file %s\n", err(lseek(c, 0, SEEK_SET)));
	shutdown(c, SHUT_WR);
	printf("after its end: %#x", until(s, POLLRDHUP, 0) & ~POLLOUT);
	printf(" read %s", err(read(s, b, 1)));
	printf(" write %s", err(write(s, b, 1)));
	printf(" its write %s", err(write(c, b, 1)));
	printf(" its read %s", err(recv(c, b, 1, MSG_DONTWAIT)));
	printf(" its mask %#x", until(c, 0, POLLOUT));
	printf(" its read that waits %s", err(read(c, b, 1)));
	printf(" again %s\n", err(shutdown(c, SHUT_WR)));
	done(c, s);
	done(one, many);
	close(l);
}

/* What the pointers of calls lead to. */
static void faults(void)
{
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), b[10];
	char *none = page + 4096, *half = none - 5;
	struct iovec iov[1100];
	int c, s;

	munmap(none, 4096);
	pair(&c, &s);
	printf("write from nowhere: %s", err(write(c, none, 10)));
	printf(" half %s", err(write(c, half, 10)));
	char *volatile null = 0;
	printf(" null %s", err(write(c, null, 10)));
	printf(" send %s", err(send(c, half, 10, 0)));
	printf(" writev %s", err(writev(c, (struct iovec *)none, 1)));
	for (int i = 0; i < 1100; i++)
		iov[i] = (struct iovec){b, 1};
	printf(" of 1025 %s", err(writev(c, iov, 1025)));
	volatile int minus = -1;
	printf(" of -1 %s", err(writev(c, iov, minus)));
	iov[0].iov_len = -1;
	printf(" of length -1 %s", err(writev(c, iov, 2)));
	iov[0].iov_len = 1;
	printf(" of 1024 %s\n", err(writev(c, iov, 1024)));
	char big[2000];
	printf("what came: %s\n", err(read(s, big, sizeof big)));
	for (int how = 0; how < CALLS; how++) {
		must(write(c, "0123456789", 10) == 10, "write");
		until(s, POLLIN, 0);
		printf("%s to nowhere: %s", names[how], err(take(how, s, none, 4, 0)));
		printf(" then %s\n", err(recv(s, big, sizeof big, MSG_DONTWAIT)));
	}
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 1};
	printf("sendmsg of nothing: %s", err(sendmsg(c, (struct msghdr *)none, 0)));
	printf(" of 1025 %s", (m.msg_iovlen = 1025, err(sendmsg(c, &m, 0))));
	m.msg_iovlen = 1;
	printf(" a name %s", (m.msg_name = none, m.msg_namelen = 16, err(sendmsg(c, &m, 0))));
	printf(" a long name %s", (m.msg_namelen = 1000, err(sendmsg(c, &m, 0))));
	printf(" a negative one %s", (m.msg_namelen = -1, err(sendmsg(c, &m, 0))));
	m.msg_name = 0;
	m.msg_namelen = 0;
	printf(" control %s", (m.msg_control = none, m.msg_controllen = 16, err(sendmsg(c, &m, 0))));
	printf(" huge control %s", (m.msg_control = b, m.msg_controllen = -1, err(sendmsg(c, &m, 0))));
	printf(" large control %s\n", (m.msg_controllen = 1 << 24, err(sendmsg(c, &m, 0))));
	done(c, s);
	munmap(page, 4096);
}

/* control sends with one control message, whose length says what it likes. */
static const char *control(int fd, int type, size_t says, size_t has, int level)
{
	union {
		char b[256];
		struct cmsghdr h;
	} u = {{0}};
	struct iovec iov = {"x", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = has};

	u.h.cmsg_level = level;
	u.h.cmsg_type = type;
	u.h.cmsg_len = says;
	return err(sendmsg(fd, &m, MSG_NOSIGNAL));
}

static void controls(void)
{
	int c, s;

	pair(&c, &s);
	for (int type = -1; type < 12; type++) {
		printf("control %d:", type);
		for (size_t n = 0; n <= 64; n += 4)
			printf(" %s", control(c, type, n, n < 16 ? 16 : n, SCTP));
		printf("\n");
	}
	printf("more than there is: %s", control(c, SCTP_SNDINFO, 32, 31, SCTP));
	printf(" %s", control(c, SCTP_SNDINFO, 1000, 64, SCTP));
	printf(" %s", control(c, SCTP_SNDINFO, -1, 64, SCTP));
	printf(" less than a header %s", control(c, SCTP_SNDINFO, 32, 15, SCTP));
	printf(" another level %s", control(c, SCM_RIGHTS, 20, 24, SOL_SOCKET));
	printf(" and %s\n", control(c, SCTP_SNDINFO, 3, 64, IPPROTO_IP));
	/* Two that overlap: the second begins in the first. */
	char b[128] = {0};
	struct iovec iov = {"x", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = b, .msg_controllen = sizeof b};
	struct cmsghdr *h = (struct cmsghdr *)b;
	*h = (struct cmsghdr){.cmsg_len = 32, .cmsg_level = SCTP, .cmsg_type = SCTP_SNDINFO};
	h = (struct cmsghdr *)(b + 32);
	*h = (struct cmsghdr){.cmsg_len = 32, .cmsg_level = SCTP, .cmsg_type = SCTP_SNDINFO};
	h = (struct cmsghdr *)(b + 64);
	*h = (struct cmsghdr){.cmsg_len = 4, .cmsg_level = SCTP, .cmsg_type = SCTP_SNDINFO};
	printf("many: %s\n", err(sendmsg(c, &m, 0)));
	done(c, s);
}

static void lingers(void)
{
	int c, s;
	struct linger on = {1, 5}, abort = {1, 0};
	char b[100];

	pair(&c, &s);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &on, sizeof on);
	write(c, "last", 4);
	close(c);
	printf("lingered: %#x %s", until(s, POLLRDHUP, 0) & ~POLLOUT, err(read(s, b, 100)));
	printf(" %s\n", err(read(s, b, 100)));
	close(s);
	pair(&c, &s);
	must(write(c, "before", 6) == 6, "write");
	until(s, POLLIN, 0);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
	close(c);
	printf("before it was aborted: %d", until(s, POLLERR, 0) & POLLERR);
	printf(" %s", err(read(s, b, 4)));
	printf(" %s", err(read(s, b, 4)));
	printf(" %s", err(read(s, b, 4)));
	printf(" %s\n", err(write(s, b, 4)));
	close(s);
	pair(&c, &s);
	setsockopt(c, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
	close(c);
	until(s, POLLERR, 0);
	printf("aborted: %s", err(write(s, b, 1)));
	printf(" %s", err(read(s, b, 1)));
	printf(" %s\n", err(read(s, b, 1)));
	close(s);
	pair(&c, &s);
	must(write(s, "unread", 6) == 6, "write");
	until(c, POLLIN, 0);
	close(c);
	until(s, POLLERR, 0);
	printf("unread: %s", err(read(s, b, 1)));
	printf(" %s\n", err(write(s, b, 1)));
	close(s);
	pair(&c, &s);
	must(write(s, "unread", 6) == 6, "write");
	until(c, POLLIN, 0);
	read(c, b, 2);
	close(c);
	until(s, POLLERR, 0);
	printf("half read: %s\n", err(read(s, b, 1)));
	close(s);
}

static int state(int fd, int id)
{
	char v[256] = {0};
	socklen_t n = sizeof v;

	memcpy(v, &id, 4);
	if (getsockopt(fd, SCTP, SCTP_STATUS, v, &n) < 0)
		return -errno;
	return ((int *)v)[1];
}

static void opens(void)
{
	int m = listener(SOCK_SEQPACKET), l = listener(SOCK_STREAM), c = sctp(SOCK_STREAM), i;
	struct sockaddr_in a = where(l), b = where(m), nobody;
	char big[100];
	struct timespec t0, t1;

	printf("by a send, one-to-one: %s", err(sendto(c, "x", 1, 0, (struct sockaddr *)&a, sizeof a)));
	printf(" state %d", state(c, 0));
	printf(" mask %#x\n", mask(c));
	close(c);
	c = sctp(SOCK_SEQPACKET);
	printf("one-to-many: %s", err(sendto(c, "y", 1, 0, (struct sockaddr *)&b, sizeof b)));
	printf(" mask %#x\n", mask(c));
	printf("at the other: %s", err(recv(m, big, 100, 0)));
	printf(" without a name: %s\n", err(send(c, "x", 1, MSG_NOSIGNAL)));
	close(c);
	i = listener(SOCK_SEQPACKET);
	nobody = where(i);
	close(i);
	c = sctp(SOCK_SEQPACKET);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	printf("to nobody: %s", err(sendto(c, "x", 1, 0, (struct sockaddr *)&nobody, sizeof nobody)));
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf(" at once: %d", t1.tv_sec - t0.tv_sec < 3);
	printf(" receive %s", err(recv(c, big, 100, MSG_DONTWAIT)));
	printf(" once more %s", err(sendto(c, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&nobody, sizeof nobody)));
	printf(" wrong: %s", err(sendto(c, "x", 1, 0, (struct sockaddr *)&nobody, 3)));
	nobody.sin_family = 77;
	printf(" %s\n", err(sendto(c, "x", 1, 0, (struct sockaddr *)&nobody, sizeof nobody)));
	close(c);
	close(m);
	close(l);
}

static void full(int with)
{
	int c, s, ep = epoll_create1(0), n = 0, got = 0, edges = 0;
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
	char b[4000] = {0};

	pair(&c, &s);
	fcntl(c, F_SETFL, O_NONBLOCK);
	while (until(c, POLLOUT, 0) & POLLOUT) {
		struct iovec iov = {b, 2000};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		long r = with == 0 ? write(c, b, 2000) : with == 1 ? send(c, b, 2000, 0) : sendmsg(c, &m, 0);
		if (r == 2000) {
			n++;
			continue;
		}
		must(errno == EAGAIN, "a full one");
		struct pollfd p = {.fd = c, .events = POLLOUT};
		if (poll(&p, 1, 100) == 0)
			break;
	}
	printf("full: %#x", mask(c));
	epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
	printf(" edges %d", epoll_wait(ep, &ev, 1, 0));
	for (; got < n; got++)
		must(read(s, b, sizeof b) == 2000, "whole");
	edges = epoll_wait(ep, &ev, 1, 5000);
	printf(" emptied: %#x edges %d all came %d\n", until(c, POLLOUT, 0), edges, got == n && n > 10);
	close(ep);
	done(c, s);
}

static volatile int rang;
static void ring(int sig) { rang += sig != 0; }

static int rung[2] = {-1, -1}; /* a pipe that then has a byte, once the bell has been heard twice */

static void *bell(void *t)
{
	for (int i = 0; i < 2; i++) {
		int before = rang;
		usleep(50000);
		pthread_kill((pthread_t)t, SIGUSR1);
		while (rung[1] >= 0 && rang == before)
			usleep(1000);
	}
	if (rung[1] >= 0)
		must(write(rung[1], "", 1) == 1, "write");
	return 0;
}

static volatile int stopped;

static void *chimes(void *t)
{
	while (!stopped) {
		usleep(50000);
		pthread_kill((pthread_t)t, SIGUSR1);
	}
	return 0;
}

static void signals(void)
{
	int c, s, l = listener(SOCK_STREAM);
	struct sigaction a = {.sa_handler = ring};
	pthread_t t;
	char b[2000];

	pair(&c, &s);
	sigaction(SIGUSR1, &a, 0);
	for (int how = 0; how < CALLS; how++) {
		pthread_create(&t, 0, bell, (void *)pthread_self());
		printf("%s ended by a signal: %s\n", names[how], err(take(how, s, b, 10, 0)));
		pthread_join(t, 0);
	}
	pthread_create(&t, 0, bell, (void *)pthread_self());
	printf("accept: %s\n", err(accept(l, 0, 0)));
	pthread_join(t, 0);
	int sent = 0;
	pthread_create(&t, 0, chimes, (void *)pthread_self());
	while (write(c, b, 2000) == 2000)
		sent++;
	printf("write: %s\n", strerrorname_np(errno));
	stopped = 1;
	pthread_join(t, 0);
	a.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &a, 0);
	while (sent-- > 0)
		must(read(s, b, 2000) == 2000, "what was sent");
	must(recv(s, b, 1, MSG_DONTWAIT) < 0, "nothing more");
	rang = 0;
	must(pipe(rung) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		must(read(rung[0], b, 1) == 1, "the bell");
		write(c, "restarted", 9);
		_exit(0);
	}
	pthread_create(&t, 0, bell, (void *)pthread_self());
	long n = read(s, b, 5);
	printf("read: %.*s after %d signals", (int)n, b, rang);
	n = read(s, b, 50);
	printf(" rest %.*s\n", (int)n, b);
	pthread_join(t, 0);
	waitpid(child, 0, 0);
	done(rung[0], rung[1]);
	rung[1] = -1;
	struct timeval tv = {0, 100000};
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	printf("its time is up: %s", err(read(s, b, 5)));
	printf(" %s\n", err(recv(s, b, 5, 0)));
	done(c, s);
	close(l);
}

static void limits(void)
{
	struct rlimit old, few;
	int fd[64], n = 0, l = listener(SOCK_STREAM), c = sctp(SOCK_STREAM);
	struct sockaddr_in a = where(l);

	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 30;
	setrlimit(RLIMIT_NOFILE, &few);
	while (n < 64 && (fd[n] = socket(AF_INET, SOCK_STREAM, SCTP)) >= 0)
		n++;
	printf("too many: %s, more than 10 %d", strerrorname_np(errno), n > 10);
	must(connect(c, (struct sockaddr *)&a, sizeof a) == 0, "connect");
	printf(" accept %s", err(accept(l, 0, 0)));
	while (n > 0)
		close(fd[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	int s = accept(l, 0, 0);
	printf(" then %d\n", s >= 0 && write(c, "x", 1) == 1);
	done(c, s);
	close(l);
}

static void many(int count)
{
	int l = listener(SOCK_STREAM), *c = calloc(count, sizeof *c), *s = calloc(count, sizeof *s), ok = 0;
	struct rlimit r;
	struct sockaddr_in a = where(l);

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	for (int i = 0; i < count; i++) {
		c[i] = sctp(SOCK_STREAM);
		must(connect(c[i], (struct sockaddr *)&a, sizeof a) == 0, "connect");
		must((s[i] = accept(l, 0, 0)) >= 0, "accept");
	}
	for (int i = 0; i < count; i++)
		must(send(c[i], &i, sizeof i, 0) == sizeof i, "send");
	for (int i = count - 1; i >= 0; i--) {
		int got = -1;
		must(recv(s[i], &got, sizeof got, 0) == sizeof got, "recv");
		ok += got == i;
	}
	for (int i = 0; i < count; i++)
		close(c[i]);
	for (int i = 0; i < count; i++) {
		char b;
		ok += recv(s[i], &b, 1, 0) == 0;
		close(s[i]);
	}
	printf("many sockets: %d\n", ok == 2 * count);
	free(c);
	free(s);
	close(l);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	alarm(60);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++)
			pieces(i, k && i);
	flags();
	states();
	faults();
	controls();
	lingers();
	opens();
	for (int i = 0; i < 3; i++)
		full(i);
	signals();
	limits();
	many(argc > 1 ? atoi(argv[1]) : 1000);
	return 0;
}
