/* One call that sends or receives, in each of its ways, and the check of what came. */

enum { S_WRITE, S_SEND, S_SENDTO, S_SENDMSG, S_WRITEV, S_SENDMMSG, S_SENDFILE, S_SPLICE, S_WAYS };
enum { R_READ, R_RECV, R_FROM, R_MSG, R_READV, R_MMSG, R_SPLICE, R_WAYS };

static const char *const send_names[] __attribute__((unused)) = {
	"write", "send", "sendto", "sendmsg", "writev", "sendmmsg", "sendfile", "splice"};
static const char *const recv_names[] __attribute__((unused)) = {
	"read", "recv", "recvfrom", "recvmsg", "readv", "recvmmsg", "splice"};

static long put_file(int fd, int how, const void *buf, size_t n)
{
	int p[2], file, err;
	long r = -1;
	off_t at = 0;

	if (how == S_SPLICE) {
		if (pipe(p) < 0)
			return -1;
		if (n > 4096)
			n = 4096;
		if (write(p[1], buf, n) == (long)n)
			r = splice(p[0], NULL, fd, NULL, n, 0);
		err = errno;
		close(p[0]);
		close(p[1]);
		errno = err;
		return r;
	}
	file = memfd_create("bytes", 0);
	if (file < 0)
		return -1;
	if (write(file, buf, n) == (long)n)
		r = sendfile(fd, file, &at, n);
	err = errno;
	close(file);
	errno = err;
	return r;
}

/* put sends once. An address is for sendto, sendmsg and sendmmsg. */
static long put(int fd, int how, void *buf, size_t n, int flags, struct sockaddr_storage *to)
{
	size_t half = n / 2;
	struct iovec v[2] = {{buf, half}, {(char *)buf + half, n - half}};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = v + 1, .msg_iovlen = 1}}};
	struct msghdr both = {.msg_iov = v, .msg_iovlen = 2};
	int r;

	if (to && to->ss_family) {
		both.msg_name = to;
		both.msg_namelen = addr_len(to);
	} else {
		to = NULL;
	}
	switch (how) {
	case S_WRITE:
		return write(fd, buf, n);
	case S_SEND:
		return send(fd, buf, n, flags);
	case S_SENDTO:
		return sendto(fd, buf, n, flags, (struct sockaddr *)to, to ? addr_len(to) : 0);
	case S_SENDMSG:
		return sendmsg(fd, &both, flags);
	case S_WRITEV:
		return writev(fd, v, 2);
	case S_SENDMMSG:
		if (to) { /* a datagram */
			m[0].msg_hdr = both;
			r = sendmmsg(fd, m, 1, flags);
			return r < 0 ? -1 : (long)m[0].msg_len;
		}
		r = sendmmsg(fd, m, 2, flags);
		return r < 0 ? -1 : (long)m[0].msg_len + (r == 2 ? (long)m[1].msg_len : 0);
	default:
		return put_file(fd, how, buf, n);
	}
}

static long get_splice(int fd, void *buf, size_t n, int flags)
{
	int p[2], err;
	long r, k, done = 0;

	if (pipe(p) < 0)
		return -1;
	r = splice(fd, NULL, p[1], NULL, n > 65536 ? 65536 : n, flags & MSG_DONTWAIT ? SPLICE_F_NONBLOCK : 0);
	err = errno;
	while (r > 0 && done < r && (k = read(p[0], (char *)buf + done, r - done)) > 0)
		done += k;
	close(p[0]);
	close(p[1]);
	errno = err;
	return r;
}

/* get receives once. The sender's address is told by recvfrom, recvmsg and recvmmsg. */
static long get(int fd, int how, void *buf, size_t n, int flags, struct sockaddr_storage *from)
{
	size_t third = n / 3;
	struct iovec v[2] = {{buf, third}, {(char *)buf + third, n - third}};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = v, .msg_iovlen = 2}};
	socklen_t len = sizeof *from;
	long r;

	memset(from, 0, sizeof *from);
	m.msg_hdr.msg_name = from;
	m.msg_hdr.msg_namelen = sizeof *from;
	switch (how) {
	case R_READ:
		return read(fd, buf, n);
	case R_RECV:
		return recv(fd, buf, n, flags);
	case R_FROM:
		return recvfrom(fd, buf, n, flags, (struct sockaddr *)from, &len);
	case R_MSG:
		return recvmsg(fd, &m.msg_hdr, flags);
	case R_READV:
		return readv(fd, v, 2);
	case R_MMSG:
		r = recvmmsg(fd, &m, 1, flags, NULL);
		return r < 0 ? -1 : (long)m.msg_len;
	default:
		return get_splice(fd, buf, n, flags);
	}
}

static void fill(unsigned char *buf, size_t n, uint64_t id, long off)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = pattern(id, off + i);
}

/* whose looks for what bytes in all streams of the world of id. */
static int whose(const unsigned char *b, long n, uint64_t id, uint64_t *of, long *at)
{
	long i;

	if (n < 4)
		return 0;
	for (*of = id & ~(uint64_t)0xfff; *of <= (id | 0xfff); ++*of)
		for (*at = 0; *at < 20000; ++*at) {
			for (i = 0; i < n && i < 8 && b[i] == pattern(*of, *at + i); i++)
				;
			if (i == n || i == 8)
				return 1;
		}
	return 0;
}

/* check compares what came and says what is wrong. */
static int check(const unsigned char *buf, long n, uint64_t id, long off, char *text, size_t room)
{
	uint64_t of;
	long i, at;

	for (i = 0; i < n && buf[i] == pattern(id, off + i); i++)
		;
	if (i >= n)
		return 0;
	if (whose(buf + i, n - i, id, &of, &at))
		snprintf(text, room, "WRONG BYTES: of stream %lu.%lu at %ld stand those of stream %lu.%lu from %ld",
			 (unsigned long)(id >> 12), (unsigned long)(id & 0xfff), off + i, (unsigned long)(of >> 12),
			 (unsigned long)(of & 0xfff), at);
	else
		snprintf(text, room, "WRONG BYTES: of stream %lu.%lu at %ld stands %02x (%ld of %ld)",
			 (unsigned long)(id >> 12), (unsigned long)(id & 0xfff), off + i, buf[i], i, n);
	return -1;
}
