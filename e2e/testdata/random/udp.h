/* Steps on datagram sockets. Loopback loses none of the few that wait here, and keeps
 * the order of each sender's. */

static int is_receiver(const struct sock *s) { return is_udp(s) && s->ndg > 0; }
static int is_plain_udp(const struct sock *s) { return is_udp(s) && s->peer < 0; }
static int is_full(const struct sock *s) { return s->ndg >= 6; }

static int step_udp(void)
{
	int a = some_actor(), fd;
	struct sock *s;
	struct rep r;

	if (!room(a) || !(s = make(a, SOCK_DGRAM, roll(2) ? AF_INET : AF_INET6, &fd)))
		return 0;
	r = ask(a, (struct cmd){.op = BIND, .fd = fd, .addr = loopback(s->family)});
	out("a%d bind s%d -> %s", a, ix(s), res(&r));
	s->local = r.local;
	s->state = BOUND;
	return 1;
}

static int step_udp_connect(void)
{
	struct place s, to;
	struct rep r;

	if (!choose(&s, is_plain_udp) || !choose(&to, is_udp) || to.s == s.s || to.s->family != s.s->family || s.s->ndg)
		return 0;
	r = ask(s.a, (struct cmd){.op = CONNECT, .fd = s.fd, .addr = to.s->local});
	out("a%d connect s%d to s%d -> %s", s.a, ix(s.s), ix(to.s), res(&r));
	s.s->peer = ix(to.s);
	return 1;
}

static int step_udp_send(void)
{
	struct place s, to;
	struct rep r;
	struct sock *d;
	int how = roll(2) ? S_SENDTO : S_SENDMSG, n = 1 + roll(roll(4) ? 300 : 3000);
	struct sockaddr_storage addr = {0};

	if (!choose(&s, is_udp) || !choose(&to, is_udp))
		return 0;
	d = to.s;
	if (s.s->peer >= 0) { /* to its peer, without an address */
		d = &w.sock[s.s->peer];
		how = roll(S_SENDFILE);
		if (how == S_SENDMMSG)
			how = S_SEND;
	} else {
		addr = d->local;
	}
	/* A socket that is closed is noticed late (declared), and one that has a peer takes only its datagrams. */
	if (!d->refs || d->family != s.s->family || is_full(d) || (d->peer >= 0 && d->peer != ix(s.s)))
		return 0;
	r = ask(s.a, (struct cmd){.op = SENDDG, .fd = s.fd, .how = how, .n = n, .addr = addr,
				  .id = w.seed << 12 | (1024 + ix(s.s)), .off = s.s->seq * 4096});
	out("a%d %s s%d to s%d %d -> %s", s.a, send_names[how], ix(s.s), ix(d), n, res(&r));
	if (r.r == n)
		d->dg[d->ndg++] = (struct dgram){ix(s.s), n, s.s->seq};
	s.s->seq++;
	return 1;
}

/* step_udp_recv receives all that was sent to a socket: whose comes first is open
 * (the supervisor passes them on one socket at a time), but not the order of each's. */
static int step_udp_recv(void)
{
	struct place s;
	int next = 0;

	if (!choose(&s, is_receiver))
		return 0;
	/* Only recvfrom and its kin can tell whose it is, and that is wanted of several. */
	for (int i = 1; i < s.s->ndg; i++)
		if (s.s->dg[i].from != s.s->dg[0].from)
			next = -1;
	while (s.s->ndg > 0) {
		struct dgram d = s.s->dg[0];
		int how = next < 0 ? R_FROM + roll(2) : roll(R_SPLICE), peek = how != R_READ && how != R_READV && roll(4) == 0, cut = roll(6) == 0;
		struct rep r;

		settle(s.s);
		if (next < 0) { /* find out whose it is */
			r = ask(s.a, (struct cmd){.op = POLL, .fd = s.fd, .flags = POLLIN, .n = PATIENCE});
			r = ask(s.a, (struct cmd){.op = RECVDG, .fd = s.fd, .how = R_FROM, .n = 0, .flags = MSG_PEEK | MSG_DONTWAIT});
			for (int i = s.s->ndg - 1; i >= 0; i--)
				if (port(&w.sock[s.s->dg[i].from].local) == port(&r.addr))
					d = s.s->dg[i];
		}
		for (int i = 0; i < 1 + peek; i++) {
			long n = cut ? 1 + d.len / 2 : d.len + 100;

			r = ask(s.a, (struct cmd){.op = RECVDG, .fd = s.fd, .how = how, .n = n, .id = w.seed << 12 | (1024 + d.from),
						  .off = d.seq * 4096, .flags = (peek && !i ? MSG_PEEK : 0)});
			if (r.r != (n < d.len ? n : d.len))
				fault("a%d %s s%d: %s of the datagram %d.%ld of %d", s.a, recv_names[how], ix(s.s), res(&r), d.from, d.seq, d.len);
			else if (how >= R_FROM && how < R_SPLICE && how != R_READV && port(&r.addr) != port(&w.sock[d.from].local))
				fault("a%d %s s%d: the datagram %d.%ld has another sender's address", s.a, recv_names[how], ix(s.s), d.from, d.seq);
		}
		for (int i = 0; i < s.s->ndg; i++)
			if (s.s->dg[i].from == d.from && s.s->dg[i].seq == d.seq) {
				memmove(&s.s->dg[i], &s.s->dg[i + 1], (s.s->ndg - i - 1) * sizeof d);
				s.s->ndg--;
				break;
			}
	}
	out("a%d received all on s%d", s.a, ix(s.s));
	if (s.s->nonblock) {
		struct rep r = ask(s.a, (struct cmd){.op = RECVDG, .fd = s.fd, .how = R_RECV, .n = 10});
		out("a%d recv s%d -> %s", s.a, ix(s.s), res(&r));
	}
	return 1;
}

/* step_udp_refused sends where nobody listens; SO_ERROR tells it (that recv does as
 * well, and how, is a declared difference). */
static int step_udp_refused(void)
{
	int a = some_actor(), fd;
	struct sock *s;
	struct rep c, d, e;

	if (!room(a) || !(s = make(a, SOCK_DGRAM, roll(2) ? AF_INET : AF_INET6, &fd)))
		return 0;
	c = ask(a, (struct cmd){.op = CONNECT, .fd = fd, .addr = w.refuser[1][s->family == AF_INET6]});
	d = ask(a, (struct cmd){.op = SENDDG, .fd = fd, .how = roll(2) ? S_SEND : S_SENDMSG, .n = 10});
	ask(a, (struct cmd){.op = SETTLE, .fd = fd, .n = -1, .flags = POLLERR});
	e = ask(a, (struct cmd){.op = GETOPT, .fd = fd, .how = SOL_SOCKET, .flags = SO_ERROR});
	out("a%d datagram where nobody listens: connect %s, send %s, SO_ERROR %s", a, res(&c), res(&d), en(e.more[0]));
	ask(a, (struct cmd){.op = CLOSE, .fd = fd});
	drop(w.act[a].proc, fd);
	return 1;
}
