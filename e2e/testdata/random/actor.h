/* An actor: a thread of a process that carries out commands. */

static __thread int me;

/* The path of this program: /proc/self/exe is not there once the first thread has ended. */
static char program[4096];

static void *actor(void *slot);

static void handled(int sig)
{
	(void)sig;
	atomic_fetch_add(&shared->signals[me], 1);
}

/* start_process prepares what a process has after exec. */
static void start_process(void)
{
	struct sigaction restart = {.sa_handler = handled, .sa_flags = SA_RESTART};
	struct sigaction interrupt = {.sa_handler = handled};

	sigaction(SIGUSR1, &restart, NULL);
	sigaction(SIGUSR2, &interrupt, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED, 0);
	if (shared == MAP_FAILED)
		_exit(99);
}

static void answer(const struct rep *r)
{
	while (write(REPLY_W(me), r, sizeof *r) < 0 && errno == EINTR)
		;
}

static void names(int fd, struct rep *r)
{
	socklen_t l = sizeof r->local, a = sizeof r->addr;
	int err = errno;

	if (getsockname(fd, (struct sockaddr *)&r->local, &l) < 0)
		memset(&r->local, 0, sizeof r->local);
	if (getpeername(fd, (struct sockaddr *)&r->addr, &a) < 0)
		memset(&r->addr, 0, sizeof r->addr);
	errno = err;
}

static long do_accept(const struct cmd *c, struct rep *r)
{
	struct sockaddr_storage a = {0};
	socklen_t l = sizeof a;
	long fd;

	switch (c->how) {
	case 0:
		fd = accept(c->fd, NULL, NULL);
		break;
	case 1:
		fd = accept(c->fd, (struct sockaddr *)&a, &l);
		break;
	case 2:
		fd = accept4(c->fd, NULL, NULL, c->flags);
		break;
	default:
		fd = accept4(c->fd, (struct sockaddr *)&a, &l, c->flags);
	}
	if (fd >= 0) {
		names(fd, r);
		if ((c->how & 1) && (l != addr_len(&a) || (r->addr.ss_family && memcmp(&a, &r->addr, l))))
			snprintf(r->text, sizeof r->text, "accept and getpeername tell different addresses");
	}
	return fd;
}

static long do_send(const struct cmd *c)
{
	unsigned char *buf = malloc(c->n + 1);
	struct sockaddr_storage to = c->addr;
	long r;
	int err;

	fill(buf, c->n, c->id, c->off);
	r = put(c->fd, c->how, buf, c->n, c->flags | MSG_NOSIGNAL, &to);
	err = errno;
	free(buf);
	errno = err;
	return r;
}

static long do_recv(const struct cmd *c, struct rep *r)
{
	unsigned char *buf = malloc(c->n + 1);
	long n = get(c->fd, c->how, buf, c->n, c->flags, &r->addr);
	int err = errno;

	if (n > 0)
		check(buf, n < c->n ? n : c->n, c->id, c->off, r->text, sizeof r->text);
	free(buf);
	errno = err;
	return n;
}

/* do_poll looks for one descriptor's events by poll, ppoll or select. */
static long do_poll(const struct cmd *c, struct rep *r)
{
	struct pollfd p = {.fd = c->fd, .events = c->flags};
	struct timespec ts = {c->n / 1000, c->n % 1000 * 1000000};
	fd_set in, out;
	long k;

	if (c->how == 0)
		k = poll(&p, 1, c->n);
	else if (c->how == 1)
		k = ppoll(&p, 1, c->n < 0 ? NULL : &ts, NULL);
	else {
		FD_ZERO(&in);
		FD_ZERO(&out);
		if (c->flags & POLLIN)
			FD_SET(c->fd, &in);
		if (c->flags & POLLOUT)
			FD_SET(c->fd, &out);
		k = pselect(c->fd + 1, &in, &out, NULL, c->n < 0 ? NULL : &ts, NULL);
		p.revents = k > 0 ? (FD_ISSET(c->fd, &in) ? POLLIN : 0) | (FD_ISSET(c->fd, &out) ? POLLOUT : 0) : 0;
	}
	r->more[0] = k > 0 ? p.revents : 0;
	return k;
}

/* do_settle waits until so many bytes can be read and poll shows what it must. */
static long do_settle(const struct cmd *c, struct rep *r)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLOUT | POLLRDHUP};
	long end = now_ms() + PATIENCE / 2;
	int n = 0;

	for (;;) {
		poll(&p, 1, 0);
		if (c->n >= 0)
			ioctl(c->fd, FIONREAD, &n);
		r->more[0] = p.revents;
		r->more[1] = n;
		if ((p.revents & c->flags) == c->flags && (c->n < 0 || n == c->n))
			return 0;
		if (now_ms() > end) {
			errno = ETIMEDOUT;
			return -1;
		}
		poll(NULL, 0, 1);
	}
}

static long do_mail(const struct cmd *c)
{
	char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &c->fd, sizeof(int));
	return sendmsg(MAIL_W(c->fd2), &m, 0);
}

static long do_take(const struct cmd *c)
{
	char space[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *h;
	long r = recvmsg(MAIL_R(me), &m, c->flags);
	int fd;

	if (r < 0)
		return r;
	if (!(h = CMSG_FIRSTHDR(&m))) {
		errno = EMFILE; /* the message came without */
		return -1;
	}
	memcpy(&fd, CMSG_DATA(h), sizeof fd);
	return fd;
}

static long do_fork(const struct cmd *c)
{
	long pid = fork();

	if (pid == 0) {
		me = c->fd2;
		actor(NULL);
		_exit(0);
	}
	return pid;
}

static long do_thread(const struct cmd *c)
{
	pthread_t t;
	pthread_attr_t a;
	int err;

	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&t, &a, actor, (void *)(intptr_t)c->fd2);
	pthread_attr_destroy(&a);
	errno = err;
	return err ? -1 : 0;
}

static long do_epwait(const struct cmd *c, struct rep *r)
{
	struct epoll_event e[8];
	long k = epoll_wait(c->fd, e, 8, c->n);

	for (int i = 0; i < k; i++) {
		r->more[2 * i] = e[i].data.u32;
		r->more[2 * i + 1] = e[i].events;
	}
	r->n = k > 0 ? k : 0;
	return k;
}

static long do_option(const struct cmd *c, struct rep *r)
{
	struct timeval tv = {c->n / 1000, c->n % 1000 * 1000};
	struct linger l = {c->n > 0, 0};
	int v = c->n;
	socklen_t n = sizeof v;

	if (c->op == GETOPT) {
		v = -1;
		n = getsockopt(c->fd, c->how, c->flags, &v, &n);
		r->more[0] = v;
		return (int)n;
	}
	if (c->how == SOL_SOCKET && (c->flags == SO_RCVTIMEO || c->flags == SO_SNDTIMEO))
		return setsockopt(c->fd, c->how, c->flags, &tv, sizeof tv);
	if (c->how == SOL_SOCKET && c->flags == SO_LINGER)
		return setsockopt(c->fd, c->how, c->flags, &l, sizeof l);
	return setsockopt(c->fd, c->how, c->flags, &v, sizeof v);
}

static long do_limit(const struct cmd *c)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = c->n < 0 ? l.rlim_max : (rlim_t)c->n;
	return setrlimit(RLIMIT_NOFILE, &l);
}

/* child makes a child that ends at once, one way or another. */
static pid_t child(int how)
{
	pid_t pid = how == 2 ? vfork() : fork();

	if (pid == 0) {
		if (how)
			execl(program, program, "nothing", (char *)NULL);
		_exit(0);
	}
	return pid;
}

static long do_churn(const struct cmd *c)
{
	for (long i = 0; i < c->n; i++) {
		pid_t pid = child(i % 3);

		if (pid < 0)
			return -1;
		/* Ended children reap themselves: the wait ends with ECHILD then. */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return c->n;
}

static long do_exec(void)
{
	char slot[16];

	snprintf(slot, sizeof slot, "%d", me);
	execl(program, program, "actor", slot, (char *)NULL);
	return -1;
}

#include "storm.h"

static long carry_out(const struct cmd *c, struct rep *r)
{
	struct epoll_event e = {.events = c->flags, .data.u32 = c->n};
	struct sockaddr *a = (struct sockaddr *)&c->addr;
	long k;

	switch (c->op) {
	case SOCKET:
		return socket(c->how, c->flags, 0);
	case BIND:
		k = bind(c->fd, a, addr_len(&c->addr));
		names(c->fd, r);
		return k;
	case LISTEN:
		k = listen(c->fd, c->n);
		names(c->fd, r);
		return k;
	case CONNECT:
		k = connect(c->fd, a, addr_len(&c->addr));
		names(c->fd, r);
		return k;
	case ACCEPT:
		return do_accept(c, r);
	case SEND:
	case SENDDG:
		return do_send(c);
	case RECV:
	case RECVDG:
		return do_recv(c, r);
	case POLL:
		return do_poll(c, r);
	case SETTLE:
		return do_settle(c, r);
	case SHUTDOWN:
		return shutdown(c->fd, c->how);
	case CLOSE:
		return close(c->fd);
	case DUP:
		return dup(c->fd);
	case DUP2:
		return dup2(c->fd, c->fd2);
	case SETOPT:
	case GETOPT:
		k = do_option(c, r);
		names(c->fd, r);
		return k;
	case NONBLOCK:
		return fcntl(c->fd, F_SETFL, c->n ? O_NONBLOCK : 0);
	case MAIL:
		return do_mail(c);
	case TAKE:
		return do_take(c);
	case FORK:
		return do_fork(c);
	case THREAD:
		return do_thread(c);
	case EXEC:
		return do_exec();
	case LIMIT:
		return do_limit(c);
	case EPCREATE:
		return epoll_create1(0);
	case EPADD:
		return epoll_ctl(c->fd, c->how, c->fd2, &e);
	case EPWAIT:
		return do_epwait(c, r);
	case CHURN:
		return do_churn(c);
	default:
		return storm(c, r);
	}
}

/* actor tells who it is and carries out commands until the thread ends. */
static void *actor(void *slot)
{
	struct cmd c;
	struct rep r = {0};

	if (slot)
		me = (intptr_t)slot;
	r.more[0] = getpid();
	r.more[1] = syscall(SYS_gettid);
	answer(&r);
	for (;;) {
		long k = read(COMMAND_R(me), &c, sizeof c);

		if (k < 0 && errno == EINTR)
			continue;
		if (k != sizeof c)
			_exit(98);
		if (c.op == EXIT && c.how)
			_exit(0);
		if (c.op == EXIT)
			exit(0);
		if (c.op == LEAVE) {
			if (getpid() != syscall(SYS_gettid))
				return NULL;
			pthread_exit(NULL);
		}
		memset(&r, 0, sizeof r);
		errno = 0;
		r.r = carry_out(&c, &r);
		r.err = r.r < 0 ? errno : 0;
		answer(&r);
	}
}
