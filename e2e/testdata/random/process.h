/* Steps on processes and threads. */

static int step_fork(void)
{
	int a = some_actor(), b = free_slot(), p = free_proc();
	struct rep r;

	if (a < 0 || b < 0 || p < 0)
		return 0;
	drain(b);
	r = ask(a, (struct cmd){.op = FORK, .fd2 = b});
	if (r.r < 0) {
		fault("a%d fork: %s", a, en(r.err));
		return 1;
	}
	memcpy(w.proc[p].tab, w.proc[w.act[a].proc].tab, sizeof w.proc[p].tab);
	for (int fd = 0; fd < NFD; fd++)
		if (at(p, fd))
			at(p, fd)->refs++;
	born(b, p);
	out("a%d fork: a%d in p%d", a, b, p);
	return 1;
}

static int step_thread(void)
{
	int a = some_actor(), b = free_slot();
	struct rep r;

	if (a < 0 || b < 0)
		return 0;
	drain(b);
	r = ask(a, (struct cmd){.op = THREAD, .fd2 = b});
	if (r.r < 0) {
		fault("a%d thread: %s", a, en(r.err));
		return 1;
	}
	born(b, w.act[a].proc);
	out("a%d thread: a%d", a, b);
	return 1;
}

/* dying tells whether the end of process p, or its exec, leaves nothing uncertain,
 * and lets arrive what must. */
static int dying(int p, int exec)
{
	for (int fd = 0; fd < NFD; fd++) {
		struct sock *s = at(p, fd);

		if (s && owned(s, p) && !may_close(s))
			return 0;
	}
	for (int fd = 0; fd < NFD; fd++) {
		struct sock *s = at(p, fd);

		if (s && owned(s, p) && (!exec || w.proc[p].tab[fd].cloexec))
			before_close(s);
	}
	return 1;
}

static int live_procs(void)
{
	int n = 0;

	for (int p = 0; p < NPROC; p++)
		n += w.proc[p].alive;
	return n;
}

/* dead waits until process p has ended and notes what that closed. */
static void dead(int p)
{
	struct pollfd f = {.fd = syscall(SYS_pidfd_open, w.proc[p].pid, 0), .events = POLLIN};

	if (f.fd >= 0 && poll(&f, 1, PATIENCE) != 1)
		fault("process %d does not end", p);
	close(f.fd);
	for (int a = 0; a < NACT; a++)
		if (w.act[a].alive && w.act[a].proc == p)
			w.act[a].alive = 0;
	for (int fd = 0; fd < NFD; fd++)
		drop(p, fd);
	w.proc[p].alive = 0;
}

static int step_end(void)
{
	int a = some_actor(), p, how = roll(3);

	if (a < 0 || live_procs() < 3)
		return 0;
	p = w.act[a].proc;
	if (!dying(p, 0))
		return 0;
	if (how == 2)
		kill(w.proc[p].pid, SIGKILL);
	else
		start(a, (struct cmd){.op = EXIT, .how = how});
	dead(p);
	out("a%d p%d %s", a, p, how == 0 ? "exit" : how == 1 ? "_exit" : "kill -9");
	return 1;
}

/* step_leave ends one thread of several; the first one too, which leaves a process
 * without its leader. */
static int step_leave(void)
{
	int a = some_actor(), others = 0;
	char stat[400], *c;
	long end = now_ms() + PATIENCE;

	if (a < 0)
		return 0;
	for (int b = 0; b < NACT; b++)
		others += b != a && w.act[b].alive && w.act[b].proc == w.act[a].proc;
	if (!others)
		return 0;
	start(a, (struct cmd){.op = LEAVE});
	for (;;) {
		slurp(w.proc[w.act[a].proc].pid, w.act[a].tid, "stat", stat, sizeof stat);
		c = strrchr(stat, ')');
		if (!c || (c[1] && c[2] == 'Z') || now_ms() > end)
			break;
		sched_yield();
	}
	w.act[a].alive = 0;
	out("a%d its thread ends", a);
	return 1;
}

/* executed notes what an exec closes: threads and descriptors marked so. */
static void executed(int a)
{
	int p = w.act[a].proc;

	for (int b = 0; b < NACT; b++)
		if (b != a && w.act[b].alive && w.act[b].proc == p)
			w.act[b].alive = 0;
	for (int fd = 0; fd < NFD; fd++)
		if (w.proc[p].tab[fd].cloexec)
			drop(p, fd), w.proc[p].tab[fd].cloexec = 0;
}

static int step_exec(void)
{
	int a = some_actor();

	if (a < 0 || !dying(w.act[a].proc, 1))
		return 0;
	start(a, (struct cmd){.op = EXEC});
	born(a, w.act[a].proc);
	executed(a);
	out("a%d exec", a);
	return 1;
}

static int step_churn(void)
{
	int a = some_actor(), n = 1 + roll(6);
	struct rep r;

	if (a < 0)
		return 0;
	r = ask(a, (struct cmd){.op = CHURN, .n = n});
	out("a%d short-lived children: %s", a, res(&r));
	return 1;
}

/* step_limit lowers RLIMIT_NOFILE so far that no descriptor can be made, and lifts it. */
static int step_limit(void)
{
	struct place l = {0};
	int a = some_actor(), p, how = roll(4), with;
	struct rep r;

	if (!room(a))
		return 0;
	with = choose(&l, is_listener);
	if (with)
		a = l.a;
	p = w.act[a].proc;
	ask(a, (struct cmd){.op = LIMIT, .n = lowest(p)});
	r = ask(a, (struct cmd){.op = SOCKET, .how = AF_INET, .flags = roll(2) ? SOCK_STREAM : SOCK_DGRAM});
	out("a%d at the limit: socket -> %s", a, res(&r));
	if (with) {
		if (l.s->nqueue)
			settle(l.s);
		for (int i = 0; i < 2; i++) {
			r = ask(a, (struct cmd){.op = ACCEPT, .fd = l.fd, .how = how});
			out("a%d at the limit: accept s%d (%d wait) -> %s", a, ix(l.s), l.s->nqueue, res(&r));
		}
		r = ask(a, (struct cmd){.op = DUP, .fd = l.fd});
		out("a%d at the limit: dup -> %s", a, res(&r));
	}
	ask(a, (struct cmd){.op = LIMIT, .n = -1});
	if (with && l.s->nqueue) {
		r = ask(a, (struct cmd){.op = ACCEPT, .fd = l.fd, .how = how});
		out("a%d accept s%d -> %s", a, ix(l.s), res(&r));
		accepted(a, l.s, &r, 0);
	}
	return 1;
}

static int step_epoll(void)
{
	struct place e;
	struct rep r;
	int p, ep = -1, et = 0;

	if (!choose(&e, is_any) || e.s->in_epoll || (e.s->type == SOCK_STREAM && e.s->state < LISTENING) || !room(e.a))
		return 0;
	p = e.p;
	for (int fd = 0; fd < NFD; fd++)
		if (w.proc[p].tab[fd].kind == 2 && ep < 0)
			ep = fd;
	if (ep < 0) {
		if (w.nepoll >= NEPOLL)
			return 0;
		r = ask(e.a, (struct cmd){.op = EPCREATE});
		ep = r.r;
		enter(p, ep, 2, w.nepoll++, 0);
	}
	/* At the edge only what the peer does is looked for: when room comes again differs. */
	et = is_end(e.s) && !cn(e.s)->shutr[e.s->side] && roll(3) == 0;
	settle(e.s);
	r = ask(e.a, (struct cmd){.op = EPADD, .fd = ep, .fd2 = e.fd, .how = EPOLL_CTL_ADD, .n = ix(e.s),
				  .flags = et ? (int)(EPOLLIN | EPOLLRDHUP | EPOLLET) : (EPOLLIN | EPOLLRDHUP | (roll(2) ? EPOLLOUT : 0))});
	out("a%d epoll%d add s%d%s -> %s", e.a, w.proc[p].tab[ep].ix, ix(e.s), et ? " edge" : "", res(&r));
	e.s->in_epoll = 1 + w.proc[p].tab[ep].ix;
	return 1;
}

static int step_epwait(void)
{
	int a = some_actor(), ep = -1, which, line = 0;
	char text[300] = "";
	struct rep r;

	for (int fd = 0; a >= 0 && fd < NFD; fd++)
		if (w.proc[w.act[a].proc].tab[fd].kind == 2)
			ep = fd;
	if (ep < 0)
		return 0;
	which = w.proc[w.act[a].proc].tab[ep].ix;
	for (int i = 0, n = 0; i < w.nsock; i++) {
		struct place pl;

		if (w.sock[i].in_epoll != which + 1)
			continue;
		if (++n > 8 || !holder(&w.sock[i], &pl))
			return 0; /* more than one call can tell */
		settle(&w.sock[i]);
	}
	r = ask(a, (struct cmd){.op = EPWAIT, .fd = ep, .n = 0});
	for (int i = 0; i < w.nsock; i++)
		for (int k = 0; k < r.n; k++)
			if (r.more[2 * k] == i)
				line += snprintf(text + line, sizeof text - line, " s%d %#x", i, shown(&w.sock[i], r.more[2 * k + 1]));
	out("a%d epoll%d wait -> %s%s", a, which, res(&r), text);
	return 1;
}
