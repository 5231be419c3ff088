/* moves - blocking calls on streams, each of which moves everything that Linux moves
 * (tcp_sendmsg and tcp_recvmsg in net/ipv4/tcp.c), or says how much it did.
 *
 *	moves waitall | send | cut | oob | fastopen | badbuf | timeout | sndbuf */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "basics.h"

#define BIG ((size_t)4 << 20)

static struct sockaddr_in at;
static int c, s; /* the two ends of a connection */
static char *big;

static const char *res(ssize_t n)
{
	static char b[8][40];
	static int i;
	char *p = b[i++ % 8];

	if (n < 0)
		return strerrorname_np(errno);
	sprintf(p, "%zd", n);
	return p;
}

static void pair(void)
{
	socklen_t len = sizeof at;
	int ls = socket(AF_INET, SOCK_STREAM, 0);

	memset(&at, 0, sizeof at);
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(ls, (void *)&at, sizeof at) || listen(ls, 5) || getsockname(ls, (void *)&at, &len))
		die("a listener");
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(c, (void *)&at, sizeof at) || (s = accept(ls, NULL, NULL)) < 0)
		die("a connection");
	close(ls);
}

static void unpair(void) { close(c); close(s); }

static void quiet(int sig) { (void)sig; }

/* on_alarm has a signal come each time so many milliseconds have passed, as the first one may come before the call that it is
 * for, until no_alarm. */
static void on_alarm(int ms, int flags)
{
	struct sigaction sa = {.sa_handler = quiet, .sa_flags = flags};
	struct itimerval v = {.it_value = {0, ms * 1000}, .it_interval = {0, ms * 1000}};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &v, NULL);
}

static void no_alarm(void) { setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL); }

static void times_out(int fd, int what, long s, long us)
{
	struct timeval tv = {s, us};

	setsockopt(fd, SOL_SOCKET, what, &tv, sizeof tv);
}

/* --- receives --- */

enum { WAIT_END, WAIT_RESET, WAIT_SLOW, WAIT_NOTHING };
static int then;
static double fed; /* when all had been sent */

/* feeds sends ten bytes at a time, and then what then says. */
static void *feeds(void *p)
{
	struct linger l = {1, 0};
	sigset_t all;

	(void)p;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (int i = 0; i < (then == WAIT_SLOW ? 10 : 3); i++) {
		write(s, "0123456789", 10);
		fed = now();
		usleep(5000);
	}
	if (then == WAIT_RESET) {
		setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l);
		close(s);
	}
	if (then == WAIT_END)
		shutdown(s, SHUT_WR);
	return NULL;
}

/* told is what a receive told besides its count: of a struct msghdr all that it stores. */
static char told[100];

static ssize_t tells(ssize_t n, const struct msghdr *m)
{
	if (n > 0)
		snprintf(told, sizeof told, "; name %u, control %zu, flags %#x", m->msg_namelen, m->msg_controllen, m->msg_flags);
	return n;
}

static ssize_t by_recvfrom(char *b, size_t n)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	ssize_t got = recvfrom(c, b, n, MSG_WAITALL, (void *)&from, &len);

	if (got > 0)
		snprintf(told, sizeof told, "; name %u", len);
	return got;
}

static ssize_t by_recvmsg(char *b, size_t n)
{
	struct iovec v[2] = {{b, n / 3}, {b + n / 3, n - n / 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2, .msg_flags = MSG_OOB};

	return tells(recvmsg(c, &m, MSG_WAITALL), &m);
}

static ssize_t by_name(char *b, size_t n)
{
	struct sockaddr_in from;
	char control[100];
	struct iovec v = {b, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from,
		.msg_control = control, .msg_controllen = sizeof control, .msg_flags = MSG_OOB};

	return tells(recvmsg(c, &m, MSG_WAITALL), &m);
}

static ssize_t by_mmsg(char *b, size_t n)
{
	struct sockaddr_in from;
	char control[100];
	struct iovec v = {b, n};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from,
		.msg_control = control, .msg_controllen = sizeof control, .msg_flags = MSG_OOB}};

	return tells(recvmmsg(c, &m, 1, MSG_WAITALL, NULL) == 1 ? (ssize_t)m.msg_len : -1, &m.msg_hdr);
}

static ssize_t by_recv(char *b, size_t n) { return recv(c, b, n, MSG_WAITALL); }

static const struct { const char *name; ssize_t (*f)(char *, size_t); } receives[] = {
	{"recv", by_recv}, {"recvfrom", by_recvfrom}, {"recvmsg", by_recvmsg}, {"recvmsg, name", by_name}, {"recvmmsg", by_mmsg},
};

static void waitall(void)
{
	static const char *const cut[] = {"end", "reset", "nothing", "time", "a signal"};
	char b[200];
	pthread_t t;

	for (size_t i = 0; i < sizeof receives / sizeof *receives; i++)
		for (int k = 0; k < 5; k++) {
			const char *got, *rest;
			double begin;

			do {
				pair();
				then = (int[]){WAIT_END, WAIT_RESET, WAIT_SLOW, WAIT_NOTHING, WAIT_NOTHING}[k];
				if (k == 3)
					times_out(c, SO_RCVTIMEO, 0, 100000);
				begin = now();
				if (k == 4)
					on_alarm(100, 0);
				pthread_create(&t, NULL, feeds, NULL);
				told[0] = 0;
				got = res(receives[i].f(b, 100));
				no_alarm();
				pthread_join(t, NULL);
				rest = res(recv(c, b, sizeof b, MSG_DONTWAIT));
				unpair();
			} while (k >= 3 && fed > begin + 0.09); /* cut before all had been sent */
			printf("%s, MSG_WAITALL of 100, cut by %s: %s%s\n", receives[i].name, cut[k], got, told);
			if (k != 1) /* what a reset leaves to be told is declared */
				printf("\tthen: %s\n", rest);
		}
}

/* --- sends --- */

static _Atomic size_t drained;
static atomic_int paused;

/* drains reads s to its end, slowly. */
static void *drains(void *p)
{
	static char b[1 << 18];
	ssize_t n;
	sigset_t all;

	(void)p;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (paused)
		usleep(1000);
	while ((n = read(s, b, sizeof b)) > 0) {
		drained += n;
		usleep(500);
	}
	return NULL;
}

static ssize_t to(size_t n) { return sendto(c, big, n, 0, (void *)&at, sizeof at); }

static ssize_t named(size_t n)
{
	struct iovec v[3] = {{big, 1}, {big, n - 2}, {big, 1}};
	struct msghdr m = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = v, .msg_iovlen = 3};

	return sendmsg(c, &m, 0);
}

static ssize_t controlled(size_t n)
{
	struct iovec v = {big, n};
	union { char b[CMSG_SPACE(sizeof(int))]; struct cmsghdr h; } u = {.h = {CMSG_LEN(sizeof(int)), IPPROTO_IP, IP_TOS}};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u};

	return sendmsg(c, &m, 0);
}

static ssize_t several(size_t n)
{
	struct iovec v = {big, n / 4};
	struct mmsghdr m[4];
	ssize_t sum = 0;

	for (int i = 0; i < 4; i++)
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &at, .msg_namelen = sizeof at}};
	int r = sendmmsg(c, m, 4, 0);
	for (int i = 0; i < r; i++)
		sum += m[i].msg_len;
	return r < 0 ? -1 : sum;
}

static ssize_t urgent(size_t n) { return send(c, big, n, MSG_OOB); }
static ssize_t unknown(size_t n) { return send(c, big, n, 0x10000000); }
static ssize_t zerocopy(size_t n)
{
	/* Without SO_ZEROCOPY the flag says nothing. */
	return send(c, big, n, MSG_ZEROCOPY);
}
static ssize_t more(size_t n) { return send(c, big, n, MSG_MORE | MSG_CONFIRM); }

static const struct { const char *name; ssize_t (*f)(size_t); } sends[] = {
	{"sendto", to}, {"sendmsg, name", named}, {"sendmsg, control", controlled}, {"sendmmsg", several},
	{"MSG_OOB", urgent}, {"unknown flag", unknown}, {"MSG_ZEROCOPY", zerocopy}, {"MSG_MORE", more},
};
enum { SENDS = sizeof sends / sizeof *sends };

static void drain_all(pthread_t t, size_t want)
{
	shutdown(c, SHUT_WR);
	pthread_join(t, NULL);
	/* An urgent byte does not stand in the stream for who reads past it. */
	printf("\tall came: %d\n", drained == want || drained + 1 == want);
}

static void send_all(void)
{
	pthread_t t;
	ssize_t n;

	for (int i = 0; i < SENDS; i++) {
		pair();
		drained = 0;
		pthread_create(&t, NULL, drains, NULL);
		n = sends[i].f(BIG);
		printf("%s of 4 MiB: %s\n", sends[i].name, res(n));
		drain_all(t, BIG);
		unpair();
	}
}

/* send_cut has a send whose reader stops: the time runs out, or a signal comes. It
 * tells how much it took, which is what comes. How much fits is the system's. */
static void send_cut(void)
{
	pthread_t t;
	ssize_t n;

	for (int i = 0; i < SENDS; i++)
		for (int sig = 0; sig < 2; sig++) {
			pair();
			drained = 0;
			paused = 1;
			pthread_create(&t, NULL, drains, NULL);
			if (sig)
				on_alarm(100, 0);
			else
				times_out(c, SO_SNDTIMEO, 0, 100000);
			n = sends[i].f(4 * BIG);
			no_alarm();
			printf("%s cut by %s: some of it: %d\n", sends[i].name, sig ? "a signal" : "time", n > 0 && n < 4 * (ssize_t)BIG);
			paused = 0;
			drain_all(t, n);
			unpair();
		}
}

/* oob sends an urgent byte while the buffer is full. */
static void oob(void)
{
	pthread_t t;
	size_t sum = 0;
	ssize_t n;

	pair();
	drained = 0;
	paused = 1;
	pthread_create(&t, NULL, drains, NULL);
	/* Full it is when nothing goes on behind it either, which poll does not tell: it
	 * waits for a third of the buffer. */
	for (size_t before = 1; before != sum; usleep(200000)) {
		before = sum;
		for (size_t size = 65536; size > 0; size /= 256)
			while ((n = send(c, big, size, MSG_DONTWAIT)) > 0)
				sum += n;
	}
	printf("full: %s; urgent, not waiting: %s\n", res(n), res(send(c, "!", 1, MSG_OOB | MSG_DONTWAIT)));
	times_out(c, SO_SNDTIMEO, 0, 100000);
	printf("urgent, in time: %s\n", res(send(c, "!", 1, MSG_OOB)));
	times_out(c, SO_SNDTIMEO, 0, 0);
	paused = 0;
	printf("urgent, waiting: %s\n", res(send(c, "!", 1, MSG_OOB)));
	drain_all(t, sum + 1);
	unpair();
}

static void fast(const char *what, int fd, const struct sockaddr_in *to, socklen_t len)
{
	printf("MSG_FASTOPEN, %s: %s\n", what, res(sendto(fd, "abc", 3, MSG_FASTOPEN, (const void *)to, len)));
}

/* fastopen names the flag where there is no address, or is a connection or a listener. */
static void fastopen(void)
{
	struct sockaddr_in none = {0}, closed;
	struct linger now = {1, 0};
	struct pollfd p;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	pair();
	fast("fresh, no address", fd, NULL, 0);
	fast("fresh, AF_UNSPEC", fd, &none, sizeof none);
	fast("fresh, short address", fd, &at, 8);
	closed = at;
	closed.sin_port = htons(9);
	fast("fresh, refused", fd, &closed, sizeof closed);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	listen(fd, 1);
	fast("listening, address", fd, &at, sizeof at);
	close(fd);
	fast("connected, address", c, &at, sizeof at);
	fast("connected, no address", c, NULL, 0);
	fast("connected, AF_UNSPEC", c, &none, sizeof none);
	fast("connected, short address", c, &at, 1);
	shutdown(c, SHUT_WR);
	fast("shut down, address", c, &at, sizeof at);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(s);
	p = (struct pollfd){c, 0, 0};
	poll(&p, 1, 5000);
	fast("reset, address", c, &at, sizeof at);
	printf("then: %s\n", res(recv(c, big, 10, MSG_DONTWAIT)));
	close(c);
}

/* --- bad buffers --- */

static void check(const char *what, ssize_t n)
{
	char b[20];
	const char *r = res(n);

	printf("%s: %s; then %s\n", what, r, res(recv(c, b, sizeof b, MSG_DONTWAIT)));
}

static void feed(void)
{
	struct pollfd p = {c, POLLIN, 0};

	write(s, "abcdef", 6);
	poll(&p, 1, 5000);
}

static void badbuf(void)
{
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), good[4];
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *bad[] = {NULL, (void *)8, ro, (void *)-4096L};
	struct sockaddr_in from;
	socklen_t len = sizeof from;

	munmap(edge + 4096, 4096);
	pair();
	for (int i = 0; i < 4; i++) {
		struct iovec v = {bad[i], 6};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
		struct mmsghdr mm = {.msg_hdr = m};

		feed();
		check("recvfrom", recvfrom(c, bad[i], 6, 0, (void *)&from, &len));
		feed();
		check("recvmsg", recvmsg(c, &m, 0));
		feed();
		check("recvmmsg", recvmmsg(c, &mm, 1, 0, NULL));
		feed();
		check("recvfrom, peek", recvfrom(c, bad[i], 6, MSG_PEEK, (void *)&from, &len));
		feed();
		check("recvfrom, WAITALL", recvfrom(c, bad[i], 6, MSG_WAITALL, (void *)&from, &len));
		printf("sendto: %s\n", res(i == 2 ? 0 : sendto(c, bad[i], 6, 0, (void *)&at, sizeof at)));
	}
	struct iovec v[2] = {{good, 4}, {(void *)8, 10}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = sizeof from};
	feed();
	check("recvmsg, the second bad", recvmsg(c, &m, 0));
	m.msg_iov = (void *)8;
	feed();
	check("recvmsg, no iovec", recvmsg(c, &m, 0));
	feed();
	check("recvfrom, no address", recvfrom(c, edge, 6, 0, (void *)8, &len));
	printf("nothing was sent: %s\n", res(recv(s, edge, 10, MSG_DONTWAIT)));
	unpair();
}

/* --- times --- */

/* timeout sets negative times, which Linux takes for none at all (sock_set_timeout:
 * tv_sec < 0 is a time of 0, that does not wait). */
static void timeout(void)
{
	char b[10];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
	struct mmsghdr mm = {.msg_hdr = m};
	struct timeval tv;
	int ls = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);

	pair();
	listen(ls, 5);
	bind(u, (void *)&(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, sizeof at);
	for (int i = 0; i < 2; i++) {
		int fd = i ? u : c;

		times_out(fd, SO_RCVTIMEO, -1, 0);
		printf("recv: %s\n", res(recv(fd, b, 10, 0)));
		printf("read: %s\n", res(read(fd, b, 10)));
		printf("readv: %s\n", res(readv(fd, &v, 1)));
		printf("recvfrom: %s\n", res(recvfrom(fd, b, 10, 0, (void *)&from, &len)));
		printf("WAITALL: %s\n", res(recvfrom(fd, b, 10, MSG_WAITALL, (void *)&from, &len)));
		printf("recvmsg: %s\n", res(recvmsg(fd, &m, 0)));
		printf("recvmmsg: %s\n", res(recvmmsg(fd, &mm, 1, 0, NULL)));
		len = sizeof tv;
		printf("getsockopt: %s, ", res(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len)));
		printf("%ld %ld\n", (long)tv.tv_sec, (long)tv.tv_usec);
		printf("bad time: %s\n", res(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 1000000}, sizeof tv)));
	}
	times_out(ls, SO_RCVTIMEO, -1, 0);
	printf("accept: %s\n", res(accept(ls, NULL, NULL)));
	printf("accept4: %s\n", res(accept4(ls, NULL, NULL, 0)));
	unpair();
}

/* --- a larger buffer --- */

static void *widens(void *p)
{
	(void)p;
	usleep(100000); /* nobody tells that the send waits */
	setsockopt(c, SOL_SOCKET, SO_SNDBUF, &(int){8 << 20}, sizeof(int));
	return NULL;
}

/* sndbuf has a sender wait for room, which a larger SO_SNDBUF gives it. Linux says so
 * in sk_setsockopt: "Wake up sending tasks if we upped the value". */
static void sndbuf(void)
{
	pthread_t t;
	int max = 0;
	FILE *f = fopen("/proc/sys/net/core/wmem_max", "r");

	for (int i = 0; i < 2; i++) {
		pair();
		setsockopt(c, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
		while (send(c, big, 4096, MSG_DONTWAIT) > 0)
			;
		times_out(c, SO_SNDTIMEO, 3, 0);
		pthread_create(&t, NULL, widens, NULL);
		printf("send: %s\n", res(i ? send(c, big, 50000, 0) : to(50000)));
		pthread_join(t, NULL);
		unpair();
	}
	if (f && fscanf(f, "%d", &max) == 1)
		printf("#wmem_max %d\n", max);
}

int main(int argc, char **argv)
{
	const char *w = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	big = calloc(4, BIG);
	if (!strcmp(w, "waitall")) waitall();
	else if (!strcmp(w, "send")) send_all();
	else if (!strcmp(w, "cut")) send_cut();
	else if (!strcmp(w, "oob")) oob();
	else if (!strcmp(w, "fastopen")) fastopen();
	else if (!strcmp(w, "badbuf")) badbuf();
	else if (!strcmp(w, "timeout")) timeout();
	else if (!strcmp(w, "sndbuf")) sndbuf();
	else return 2;
	return 0;
}
