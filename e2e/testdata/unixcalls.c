/* unixcalls - receives of AF_UNIX with room for control messages, in all ways in which a program may have them go, beside an
 * SCTP socket of the same run. It says the same where there is none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "asleep.h"
#include "sctptest.h"

enum { MOST = 253, LARGE = 1 << 20 };

struct got {
	char control[8192];
	struct sockaddr_un name;
	long n;
	int flags, fds[MOST], count;
	size_t controllen;
	socklen_t namelen;
};

static char buffer[LARGE];
static struct got g;

static void both(int type, int *p) { must(socketpair(AF_UNIX, type, 0, p) == 0, "socketpair"); }

static void shut(int *p)
{
	close(p[0]);
	close(p[1]);
}

static void option(int fd, int name, int value) { must(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value) == 0, "setsockopt"); }

static void waitsFor(int fd, int sec, int usec)
{
	struct timeval tv = {sec, usec};

	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0, "SO_RCVTIMEO");
}

static long pass(int to, const void *text, size_t size, const int *fds, int n)
{
	char control[CMSG_SPACE(MOST * sizeof(int))] = {0};
	struct iovec v = {(void *)text, size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	if (n > 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		*h = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	return sendmsg(to, &m, MSG_NOSIGNAL);
}

static void parse(struct msghdr *m)
{
	g.flags = m->msg_flags;
	g.controllen = m->msg_controllen;
	g.namelen = m->msg_namelen;
	g.count = 0;
	for (struct cmsghdr *h = g.n < 0 ? 0 : CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		g.count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(g.fds, CMSG_DATA(h), g.count * sizeof(int));
	}
}

static long take(int from, size_t size, size_t room, int flags)
{
	struct iovec v = {buffer, size};
	struct msghdr m = {.msg_name = &g.name, .msg_namelen = sizeof g.name, .msg_iov = &v, .msg_iovlen = 1, .msg_control = g.control, .msg_controllen = room};

	memset(g.control, 0, sizeof g.control);
	g.n = recvmsg(from, &m, flags);
	int e = errno;
	parse(&m);
	errno = e;
	return g.n;
}

static void closeAll(void)
{
	for (int i = 0; i < g.count; i++)
		close(g.fds[i]);
}

static void tell(const char *what, long n)
{
	printf("%s: %s", what, err(n));
	if (n >= 0)
		printf(" %d %x %zu %d", g.count, g.flags, g.controllen, (int)g.namelen);
	puts("");
	fflush(stdout);
	closeAll();
}

static void handler(int sig) { (void)sig; }

static void on(int sig, int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};

	sigaction(sig, &a, 0);
}

/* The thread waits. */
static void is(pid_t p, char want)
{
	char path[60], b[300];

	for (int same = 0; same < 3;) {
		snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)(p), (int)(p));
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			snprintf(path, sizeof path, "/proc/%d/stat", p), fd = open(path, O_RDONLY);
		long n = read(fd, b, sizeof b - 1);
		close(fd);
		b[n > 0 ? n : 0] = 0;
		char *at = strrchr(b, ')');
		same = at && at[2] == want ? same + 1 : 0;
		usleep(2000);
	}
	if (want == 'S')
		taken();
}

/* receives returns when a child waits in recvmsg: it may be asleep in a call before that. */
static void receives(pid_t p)
{
	for (int same = 0; same < 3; usleep(2000)) {
		long call = call_of(p);

		if (call == -2)
			break;
		same = call == SYS_recvmsg ? same + 1 : 0;
	}
	is(p, 'S');
}

static pid_t childOf(void)
{
	fflush(stdout);
	pid_t p = fork();
	must(p >= 0, "fork");
	return p;
}

static void ended(pid_t p)
{
	int st;

	waitpid(p, &st, 0);
	if (st)
		printf("status %x\n", st);
}

struct job {
	int fd, flags;
	size_t size;
	long n;
	int e;
	pthread_t t;
	volatile pid_t tid;
};

static void *receive(void *x)
{
	struct job *j = x;
	j->tid = gettid();
	struct iovec v = {buffer, j->size};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = g.control, .msg_controllen = 200};
	j->n = recvmsg(j->fd, &m, j->flags);
	j->e = errno;
	g.n = j->n, parse(&m);
	return 0;
}

/* Starts a thread that waits in a receive. */
static void begin(struct job *j, int fd, size_t size, int flags)
{
	*j = (struct job){.fd = fd, .size = size, .flags = flags};
	must(pthread_create(&j->t, 0, receive, j) == 0, "thread");
	while (!j->tid)
		usleep(1000);
	is(j->tid, 'S');
}

static void finish(struct job *j, const char *what)
{
	void *r;
	pthread_join(j->t, &r);
	if (r == PTHREAD_CANCELED) {
		printf("%s: canceled\n", what);
		return;
	}
	errno = j->e;
	tell(what, j->n);
}

static void ends(int type)
{
	int p[2], q[2];
	struct job j;

	both(type, p);
	shutdown(p[1], SHUT_RD);
	tell("shut for reading", take(p[1], 100, 200, 0));
	tell("and not waiting", take(p[1], 100, 200, MSG_DONTWAIT));
	shut(p);
	both(type, p);
	begin(&j, p[1], 100, 0);
	shutdown(p[1], SHUT_RD);
	finish(&j, "shut while it waits");
	shut(p);
	both(type, p);
	if (type == SOCK_DGRAM)
		waitsFor(p[1], 0, 50000);
	begin(&j, p[1], 100, 0);
	shutdown(p[0], SHUT_WR);
	finish(&j, "its peer's is shut while it waits");
	shut(p);
	both(type, p);
	if (type == SOCK_DGRAM)
		waitsFor(p[1], 0, 50000);
	begin(&j, p[1], 100, 0);
	close(p[0]);
	finish(&j, "its peer is closed while it waits");
	tell("and again", take(p[1], 100, 200, MSG_DONTWAIT));
	close(p[1]);
	both(type, p);
	write(p[1], "unread", 6);
	begin(&j, p[1], 100, 0);
	if (type == SOCK_DGRAM)
		write(p[0], "dgram", 5);
	close(p[0]);
	finish(&j, "a reset while it waits");
	tell("and again", take(p[1], 100, 200, MSG_DONTWAIT));
	close(p[1]);
	both(type, p);
	write(p[1], "unread", 6);
	write(p[0], "data", 4);
	close(p[0]);
	struct mmsghdr mm[2];
	struct iovec v = {buffer, 100};
	for (int i = 0; i < 2; i++)
		mm[i].msg_hdr = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = g.control + 200 * i, .msg_controllen = 200};
	for (int i = 0; i < 4; i++) {
		printf("recvmmsg after a reset: %s\n", err(recvmmsg(p[1], mm, 2, MSG_DONTWAIT, 0)));
		mm[0].msg_hdr.msg_controllen = mm[1].msg_hdr.msg_controllen = 200;
	}
	close(p[1]);

	both(type, p);
	both(type, q);
	begin(&j, p[1], 100, 0);
	close(dup(p[1]));
	dup2(q[1], p[1]); /* it waits on what it was */
	write(q[0], "other", 5);
	write(p[0], "one", 3);
	finish(&j, "closed while it waits");
	shut(p);
	shut(q);
	both(type, p);
	begin(&j, p[1], 100, 0);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	usleep(10000);
	write(p[0], "late", 4);
	finish(&j, "O_NONBLOCK while it waits");
	tell("and then", take(p[1], 100, 200, 0));
	fcntl(p[1], F_SETFL, 0);
	begin(&j, p[1], 100, 0);
	pthread_cancel(j.t);
	finish(&j, "canceled");
	write(p[0], "kept", 4);
	tell("what it has not received", take(p[1], 100, 200, MSG_DONTWAIT));
	shut(p);
}

static void contents(int type)
{
	int p[3] = {0}, pipes[2], many[MOST], n;

	both(type, p);
	pass(p[0], "", 0, 0, 0);
	tell("nothing", take(p[1], 100, 200, MSG_DONTWAIT));
	pass(p[0], "", 0, p, 1);
	tell("nothing and a descriptor", take(p[1], 100, 200, MSG_DONTWAIT));
	pass(p[0], "text", 4, p, 2);
	tell("no room for bytes", take(p[1], 0, 200, MSG_DONTWAIT));
	tell("the rest", take(p[1], 100, 200, MSG_DONTWAIT));
	for (size_t room = 15; room < 34; room++) {
		pass(p[0], "text", 4, p, 3);
		printf("%zu ", room);
		tell("bytes of room", take(p[1], 100, room, 0));
	}
	pass(p[0], "text", 4, p, 3);
	tell("truncated", take(p[1], 2, 200, MSG_TRUNC));
	tell("the rest", take(p[1], 100, 200, MSG_DONTWAIT));
	pass(p[0], "text", 4, p, 3);
	tell("peek", take(p[1], 2, 200, MSG_PEEK | MSG_TRUNC));
	tell("the rest", take(p[1], 100, 200, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	for (int i = 0; i < MOST; i++)
		many[i] = p[i & 1];
	pass(p[0], "many", 4, many, MOST);
	tell("many", take(p[1], 100, 8192, 0));
	pass(p[0], "many", 4, many, MOST);
	tell("room for 200", take(p[1], 100, CMSG_SPACE(200 * sizeof(int)), 0));

	pipe(pipes);
	pass(p[0], "pipe", 4, &pipes[1], 1);
	close(pipes[1]);
	take(p[1], 100, 200, 0);
	must(write(g.fds[0], "in", 2) == 2, "write");
	closeAll();
	printf("a pipe: %s", err(read(pipes[0], buffer, 100)));
	printf(" %s\n", err(read(pipes[0], buffer, 100)));
	close(pipes[0]);
	pipe(pipes);
	pass(p[0], "pipe", 4, &pipes[0], 1);
	close(pipes[0]);
	take(p[1], 100, 200, MSG_PEEK);
	closeAll();
	printf("its end is on the way: %s\n", err(write(pipes[1], "x", 1)));
	take(p[1], 100, 0, 0);
	printf("it is dropped: %s\n", err(write(pipes[1], "x", 1)));
	close(pipes[1]);
	ioctl(p[1], FIONREAD, &n);
	printf("left: %d\n", n);
	shut(p);

	for (int i = 0; i < 40; i++) { /* cycles */
		both(type, p);
		pass(p[0], "self", 4, p, 2);
		pass(p[1], "self", 4, p, 2);
		if (i & 1) {
			take(p[1], 100, 200, 0);
			int in[] = {g.fds[0], g.fds[1]};
			pass(p[0], "anew", 4, in, 2);
			closeAll();
		}
		shut(p);
	}
}

static void large(int type)
{
	int p[2];
	long sum = 0, cut = 0, size = 350000, count = 60;

	both(type, p);
	option(p[0], SO_SNDBUF, 1 << 20);
	memset(buffer, 'x', LARGE);
	static char out[350000];
	memset(out, 'y', sizeof out);
	pid_t child = childOf();
	if (child == 0) {
		for (int i = 0; i < count; i++)
			if (pass(p[0], out, size, p, 1) != size)
				_exit(1);
		_exit(0);
	}
	while (sum < size * count) {
		if (take(p[1], LARGE, 200, sum & 1 ? 0 : MSG_DONTWAIT) < 0)
			continue;
		cut += (g.flags & MSG_TRUNC) != 0 || (type != SOCK_STREAM && g.n != size);
		sum += g.n;
		closeAll();
	}
	ended(child);
	printf("large: %ld, cut: %ld\n", sum, cut);
	shut(p);
}

static void signals(int type)
{
	int p[2], st;

	both(type, p);
	for (int how = 0; how < 6; how++) {
		pid_t child = childOf();
		if (child == 0) {
			on(SIGINT, how & 1 ? SA_RESTART : 0);
			if (how >= 4)
				waitsFor(p[1], 5, 0);
			tell(how & 1 ? "SA_RESTART" : "a signal", take(p[1], 100, 200, 0));
			_exit(0);
		}
		receives(child);
		if (how < 2 || how >= 4)
			kill(child, SIGINT);
		if (how == 2) {
			kill(child, SIGSTOP);
			is(child, 'T');
			pass(p[0], "stopped", 7, p, 1);
			usleep(30000);
			int n = 0;
			ioctl(p[1], FIONREAD, &n);
			printf("while it is stopped: %d\n", n);
			kill(child, SIGCONT);
		}
		if (how == 1) {
			usleep(50000);
			receives(child);
		}
		if (how == 1 || how == 3)
			pass(p[0], "later", 5, p, 1);
		ended(child);
	}
	waitsFor(p[1], 0, 30000);
	tell("its time is over", take(p[1], 100, 200, 0));
	waitsFor(p[1], 0, 1);
	tell("a short time", take(p[1], 100, 200, 0));
	waitsFor(p[1], 0, 0);
	int lost = 0;
	for (int i = 0; i < 20; i++) { /* who is killed has received what comes, or nobody */
		pid_t child = childOf();
		if (child == 0) {
			take(p[1], 100, 200, 0);
			pause();
		}
		receives(child);
		kill(child, SIGKILL);
		waitpid(child, &st, 0);
		pass(p[0], "kept", 4, p, 1);
		if (take(p[1], 100, 200, MSG_DONTWAIT) < 0)
			lost++;
		closeAll();
	}
	printf("killed: %d lost\n", lost);
	shut(p);
}

static void names(int type)
{
	int r, s;
	struct sockaddr_un a = {.sun_family = AF_UNIX}, b = {.sun_family = AF_UNIX};
	socklen_t n;

	snprintf(a.sun_path + 1, 100, "unixcalls-%d-r", getpid());
	snprintf(b.sun_path + 1, 100, "unixcalls-%d-s", getpid());
	n = sizeof(sa_family_t) + 1 + strlen(a.sun_path + 1);
	r = socket(AF_UNIX, type, 0);
	must(bind(r, (void *)&a, n) == 0, "bind");
	s = socket(AF_UNIX, type, 0);
	must(bind(s, (void *)&b, n) == 0, "bind");
	int l = r;
	if (type != SOCK_DGRAM) {
		listen(l, 1);
		tell("a listener", take(l, 100, 200, 0));
	}
	must(connect(s, (void *)&a, n) == 0, "connect");
	if (type != SOCK_DGRAM)
		r = accept(l, 0, 0);
	pass(s, "named", 5, &s, 1);
	long k = take(r, 100, 200, 0);
	printf("%d ", memcmp(&g.name, &b, g.namelen));
	printf("%d ", (int)(g.namelen == n));
	g.namelen = 0;
	tell("a name", k);
	for (int len = -1; len < 4; len += 2) {
		struct iovec v = {buffer, 100};
		struct msghdr m = {.msg_name = &g.name, .msg_namelen = len, .msg_iov = &v, .msg_iovlen = 1, .msg_control = g.control, .msg_controllen = 200};
		pass(s, "named", 5, 0, 0);
		memset(&g.name, 'x', sizeof g.name);
		g.n = recvmsg(r, &m, 0);
		printf("room for a name: %d %s %d %c\n", len, err(g.n), g.n < 0 ? 0 : (int)(m.msg_namelen == n), ((char *)&g.name)[3]);
	}
	close(r);
	close(s);
	if (l != r)
		close(l);
}

static void bad(int type)
{
	int p[2];
	struct iovec v[1025], odd[] = {{buffer, 2}, {(void *)1, 100}};
	struct msghdr good = {.msg_iov = &v[0], .msg_iovlen = 1, .msg_control = g.control, .msg_controllen = 200}, m;

	both(type, p);
	v[0] = (struct iovec){buffer, 100};
	for (int i = 1; i < 1025; i++)
		v[i] = (struct iovec){buffer, 0};
#define TRY(what, ...) \
	m = good; \
	__VA_ARGS__; \
	pass(p[0], "text", 4, p, 1); \
	printf("%s: %s", what, err(g.n = recvmsg(p[1], &m, MSG_DONTWAIT))); \
	parse(&m); \
	printf(" %x %zu %d", g.flags, g.controllen, g.count); \
	closeAll(); \
	printf(" and %s\n", err(take(p[1], 100, 200, MSG_DONTWAIT))); \
	closeAll()
	TRY("a bad control", m.msg_control = (void *)8);
	TRY("a bad name", m.msg_name = (void *)8; m.msg_namelen = 10);
	TRY("bad vectors", m.msg_iov = (void *)8);
	TRY("too many", m.msg_iovlen = 1025);
	TRY("many", m.msg_iovlen = 1024);
	TRY("none", m.msg_iovlen = 0);
	TRY("half of it is bad", m.msg_iov = odd; m.msg_iovlen = 2);
	TRY("no control", m.msg_control = 0);
	TRY("much room", m.msg_controllen = 1l << 31);
	pass(p[0], "text", 4, p, 1);
	printf("a bad header: %s", err(recvmsg(p[1], (void *)8, MSG_DONTWAIT)));
	printf(" and %s\n", err(take(p[1], 100, 200, MSG_DONTWAIT)));
	closeAll();
	for (int i = 0; i < 3; i++) {
		static const int flags[] = {MSG_OOB, MSG_ERRQUEUE, 0x20000000};
		pass(p[0], "text", 4, p, 1);
		printf("flags %x: ", flags[i]);
		tell("", take(p[1], 100, 200, flags[i] | MSG_DONTWAIT));
		take(p[1], 100, 200, MSG_DONTWAIT);
		closeAll();
	}
	shut(p);
}

static void told(int type)
{
	int p[2], e = epoll_create1(0), n;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET}, out[4];

	both(type, p);
	epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev);
	printf("edges:");
	for (int i = 0; i < 4; i++) {
		pass(p[0], "text", 4, p, 1);
		printf(" %d", epoll_wait(e, out, 4, 0));
		take(p[1], 2, 200, MSG_DONTWAIT);
		closeAll();
		printf(" %d", epoll_wait(e, out, 4, 0));
		take(p[1], 100, 200, MSG_DONTWAIT | (i & 1 ? MSG_PEEK : 0));
		closeAll();
	}
	ev.events = EPOLLIN | EPOLLONESHOT;
	epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev);
	printf(" once:");
	for (int i = 0; i < 3; i++) {
		pass(p[0], "text", 4, p, 1);
		printf(" %d", epoll_wait(e, out, 4, 0));
		while (take(p[1], 100, 200, MSG_DONTWAIT) > 0)
			closeAll();
	}
	ioctl(p[1], FIONREAD, &n);
	printf(" left %d\n", n);
	close(e);
	shut(p);
}

static void creds(int type)
{
	static const int options[] = {SO_PASSCRED, SO_PASSSEC, 76 /* SO_PASSPIDFD */};
	int p[2];

	for (int i = 0; i < 3; i++) {
		int one = 1;
		both(type, p);
		printf("option %d: %s\n", options[i], err(setsockopt(p[1], SOL_SOCKET, options[i], &one, sizeof one)));
		pass(p[0], "text", 4, p, 1);
		long n = take(p[1], 100, 400, 0);
		struct msghdr m = {.msg_control = g.control, .msg_controllen = g.controllen};
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			printf("  %d %zu", h->cmsg_type, h->cmsg_len);
			if (h->cmsg_type == SCM_CREDENTIALS) {
				struct ucred *u = (void *)CMSG_DATA(h);
				printf(" %d %d %d", u->pid == getpid(), u->uid == getuid(), u->gid == getgid());
			}
			if (h->cmsg_type == 4 /* SCM_PIDFD */) {
				int fd = *(int *)CMSG_DATA(h);
				printf(" %d", fcntl(fd, F_GETFD));
				close(fd);
			}
			puts("");
		}
		tell(" text", n);
		pass(p[0], "text", 4, p, 1);
		tell("no room", take(p[1], 100, CMSG_LEN(4), 0));
		pass(p[0], "text", 4, p, 1);
		struct rlimit was, l;
		getrlimit(RLIMIT_NOFILE, &was);
		l = (struct rlimit){3, was.rlim_max};
		setrlimit(RLIMIT_NOFILE, &l);
		n = take(p[1], 100, 400, 0);
		setrlimit(RLIMIT_NOFILE, &was);
		m.msg_controllen = g.controllen;
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
			printf("  %d %zu %d\n", h->cmsg_type, h->cmsg_len, h->cmsg_type == 4 ? *(int *)CMSG_DATA(h) : 0);
		tell(" no numbers", n);
		shut(p);
	}
}

/* Several at once, of which some have no room for what comes with them. */
static void several(int type)
{
	int p[2], n;
	struct mmsghdr mm[5] = {0};
	struct iovec v[5];
	struct timespec some = {20, 0};

	both(type, p);
	for (int how = 0; how < 3; how++) {
		for (int i = 0; i < 5; i++) {
			v[i] = (struct iovec){buffer + 100 * i, 5};
			mm[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1, .msg_control = i == 2 ? 0 : g.control + 200 * i, .msg_controllen = i == 1 ? 0 : 200};
			pass(p[0], "01234", 5, p, 1);
		}
		n = recvmmsg(p[1], mm, how == 2 ? 2 : 5, how == 1 ? MSG_WAITFORONE : MSG_DONTWAIT, &some);
		printf("several: %d %d", n, some.tv_sec > 0);
		for (int i = 0; i < n; i++) {
		g.n = mm[i].msg_len;
			parse(&mm[i].msg_hdr);
			printf(", %ld %d %x %zu", g.n, g.count, g.flags, g.controllen);
			closeAll();
		}
		puts("");
	}
	waitsFor(p[1], 0, 20000);
	for (int i = 0; i < 5; i++)
		mm[i].msg_hdr.msg_controllen = 200;
	printf("and waiting: %s", err(recvmmsg(p[1], mm, 5, 0, 0)));
	printf(" %s\n", err(recvmmsg(p[1], mm, 5, 0, &some)));
	shut(p);
}

/* A program that takes the place of one with a thread that waits. */
static void execs(int type)
{
	int p[2];

	both(type, p);
	pid_t child = childOf();
	if (child == 0) {
		struct job j;
		begin(&j, p[1], 100, 0);
		execl("/bin/sh", "sh", "-c", "sleep 0.05; echo exec", (char *)0);
		_exit(1);
	}
	ended(child);
	pass(p[0], "kept", 4, p, 1);
	tell("after an exec", take(p[1], 100, 200, MSG_DONTWAIT));
	shut(p);
}

static void *sends(void *x)
{
	for (int i = 0; i < 1000; i++)
		pass(*(int *)x, "0123456789", 10, x, 1);
	return 0;
}

static void crowd(int type)
{
	int p[2];
	long sum = 0;
	pthread_t t[2];

	both(type, p);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], 0, sends, p);
	for (int i = 0; sum < 20000; i++) {
		long n = i % 3 == 0 ? take(p[1], 7 + (type != SOCK_STREAM) * 3, 200, 0) : i % 3 == 1 ? read(p[1], buffer, 10) : take(p[1], 30, 200, MSG_DONTWAIT);
		if (i % 3 != 1)
			closeAll();
		if (n > 0)
			sum += n;
	}
	pthread_join(t[0], 0);
	pthread_join(t[1], 0);
	printf("sum %ld\n", sum);
	shut(p);
}

static int opened(void)
{
	int n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int main(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	alarm(50);
	signal(SIGPIPE, SIG_IGN);
	socket(AF_INET, SOCK_STREAM, SCTP);
	int before = opened();
	for (int i = 0; i < 3; i++) {
		printf("type %d\n", types[i]);
		ends(types[i]);
		contents(types[i]);
		signals(types[i]);
		names(types[i]);
		bad(types[i]);
		told(types[i]);
		creds(types[i]);
		several(types[i]);
		execs(types[i]);
		crowd(types[i]);
		large(types[i]);
		printf("left open: %d\n", opened() - before);
	}
	return 0;
}
