/* Steps in which several actors act at once. */

/* jostle sends signals that restart to those who are busy. */
static void jostle(const int *who, int n, int times)
{
	for (int i = 0; i < times; i++) {
		int a = who[roll(n)];

		syscall(SYS_tgkill, w.proc[w.act[a].proc].pid, w.act[a].tid, SIGUSR1);
		sched_yield();
	}
}

/* step_crowd has several actors accept at one listener while others connect. Who
 * serves whom is open; that each is served, and rightly, is not. */
static int step_crowd(void)
{
	struct place l, more;
	struct place server[NACT];
	int client[NACT], all[NACT], ns = 0, nc = 0, n, total = 0, good = 0;

	if (!choose(&l, is_idle_listener) || !room(l.a))
		return 0;
	server[ns++] = l;
	wanted = l.s;
	for (int i = roll(4); i > 0; i--)
		if (holder(l.s, &more) && room(more.a)) {
			int again = 0;
			for (int k = 0; k < ns; k++)
				again |= server[k].a == more.a;
			if (!again)
				server[ns++] = more;
		}
	for (int a = 0; a < NACT; a++) {
		int serves = 0;
		for (int k = 0; k < ns; k++)
			serves |= server[k].a == a;
		if (is_idle(a) && !serves && nc < 4)
			client[nc++] = a;
	}
	if (!nc)
		return 0;
	for (int i = 0; i < ns; i++)
		start(server[i].a, (struct cmd){.op = SERVE, .fd = server[i].fd, .id = w.seed << 12, .off = roll(1 << 30)});
	for (int i = 0; i < nc; i++) {
		n = 1 + roll(5);
		total += n;
		start(client[i], (struct cmd){.op = CALL, .addr = l.s->local, .n = n, .id = storm_ids(2 * n), .off = roll(1 << 30)});
	}
	n = 0;
	for (int i = 0; i < ns; i++)
		all[n++] = server[i].a;
	for (int i = 0; i < nc; i++)
		all[n++] = client[i];
	jostle(all, n, roll(2) * roll(30));
	for (int i = 0; i < nc; i++)
		good += finish(client[i]).r;
	n = 0;
	for (int i = 0; i < ns; i++) {
		struct rep r = ask(client[0], (struct cmd){.op = CALL, .addr = l.s->local, .n = 1, .id = w.seed << 12, .flags = POISON, .off = i});

		if (r.r != 1)
			fault("the last call: %s", res(&r));
	}
	for (int i = 0; i < ns; i++)
		n += finish(server[i].a).r;
	out("%d acceptors at s%d, %d callers: %d of %d calls good, %d served", ns, ix(l.s), nc, good, total, n - ns);
	return 1;
}

static int is_clean(const struct sock *s)
{
	return is_quiet(s) && !cn(s)->fin[s->side] && cn(s)->sent[s->side] == cn(s)->got[!s->side];
}

/* step_bulk sends much more than buffers hold. */
static int step_bulk(void)
{
	struct place e, o = {0};
	struct rep r, t;
	long n = 20000 + roll(roll(3) ? 200000 : 800000);
	uint64_t id;
	int both[2];

	if (!choose(&e, is_clean) || !room(e.a))
		return 0;
	for (int i = 0; i < 8; i++)
		if (holder(&w.sock[cn(e.s)->sock[!e.s->side]], &o) && o.a != e.a && room(o.a))
			break;
	if (!o.s || o.s == e.s || o.a == e.a)
		return 0;
	id = storm_ids(1);
	start(e.a, (struct cmd){.op = BULKSEND, .fd = e.fd, .n = n, .id = id, .how = roll(1 << 30)});
	start(o.a, (struct cmd){.op = BULKRECV, .fd = o.fd, .n = n, .id = id, .how = roll(1 << 30)});
	both[0] = e.a;
	both[1] = o.a;
	jostle(both, 2, roll(2) * roll(30));
	r = finish(e.a);
	t = finish(o.a);
	out("a%d to a%d on c%d %ld bytes: sent %s, received %s", e.a, o.a, e.s->conn, n, res(&r), res(&t));
	return 1;
}

/* insist asks until the answer is no error, and gives up with a fault. */
static struct rep insist(int a, struct cmd c)
{
	long end = now_ms() + PATIENCE;
	struct rep r;

	do {
		r = ask(a, c);
	} while (r.r < 0 && now_ms() < end);
	if (r.r < 0)
		fault("%s still fails after %d ms: %s", op_names[c.op], PATIENCE, en(r.err));
	return r;
}

/* scarce is the script of a world in which any call may fail for want of what the
 * system has too few of. Nothing may reach a wrong connection, nothing may hang, and
 * when all is given back all works again. */
static void scarce(void)
{
	int server[2], a, fd, ns = 0;
	struct rep l;

	for (int i = 0; i < 4; i++)
		roll(2) ? step_fork() : step_thread();
	l = insist(0, (struct cmd){.op = SOCKET, .how = AF_INET, .flags = SOCK_STREAM});
	insist(0, (struct cmd){.op = BIND, .fd = l.r, .addr = loopback(AF_INET)});
	fd = l.r;
	l = insist(0, (struct cmd){.op = LISTEN, .fd = fd, .n = 500});
	for (a = 0; a < NACT && ns < 2; a++)
		if (is_idle(a) && w.act[a].proc == w.act[0].proc)
			start(server[ns++] = a, (struct cmd){.op = SERVE, .fd = fd, .id = w.seed << 12, .off = roll(1 << 30)});
	for (int round = 0; round < 3; round++) {
		for (a = 0; a < NACT; a++)
			if (is_idle(a))
				start(a, (struct cmd){.op = CALL, .flags = HOLD, .addr = l.local, .n = 1 + roll(40), .id = storm_ids(80),
						      .off = roll(1 << 30)});
		for (a = 0; a < NACT; a++)
			if (w.act[a].alive && w.act[a].busy && a != server[0] && (ns < 2 || a != server[1]))
				finish(a);
	}
	a = some_actor();
	for (int i = 0; i < ns; i++) {
		struct cmd last = {.op = CALL, .addr = l.local, .n = 1, .id = w.seed << 12, .flags = POISON, .off = i};

		if (insist(a, last).r < 0)
			return;
	}
	for (int i = 0; i < ns; i++)
		finish(server[i]);
}
