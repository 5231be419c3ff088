/* sctppassed - SCTP's sockets that come in messages, and every way in which a receive of such a message can go: a short read
 * of the socket leaves the rest of its message. It says the same on Linux and under usock run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "asleep.h"
#include "sctptest.h"

enum { MOST = 253 };

static int c, s; /* an association */

/* A message with descriptors. */
static long pass(int to, const char *text, const int *fds, int n)
{
	char control[CMSG_SPACE(MOST * sizeof(int))] = {0};
	struct iovec v = {(void *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *h;

	if (n > 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		*h = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	return sendmsg(to, &m, MSG_NOSIGNAL);
}

/* What a receive has brought. */
struct got {
	char text[400000], control[CMSG_SPACE(MOST * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	long n;
	int flags, fds[MOST], count;
	size_t controllen;
	struct ucred cred;
};

static void parse(struct got *g, struct msghdr *m)
{
	g->flags = m->msg_flags;
	g->count = 0;
	g->controllen = m->msg_controllen;
	for (struct cmsghdr *h = g->n < 0 ? 0 : CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_type == SCM_CREDENTIALS)
			memcpy(&g->cred, CMSG_DATA(h), sizeof g->cred);
		if (h->cmsg_type != SCM_RIGHTS)
			continue;
		g->count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(g->fds, CMSG_DATA(h), g->count * sizeof(int));
	}
}

static struct got *take(int from, size_t size, size_t room, int flags)
{
	static struct got g;
	struct iovec v = {g.text, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = g.control, .msg_controllen = room};

	g.n = recvmsg(from, &m, flags);
	parse(&g, &m);
	return &g;
}

static void closeAll(struct got *g)
{
	for (int i = 0; i < g->count; i++)
		close(g->fds[i]);
}

/* Says what came, and reads a message of ten bytes of the first descriptor in pieces. */
static void tell(const char *what, struct got *g)
{
	char b[10] = "";

	printf("%s: %s, %d descriptors, flags %x, control %zu", what, err(g->n), g->count, g->flags, g->controllen);
	if (g->count > 0) {
		must(write(c, "0123456789", 10) == 10, "write");
		must(read(g->fds[0], b, 4) == 4 && read(g->fds[0], b + 4, 1) == 1 && read(g->fds[0], b + 5, 5) == 5, "pieces");
		printf(", in pieces: %.10s", b);
	}
	puts("");
	closeAll(g);
}

static void ofType(int type, const char *name)
{
	int p[2], file = open("/dev/null", O_RDONLY), several[] = {s, file, c, s};
	struct got *g;

	must(socketpair(AF_UNIX, type, 0, p) == 0, "socketpair");
	printf("%s\n", name);
	must(pass(p[0], "one", &s, 1) == 3, "sendmsg");
	tell("one", take(p[1], 100, 200, 0));
	must(pass(p[0], "plain", 0, 0) == 5, "sendmsg");
	tell("none", take(p[1], 100, 200, 0));

	pass(p[0], "several", several, 4);
	g = take(p[1], 3, 200, MSG_CMSG_CLOEXEC);
	for (int i = 0; i < g->count; i++)
		printf("%d ", fcntl(g->fds[i], F_GETFD));
	tell("of several", g);
	tell("the rest", take(p[1], 100, 200, MSG_DONTWAIT));

	pass(p[0], "small", several, 4);
	tell("room for two", take(p[1], 100, CMSG_LEN(2 * sizeof(int)), 0));
	pass(p[0], "small", several, 4);
	tell("room for none", take(p[1], 100, CMSG_LEN(0), 0));
	pass(p[0], "nothing", several, 4);
	tell("no room", take(p[1], 100, 0, 0));

	pass(p[0], "peek", several, 2);
	tell("peeked", take(p[1], 100, 200, MSG_PEEK));
	tell("received", take(p[1], 2, 200, MSG_TRUNC));
	take(p[1], 100, 200, MSG_DONTWAIT);

	pass(p[0], "first", 0, 0);
	pass(p[0], "second", &s, 1);
	pass(p[0], "third", 0, 0);
	tell("first", take(p[1], 100, 200, 0));
	tell("then", take(p[1], 100, 200, MSG_DONTWAIT));
	tell("then", take(p[1], 100, 200, MSG_DONTWAIT));

	struct iovec v = {(void *)1, 100};
	char control[100];
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	pass(p[0], "bad", &s, 1);
	printf("a bad buffer: %s\n", err(recvmsg(p[1], &m, 0)));
	tell("and then", take(p[1], 100, 200, MSG_DONTWAIT));

	int on = 1;
	setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	pass(p[0], "who", &s, 1);
	g = take(p[1], 100, 200, 0);
	printf("credentials: %d %d\n", g->cred.pid == getpid(), g->cred.uid == getuid());
	tell("with them", g);
	on = 0;
	setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);

	shutdown(p[0], SHUT_WR);
	tell("the end", take(p[1], 100, 200, type == SOCK_DGRAM ? MSG_DONTWAIT : 0));
	close(p[0]);
	close(p[1]);
	close(file);
}

/* A program that has no numbers left. */
static void full(void)
{
	int p[2], several[] = {s, s, s}, last;
	struct rlimit was, l;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0, "socketpair");
	getrlimit(RLIMIT_NOFILE, &was);
	do
		last = dup(p[0]);
	while (last < 20); /* no number below it is free */
	for (int left = 0; left < 3; left++) {
		l = (struct rlimit){last + left, was.rlim_max};
		pass(p[0], "full", several, 3);
		setrlimit(RLIMIT_NOFILE, &l);
		if (left == 0)
			must(fcntl(p[0], F_DUPFD, last) < 0, "a limit");
		close(last); /* there is one number more than left */
		struct got *g = take(p[1], 100, 200, 0);
		must(write(c, "0123456789", 10) == 10, "write");
		printf("%d numbers left: %s, %d descriptors, flags %x, control %zu\n", left + 1, err(g->n), g->count, g->flags, g->controllen);
		closeAll(g);
		setrlimit(RLIMIT_NOFILE, &was);
		char b[10];
		must(read(s, b, 10) == 10, "read");
		must(dup(p[0]) == last, "dup");
	}
	close(p[0]);
	close(p[1]);
	close(last);
}

static void handler(int sig) { (void)sig; }

static void on(int sig, int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};

	sigaction(sig, &a, 0);
}

static void asleep(pid_t p)
{
	char path[40], b[200];

	for (;;) {
		snprintf(path, sizeof path, "/proc/%d/stat", p);
		int fd = open(path, O_RDONLY);
		long n = read(fd, b, sizeof b - 1);
		close(fd);
		b[n > 0 ? n : 0] = 0;
		char *at = strrchr(b, ')');
		if (at && at[2] == 'S')
			break;
		usleep(1000);
	}
	taken();
}

/* Children that wait for what comes, and are interrupted, restarted, killed, or many. */
static void waiting(void)
{
	int p[2], st;
	pid_t child;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0, "socketpair");
	for (int how = 0; how < 4; how++) {
		fflush(stdout);
		if ((child = fork()) == 0) {
			on(SIGUSR1, how == 1 ? SA_RESTART : 0);
			if (how == 3) {
				struct timeval tv = {0, 50000};
				setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
			}
			tell(how == 0 ? "interrupted" : how == 1 ? "restarted" : how == 2 ? "waits" : "its time is up", take(p[1], 100, 200, 0));
			fflush(stdout);
			_exit(0);
		}
		if (how < 3)
			asleep(child);
		if (how < 2)
			kill(child, SIGUSR1);
		if (how == 1 || how == 2) {
			usleep(how == 1 ? 100000 : 0);
			pass(p[0], "late", &s, 1);
		}
		waitpid(child, &st, 0);
		must(st == 0, "a child");
	}
	struct timeval none = {0, 0};
	setsockopt(p[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	if ((child = fork()) == 0) {
		take(p[1], 100, 200, 0);
		_exit(0);
	}
	asleep(child);
	kill(child, SIGKILL);
	waitpid(child, &st, 0);
	pass(p[0], "after it", &s, 1);
	tell("one is killed", take(p[1], 100, 200, 0));

	int *sum = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			for (int j = 0; j < 10; j++) {
				struct got *g = take(p[1], 100, 200, 0);
				char b[4];
				must(g->n == 5 && g->count == 2, "what comes");
				must(recv(g->fds[1], b, 4, MSG_PEEK) == 4, "a peek");
				closeAll(g);
				__sync_fetch_and_add(sum, 1);
			}
			_exit(0);
		}
	}
	must(write(c, "0123456789", 10) == 10, "write");
	int two[] = {c, s};
	for (int i = 0; i < 40; i++)
		must(pass(p[0], "crowd", two, 2) == 5, "sendmsg");
	while (wait(&st) > 0)
		must(st == 0, "one of the crowd");
	char b[10];
	must(read(s, b, 10) == 10, "read");
	printf("a crowd has received %d\n", *sum);
	close(p[0]);
	close(p[1]);
}

static void *late(void *to)
{
	usleep(30000);
	pass(*(int *)to, "89", &s, 1);
	return 0;
}

/* MSG_WAITALL, and several messages at once. */
static void whole(void)
{
	int p[2];
	pthread_t t;
	static struct got g[3];
	struct mmsghdr m[3];
	struct iovec v[3];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0, "socketpair");
	pass(p[0], "01234567", 0, 0);
	must(pthread_create(&t, 0, late, &p[0]) == 0, "thread");
	tell("all of it", take(p[1], 10, 200, MSG_WAITALL));
	pthread_join(t, 0);
	pass(p[0], "01234567", 0, 0);
	must(pthread_create(&t, 0, late, &p[0]) == 0, "thread");
	tell("all up to a descriptor", take(p[1], 100, 200, MSG_WAITALL));
	pthread_join(t, 0);
	char *much = malloc(150001);
	memset(much, 'x', 150000);
	much[150000] = 0;
	pass(p[0], much, &s, 1);
	tell("much", take(p[1], 300000, 200, 0));
	pass(p[0], "the last", 0, 0);
	close(p[0]);
	tell("all there is", take(p[1], 100, 200, MSG_WAITALL));
	close(p[1]);

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0, "socketpair");
	for (int i = 0; i < 3; i++) {
		v[i] = (struct iovec){g[i].text, 100};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1, .msg_control = g[i].control, .msg_controllen = 200};
		pass(p[0], "many", &s, i);
		if (i > 0)
			pass(p[0], "more", &s, 1);
	}
	struct timespec soon = {10, 0};
	int n = recvmmsg(p[1], m, 3, MSG_WAITFORONE, &soon);
	printf("many: %s, time is left: %d\n", err(n), soon.tv_sec > 0 && soon.tv_sec < 10);
	for (int i = 0; i < n; i++) {
		g[i].n = m[i].msg_len;
		parse(&g[i], &m[i].msg_hdr);
		tell(" one", &g[i]);
		m[i].msg_hdr.msg_controllen = 200;
	}
	n = recvmmsg(p[1], m, 3, MSG_WAITFORONE, 0);
	printf("many: %s\n", err(n));
	printf("many: %s\n", err(recvmmsg(p[1], m, 3, MSG_DONTWAIT, 0)));
	close(p[0]);
	close(p[1]);
}

/* One that has waited since there was no SCTP socket. */
static void early(const int *p, pid_t child)
{
	int both[] = {s, c}, st;

	must(pass(p[0], "early", both, 2) == 5, "sendmsg");
	waitpid(child, &st, 0);
	must(st == 0, "a child");
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	int now = 1, p[2];
	pid_t child;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0, "socketpair");
	if ((child = fork()) == 0) {
		struct got *g = take(p[1], 100, 200, 0);
		c = g->fds[1];
		tell("early", g);
		fflush(stdout);
		_exit(0);
	}
	asleep(child);
	pair(&c, &s);
	setsockopt(c, SCTP, 3 /* SCTP_NODELAY */, &now, sizeof now);
	early(p, child);
	ofType(SOCK_STREAM, "stream");
	ofType(SOCK_DGRAM, "datagrams");
	ofType(SOCK_SEQPACKET, "packets");
	full();
	waiting();
	whole();
	return 0;
}
