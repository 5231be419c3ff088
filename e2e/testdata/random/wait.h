/* A call that waits, what happens meanwhile, and what ends it. */

enum { W_ACCEPT, W_RECV, W_DATAGRAM, W_POLL };

static const char *const wait_names[] = {"accept", "recv", "recvfrom a datagram", "poll"};

static int is_idle_listener(const struct sock *s) { return s->state == LISTENING && !s->nqueue && !s->nonblock; }

static int is_quiet(const struct sock *s)
{
	struct conn *c;

	if (!is_end(s) || s->nonblock || avail(s))
		return 0;
	c = cn(s);
	return c->accepted && !c->fin[!s->side] && !c->shutr[s->side] && !c->shutr[!s->side] && !c->rst[s->side] && !c->dead;
}

static int is_idle_udp(const struct sock *s) { return is_udp(s) && !s->ndg && !s->nonblock && s->peer < 0; }

static struct cmd waiting_call(const struct place *e, int kind)
{
	struct cmd c = {.fd = e->fd};

	switch (kind) {
	case W_ACCEPT:
		c.op = ACCEPT;
		c.how = roll(2);
		break;
	case W_RECV:
		c.op = RECV;
		c.how = roll(R_SPLICE);
		c.n = 1000;
		c.id = stream(e->s->conn, !e->s->side);
		c.off = cn(e->s)->got[e->s->side];
		if (c.how != R_READ && c.how != R_READV && roll(3) == 0) {
			c.flags = MSG_WAITALL;
			c.n = 150;
		}
		break;
	case W_DATAGRAM:
		c.op = RECVDG;
		c.how = R_FROM + roll(2);
		c.n = 1000;
		break;
	default:
		c.op = POLL;
		c.how = roll(3);
		c.n = PATIENCE;
		c.flags = POLLIN;
	}
	return c;
}

/* signalled sends signals until each was handled. */
static void signalled(int a, int sig, int times)
{
	long end = now_ms() + PATIENCE;

	for (int i = 0; i < times; i++) {
		int before = atomic_load(&shared->signals[a]);

		syscall(SYS_tgkill, w.proc[w.act[a].proc].pid, w.act[a].tid, sig);
		while (atomic_load(&shared->signals[a]) == before) {
			if (now_ms() > end)
				hang(a);
			sched_yield();
		}
	}
}

/* interrupted ends a call by a signal without SA_RESTART. One that comes before the
 * call, or behind it, is in vain. */
static struct rep interrupted(int a)
{
	while (!answered(a, 0)) {
		signalled(a, SIGUSR2, 1);
		answered(a, 20);
	}
	return finish(a);
}

/* fed lets the peer of a waiting receive send, in one piece or two. */
static void fed(const struct place *e, const struct place *o, const struct cmd *c)
{
	static const int ways[] = {S_WRITE, S_SEND, S_SENDTO, S_SENDMSG};
	struct conn *k = cn(e->s);
	long n = c->flags & MSG_WAITALL ? c->n : 1 + roll(400), first = c->flags & MSG_WAITALL ? 1 + roll(c->n - 1) : n;

	for (long at_ = 0, m = first; at_ < n; at_ += m, m = n - first) {
		int how = ways[roll(4)];
		struct rep r = ask(o->a, (struct cmd){.op = SEND, .fd = o->fd, .how = how, .n = m, .id = stream(o->s->conn, o->s->side),
						     .off = k->sent[o->s->side]});

		sent(o, how, m, &r);
	}
}

/* woken does what ends the wait in the course of things. It returns 0 if it cannot. */
static int woken(const struct place *e, const struct cmd *c)
{
	struct place o = {0};
	struct rep r;
	struct sock *s;
	int b, fd;

	if (e->s->state == LISTENING) {
		for (b = 0; b < NACT; b++)
			if (is_idle(b) && w.act[b].proc != e->p && room(b))
				break;
		if (b == NACT || !(s = make(b, SOCK_STREAM, e->s->family, &fd)))
			return 0;
		return joined(b, fd, s, e->s);
	}
	if (is_udp(e->s)) {
		wanted = e->s;
		if (!choose(&o, is_plain_udp) || o.s == e->s || o.s->family != e->s->family)
			return 0;
		r = ask(o.a, (struct cmd){.op = SENDDG, .fd = o.fd, .how = S_SENDTO + roll(2), .n = 77, .addr = e->s->local,
					  .id = w.seed << 12 | (1024 + ix(o.s)), .off = o.s->seq * 4096});
		out("a%d sends to s%d -> %s", o.a, ix(e->s), res(&r));
		e->s->dg[e->s->ndg++] = (struct dgram){ix(o.s), 77, o.s->seq++};
		return 1;
	}
	if (!holder(&w.sock[cn(e->s)->sock[!e->s->side]], &o))
		return 0;
	if (cn(e->s)->fin[o.s->side])
		return 0;
	switch (roll(4)) {
	case 0:
		r = ask(o.a, (struct cmd){.op = SHUTDOWN, .fd = o.fd, .how = SHUT_WR});
		out("a%d shutdown s%d -> %s", o.a, ix(o.s), res(&r));
		cn(e->s)->fin[o.s->side] = 1;
		return 1;
	case 1:
		if (o.s->refs > 1)
			break;
		before_close(o.s);
		r = ask(o.a, (struct cmd){.op = CLOSE, .fd = o.fd});
		out("a%d close s%d -> %s", o.a, ix(o.s), res(&r));
		drop(o.p, o.fd);
		return 1;
	}
	fed(e, &o, c);
	return 1;
}

/* ended notes and prints the outcome of a call that waited. */
static void ended(const struct place *e, int kind, const struct cmd *c, const struct rep *r)
{
	if (kind == W_RECV) {
		received(e, c->how, c->n, c->flags, r);
		return;
	}
	if (kind == W_DATAGRAM && r->r >= 0 && e->s->ndg) {
		if (r->r != e->s->dg[0].len || port(&r->addr) != port(&w.sock[e->s->dg[0].from].local))
			fault("a%d datagram: %s, or another's address", e->a, res(r));
		e->s->ndg = !!(c->flags & MSG_PEEK);
	}
	if (kind == W_POLL && r->r > 0) {
		out("a%d poll s%d -> %#x", e->a, ix(e->s), shown(e->s, r->more[0]));
		return;
	}
	out("a%d %s s%d -> %s", e->a, wait_names[kind], ix(e->s), res(r));
	if (kind == W_ACCEPT)
		accepted(e->a, e->s, r, 0);
}

static int pick_wait(struct place *e, int *kind)
{
	*kind = roll(4);
	switch (*kind) {
	case W_ACCEPT:
		return choose(e, is_idle_listener);
	case W_RECV:
		return choose(e, is_quiet);
	case W_DATAGRAM:
		return choose(e, is_idle_udp);
	default:
		return roll(3) ? choose(e, is_quiet) : roll(2) ? choose(e, is_idle_udp) : choose(e, is_idle_listener);
	}
}

/* step_timeout has a call wait for its time to run out. */
static int step_timeout(void)
{
	struct place e;
	struct cmd c;
	struct rep r;
	int kind;

	if (!pick_wait(&e, &kind) || !room(e.a))
		return 0;
	c = waiting_call(&e, kind);
	if (kind == W_POLL)
		c.n = 20;
	else
		ask(e.a, (struct cmd){.op = SETOPT, .fd = e.fd, .how = SOL_SOCKET, .flags = SO_RCVTIMEO, .n = 20});
	/* With a time limit a call is not restarted. */
	start(e.a, c);
	r = roll(3) && kind != W_POLL ? finish(e.a) : interrupted(e.a);
	out("a%d %s s%d for 20 ms -> %s", e.a, wait_names[kind], ix(e.s),
	    r.err == EINTR || r.err == EAGAIN || (kind == W_POLL && r.r == 0) ? "EAGAIN or EINTR" : res(&r));
	if (kind != W_POLL)
		ask(e.a, (struct cmd){.op = SETOPT, .fd = e.fd, .how = SOL_SOCKET, .flags = SO_RCVTIMEO, .n = 0});
	return 1;
}

/* disturb lets happen what the wait must outlast. It tells whether it was a signal. */
static int disturb(const struct place *e)
{
	int times = 1 + roll(3), b;

	switch (roll(4)) {
	case 0:
		signalled(e->a, SIGUSR1, times);
		out("a%d got signals with SA_RESTART", e->a);
		return 1;
	case 1:
		step_churn();
		return 0;
	case 2: /* a child made by another thread of its process */
		for (b = 0; b < NACT; b++)
			if (is_idle(b) && w.act[b].proc == e->p) {
				struct rep r = ask(b, (struct cmd){.op = CHURN, .n = times});
				out("a%d children beside the wait: %s", b, res(&r));
				return 0;
			}
		return 0;
	default:
		return 0;
	}
}

/* torn ends the waiting thread itself: its process is killed, or executes another
 * program. */
static int torn(const struct place *e)
{
	int b;

	if (!dying(e->p, 0))
		return 0;
	for (b = 0; b < NACT; b++)
		if (is_idle(b) && w.act[b].proc == e->p && roll(2)) {
			start(b, (struct cmd){.op = EXEC});
			born(b, e->p);
			executed(b);
			w.act[e->a].busy = 0;
			out("a%d exec while a%d waits", b, e->a);
			return 1;
		}
	if (live_procs() < 3)
		return 0;
	kill(w.proc[e->p].pid, SIGKILL);
	dead(e->p);
	w.act[e->a].busy = 0;
	out("p%d killed while a%d waits", e->p, e->a);
	return 1;
}

static int step_wait(void)
{
	struct place e;
	struct cmd c;
	struct rep r;
	int kind, signals = 0;

	if (!pick_wait(&e, &kind) || !room(e.a))
		return 0;
	c = waiting_call(&e, kind);
	out("a%d waits: %s s%d%s", e.a, kind == W_RECV ? recv_names[c.how] : wait_names[kind], ix(e.s),
	    c.flags & MSG_WAITALL ? " all" : "");
	if (kind == W_DATAGRAM) /* the pattern is checked on what step_udp_recv receives */
		c.op = RECVDG, c.n = 0, c.flags = MSG_TRUNC | (roll(2) ? MSG_PEEK : 0);
	start(e.a, c);
	asleep(e.a);
	for (int i = roll(3); i > 0; i--)
		signals += disturb(&e);
	if (kind == W_POLL && signals) { /* poll is never restarted */
		r = interrupted(e.a);
		ended(&e, kind, &c, &r);
		return 1;
	}
	switch (roll(5)) {
	case 0:
		if (torn(&e))
			return 1;
		break;
	case 1:
		r = interrupted(e.a);
		ended(&e, kind, &c, &r);
		return 1;
	}
	if (woken(&e, &c))
		r = finish(e.a);
	else
		r = interrupted(e.a);
	ended(&e, kind, &c, &r);
	return 1;
}
