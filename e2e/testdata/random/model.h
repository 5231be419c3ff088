/* The coordinator: what it knows of actors, descriptors and sockets, and how it
 * talks to actors. */

enum { NSOCK = 480, NCONN = 480, NEPOLL = 16 };
enum { FRESH, BOUND, LISTENING, CONNECTED };

/* What an end knows of a reset: nothing, it waits as an error, it may have been told
 * by a send (usock tells EPIPE there and keeps the error: declared), it was told, or
 * it came after the end of the stream (EPIPE in poll only: declared). */
enum { NONE, PENDING, MAYBE, TOLD, AFTER_END };

struct entry {
	int kind, ix, cloexec; /* kind 0: free, 1: a socket, 2: an epoll */
};

struct proc {
	int alive;
	long pid;
	struct entry tab[NFD];
};

struct act {
	int alive, proc, busy;
	long tid;
	struct cmd last;
};

struct dgram {
	int from, len;
	long seq;
};

struct sock {
	int type, family, state, conn, side, refs, nonblock, linger, in_epoll, once;
	struct sockaddr_storage local;
	int queue[16], nqueue; /* a listener's connections */
	struct dgram dg[16];
	int ndg, peer; /* of a datagram socket */
	long seq;
};

struct conn {
	int accepted, dead;
	long sent[2], got[2];
	int fin[2], shutr[2], closed[2], rst[2], sock[2], pieces[2];
};

static struct world {
	uint64_t rng, seed;
	int step, failed, nsock, nconn, nepoll, nstorm;
	struct proc proc[NPROC];
	struct act act[NACT];
	struct sock sock[NSOCK];
	struct conn conn[NCONN];
	struct sockaddr_storage refuser[2][2]; /* [datagram][IPv6]: ports where nobody listens */
} w;

static void out(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void out(const char *fmt, ...)
{
	char line[600];
	int n = snprintf(line, sizeof line, "%d ", w.step);
	va_list ap;

	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	if (write(1, line, n) < 0)
		_exit(97);
}

/* The kinds of steps, and the habits within them, that are left out (-w). */
static const char *without = "";

static int left_out(const char *name)
{
	size_t n = strlen(name);

	for (const char *p = without; (p = strstr(p, name)); p += n)
		if ((p == without || p[-1] == ',') && (p[n] == 0 || p[n] == ','))
			return 1;
	return 0;
}

static int roll(int n)
{
	return rnd(&w.rng) % n;
}

static const char *en(int err)
{
	const char *s = err ? strerrorname_np(err) : "ok";

	return s ? s : "?";
}

/* res is a call's outcome. */
static const char *res(const struct rep *r)
{
	static char buf[4][32];
	static int i;
	char *b = buf[i++ & 3];

	if (r->r < 0)
		return en(r->err);
	snprintf(b, sizeof *buf, "%ld", r->r);
	return b;
}

static void fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void fault(const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	out("FAULT %s", line);
	w.failed = 1;
}

static void slurp(long pid, long tid, const char *what, char *buf, size_t room)
{
	char path[80];
	int fd;
	ssize_t n = 0;

	snprintf(path, sizeof path, "/proc/%ld/task/%ld/%s", pid, tid, what);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, buf, room - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

/* hang tells where everybody is and ends the world. */
static void hang(int a)
{
	out("HANG actor %d does not answer", a);
	for (int i = 0; i < NACT; i++) {
		char where[120], state[120];
		struct act *x = &w.act[i];

		if (!x->alive)
			continue;
		slurp(w.proc[x->proc].pid, x->tid, "syscall", where, sizeof where);
		slurp(w.proc[x->proc].pid, x->tid, "wchan", state, sizeof state);
		out("  actor %d of process %d (%ld/%ld): %s %s fd %d how %d flags %#x n %ld; in %s, system call %s", i, x->proc,
		    w.proc[x->proc].pid, x->tid, x->busy ? "busy with" : "after", op_names[x->last.op], x->last.fd, x->last.how,
		    x->last.flags, x->last.n, state, where);
	}
	_exit(3);
}

static void start(int a, struct cmd c)
{
	w.act[a].last = c;
	w.act[a].busy = 1;
	if (write(COMMAND_W(a), &c, sizeof c) != sizeof c)
		_exit(96);
}

static int answered(int a, int ms)
{
	struct pollfd p = {.fd = REPLY_R(a), .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

static struct rep finish(int a)
{
	struct rep r;

	if (!answered(a, PATIENCE))
		hang(a);
	if (read(REPLY_R(a), &r, sizeof r) != sizeof r)
		_exit(95);
	w.act[a].busy = 0;
	if (r.text[0])
		fault("actor %d, %s: %s", a, op_names[w.act[a].last.op], r.text);
	return r;
}

static struct rep ask(int a, struct cmd c)
{
	start(a, c);
	return finish(a);
}

/* asleep waits until the actor waits in its call, or has its answer. */
static void asleep(int a)
{
	long end = now_ms() + PATIENCE;
	char stat[400], *p;

	while (!answered(a, 0)) {
		slurp(w.proc[w.act[a].proc].pid, w.act[a].tid, "stat", stat, sizeof stat);
		if ((p = strrchr(stat, ')')) && p[1] && p[2] == 'S')
			return;
		if (now_ms() > end)
			hang(a);
		sched_yield();
	}
}

static int free_slot(void)
{
	for (int i = 0; i < NACT; i++)
		if (!w.act[i].alive)
			return i;
	return -1;
}

static int free_proc(void)
{
	for (int i = 0; i < NPROC; i++)
		if (!w.proc[i].alive)
			return i;
	return -1;
}

/* drain empties the slot's pipes of what its last actor left. */
static void drain(int a)
{
	int fds[] = {COMMAND_R(a), REPLY_R(a), MAIL_R(a)};
	char buf[4096];

	for (int i = 0; i < 3; i++) {
		struct pollfd p = {.fd = fds[i], .events = POLLIN};

		while (poll(&p, 1, 0) == 1 && read(fds[i], buf, sizeof buf) > 0)
			;
	}
	w.act[a].busy = 0;
}

/* born reads a new actor's greeting. */
static void born(int a, int p)
{
	struct rep r;

	w.act[a].alive = 1;
	w.act[a].proc = p;
	r = finish(a);
	if (!r.more[0]) {
		fault("a%d is not born: %s", a, en(r.err));
		_exit(3);
	}
	w.act[a].tid = r.more[1];
	w.proc[p].pid = r.more[0];
	w.proc[p].alive = 1;
}

static int lowest(int p)
{
	for (int fd = 3; fd < NFD; fd++)
		if (!w.proc[p].tab[fd].kind)
			return fd;
	return NFD;
}

static int used(int p)
{
	int n = 0;

	for (int fd = 0; fd < NFD; fd++)
		n += !!w.proc[p].tab[fd].kind;
	return n;
}

/* enter notes a new descriptor, which must have the lowest free number. */
static void enter(int p, int fd, int kind, int ix, int cloexec)
{
	if (fd != lowest(p))
		fault("descriptor %d, the lowest free one is %d", fd, lowest(p));
	if (fd < 0 || fd >= NFD)
		_exit(94);
	w.proc[p].tab[fd] = (struct entry){kind, ix, cloexec};
	if (kind == 1)
		w.sock[ix].refs++;
}

static struct sock *at(int p, int fd)
{
	struct entry *e = &w.proc[p].tab[fd];

	return e->kind == 1 ? &w.sock[e->ix] : NULL;
}

static struct sock *new_sock(int type, int family, int nonblock)
{
	struct sock *s = &w.sock[w.nsock++];

	*s = (struct sock){.type = type, .family = family, .nonblock = nonblock, .conn = -1, .peer = -1};
	return s;
}

static int ix(const struct sock *s) { return s - w.sock; }

static struct conn *cn(const struct sock *s) { return &w.conn[s->conn]; }

static long avail(const struct sock *s)
{
	struct conn *c = cn(s);

	return c->sent[!s->side] - c->got[s->side];
}

static uint64_t stream(int conn, int side) { return w.seed << 12 | (conn * 2 + side); }

static uint64_t storm_ids(int n)
{
	uint64_t id;

	if (w.nstorm + n > 2400)
		w.nstorm = 0;
	id = w.seed << 12 | (1600 + w.nstorm);
	w.nstorm += n;
	return id;
}

/* A descriptor that a step has chosen. */
struct place {
	int a, p, fd;
	struct sock *s;
};

static int is_idle(int a) { return w.act[a].alive && !w.act[a].busy; }

/* choose picks an idle actor and one of its descriptors by chance. */
static int choose(struct place *at_, int (*ok)(const struct sock *))
{
	struct place all[NACT * NFD];
	int n = 0;

	for (int a = 0; a < NACT; a++)
		for (int fd = 0; is_idle(a) && fd < NFD; fd++) {
			struct sock *s = at(w.act[a].proc, fd);

			if (s && ok(s))
				all[n++] = (struct place){a, w.act[a].proc, fd, s};
		}
	if (n)
		*at_ = all[roll(n)];
	return n > 0;
}

static const struct sock *wanted;

static int is_wanted(const struct sock *s) { return s == wanted; }

/* holder finds an idle actor that has s. */
static int holder(const struct sock *s, struct place *pl)
{
	wanted = s;
	return choose(pl, is_wanted);
}

static int some_actor(void)
{
	int n = 0, all[NACT];

	for (int a = 0; a < NACT; a++)
		if (is_idle(a))
			all[n++] = a;
	return n ? all[roll(n)] : -1;
}

/* expected is what poll must come to show of an end. */
static int expected(const struct sock *s)
{
	struct conn *c = cn(s);
	int o = !s->side, me_ = s->side, in = c->fin[o] || c->shutr[me_];

	return POLLOUT | (avail(s) > 0 || in || c->rst[me_] ? POLLIN : 0) | (in || c->rst[me_] ? POLLRDHUP : 0) |
	       ((in && c->fin[me_]) || c->rst[me_] ? POLLHUP : 0);
}

/* settle waits until all that was sent to s has come. */
static void settle(const struct sock *s)
{
	struct place pl;
	struct rep r;
	long n = -1;

	if (!holder(s, &pl))
		return;
	if (s->state == CONNECTED && s->type == SOCK_STREAM) {
		n = avail(s);
		r = ask(pl.a, (struct cmd){.op = SETTLE, .fd = pl.fd, .n = n, .flags = expected(s)});
	} else {
		r = ask(pl.a, (struct cmd){.op = SETTLE, .fd = pl.fd, .n = -1, .flags = s->nqueue || s->ndg ? POLLIN : 0});
	}
	if (r.r < 0)
		fault("socket %d (conn %d.%d): not within %d ms: %d of %ld bytes, poll shows %#x and should %#x", ix(s), s->conn, s->side,
		      PATIENCE / 2, r.more[1], n, r.more[0], s->conn >= 0 ? expected(s) : POLLIN);
}

/* aborts tells whether the close of s, an end, will be a reset. */
static int aborts(const struct sock *s)
{
	struct conn *c = cn(s);

	return !c->dead && !(c->fin[0] && c->fin[1]) && (s->linger || avail(s) > 0);
}

/* may_close is false for what has no certain outcome: the reset of a connection that
 * nobody has accepted, which may come before the accept or after it. */
static int may_close(const struct sock *s)
{
	return s->conn < 0 || cn(s)->accepted || !aborts(s);
}

/* before_close lets what was sent arrive where the close would destroy it. */
static void before_close(const struct sock *s)
{
	struct conn *c;

	if (s->conn < 0 || !cn(s)->accepted)
		return;
	c = cn(s);
	if (c->dead || c->closed[!s->side])
		return;
	settle(s);
	if (aborts(s))
		settle(&w.sock[c->sock[!s->side]]);
}

static void reset_to(struct conn *c, int e)
{
	int o = !e;

	c->dead = 1;
	if (c->closed[e] || c->rst[e] || (c->fin[o] && c->fin[e]))
		return;
	c->rst[e] = c->fin[o] ? AFTER_END : PENDING;
}

/* gone is what the close of the last descriptor of s does. */
static void gone(struct sock *s)
{
	struct conn *c;

	for (int i = 0; i < s->nqueue; i++)
		reset_to(&w.conn[s->queue[i]], 0);
	s->nqueue = s->ndg = 0;
	s->in_epoll = 0;
	if (s->conn < 0)
		return;
	c = cn(s);
	if (aborts(s)) {
		c->closed[s->side] = 1;
		reset_to(c, !s->side);
		c->dead = 1;
		return;
	}
	c->closed[s->side] = c->fin[s->side] = 1;
}

static void drop(int p, int fd)
{
	struct sock *s = at(p, fd);

	w.proc[p].tab[fd].kind = 0;
	if (s && --s->refs == 0)
		gone(s);
}

/* owned tells whether no other process has s. */
static int owned(const struct sock *s, int p)
{
	int n = 0;

	for (int fd = 0; fd < NFD; fd++)
		n += at(p, fd) == s;
	return n == s->refs;
}
