/* unwait - calls that wait and are interrupted, or whose process goes away. Each case
 * prints lines that are the same on the kernel. Lines that begin with # are measures.
 *
 *	unwait connect-no-restart | connect-restart | connect-refused | connect-timeout |
 *	       connect-threads | exec CALL | exit CALL | parked N MS | parked-process N MS | rest N SUPERVISOR
 *
 * A connect waits because its listener's queue is full: Linux then drops the SYN and
 * the client sends it again after a second (tcp(7)). So these take a second. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "asleep.h"
#include "basics.h"

static struct sockaddr_in at;
static atomic_int handled, done;

static const char *name(int e) { return e ? strerrorname_np(e) : "ok"; }
static int err(int r) { return r < 0 ? errno : 0; }

static int stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int listener(int backlog)
{
	socklen_t len = sizeof at;
	int fd = stream();

	memset(&at, 0, sizeof at);
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (void *)&at, sizeof at) || listen(fd, backlog) || getsockname(fd, (void *)&at, &len))
		die("listener");
	return fd;
}

static int dial(int fd) { return err(connect(fd, (void *)&at, sizeof at)); }

/* alarm_each has SIGALRM come each time some milliseconds have passed, until it is called with none. */
static void alarm_each(int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	struct itimerval v = {tv, tv};

	setitimer(ITIMER_REAL, &v, NULL);
}

static pid_t dials;

/* rings has SIGALRM come when the thread that dials has waited for a while. */
static void *rings(void *p)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (call_of(dials) != SYS_connect)
		usleep(1000);
	taken();
	usleep(80000);
	kill(getpid(), SIGALRM);
	return p;
}

/* interrupted_dial is dial, with a signal. */
static int interrupted_dial(int fd)
{
	pthread_t t;
	int e;

	dials = gettid();
	pthread_create(&t, NULL, rings, NULL);
	e = dial(fd);
	pthread_join(t, NULL);
	return e;
}

static void handler(int sig) { (void)sig; atomic_fetch_add(&handled, 1); }

static void on(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

	sigaction(sig, &sa, NULL);
}

static short events(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	poll(&p, 1, ms);
	return p.revents;
}

/* shows waits for an event, and prints what poll shows. */
static void shows(const char *when, int fd, int ms)
{
	short e = events(fd, ms);

	printf("%s, poll:%s%s%s%s\n", when, e & POLLIN ? " IN" : "", e & POLLOUT ? " OUT" : "", e & POLLERR ? " ERR" : "", e & POLLHUP ? " HUP" : "");
}

static int so_error(int fd)
{
	int e = 0;
	socklen_t len = sizeof e;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

/* crowd fills a listener's queue, until a connect has to wait. */
static void crowd(void)
{
	for (int i = 0; i < 100000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0)
			die("crowd");
		if (dial(fd) == EINPROGRESS && !events(fd, 100))
			return;
	}
	die("the queue is never full");
}

/* empty takes all that waits in a listener's queue, until fd is connected, and
 * whatever comes later. */
static void *empty(void *p)
{
	int ls = *(int *)p;

	while (accept(ls, NULL, NULL) >= 0 || errno == EINTR)
		;
	return NULL;
}

/* empty_once_handled begins when a signal has been: a connect waits until then. */
static void *empty_once_handled(void *p)
{
	for (double end = now() + 10; !handled && now() < end;)
		poll(NULL, 0, 1);
	return empty(p);
}

static void start_emptying(int *ls, void *(*how)(void *))
{
	sigset_t all, old;
	pthread_t t;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&t, NULL, how, ls);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void connect_no_restart(void)
{
	int ls = listener(0), fd = stream();

	on(SIGALRM, 0);
	crowd();
	printf("connect: %s\n", name(interrupted_dial(fd)));
	printf("handled %d\n", handled);
	shows("under way", fd, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	printf("again, non-blocking: %s\n", name(dial(fd)));
	fcntl(fd, F_SETFL, 0);
	printf("again, blocking: %s\n", name(interrupted_dial(fd)));
	printf("send: %s\n", name(err(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL)) == 0 ? 0 : EAGAIN));
	start_emptying(&ls, empty);
	shows("later", fd, 10000);
	printf("SO_ERROR: %s\n", name(so_error(fd)));
	printf("again: %s\n", name(dial(fd)));
	printf("and again: %s\n", name(dial(fd)));
}

/* connect_soerror asks for the outcome by SO_ERROR alone, as Python does. */
static void connect_soerror(void)
{
	int ls = listener(0), fd = stream();

	on(SIGALRM, 0);
	crowd();
	printf("connect: %s\n", name(interrupted_dial(fd)));
	start_emptying(&ls, empty);
	shows("later", fd, 10000);
	printf("SO_ERROR: %s\n", name(so_error(fd)));
	printf("send: %s\n", name(err(send(fd, "x", 1, MSG_NOSIGNAL))));
}

static void connect_restart(void)
{
	int ls = listener(0), fd = stream();

	on(SIGALRM, SA_RESTART);
	crowd();
	start_emptying(&ls, empty_once_handled);
	alarm_each(50);
	printf("connect: %s\n", name(dial(fd)));
	alarm_each(0);
	printf("handled some: %d\n", handled > 0);
	shows("connected", fd, 0);
}

/* connect_refused closes the listener while the connect goes on by itself. */
static void connect_refused(void)
{
	int ls = listener(0), fd = stream();

	on(SIGALRM, 0);
	crowd();
	printf("connect: %s\n", name(interrupted_dial(fd)));
	close(ls);
	/* The kernel's end of an AF_UNIX stream, which the program has, shows ERR and HUP, and OUT when what was unread is freed. */
	if (events(fd, 10000) & POLLHUP)
		for (int i = 0; i < 1000 && !(events(fd, 0) & POLLOUT); i++)
			usleep(1000);
	shows("later", fd, 0);
	printf("SO_ERROR: %s\n", name(so_error(fd)));
}

static void connect_timeout(void)
{
	int ls = listener(0), fd = stream();
	struct timeval tv = {0, 100000};

	crowd();
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	printf("connect: %s\n", name(dial(fd)));
	shows("under way", fd, 0);
	printf("again: %s\n", name(dial(fd)));
	start_emptying(&ls, empty);
	shows("later", fd, 10000);
	printf("again: %s\n", name(dial(fd)));
	printf("and again: %s\n", name(dial(fd)));
}

static void *connects(void *p)
{
	int *fd = p, e = dial(*fd);

	atomic_fetch_add(&done, 1);
	return (void *)(long)e;
}

/* asleep_in waits until the process's other threads are asleep in a system call. */
static void asleep_in(long call)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	if (!dir)
		die("/proc/self/task");
	while ((d = readdir(dir))) {
		int tid = atoi(d->d_name);

		for (long is = -1; tid != 0 && tid != gettid() && is != call; usleep(1000))
			if ((is = call_of(tid)) == -2)
				die("a thread waits no more");
	}
	closedir(dir);
	taken();
}

/* connect_threads interrupts one of several threads that connect. */
static void connect_threads(void)
{
	enum { N = 6 };
	int ls = listener(0), fds[N];
	pthread_t t[N];
	void *e;

	on(SIGUSR1, 0);
	on(SIGUSR2, SA_RESTART);
	crowd();
	for (int i = 0; i < N; i++) {
		fds[i] = stream();
		pthread_create(&t[i], NULL, connects, &fds[i]);
	}
	asleep_in(SYS_connect);
	pthread_kill(t[0], SIGUSR1);
	pthread_kill(t[1], SIGUSR2);
	pthread_kill(t[2], SIGUSR1);
	for (int i = 0; i < 3; i += 2) {
		pthread_join(t[i], &e);
		printf("thread %d: %s\n", i, name((long)e));
		shows("under way", fds[i], 0);
	}
	for (double end = now() + 5; handled < 3 && now() < end;)
		usleep(1000);
	printf("done: %d, handled %d\n", done, handled);
	close(fds[2]); /* while it goes on */
	start_emptying(&ls, empty);
	for (int i = 1; i < N; i++) {
		if (i == 2)
			continue;
		pthread_join(t[i], &e);
		printf("thread %d: %s\n", i, name((long)e));
	}
	shows("the first", fds[0], 10000);
	printf("SO_ERROR: %s\n", name(so_error(fds[0])));
}

/* --- a process that goes while another of its threads waits --- */

static int waiting_fd, waiting_kind;

static void *waits(void *p)
{
	char b[10];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};

	(void)p;
	switch (waiting_kind) {
	case 'a': accept(waiting_fd, NULL, NULL); break;
	case 'c': dial(waiting_fd); break;
	case 'f': recvfrom(waiting_fd, b, sizeof b, 0, (void *)&from, &len); break;
	case 'm': recvmsg(waiting_fd, &m, 0); break;
	}
	return NULL;
}

/* goes has a child in whose second thread a call waits exec or exit. What the child
 * held is then closed: its peer sees the end, and its port is free. */
static void goes(const char *how, const char *call)
{
	int ls = listener(5), other, up[2], hold[2], one = 1;
	struct sockaddr_in bound, server = at;
	socklen_t len = sizeof bound;
	pthread_t t;
	char c;

	if (pipe(up) || pipe(hold))
		die("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		/* Its own port, its own connection, and what waits. */
		int own, conn = stream();

		close(ls);
		close(hold[1]);
		dup2(hold[0], 0);
		if (dial(conn))
			die("dial");
		own = listener(5);
		write(up[1], &at, sizeof at);
		read(conn, &c, 1); /* it is accepted, and leaves no room in the queue behind */
		waiting_kind = strcmp(call, "recvmsg") == 0 ? 'm' : strcmp(call, "recvfrom") == 0 ? 'f' : call[0];
		waiting_fd = waiting_kind == 'a' ? own : conn;
		if (waiting_kind == 'c') {
			at = server;
			crowd();
			waiting_fd = stream();
		}
		fcntl(own, F_SETFD, FD_CLOEXEC);
		fcntl(conn, F_SETFD, FD_CLOEXEC);
		fcntl(waiting_fd, F_SETFD, FD_CLOEXEC);
		pthread_create(&t, NULL, waits, NULL);
		asleep_in(waiting_kind == 'a' ? SYS_accept : waiting_kind == 'c' ? SYS_connect : waiting_kind == 'f' ? SYS_recvfrom : SYS_recvmsg);
		if (strcmp(how, "exec") == 0)
			execlp("sh", "sh", "-c", "read x", NULL); /* until the parent is gone */
		_exit(0);
	}
	other = accept(ls, NULL, NULL);
	write(other, "a", 1);
	read(up[0], &bound, sizeof bound);
	struct timeval tv = {3, 0};
	setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	ssize_t n = recv(other, &c, 1, 0);
	printf("peer: %s\n", n == 0 ? "end" : name(errno));
	if (strcmp(how, "exit") == 0)
		waitpid(pid, NULL, 0);
	other = stream();
	setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	int e = EADDRINUSE;
	for (double end = now() + 3; e == EADDRINUSE && now() < end; usleep(1000)) {
		e = err(bind(other, (void *)&bound, len));
		if (e == 0)
			e = err(listen(other, 1));
	}
	printf("its port: %s\n", name(e));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- how soon a parked call learns of a signal --- */

static _Atomic double told;
static void tells(int sig) { (void)sig; told = now(); }

static int datagram(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	if (fd < 0 || bind(fd, (void *)&a, sizeof a))
		die("datagram");
	return fd;
}

static void *parks(void *p)
{
	char b[10];
	struct sockaddr_in from;
	socklen_t len = sizeof from;

	for (;;) {
		recvfrom((long)p, b, sizeof b, 0, (void *)&from, &len);
		if (errno != EINTR)
			return NULL;
	}
}

static pthread_t *park(int n)
{
	pthread_t *t = calloc(n, sizeof *t);
	pthread_attr_t a;
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	for (int i = 0; i < n; i++)
		if (pthread_create(&t[i], &a, parks, (void *)(long)datagram()))
			die("pthread_create");
	asleep_in(SYS_recvfrom);
	usleep(500000); /* nobody tells that a call has waited for long */
	return t;
}

static int by_size(const void *a, const void *b)
{
	double d = *(double *)a - *(double *)b;

	return d < 0 ? -1 : d > 0;
}

/* slowness is how much longer than on a processor of its own a computation takes now. */
static double slowness(void)
{
	struct timespec t;
	double begin = now(), cpu, first = -1;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		cpu = t.tv_sec + t.tv_nsec / 1e9;
		first = first < 0 ? cpu : first;
	} while (cpu < first + 0.1);
	return (now() - begin) / (cpu - first);
}

/* parked sends signals to the process's threads that wait, or to the process. */
static void parked(int n, int most, int process)
{
	struct sigaction sa = {.sa_handler = tells};
	pthread_t *t = park(n);
	enum { TRIES = 20 };
	double took[TRIES], slow, first;
	int i;
	sigset_t mask;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL); /* here, not in those that wait */
	slow = slowness();
	first = now();
	for (i = 0; i < TRIES && (i < 5 || now() < first + 6); i++) {
		double start = now();

		told = 0;
		if (process)
			kill(getpid(), SIGUSR1);
		else
			pthread_kill(t[(i * 797) % n], SIGUSR1);
		while (told == 0 && now() < start + 5)
			usleep(100);
		took[i] = told ? told - start : 5;
	}
	slow = (slow + slowness()) / 2;
	qsort(took, i, sizeof *took, by_size);
	printf("#%d calls parked: a signal is handled after %.1f ms (median), %.1f ms (nine of ten), %.1f ms (all)\n",
	       n, took[i / 2] * 1e3, took[i * 9 / 10] * 1e3, took[i - 1] * 1e3);
	printf("#the machine is %.1f times as slow as when it is idle\n", slow);
	printf("nine of ten in time: %d\n", took[i * 9 / 10] * 1e3 <= most * slow);
}

static double ticks(int pid)
{
	char path[64], b[1024] = "";
	unsigned long u = 0, s = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || !fgets(b, sizeof b, f))
		die(path);
	fclose(f);
	sscanf(strrchr(b, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s);
	return (u + s) / (double)sysconf(_SC_CLK_TCK);
}

/* rest measures what n parked calls cost the supervisor that has nothing else to do. */
static void rest(int n, int supervisor)
{
	double cpu, start;

	park(n);
	cpu = ticks(supervisor);
	start = now();
	sleep(2);
	cpu = (ticks(supervisor) - cpu) / (now() - start);
	printf("#%d calls parked: the supervisor takes %.1f %% of a processor\n", n, cpu * 100);
	printf("at most three twentieths: %d\n", cpu <= 0.15);
}

int main(int argc, char **argv)
{
	const char *w = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(w, "connect-no-restart")) connect_no_restart();
	else if (!strcmp(w, "connect-so-error")) connect_soerror();
	else if (!strcmp(w, "connect-restart")) connect_restart();
	else if (!strcmp(w, "connect-refused")) connect_refused();
	else if (!strcmp(w, "connect-timeout")) connect_timeout();
	else if (!strcmp(w, "connect-threads")) connect_threads();
	else if (!strcmp(w, "exec") || !strcmp(w, "exit")) goes(w, argv[2]);
	else if (!strcmp(w, "parked")) parked(atoi(argv[2]), atoi(argv[3]), 0);
	else if (!strcmp(w, "parked-process")) parked(atoi(argv[2]), atoi(argv[3]), 1);
	else if (!strcmp(w, "rest")) rest(atoi(argv[2]), atoi(argv[3]));
	else return 2;
	exit(0);
}
