/* What actors do at once, unsynchronised: their outcome as a whole is certain. */

enum { TOLERANT = 1, POISON = 2, HOLD = 4 };

struct head {
	uint64_t id;
	uint32_t n, poison;
};

/* put_all sends n bytes of a stream in random pieces and ways. */
static long put_all(int fd, uint64_t *seed, uint64_t id, long off, long n)
{
	unsigned char *buf = malloc(70000);
	long done = 0;

	while (done < n) {
		long k = 1 + rnd(seed) % (rnd(seed) % 4 ? 3000 : 65536), r;

		if (k > n - done)
			k = n - done;
		fill(buf, k, id, off + done);
		r = put(fd, rnd(seed) % S_WAYS, buf, k, MSG_NOSIGNAL, NULL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};
			poll(&p, 1, PATIENCE);
			continue;
		}
		if (r < 0)
			break;
		done += r;
	}
	free(buf);
	return done;
}

/* get_all receives n bytes of a stream, or all to its end if n is negative. */
static long get_all(int fd, uint64_t *seed, uint64_t id, long n, struct rep *r)
{
	unsigned char *buf = malloc(70000);
	struct sockaddr_storage from;
	long done = 0, got = 1;

	while (n < 0 || done < n) {
		long k = 1 + rnd(seed) % (rnd(seed) % 4 ? 3000 : 65536);
		int how = rnd(seed) % R_WAYS, flags = rnd(seed) % 5 ? 0 : MSG_WAITALL;

		if (n >= 0 && k > n - done)
			k = n - done;
		got = get(fd, how, buf, k, how == R_SPLICE ? 0 : flags, &from);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			poll(&p, 1, PATIENCE);
			continue;
		}
		if (got <= 0)
			break;
		if (!r->text[0])
			check(buf, got, id, done, r->text, sizeof r->text);
		done += got;
	}
	if (n < 0 && got < 0)
		done = -1;
	free(buf);
	return done;
}

/* one_served serves an accepted connection and tells whether it was the last. */
static int one_served(int fd, uint64_t world, uint64_t *seed, struct rep *r)
{
	struct head h = {0};
	long k, n = 0;

	while (n < (long)sizeof h) {
		k = read(fd, (char *)&h + n, sizeof h - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return 0; /* the client was reset or gave up; it tells if that is wrong */
		n += k;
	}
	if (h.id >> 12 != world >> 12 || h.n > 20000 || h.poison > 1) {
		snprintf(r->text, sizeof r->text, "WRONG BYTES: a connection begins with %lu.%lu, %u, %u", (unsigned long)(h.id >> 12),
			 (unsigned long)(h.id & 0xfff), h.n, h.poison);
		return 0;
	}
	if (h.poison)
		return 1;
	if (get_all(fd, seed, h.id, h.n, r) == (long)h.n && put_all(fd, seed, h.id + 1, 0, h.n) == (long)h.n)
		get_all(fd, seed, h.id, -1, r);
	return 0;
}

/* serve accepts connections and serves them until one says that it is the last. */
static long serve(const struct cmd *c, struct rep *r)
{
	uint64_t seed = c->off;
	long served = 0;

	for (int last = 0; !last;) {
		struct cmd a = {.fd = c->fd, .how = rnd(&seed) % 4};
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		struct rep ignored = {0};
		int fd;

		if (rnd(&seed) % 4 == 0)
			poll(&p, 1, -1); /* another may be faster: then accept waits */
		fd = do_accept(&a, &ignored);
		/* Out of descriptors it tries again, as servers do. */
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EMFILE || errno == ENFILE ||
			       errno == ENOBUFS || errno == ENOMEM)) {
			if (errno != EINTR && errno != ECONNABORTED)
				poll(NULL, 0, 1);
			continue;
		}
		if (fd < 0)
			return -1;
		if (ignored.text[0] && !r->text[0])
			memcpy(r->text, ignored.text, sizeof r->text);
		last = one_served(fd, c->id, &seed, r);
		close(fd);
		served++;
	}
	return served;
}

/* dial connects, in a random way. */
static int dial(const struct sockaddr_storage *to, uint64_t *seed)
{
	int nonblock = rnd(seed) % 3 == 0 ? SOCK_NONBLOCK : 0, err = 0;
	int fd = socket(to->ss_family, SOCK_STREAM | nonblock, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t n = sizeof err;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)to, addr_len(to)) < 0)
		err = errno;
	if (err == EINPROGRESS || err == EINTR) { /* either goes on by itself */
		while (poll(&p, 1, PATIENCE) < 0 && errno == EINTR)
			;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
			err = errno;
	}
	if (err) {
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* one_call makes a connection and exchanges n bytes each way. It returns 0, or 1
 * after an error that the other end's death explains, or -1. */
static int one_call(const struct sockaddr_storage *to, uint64_t *seed, uint64_t id, int flags, struct rep *r)
{
	struct head h = {.id = id, .n = 1 + rnd(seed) % (rnd(seed) % 3 ? 500 : 20000), .poison = !!(flags & POISON)};
	int early = rnd(seed) % 2, fd = dial(to, seed);
	long sent, got = 0;
	char rest;

	if (fd < 0)
		return flags & TOLERANT ? 1 : -1;
	errno = 0;
	sent = send(fd, &h, sizeof h, MSG_NOSIGNAL);
	if (h.poison) {
		while (read(fd, &rest, 1) < 0 && (errno == EINTR || errno == EAGAIN))
			;
		close(fd);
		return 0;
	}
	if (sent == (long)sizeof h)
		sent = put_all(fd, seed, id, 0, h.n);
	if (sent == (long)h.n && early)
		shutdown(fd, SHUT_WR);
	if (sent == (long)h.n)
		got = get_all(fd, seed, id + 1, h.n, r);
	if (got == (long)h.n) {
		shutdown(fd, SHUT_WR);
		got += get_all(fd, seed, id + 1, -1, r);
	}
	if (got != (long)h.n && !r->text[0] && !(flags & TOLERANT))
		snprintf(r->text, sizeof r->text, "stream %lu: sent %ld, got %ld of %u: %s", (unsigned long)(id & 0xfff),
			 sent, got, h.n, strerror(errno));
	close(fd);
	if (r->text[0])
		return -1;
	return got == (long)h.n ? 0 : 1;
}

/* call makes c->n connections and counts those that went well. */
static long call(const struct cmd *c, struct rep *r)
{
	uint64_t seed = c->off;
	long good = 0, tries = 0, end = now_ms() + PATIENCE / 2;

	for (long i = 0; i < c->n; i++) {
		int k;

		while ((k = one_call(&c->addr, &seed, c->id + 2 * i, c->flags, r)) == 1 && now_ms() < end)
			tries++;
		if (k < 0)
			return r->text[0] ? good : -1;
		good += k == 0;
	}
	r->more[0] = tries;
	return good;
}

/* hold opens up to c->n connections, sends on each, and only then looks at the answers.
 * Errors are no fault here, but what comes must be right. */
static long hold(const struct cmd *c, struct rep *r)
{
	uint64_t seed = c->off;
	int fd[64];
	unsigned char buf[500];
	long good = 0;

	for (int i = 0; i < c->n && i < 64; i++) {
		struct head h = {.id = c->id + 2 * i, .n = 100};

		fd[i] = socket(c->addr.ss_family, SOCK_STREAM, 0);
		if (fd[i] < 0)
			continue;
		/* What is sent after a connect that failed must reach nobody: its number belongs to no stream. */
		if (connect(fd[i], (const struct sockaddr *)&c->addr, addr_len(&c->addr)) < 0)
			h.poison = 2;
		fill(buf, h.n, h.id, 0);
		if (send(fd[i], &h, sizeof h, MSG_NOSIGNAL) == sizeof h)
			send(fd[i], buf, h.n, MSG_NOSIGNAL);
		shutdown(fd[i], SHUT_WR);
	}
	for (int i = 0; i < c->n && i < 64; i++) {
		if (fd[i] < 0)
			continue;
		good += get_all(fd[i], &seed, c->id + 2 * i + 1, -1, r) == 100;
		close(fd[i]);
	}
	return good;
}

static long storm(const struct cmd *c, struct rep *r)
{
	uint64_t seed = c->how;

	switch (c->op) {
	case SERVE:
		return serve(c, r);
	case CALL:
		return c->flags & HOLD ? hold(c, r) : call(c, r);
	case BULKSEND:
		return put_all(c->fd, &seed, c->id, c->off, c->n);
	case BULKRECV:
		return get_all(c->fd, &seed, c->id, c->n, r);
	default:
		errno = ENOSYS;
		return -1;
	}
}
