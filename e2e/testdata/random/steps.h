/* Steps of one call or a few. Each returns 0 if there is nothing that it could be
 * done to, before it has done anything. */

static int is_any(const struct sock *s) { return s->refs > 0; }
static int is_listener(const struct sock *s) { return s->state == LISTENING; }
static int is_end(const struct sock *s) { return s->type == SOCK_STREAM && s->state == CONNECTED; }
static int is_udp(const struct sock *s) { return s->type == SOCK_DGRAM; }

static int may_send(const struct sock *s)
{
	struct conn *c;

	if (!is_end(s))
		return 0;
	c = cn(s);
	return !c->shutr[!s->side] && c->sent[s->side] - c->got[!s->side] < 12000 && c->pieces[s->side] < 12;
}

/* sock_step makes a socket and returns it. */
static struct sock *make(int a, int type, int family, int *fd)
{
	int nonblock = roll(4) == 0, cloexec = roll(5) == 0;
	struct rep r = ask(a, (struct cmd){.op = SOCKET, .how = family,
					   .flags = type | (nonblock ? SOCK_NONBLOCK : 0) | (cloexec ? SOCK_CLOEXEC : 0)});
	struct sock *s;

	out("a%d socket %s %s -> %s", a, type == SOCK_STREAM ? "tcp" : "udp", family == AF_INET ? "v4" : "v6", res(&r));
	if (r.r < 0)
		return NULL;
	s = new_sock(type, family, nonblock);
	enter(w.act[a].proc, r.r, 1, ix(s), cloexec);
	*fd = r.r;
	return s;
}

static int room(int a) { return a >= 0 && used(w.act[a].proc) < 20 && w.nsock < NSOCK - 8 && w.nconn < NCONN - 8; }

static int step_listener(void)
{
	int a = some_actor(), fd;
	struct sock *s;
	struct rep b, r;

	if (!room(a) || !(s = make(a, SOCK_STREAM, roll(2) ? AF_INET : AF_INET6, &fd)))
		return 0;
	b = ask(a, (struct cmd){.op = BIND, .fd = fd, .addr = loopback(s->family)});
	r = ask(a, (struct cmd){.op = LISTEN, .fd = fd, .n = 16});
	s->local = r.local;
	s->state = LISTENING;
	out("a%d bind %s, listen %s s%d", a, res(&b), res(&r), ix(s));
	return 1;
}

/* refused connects s to a port where nobody listens. */
static void refused(int a, int fd, struct sock *s)
{
	struct rep r = ask(a, (struct cmd){.op = CONNECT, .fd = fd, .addr = w.refuser[0][s->family == AF_INET6]}), p, e;

	out("a%d connect s%d where nobody listens: %s", a, ix(s), res(&r));
	if (r.err != EINPROGRESS)
		return;
	p = ask(a, (struct cmd){.op = POLL, .fd = fd, .flags = POLLOUT, .n = PATIENCE});
	e = ask(a, (struct cmd){.op = GETOPT, .fd = fd, .how = SOL_SOCKET, .flags = SO_ERROR});
	out("a%d poll %s, SO_ERROR %s", a, res(&p), en(e.more[0]));
}

/* joined connects s to a listener and notes the connection. */
static int joined(int a, int fd, struct sock *s, struct sock *l)
{
	struct rep r = ask(a, (struct cmd){.op = CONNECT, .fd = fd, .addr = l->local}), p, e;
	struct conn *c;

	out("a%d connect s%d to s%d: %s", a, ix(s), ix(l), res(&r));
	if (r.err == EINPROGRESS) {
		p = ask(a, (struct cmd){.op = POLL, .fd = fd, .flags = POLLOUT, .n = PATIENCE, .how = roll(3)});
		e = ask(a, (struct cmd){.op = GETOPT, .fd = fd, .how = SOL_SOCKET, .flags = SO_ERROR});
		out("a%d poll %s %#x, SO_ERROR %s", a, res(&p), p.more[0], en(e.more[0]));
		if (roll(3) == 0) {
			r = ask(a, (struct cmd){.op = CONNECT, .fd = fd, .addr = l->local});
			out("a%d connect again: %s", a, res(&r));
		}
		r = e;
	} else if (r.r < 0) {
		return 0;
	}
	if (memcmp(&r.addr, &l->local, addr_len(&l->local)))
		fault("a%d getpeername is not the listener's address", a);
	s->local = r.local;
	s->state = CONNECTED;
	s->conn = w.nconn++;
	s->side = 0;
	c = cn(s);
	memset(c, 0, sizeof *c);
	c->sock[0] = ix(s);
	c->sock[1] = -1;
	l->queue[l->nqueue++] = s->conn;
	return 1;
}

static int step_connect(void)
{
	struct place l;
	struct sock *s;
	int a = some_actor(), fd;

	if (!room(a) || !choose(&l, is_listener) || l.s->nqueue > 5)
		return 0;
	if (!(s = make(a, SOCK_STREAM, l.s->family, &fd)))
		return 0;
	for (int i = roll(3) == 0 ? 1 + roll(2) : 0; i > 0; i--)
		refused(a, fd, s);
	joined(a, fd, s, l.s);
	return 1;
}

/* accepted notes what accept returned. */
static void accepted(int a, struct sock *l, const struct rep *r, int flags)
{
	struct sock *s;
	struct conn *c;

	if (r->r < 0)
		return;
	s = new_sock(SOCK_STREAM, l->family, !!(flags & SOCK_NONBLOCK));
	enter(w.act[a].proc, r->r, 1, ix(s), !!(flags & SOCK_CLOEXEC));
	if (!l->nqueue) {
		fault("a%d accept: a connection that nobody made", a);
		_exit(3);
	}
	s->conn = l->queue[0];
	memmove(l->queue, l->queue + 1, --l->nqueue * sizeof *l->queue);
	s->side = 1;
	s->state = CONNECTED;
	s->local = r->local;
	c = cn(s);
	c->accepted = 1;
	c->sock[1] = ix(s);
	if (!c->dead && port(&r->addr) != port(&w.sock[c->sock[0]].local))
		fault("a%d accept: not the oldest connection (c%d)", a, s->conn);
	if (port(&r->local) != port(&l->local))
		fault("a%d accept: the local address is not the listener's", a);
	out("a%d s%d is c%d.1", a, ix(s), s->conn);
}

static int step_accept(void)
{
	struct place l;
	struct rep r;
	int how, flags;

	if (!choose(&l, is_listener) || !room(l.a) || (!l.s->nqueue && !l.s->nonblock))
		return 0;
	if (l.s->nqueue)
		settle(l.s);
	how = roll(4);
	flags = how < 2 ? 0 : (roll(2) ? SOCK_NONBLOCK : 0) | (roll(2) ? SOCK_CLOEXEC : 0);
	r = ask(l.a, (struct cmd){.op = ACCEPT, .fd = l.fd, .how = how, .flags = flags});
	out("a%d accept%d s%d -> %s", l.a, how, ix(l.s), res(&r));
	accepted(l.a, l.s, &r, flags);
	return 1;
}

/* sent notes what a send did to the connection, and prints it. */
static void sent(const struct place *e, int how, long n, const struct rep *r)
{
	struct conn *c = cn(e->s);
	int me_ = e->s->side, o = !me_, exact = how == S_SENDMSG;

	if (c->rst[me_] == MAYBE || (c->rst[me_] == PENDING && !exact)) {
		int right = r->err == EPIPE || r->err == ECONNRESET;

		out("a%d %s s%d %ld -> %s", e->a, send_names[how], ix(e->s), n, right ? "EPIPE or ECONNRESET" : res(r));
		c->rst[me_] = MAYBE;
		return;
	}
	out("a%d %s s%d (c%d.%d+%ld) %ld -> %s", e->a, send_names[how], ix(e->s), e->s->conn, me_, c->sent[me_], n, res(r));
	if (c->rst[me_] == PENDING && r->err == ECONNRESET)
		c->rst[me_] = TOLD;
	if (r->r <= 0)
		return;
	if (c->closed[o] && !c->dead) {
		reset_to(c, me_);
		return;
	}
	c->sent[me_] += r->r;
	c->pieces[me_]++;
}

static int step_send(void)
{
	struct place e;
	struct rep r;
	int how = roll(S_WAYS);
	long n = 1 + roll(roll(3) ? 300 : 4000);

	if (!choose(&e, may_send))
		return 0;
	/* A reset that is under way, or that the first of two messages brings about, comes when it may. */
	if (cn(e.s)->closed[!e.s->side] && how == S_SENDMMSG)
		return 0;
	if (cn(e.s)->rst[e.s->side])
		settle(e.s);
	r = ask(e.a, (struct cmd){.op = SEND, .fd = e.fd, .how = how, .n = n, .id = stream(e.s->conn, e.s->side),
				  .off = cn(e.s)->sent[e.s->side], .flags = roll(4) ? 0 : MSG_DONTWAIT});
	sent(&e, how, n, &r);
	return 1;
}

/* received notes and prints what a receive returned. */
static void received(const struct place *e, int how, long n, int flags, const struct rep *r)
{
	struct conn *c = cn(e->s);
	int me_ = e->s->side;
	const char *what = res(r);

	if (c->rst[me_] == MAYBE && avail(e->s) <= 0) {
		if (r->r == 0 || r->err == ECONNRESET)
			what = "end or ECONNRESET";
		c->rst[me_] = TOLD;
	} else if (c->rst[me_] == PENDING && r->err == ECONNRESET) {
		c->rst[me_] = TOLD;
	} else if (c->rst[me_] == PENDING && (flags & MSG_WAITALL) && r->r > 0 && r->r < n) {
		c->rst[me_] = MAYBE; /* usock's takes the error, too (declared) */
	}
	out("a%d %s s%d (c%d.%d+%ld) %ld%s%s%s -> %s", e->a, recv_names[how], ix(e->s), e->s->conn, !me_, c->got[me_], n,
	    flags & MSG_PEEK ? " peek" : "", flags & MSG_WAITALL ? " all" : "", flags & MSG_DONTWAIT ? " dontwait" : "", what);
	if (r->r > 0 && !(flags & MSG_PEEK))
		c->got[me_] += r->r;
	if (avail(e->s) == 0)
		c->pieces[!me_] = 0;
}

static int step_recv(void)
{
	struct place e;
	struct conn *c;
	struct rep r;
	int how = roll(R_WAYS), flags = 0, ended;
	long n = 1 + roll(roll(3) ? 400 : 8000);

	if (!choose(&e, is_end))
		return 0;
	c = cn(e.s);
	/* recvmmsg alone tells the EPIPE of a reset behind the end of the stream; that usock has none is declared. */
	if (how == R_MMSG && (c->rst[e.s->side] == AFTER_END || c->rst[e.s->side] == MAYBE))
		how = R_MSG;
	ended = c->fin[!e.s->side] || c->rst[e.s->side] || c->shutr[e.s->side];
	if (how != R_READ && how != R_READV && how != R_SPLICE)
		flags = (roll(4) ? 0 : MSG_PEEK) | (roll(4) ? 0 : MSG_WAITALL) | (roll(3) ? 0 : MSG_DONTWAIT);
	if (!avail(e.s) && !ended && !e.s->nonblock && !(flags & MSG_DONTWAIT))
		return 0; /* it would wait: step_wait does that */
	if (n > avail(e.s) && !ended && (flags & MSG_WAITALL) && !(flags & MSG_DONTWAIT) && !e.s->nonblock)
		n = avail(e.s);
	if (how == R_SPLICE && avail(e.s) > 0 && n > avail(e.s))
		n = avail(e.s);
	/* After an error that comes behind the bytes the kernel's WAITALL tells the bytes. */
	settle(e.s);
	r = ask(e.a, (struct cmd){.op = RECV, .fd = e.fd, .how = how, .n = n, .id = stream(e.s->conn, !e.s->side),
				  .off = c->got[e.s->side], .flags = flags});
	received(&e, how, n, flags, &r);
	return 1;
}

/* shown drops from an event mask what usock is declared not to show. */
static int shown(const struct sock *s, int events)
{
	if (s->conn >= 0 && cn(s)->rst[s->side])
		events &= ~POLLERR;
	return events;
}

static int step_poll(void)
{
	struct place e;
	struct rep r;
	int how = roll(3), flags = POLLIN | POLLOUT | (roll(2) ? POLLRDHUP : 0);

	if (!choose(&e, is_any) || (e.s->type == SOCK_STREAM && e.s->state < LISTENING))
		return 0;
	settle(e.s);
	r = ask(e.a, (struct cmd){.op = POLL, .fd = e.fd, .how = how, .flags = flags, .n = 0});
	out("a%d poll%d s%d -> %s %#x", e.a, how, ix(e.s), res(&r), shown(e.s, r.more[0]));
	return 1;
}

static int step_shutdown(void)
{
	struct place e;
	struct conn *c;
	struct rep r;
	int how = roll(4) ? SHUT_WR : roll(2);

	if (!choose(&e, is_end))
		return 0;
	c = cn(e.s);
	if (c->rst[e.s->side] || c->dead || !c->accepted)
		return 0;
	if (how == SHUT_RD && e.s->in_epoll) /* the end of the stream is no edge then (declared) */
		return 0;
	/* usock drops what arrives after SHUT_RD (declared): nothing may be on its way. Where both ends are shut
	 * down and closed the call fails, once that is known. */
	if ((how == SHUT_RD && avail(e.s)) || c->closed[!e.s->side])
		settle(e.s);
	r = ask(e.a, (struct cmd){.op = SHUTDOWN, .fd = e.fd, .how = how});
	out("a%d shutdown s%d (c%d.%d) %d -> %s", e.a, ix(e.s), e.s->conn, e.s->side, how, res(&r));
	if (how == SHUT_WR)
		c->fin[e.s->side] = 1;
	else
		c->shutr[e.s->side] = 1;
	return 1;
}

static int step_close(void)
{
	struct place e;
	struct rep r;

	if (!choose(&e, is_any) || (e.s->refs == 1 && !may_close(e.s)) || (is_listener(e.s) && roll(3)))
		return 0;
	if (e.s->refs == 1)
		before_close(e.s);
	r = ask(e.a, (struct cmd){.op = CLOSE, .fd = e.fd});
	out("a%d close s%d%s -> %s", e.a, ix(e.s), e.s->refs > 1 ? " (one of several)" : "", res(&r));
	drop(e.p, e.fd);
	return 1;
}

static int step_dup(void)
{
	struct place e, old;
	struct rep r;

	if (!choose(&e, is_any) || !room(e.a))
		return 0;
	if (roll(2) && choose(&old, is_any) && old.p == e.p && old.fd != e.fd && old.s != e.s &&
	    (old.s->refs > 1 || may_close(old.s))) {
		if (old.s->refs == 1)
			before_close(old.s);
		r = ask(e.a, (struct cmd){.op = DUP2, .fd = e.fd, .fd2 = old.fd});
		out("a%d dup2 s%d over s%d -> %s", e.a, ix(e.s), ix(old.s), res(&r));
		drop(e.p, old.fd);
		w.proc[e.p].tab[old.fd] = (struct entry){1, ix(e.s), 0};
		e.s->refs++;
		return 1;
	}
	r = ask(e.a, (struct cmd){.op = DUP, .fd = e.fd});
	out("a%d dup s%d -> %s", e.a, ix(e.s), res(&r));
	enter(e.p, r.r, 1, ix(e.s), 0);
	return 1;
}

/* step_pass hands a descriptor to an actor of another process. */
static int step_pass(void)
{
	struct place e;
	struct rep m, t;
	int b = some_actor(), close_first;

	if (!choose(&e, is_any) || !room(b) || w.act[b].proc == e.p)
		return 0;
	close_first = roll(2);
	m = ask(e.a, (struct cmd){.op = MAIL, .fd = e.fd, .fd2 = b});
	e.s->refs++; /* the message's */
	if (close_first)
		ask(e.a, (struct cmd){.op = CLOSE, .fd = e.fd});
	t = ask(b, (struct cmd){.op = TAKE});
	out("a%d passes s%d to a%d%s: %s -> %s", e.a, ix(e.s), b, close_first ? " and closes it" : "", res(&m), res(&t));
	enter(w.act[b].proc, t.r, 1, ix(e.s), 0);
	e.s->refs--;
	if (close_first)
		drop(e.p, e.fd);
	return 1;
}

static int step_nonblock(void)
{
	struct place e;
	struct rep r;

	if (!choose(&e, is_any))
		return 0;
	e.s->nonblock = !e.s->nonblock;
	r = ask(e.a, (struct cmd){.op = NONBLOCK, .fd = e.fd, .n = e.s->nonblock});
	out("a%d nonblock s%d %d -> %s", e.a, ix(e.s), e.s->nonblock, res(&r));
	return 1;
}

static int step_linger(void)
{
	struct place e;
	struct rep r;

	if (!choose(&e, is_end) || e.s->linger || !cn(e.s)->accepted)
		return 0;
	r = ask(e.a, (struct cmd){.op = SETOPT, .fd = e.fd, .how = SOL_SOCKET, .flags = SO_LINGER, .n = 1});
	out("a%d SO_LINGER 0 s%d -> %s", e.a, ix(e.s), res(&r));
	e.s->linger = 1;
	return 1;
}
