/* intrude - tries to put itself between two programs of the same run and user, which
 * exchange bytes meanwhile. Lines that begin with # are measures.
 *
 *	intrude window DIR        opens the sockets that the supervisor makes in DIR, while
 *	                          they are there, and connects to them
 *	intrude names             takes the names that the supervisor will want, as far as
 *	                          they can be told from those that it has
 *	intrude sends             sends datagrams to every AF_UNIX name that there is
 *	intrude flood SUPERVISOR  connects to all of the supervisor's descriptors (root) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "basics.h"

static volatile struct {
	int connected; /* connections that the intruder has made */
	int heard;     /* bytes that it has read */
	int over;
} *shared;

/* --- the victims --- */

/* passes sends a text from one descriptor to the other. It returns 1 if just that has come. */
static int passes(int from, int to, const char *text)
{
	char b[64];
	ssize_t n = strlen(text);
	struct pollfd p = {.fd = to, .events = POLLIN};

	if (write(from, text, n) != n || poll(&p, 1, 5000) != 1)
		return 0;
	return read(to, b, sizeof b) == n && memcmp(b, text, n) == 0;
}

/* exchanges makes a server and a client that exchange bytes. It returns 0 if all is
 * well, the errno of what fails, or -1 for other bytes. */
static int exchanges(int i)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int ls = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s = -1, r = 0;
	struct pollfd p = {.fd = ls, .events = POLLIN};
	char there[32], back[32];

	snprintf(there, sizeof there, "request %d of %d", i, getpid());
	snprintf(back, sizeof back, "answer %d of %d", i, getpid());
	if (bind(ls, (void *)&at, sizeof at) || listen(ls, 5) || getsockname(ls, (void *)&at, &len))
		r = errno;
	usleep(500); /* for the intruder to come first */
	if (!r && (connect(c, (void *)&at, sizeof at) || (s = accept(ls, NULL, NULL)) < 0))
		r = errno;
	if (!r && (!passes(c, s, there) || !passes(s, c, back)))
		r = -1;
	/* A connection of the intruder's may show, until the next accept. */
	fcntl(ls, F_SETFL, O_NONBLOCK);
	for (int n = 0; !r && poll(&p, 1, 0) == 1; n++)
		if (accept(ls, NULL, NULL) >= 0 || errno != EAGAIN || n == 100)
			r = n == 100 ? EBUSY : -1;
	close(s);
	close(c);
	close(ls);
	return r;
}

/* victims exchange bytes until it is enough, and print how often that went wrong. Who
 * keeps the supervisor's own queue full, as root can, has some connects be refused. */
static void victims(double seconds, int mayFail)
{
	int done = 0, failed = 0, wrong = 0, e = 0;

	for (double end = now() + seconds; now() < end; done++) {
		int r = exchanges(done);

		failed += r > 0;
		wrong += r < 0;
		e = r > 0 ? r : e;
	}
	printf("#%d exchanges, %d calls failed (%s)\n", done, failed, strerror(e));
	printf("exchanged: %d, failed: %d, wrong bytes: %d\n", done > failed, mayFail ? 0 : failed, wrong);
}

/* --- the intruder --- */

enum { most = 200 };

static int conns[most], nconns;

/* intrudes connects to an address, says something, and keeps the connection. */
static int intrudes(const struct sockaddr_un *to, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (connect(fd, (const void *)to, len)) {
		close(fd);
		return 0;
	}
	shared->connected++;
	send(fd, "forged", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (nconns == most)
		close(conns[--nconns]);
	conns[nconns++] = fd;
	return 1;
}

static void listens(void)
{
	char b[1000];

	for (int i = 0; i < nconns; i++) {
		ssize_t n = recv(conns[i], b, sizeof b, MSG_DONTWAIT);

		if (n > 0)
			shared->heard += n;
		if (n >= 0 || errno != EAGAIN) {
			close(conns[i]);
			conns[i--] = conns[--nconns];
		}
	}
}

static socklen_t fd_path(struct sockaddr_un *to, int pid, int fd)
{
	to->sun_family = AF_UNIX;
	if (pid)
		snprintf(to->sun_path, sizeof to->sun_path, "/proc/%d/fd/%d", pid, fd);
	else
		snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d", fd);
	return sizeof *to;
}

/* in_window looks for directories of the supervisor's, and goes on with the sockets
 * that it has got hold of. */
static void in_window(const char *dir)
{
	int got[most], n = 0, last = 0;
	struct sockaddr_un to;

	while (!shared->over) {
		DIR *d = opendir(dir);
		struct dirent *e;

		while (d && (e = readdir(d))) {
			char path[300];
			double soon = now() + .001;
			int fd;

			if (strncmp(e->d_name, "usock-", 6))
				continue;
			snprintf(path, sizeof path, "%s/%s/s", dir, e->d_name);
			for (int tries = 0; tries < 20; tries++)
				if ((fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW)) >= 0)
					break;
			if (fd < 0)
				continue;
			while (!intrudes(&to, fd_path(&to, 0, fd)) && now() < soon)
				; /* it does not listen yet */
			for (int full = 0; full < 10; full++)
				intrudes(&to, fd_path(&to, 0, fd));
			if (n < most)
				got[n++] = fd;
			else {
				close(got[last]);
				got[last] = fd;
				last = (last + 1) % most;
			}
		}
		closedir(d);
		for (int i = 0; i < n; i++)
			intrudes(&to, fd_path(&to, 0, got[i]));
		listens();
	}
}

static void flood(int supervisor)
{
	struct sockaddr_un to;

	while (!shared->over) {
		for (int fd = 0; fd < 64; fd++)
			while (intrudes(&to, fd_path(&to, supervisor, fd)) && !shared->over)
				if (nconns == most)
					listens();
		listens();
	}
}

/* each_name calls f with every name of an AF_UNIX socket that has one, and its inode. */
static void each_name(void (*f)(const struct sockaddr_un *, socklen_t, unsigned long, void *), void *arg)
{
	FILE *list = fopen("/proc/net/unix", "r");
	char line[400], *name;

	if (!list)
		die("/proc/net/unix");
	while (fgets(line, sizeof line, list)) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		unsigned long inode;
		int at = 0;

		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %n", &inode, &at) < 1 || !at || !line[at])
			continue;
		name = line + at;
		strncpy(a.sun_path, name, sizeof a.sun_path - 1);
		if (*name == '@')
			a.sun_path[0] = 0;
		f(&a, offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@'), inode, arg);
	}
	fclose(list);
}

struct named {
	unsigned long inode;
	struct sockaddr_un a;
};

static void name_of(const struct sockaddr_un *a, socklen_t len, unsigned long inode, void *arg)
{
	struct named *n = arg;

	if (inode == n->inode && !memcmp(a->sun_path, "\0usock-", 7) && len == offsetof(struct sockaddr_un, sun_path) + 39)
		n->a = *a;
}

/* takes_names binds the names that follow that of a connected socket. */
static int takes_names(int connected)
{
	struct named own = {0};
	struct sockaddr_un a;
	struct rlimit r;
	struct stat st;
	int n = 0;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	fstat(connected, &st);
	own.inode = st.st_ino;
	each_name(name_of, &own);
	a = own.a;
	if (!a.sun_path[7])
		die("no name");
	unsigned long next = strtoul(a.sun_path + 23, NULL, 16);
	for (int i = 0; i < 3000; i++) {
		char num[17];
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		snprintf(num, sizeof num, "%016lx", ++next);
		memcpy(a.sun_path + 23, num, 16);
		n += bind(fd, (void *)&a, offsetof(struct sockaddr_un, sun_path) + 39) == 0;
	}
	return n;
}

static void says(const struct sockaddr_un *a, socklen_t len, unsigned long inode, void *arg)
{
	(void)inode;
	int fd = socket(AF_UNIX, *(int *)arg | SOCK_NONBLOCK, 0);

	if (!memcmp(a->sun_path, "\0usock-", 7) || (!a->sun_path[0] && len <= offsetof(struct sockaddr_un, sun_path) + 6)) {
		shared->connected += connect(fd, (void *)a, len) == 0;
		shared->connected += sendto(fd, "forged", 6, MSG_NOSIGNAL, (void *)a, len) == 6;
	}
	close(fd);
}

/* --- both --- */

static pid_t started(void (*f)(int), int arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		f(arg);
		exit(0);
	}
	return pid;
}

static const char *where;

static void window_of(int arg) { (void)arg; in_window(where); }

/* sends goes through the names while there are ends with one: those of connections, and
 * those of datagram sockets that were refused. */
static void sends(int arg)
{
	int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	(void)arg;
	while (!shared->over)
		for (int i = 0; i < 3; i++)
			each_name(says, &types[i]);
}

/* datagrams has a socket be refused, so that its end has a name, and receives on it. */
static void datagrams(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, other = at;
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), peer = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char b[64];

	if (bind(fd, (void *)&at, sizeof at) || getsockname(fd, (void *)&at, &len) || bind(peer, (void *)&other, sizeof other) ||
	    getsockname(peer, (void *)&other, &len) || connect(fd, (void *)&other, sizeof other))
		die("datagrams");
	close(peer);
	for (int i = 0; i < 3; i++) {
		send(fd, "x", 1, 0);
		usleep(100000); /* the refusal comes, and the intruder */
		while (poll(&p, 1, 0) == 1) {
			ssize_t n = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, NULL, NULL);

			if (n > 0)
				shared->heard += n;
			if (n < 0 && errno == EAGAIN)
				break;
		}
	}
}

int main(int argc, char **argv)
{
	pid_t pid = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (exchanges(-1))
		die("without an intruder");
	if (argc == 3 && !strcmp(argv[1], "window")) {
		where = argv[2];
		pid = started(window_of, 0);
		victims(2, 0);
	} else if (argc == 3 && !strcmp(argv[1], "flood")) {
		pid = started(flood, atoi(argv[2]));
		victims(2, 1);
	} else if (argc == 2 && !strcmp(argv[1], "sends")) {
		pid = started(sends, 0);
		victims(0.5, 0);
		datagrams();
	} else if (argc == 2 && !strcmp(argv[1], "names")) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof at;
		int ls = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

		/* a connection, whose names are there to see */
		if (bind(ls, (void *)&at, sizeof at) || listen(ls, 1) || getsockname(ls, (void *)&at, &len) ||
		    connect(c, (void *)&at, sizeof at))
			die("a connection");
		printf("#%d names taken\n", takes_names(c));
		victims(0.5, 0);
	} else
		return 2;
	shared->over = 1;
	if (pid)
		waitpid(pid, NULL, 0);
	printf("#%d connections of the intruder's\n", shared->connected);
	printf("bytes that the intruder has read, or others from it: %d\n", shared->heard);
	return 0;
}
