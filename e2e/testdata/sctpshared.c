/* sctpshared - SCTP's sockets between threads and processes: duplicates, descriptors that are passed, kept over
 * exec or not, processes that are killed, readers that stop, associations that another thread has. It
 * says the same on Linux and under usock run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "sctptest.h"

static int until(int fd, int events)
{
	struct pollfd p = {.fd = fd, .events = events};

	poll(&p, 1, 5000);
	return p.revents & events;
}

/* Children write in turn, each a message of its own length; and each reads a piece of what comes. */
static void children(void)
{
	int c, s, ends[2];
	char b[100];

	pair(&c, &s);
	for (int i = 1; i <= 10; i++) {
		pid_t p = fork();
		if (p == 0) {
			close(s);
			memset(b, 'a' + i, i);
			_exit(write(c, b, i) != i);
		}
		int st;
		waitpid(p, &st, 0);
		must(st == 0, "a child");
	}
	int sum = 0;
	for (int i = 1; i <= 10; i++) {
		long n = read(s, b, sizeof b);
		must(n == i && b[0] == 'a' + i, "the message of a child");
		sum += n;
	}
	printf("of children: %d\n", sum);
	must(write(c, "0123456789", 10) == 10, "write");
	must(pipe(ends) == 0, "pipe");
	for (int i = 0; i < 5; i++) {
		if (fork() == 0) {
			long n = i % 2 ? read(s, b, 2) : recv(s, b, 2, 0);
			must(n == 2 && write(ends[1], b, 2) == 2, "a piece");
			_exit(0);
		}
		wait(0);
	}
	must(read(ends[0], b, 10) == 10, "pieces");
	printf("read by children: %.10s\n", b);
	close(c);
	printf("the end: %s\n", err(read(s, b, 1)));
	close(s);
}

static void killed(void)
{
	int c, s;
	char b[100];

	pair(&c, &s);
	pid_t p = fork();
	if (p == 0)
		for (;;)
			pause();
	close(c);
	printf("held by a child: %s", err(recv(s, b, 1, MSG_DONTWAIT)));
	kill(p, SIGKILL);
	waitpid(p, 0, 0);
	printf(" killed: %d", until(s, POLLIN) != 0);
	printf(" %s\n", err(read(s, b, 1)));
	close(s);
	pair(&c, &s);
	p = fork();
	if (p == 0) {
		close(c);
		read(s, b, 100); /* which nothing comes to */
		_exit(0);
	}
	usleep(50000);
	kill(p, SIGKILL);
	waitpid(p, 0, 0);
	must(write(c, "after it", 8) == 8, "write");
	printf("after a reader was killed: %s\n", err(read(s, b, 100)));
	/* In the middle of messages: what comes is whole, and the end comes. */
	p = fork();
	if (p == 0) {
		close(s);
		char m[1000];
		for (;;) {
			memset(m, 'm', sizeof m);
			write(c, m, sizeof m);
		}
	}
	close(c);
	char m[2000];
	long n;
	int got = 0;
	while ((n = read(s, m, sizeof m)) == 1000)
		if (++got == 500)
			kill(p, SIGKILL);
	waitpid(p, 0, 0);
	printf("a writer that was killed: %d, at the end %s\n", got >= 500, err(n));
	close(s);
}

static void passed(void)
{
	int c, s, u[2];
	char b[100];
	union {
		char b[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} control;
	struct iovec iov = {"x", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};

	pair(&c, &s);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, u) == 0, "socketpair");
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &s, sizeof s);
	pid_t p = fork();
	if (p == 0) {
		close(c);
		close(s);
		iov.iov_base = b;
		must(recvmsg(u[1], &m, 0) == 1, "recvmsg");
		memcpy(&s, CMSG_DATA(&control.h), sizeof s);
		must(recvmsg(s, &(struct msghdr){.msg_iov = &(struct iovec){b, 100}, .msg_iovlen = 1}, 0) == 7, "what was passed");
		must(write(s, "answered", 8) == 8, "write");
		_exit(0);
	}
	must(sendmsg(u[0], &m, 0) == 1, "sendmsg");
	close(s);
	must(write(c, "to whom", 7) == 7, "write");
	printf("passed: %s", err(read(c, b, 3)));
	printf(" rest %s", err(read(c, b, 100)));
	printf(" and the end %s\n", err(read(c, b, 100)));
	waitpid(p, 0, 0);
	close(c);
}

static void executed(char *self)
{
	int c, s, keep;
	char b[100], number[20];

	pair(&c, &s);
	keep = dup(c);
	fcntl(c, F_SETFD, FD_CLOEXEC);
	pid_t p = fork();
	if (p == 0) {
		close(s);
		snprintf(number, sizeof number, "%d,%d", c, keep);
		execl(self, self, number, (char *)0);
		_exit(1);
	}
	close(c);
	close(keep);
	printf("after exec: %.*s", (int)read(s, b, 3), b);
	printf("%.*s", (int)read(s, b, 100), b);
	printf(" the end %s\n", err(read(s, b, 100)));
	waitpid(p, 0, 0);
	close(s);
	pair(&c, &s);
	p = fork();
	if (p == 0) {
		dup2(s, 0);
		close(c);
		close(s);
		execlp("cat", "cat", (char *)0);
		_exit(1);
	}
	close(s);
	must(write(c, "by cat", 6) == 6, "write");
	usleep(1);
	close(c);
	waitpid(p, 0, 0);
	printf("\n");
}

/* One writes and nobody reads; the other end goes. */
static void unread(void)
{
	int c, s, n = 0;
	char b[1000] = {0};

	pair(&c, &s);
	fcntl(c, F_SETFL, O_NONBLOCK);
	for (int quiet = 0; quiet < 20;)
		if (write(c, b, sizeof b) > 0)
			n++;
		else
			quiet++, usleep(2000);
	close(s);
	printf("nobody reads: %d,", n > 50);
	until(c, POLLERR);
	printf(" aborted %s", err(read(c, b, 1)));
	printf(" %s\n", err(send(c, b, 1, MSG_NOSIGNAL)));
	close(c);
	pair(&c, &s);
	volatile int *wrote = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(wrote != MAP_FAILED, "mmap");
	pid_t p = fork();
	if (p == 0) {
		close(s);
		for (;; ++*wrote)
			if (write(c, b, sizeof b) < 0)
				_exit(errno);
	}
	close(c);
	/* It waits for room once it has written about as much as before, and no more for a while. */
	for (int last = 0, quiet = 0; quiet < 100; usleep(5000)) {
		quiet = *wrote == last && last > n / 2 ? quiet + 1 : 0;
		last = *wrote;
	}
	close(s);
	int st;
	waitpid(p, &st, 0);
	printf("a writer that waits: %s\n", WIFEXITED(st) ? strerrorname_np(WEXITSTATUS(st)) : "killed");
}

struct work {
	int fd, id;
	pthread_barrier_t *start;
	int got;
};

static int peeled(int fd, int id)
{
	int v[2] = {id, 0};
	socklen_t n = sizeof v;

	return getsockopt(fd, SCTP, PEELOFF, v, &n);
}

static void *peels(void *p)
{
	struct work *w = p;
	char b[100];
	int fd = peeled(w->fd, w->id);

	must(fd >= 0, "peeloff");
	pthread_barrier_wait(w->start);
	for (int i = 0; i < 200; i++) {
		int at = -1;
		must(read(fd, &at, sizeof at) == sizeof at, "in another thread");
		w->got += at == i;
		must(write(fd, &at, sizeof at) == sizeof at, "write");
	}
	printf("the end of what was peeled off: %s\n", err(read(fd, b, 1)));
	close(fd);
	return 0;
}

/* Four associations of one socket go to four threads. */
static void threads(void)
{
	int m = listener(SOCK_SEQPACKET), c[4];
	struct sockaddr_in a = where(m);
	pthread_barrier_t start;
	pthread_t t[4];
	struct work w[4];
	char on[] = {1, 1}, b[200];

	setsockopt(m, SCTP, SCTP_EVENTS, on, sizeof on);
	pthread_barrier_init(&start, 0, 5);
	for (int i = 0; i < 4; i++) {
		c[i] = sctp(SOCK_STREAM);
		must(connect(c[i], (struct sockaddr *)&a, sizeof a) == 0, "connect");
		struct iovec iov = {b, sizeof b};
		struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
		must(recvmsg(m, &h, 0) > 0 && h.msg_flags & 0x8000, "notification");
		memcpy(&w[i].id, b + 16, 4);
		w[i].fd = m;
		w[i].start = &start;
		w[i].got = 0;
		pthread_create(&t[i], 0, peels, &w[i]);
	}
	pthread_barrier_wait(&start);
	printf("none is left: %s\n", err(peeled(m, w[0].id)));
	for (int k = 0; k < 200; k++)
		for (int i = 0; i < 4; i++)
			must(write(c[i], &k, sizeof k) == sizeof k, "write");
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 200; k++) {
			int at;
			must(read(c[i], &at, sizeof at) == sizeof at && at == k, "the answer");
		}
		close(c[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], 0);
		must(w[i].got == 200, "in order");
	}
	printf("peeled off into threads\n");
	close(m);
}

static int shared[2];

static void *reads(void *sum)
{
	long *total = sum;
	char b[5];
	long n;

	while ((n = read(shared[1], b, sizeof b)) > 0)
		for (long i = 0; i < n; i++)
			*total += b[i];
	return 0;
}

/* Threads that read pieces of the same socket's messages lose none. */
static void together(void)
{
	pthread_t t[4];
	long sums[4] = {0}, all = 0, want = 0;
	char b[23];

	pair(&shared[0], &shared[1]);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], 0, reads, &sums[i]);
	for (int i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof b; k++)
			want += b[k] = (i + k) % 100;
		must(write(shared[0], b, 1 + i % sizeof b) > 0, "write");
		for (size_t k = 1 + i % sizeof b; k < sizeof b; k++)
			want -= b[k];
	}
	shutdown(shared[0], SHUT_WR);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], 0);
		all += sums[i];
	}
	printf("read together: %d\n", all == want);
	close(shared[0]);
	close(shared[1]);
}

int main(int argc, char **argv)
{
	int c, keep;

	if (argc > 1 && sscanf(argv[1], "%d,%d", &c, &keep) == 2) {
		printf("after exec: closed %s, kept %s\n", err(write(c, "x", 1)), err(write(keep, "kept it", 7)));
		return 0;
	}
	setvbuf(stdout, 0, _IOLBF, 0);
	alarm(60);
	signal(SIGPIPE, SIG_IGN);
	children();
	killed();
	passed();
	executed(argv[0]);
	unread();
	threads();
	together();
	return 0;
}
