/*
 * The work of the bench on libusrsctp: usrsctp WORK SECONDS PORT prints the figure,
 * the processor time for a message, and the settings. Two processes, a stack in each, have UDP sockets on loopback, PORT and the
 * next one, in which SCTP's packets travel (RFC 6951).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <usrsctp.h>

enum { port = 5000, buffer = 1 << 20, associations = 3000, most = 1 << 16 };

static const double warmup = 0.2;

/* What the two processes share. */
static struct {
	atomic_int listening, accepted;
	atomic_long messages, bytes;
	atomic_long before, after; /* the server's resident memory, in KiB */
} *shared;

static int encapsulation; /* the client's UDP port; the server's is the next */
static int no_delay;      /* SCTP_NODELAY */
static pid_t server;
static double each; /* processor time for a message, in microseconds; 0: not measured */
static unsigned char data[most];

static void fail(const char *what)
{
	fprintf(stderr, "usrsctp: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Processor time that this process and the server have used, in seconds. */
static double used(void)
{
	clockid_t clock;
	struct timespec a, b = { 0 };
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	if (clock_getcpuclockid(server, &clock) == 0)
		clock_gettime(clock, &b);
	return a.tv_sec + b.tv_sec + (a.tv_nsec + b.tv_nsec) * 1e-9;
}

static void nap(void) { usleep(1000); }

static void set(struct socket *s, int level, int name, const void *v, socklen_t n)
{
	if (usrsctp_setsockopt(s, level, name, v, n) < 0)
		fail("setsockopt");
}

/* A socket of one-to-one style, bound to loopback. */
static struct socket *opened(int at, int to_encapsulation)
{
	struct socket *s = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (s == NULL)
		fail("socket");
	int size = buffer;
	set(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	set(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	set(s, IPPROTO_SCTP, SCTP_NODELAY, &no_delay, sizeof no_delay);
	struct sctp_udpencaps e = { .sue_port = htons(to_encapsulation) };
	e.sue_address.ss_family = AF_INET;
	set(s, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &e, sizeof e);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (usrsctp_bind(s, (struct sockaddr *)&a, sizeof a) < 0)
		fail("bind");
	return s;
}

static struct socket *dial(void)
{
	struct socket *s = opened(0, encapsulation + 1);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (usrsctp_connect(s, (struct sockaddr *)&a, sizeof a) < 0)
		fail("connect");
	return s;
}

static ssize_t receive(struct socket *s, void *p, size_t n)
{
	struct sctp_rcvinfo info;
	socklen_t length = sizeof info;
	unsigned int type = 0;
	int flags = 0;
	return usrsctp_recvv(s, p, n, NULL, NULL, &info, &length, &type, &flags);
}

static void give(struct socket *s, size_t n)
{
	struct sctp_sndinfo info = { 0 };
	if (usrsctp_sendv(s, data, n, NULL, 0, &info, sizeof info, SCTP_SENDV_SNDINFO, 0) < 0)
		fail("send");
}

/* Resident memory of this process in KiB. */
static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f == NULL || fscanf(f, "%*s %ld", &pages) != 1)
		fail("statm");
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void serve(const char *work)
{
	static unsigned char in[most];
	int echo = strcmp(work, "rr") == 0, idle = strcmp(work, "idle") == 0;
	struct socket *l = opened(port, encapsulation);
	if (usrsctp_listen(l, associations) < 0)
		fail("listen");
	shared->before = resident();
	shared->listening = 1;
	for (;;) {
		struct socket *s = usrsctp_accept(l, NULL, NULL);
		if (s == NULL)
			fail("accept");
		if (idle) {
			if (shared->accepted == associations - 1)
				shared->after = resident();
			shared->accepted++;
			continue;
		}
		for (ssize_t n; (n = receive(s, in, sizeof in)) > 0;) {
			shared->bytes += n;
			shared->messages++;
			if (echo)
				give(s, n);
		}
		usrsctp_close(s);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Round trips: the median in microseconds. */
static double round_trips(struct socket *s, double seconds)
{
	enum { room = 1 << 20 };
	static double took[room];
	int n = 0;
	double begin = now();
	for (double end = begin + warmup + seconds, t = begin; t < end && n < room;) {
		give(s, 100);
		if (receive(s, data, sizeof data) <= 0)
			fail("receive");
		double at = now();
		if (at >= begin + warmup)
			took[n++] = at - t;
		t = at;
	}
	qsort(took, n, sizeof took[0], compare);
	return took[n / 2] * 1e6;
}

/* The messages a second that come, of n bytes. */
static double flood(struct socket *s, size_t n, double seconds)
{
	double begin = now(), from = 0, spent = 0;
	long before = 0;
	for (;;) {
		give(s, n);
		double t = now();
		if (from == 0 && t > begin + warmup) {
			from = t;
			before = shared->messages;
			spent = used();
		}
		if (from != 0 && t > from + seconds) {
			each = (used() - spent) / (shared->messages - before) * 1e6;
			return (shared->messages - before) / (t - from);
		}
	}
}

static double setups(double seconds)
{
	long n = 0;
	double begin = now(), t;
	do {
		usrsctp_close(dial());
		n++;
	} while ((t = now()) < begin + seconds);
	return n / (t - begin);
}

/* Resident bytes of an association, both ends. */
static double idle(void)
{
	long before = resident();
	for (int i = 0; i < associations; i++)
		dial();
	while (shared->accepted < associations)
		nap();
	return 1024.0 * (resident() - before + shared->after - shared->before) / associations;
}

static unsigned path_mtu(struct socket *s)
{
	struct sctp_status v = { 0 };
	socklen_t n = sizeof v;
	if (usrsctp_getsockopt(s, IPPROTO_SCTP, SCTP_STATUS, &v, &n) < 0)
		fail("SCTP_STATUS");
	return v.sstat_primary.spinfo_mtu;
}

static void measure(const char *work, double seconds)
{
	double v;
	struct socket *s = strcmp(work, "idle") == 0 || strcmp(work, "setup") == 0 ? NULL : dial();
	if (strcmp(work, "bulk") == 0)
		v = flood(s, most, seconds) * most / 1e6;
	else if (strcmp(work, "small") == 0)
		v = flood(s, 100, seconds);
	else if (strcmp(work, "rr") == 0)
		v = round_trips(s, seconds);
	else if (strcmp(work, "setup") == 0)
		v = setups(seconds);
	else
		v = idle();
	printf("%g %g SO_SNDBUF and SO_RCVBUF %d, UDP encapsulation on loopback, a process for each end, path MTU %u\n",
	       v, each, buffer, s == NULL ? 0 : path_mtu(s));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	encapsulation = atoi(argv[3]);
	no_delay = strcmp(argv[1], "rr") == 0;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	server = fork();
	if (server < 0)
		fail("fork");
	usrsctp_init(encapsulation + (server == 0), NULL, NULL);
	if (server == 0)
		serve(argv[1]);
	while (!shared->listening) {
		if (waitpid(server, NULL, WNOHANG) != 0)
			return 1;
		nap();
	}
	measure(argv[1], atof(argv[2]));
	kill(server, SIGKILL);
	_exit(0);
}
