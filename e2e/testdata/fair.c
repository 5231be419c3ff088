/* fair - what one process does to the others. Lines that begin with # are measures.
 *
 *	fair late uffd|fuse MS  the longest request while each of other processes makes a
 *	                        call whose argument lies on a page that comes late
 *	fair threads MS         the same, of all threads of one process at one time
 *	fair file MS            the longest request while others take a file of a file
 *	                        system that is slow for a socket
 *	fair killed KIND N MS   the longest request while a process with N sockets is
 *	                        killed: connections, datagrams, queued
 *	fair forks N MS         N processes, one after another, that make a socket, and the
 *	                        longest request meanwhile
 *
 * A machine has other work, so of what takes longer than MS the best of some tries counts,
 * and four times what the longest round trip of two processes on a pair of sockets of the
 * kernel's took meanwhile is not counted. What a killed process leaves to do is work, not
 * waits: there no more counts than the supervisor has run in a round trip. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "basics.h"

enum { tries = 4, pageLen = 4096 };

static int lateUs = 500000;

static int bound(int type, int backlog, struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, type, 0);

	memset(at, 0, sizeof *at);
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (void *)at, sizeof *at) || (type == SOCK_STREAM && listen(fd, backlog)) ||
	    getsockname(fd, (void *)at, &len))
		die("bound");
	return fd;
}

static int dial(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const void *)to, sizeof *to))
		die("dial");
	return fd;
}

static void told(const char *what, double longest, double most)
{
	printf("#the longest %s took %.1f ms more than is the machine's own\n", what, longest * 1e3);
	printf("in time: %d\n", longest * 1e3 <= most);
}

/* --- what the machine does besides --- */

static int neighbour = -1; /* a process that echoes */
static pid_t neighbourPid;

static void *echoes(void *p)
{
	int fd = *(int *)p;
	char b[64];
	ssize_t n;

	while ((n = read(fd, b, sizeof b)) > 0)
		write(fd, b, n);
	return NULL;
}

static void meet_neighbour(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair");
	if ((neighbourPid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		echoes(&ends[1]);
		_exit(0);
	}
	close(ends[1]);
	neighbour = ends[0];
}

/* spent is for how many seconds the supervisor's threads have run so far
 * (Documentation/scheduler/sched-stats.rst of the kernel). Natively the parent is the
 * test, which waits. */
static double spent(void)
{
	const char *supervisor = getenv("SUP");
	char line[100];
	double sum = 0;
	struct dirent *d;
	DIR *dir;

	snprintf(line, sizeof line, "/proc/%s/task", supervisor ? supervisor : "");
	if (!supervisor || !(dir = opendir(line)))
		return 0;
	while ((d = readdir(dir))) {
		unsigned long long ran;
		ssize_t n;
		int fd;

		snprintf(line, sizeof line, "%d/schedstat", atoi(d->d_name));
		if ((fd = openat(dirfd(dir), line, O_RDONLY | O_CLOEXEC)) < 0)
			continue;
		n = read(fd, line, sizeof line - 1);
		close(fd);
		line[n > 0 ? n : 0] = 0;
		if (sscanf(line, "%llu", &ran) == 1)
			sum += ran / 1e9;
	}
	closedir(dir);
	return sum;
}

/* --- requests: each a connection, a byte to and fro, and the end --- */

static atomic_int over;

struct asker {
	pthread_t thread, other;
	double longest, aside;
};

static void *visits(void *p)
{
	struct asker *a = p;
	char b[64];

	while (!over) {
		double t = now();

		if (write(neighbour, "visit", 5) != 5 || read(neighbour, b, sizeof b) <= 0)
			die("the neighbour");
		t = now() - t;
		a->aside = t > a->aside ? t : a->aside;
		usleep(500);
	}
	return NULL;
}

static void *asks(void *p)
{
	struct asker *a = p;
	struct sockaddr_in at;
	int ls = bound(SOCK_STREAM, 100, &at);
	char b = 0;

	while (!over) {
		double t = now();
		int c = dial(&at), s = accept(ls, NULL, NULL);

		if (write(c, "?", 1) != 1 || read(s, &b, 1) != 1 || write(s, "!", 1) != 1 || read(c, &b, 1) != 1)
			die("a request");
		close(c);
		close(s);
		t = now() - t;
		a->longest = t > a->longest ? t : a->longest;
		usleep(1000); /* it measures, and is not the load */
	}
	close(ls);
	return NULL;
}

static void ask(struct asker *a)
{
	over = 0;
	a->longest = a->aside = 0;
	pthread_create(&a->other, NULL, visits, a);
	pthread_create(&a->thread, NULL, asks, a);
}

static double asked(struct asker *a)
{
	over = 1;
	pthread_join(a->thread, NULL);
	pthread_join(a->other, NULL);
	return a->longest > 4 * a->aside ? a->longest - 4 * a->aside : 0;
}

/* --- pages that come late: by userfaultfd --- */

static char *content; /* what is on the page when it has come */

static void *serves(void *p)
{
	int uffd = *(int *)p;
	struct uffd_msg m;

	for (;;) {
		struct uffdio_copy cp = {.src = (unsigned long)content, .len = pageLen};

		if (read(uffd, &m, sizeof m) != sizeof m)
			continue;
		usleep(lateUs);
		cp.dst = m.arg.pagefault.address & ~(pageLen - 1UL);
		ioctl(uffd, UFFDIO_COPY, &cp);
	}
	return NULL;
}

static char *uffd_page(void)
{
	int *uffd = malloc(sizeof *uffd);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.range = {0, pageLen}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	char *page = mmap(NULL, pageLen, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t t;

	*uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	r.range.start = (unsigned long)page;
	if (*uffd < 0 || ioctl(*uffd, UFFDIO_API, &api) || ioctl(*uffd, UFFDIO_REGISTER, &r))
		die("userfaultfd");
	pthread_create(&t, NULL, serves, uffd);
	return page;
}

/* --- and by a file system, of files named by a letter that end after a page --- */

enum { files = 26 };

static char (*fileContent)[pageLen]; /* shared with the server */
static int *slowFile;                /* whether the attributes and the end of files come late */
static int fuseFd;

struct request {
	struct fuse_in_header h;
	char body[pageLen];
};

static void reply(const struct request *q, int error, const void *body, size_t len)
{
	char b[sizeof(struct fuse_out_header) + pageLen];
	struct fuse_out_header *h = (void *)b;

	*h = (struct fuse_out_header){sizeof *h + len, error, q->h.unique};
	if (len)
		memcpy(h + 1, body, len);
	if (write(fuseFd, b, h->len) < 0 && errno != ENOENT)
		die("fuse");
}

static struct fuse_attr attr(uint64_t node)
{
	struct fuse_attr a = {.ino = node, .nlink = 1, .blksize = pageLen};

	a.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	a.size = node == FUSE_ROOT_ID ? 0 : pageLen;
	return a;
}

static void *answers(void *p)
{
	struct request *q = p;
	uint64_t node = q->h.nodeid;

	switch (q->h.opcode) {
	case FUSE_INIT: {
		struct fuse_init_out o = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = 0, .max_write = pageLen};

		reply(q, 0, &o, sizeof o);
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out o = {.nodeid = FUSE_ROOT_ID + 1 + q->body[0] - 'a', .attr_valid = 0};

		o.attr = attr(o.nodeid);
		reply(q, 0, &o, sizeof o);
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out o = {.attr = attr(node)};

		if (*slowFile)
			usleep(lateUs);
		reply(q, 0, &o, sizeof o);
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out o = {0};

		reply(q, 0, &o, sizeof o);
		break;
	}
	case FUSE_READ:
		usleep(lateUs);
		reply(q, 0, fileContent[node - FUSE_ROOT_ID - 1], pageLen);
		break;
	case FUSE_FLUSH:
		if (*slowFile)
			usleep(lateUs);
		reply(q, 0, NULL, 0);
		break;
	case FUSE_RELEASE:
		reply(q, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break;
	default:
		reply(q, -ENOSYS, NULL, 0);
	}
	free(q);
	return NULL;
}

/* serve_files mounts the file system at mnt, for this process and its children alone. */
static pid_t serve_files(void)
{
	char opts[100];
	pid_t pid;

	fileContent = mmap(NULL, files * pageLen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	slowFile = mmap(NULL, pageLen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir("mnt", 0755);
	fuseFd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(opts, sizeof opts, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuseFd);
	if (fuseFd < 0 || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("fair", "mnt", "fuse", 0, opts))
		die("fuse");
	if ((pid = fork()) == 0)
		for (;;) {
			char room[2 * sizeof(struct request)];
			struct request *q = calloc(1, sizeof room);
			ssize_t n = read(fuseFd, room, sizeof room);
			pthread_t t;

			if (n < 0 && errno != EINTR && errno != ENOENT)
				exit(0); /* unmounted */
			if (n < 0)
				continue;
			memcpy(q, room, n);
			pthread_create(&t, NULL, answers, q);
			pthread_detach(t);
		}
	return pid;
}

static int open_file(int i)
{
	char name[] = "mnt/a";
	int fd;

	name[4] += i;
	if ((fd = open(name, O_RDONLY | O_CLOEXEC)) < 0)
		die(name);
	return fd;
}

static char *file_page(int i)
{
	char *page = mmap(NULL, pageLen, PROT_READ | PROT_WRITE, MAP_PRIVATE, open_file(i), 0);

	content = fileContent[i];
	return page == MAP_FAILED ? die("mmap"), NULL : page;
}

/* --- calls with such a page --- */

static const char *const calls[] = {"bind", "connect", "sendto", "sendmsg", "setsockopt", "getsockopt", "accept",
	"getsockname", "recvfrom", "recv of a stream", "recv of datagrams"};

enum { ncalls = sizeof calls / sizeof *calls };

/* receives does, on another thread, what the kernel does alone: it holds the socket's
 * queue while it stores a byte on the page. */
static int plainFd;
static char *plainPage;

static void *receives(void *p)
{
	(void)p;
	recv(plainFd, plainPage, 1, 0);
	return NULL;
}

/* both receives on two threads, first without and then with an address. */
static int both(int fd, char *page)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	pthread_t t;
	char b;
	int r;

	plainFd = fd;
	plainPage = page;
	pthread_create(&t, NULL, receives, NULL);
	usleep(lateUs / 4); /* it waits for its page by now, which no call shows */
	r = recvfrom(fd, &b, 1, 0, (void *)&from, &len) == 1 ? 0 : -1;
	pthread_join(t, NULL);
	return r;
}

static int late_call(int i, char *(*page_of)(int))
{
	struct sockaddr_in at, own;
	socklen_t len = sizeof at;
	int ls = bound(SOCK_STREAM, 5, &at), ds = bound(SOCK_DGRAM, 0, &own);
	char *page = page_of(i);
	const char *call = calls[i];

	memcpy(content, &at, sizeof at);
	if (!strcmp(call, "bind")) {
		((struct sockaddr_in *)content)->sin_port = 0;
		return bind(socket(AF_INET, SOCK_STREAM, 0), (void *)page, sizeof at);
	}
	if (!strcmp(call, "connect"))
		return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)page, sizeof at);
	if (!strcmp(call, "sendto"))
		return sendto(ds, page, 100, 0, (void *)&own, sizeof own) == 100 ? 0 : -1;
	if (!strcmp(call, "sendmsg")) {
		memset(content, 0, sizeof(struct msghdr));
		return sendmsg(dial(&at), (void *)page, MSG_NOSIGNAL);
	}
	if (!strcmp(call, "setsockopt")) {
		*(int *)content = 1;
		return setsockopt(ls, SOL_SOCKET, SO_KEEPALIVE, page, sizeof(int));
	}
	if (!strcmp(call, "getsockopt")) {
		len = sizeof(int);
		return getsockopt(ls, SOL_SOCKET, SO_KEEPALIVE, page, &len);
	}
	if (!strcmp(call, "accept")) {
		dial(&at);
		return accept(ls, (void *)page, &len) < 0 ? -1 : 0;
	}
	if (!strcmp(call, "getsockname"))
		return getsockname(ls, (void *)page, &len);
	if (!strcmp(call, "recv of a stream")) {
		int c = dial(&at);

		write(c, "ab", 2);
		return both(accept(ls, NULL, NULL), page);
	}
	for (int n = 0; n < 2; n++)
		sendto(ds, "datagram", 8, 0, (void *)&own, sizeof own);
	if (!strcmp(call, "recv of datagrams"))
		return both(ds, page);
	return recvfrom(ds, page, 100, 0, (void *)&own, &len) == 8 ? 0 : -1;
}

static char *uffd_page_of(int i)
{
	static char room[pageLen];

	(void)i;
	content = room;
	return uffd_page();
}

enum { atOnce = 4 };

/* children runs f for each name, in a process of its own and some at one time, and
 * prints which of them fail. It returns how long the longest request took. */
static double children(int n, const char *const *names, int (*f)(int))
{
	struct asker a;
	pid_t pid[ncalls];
	int st;

	ask(&a);
	for (int first = 0; first < n; first += atOnce) {
		int end = first + atOnce < n ? first + atOnce : n;

		for (int i = first; i < end; i++)
			if ((pid[i] = fork()) == 0)
				_exit(f(i) < 0 ? errno : 0);
		for (int i = first; i < end; i++)
			if (waitpid(pid[i], &st, 0) != pid[i] || st)
				printf("%s: status %x\n", names[i], st);
	}
	return asked(&a);
}

static int by_uffd(int i) { return late_call(i, uffd_page_of); }
static int by_file(int i) { return late_call(i, file_page); }

static double least(double a, double b) { return a < b ? a : b; }

static void late(const char *how, double most)
{
	int fuse = !strcmp(how, "fuse");
	double best = 1e9;

	for (int i = 0; i < tries && best * 1e3 > most; i++) {
		pid_t server = fuse ? serve_files() : 0;

		best = least(best, children(ncalls, calls, fuse ? by_file : by_uffd));
		if (server) {
			kill(server, SIGKILL);
			waitpid(server, NULL, 0);
		}
	}
	told("request while pages come late", best, most);
}

enum { crowd = 16 };

static void *sets(void *p)
{
	int *fd = p;

	*fd = setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, uffd_page_of(0), sizeof(int));
	return NULL;
}

/* on_threads makes the call on many threads, each with a page of its own. */
static int on_threads(int n)
{
	pthread_t t[crowd];
	int r[crowd];

	for (n = 0; n < crowd; n++) {
		r[n] = socket(AF_INET, SOCK_STREAM, 0);
		pthread_create(&t[n], NULL, sets, &r[n]);
	}
	for (n = 0; n < crowd; n++) {
		pthread_join(t[n], NULL);
		if (r[n])
			return -1;
	}
	return 0;
}

static void threads(double most)
{
	static const char *const name[] = {"threads"};
	double best = 1e9;

	lateUs = 150000;
	for (int i = 0; i < tries && best * 1e3 > most; i++)
		best = least(best, children(1, name, on_threads));
	told("request while pages of many threads come late", best, most);
}

/* --- files in place of sockets --- */

static const char *const onFiles[] = {"getsockname", "shutdown", "recvmsg"};

static int on_file(int i)
{
	struct sockaddr_in at;
	struct msghdr m = {0};
	socklen_t len = sizeof at;
	int fd = open_file(i), r;

	*slowFile = 1;
	if (i == 0)
		r = getsockname(fd, (void *)&at, &len);
	else if (i == 1)
		r = shutdown(fd, SHUT_RDWR);
	else
		r = recvmsg(fd, &m, 0);
	return r < 0 && errno == ENOTSOCK ? 0 : -1;
}

static void file(double most)
{
	double best = 1e9;

	for (int i = 0; i < tries && best * 1e3 > most; i++) {
		pid_t server = serve_files();

		best = least(best, children(3, onFiles, on_file));
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	told("request while files are taken for sockets", best, most);
}

/* --- the end of a process that has many sockets --- */

static double longest, mostWork; /* of one round trip: its time, and what the supervisor ran */

/* trips goes to and fro on one connection, until it is over. */
static void *trips(void *p)
{
	int fd = *(int *)p;
	char b[64];

	longest = mostWork = 0;
	while (!over) {
		double w = spent(), t = now();

		if (write(fd, "request", 7) != 7 || read(fd, b, sizeof b) <= 0)
			die("a round trip");
		t = now() - t;
		w = spent() - w;
		mostWork = w > mostWork ? w : mostWork;
		longest = t > longest ? t : longest;
		usleep(500);
	}
	return NULL;
}

static void takes(const char *kind, int n, int tell, const struct sockaddr_in *at)
{
	struct sockaddr_in own;

	if (!strcmp(kind, "queued")) {
		bound(SOCK_STREAM, n, &own);
		at = &own;
	}
	for (int i = 0; i < n; i++)
		if (!strcmp(kind, "datagrams"))
			bound(SOCK_DGRAM, 0, &own);
		else
			dial(at);
	write(tell, "x", 1);
	for (;;)
		pause();
}

/* accepts holds all connections, and takes no other part. */
static void accepts(int ls)
{
	for (;;)
		if (accept(ls, NULL, NULL) < 0)
			usleep(1000);
}

static double pause_of(const char *kind, int n, int *end)
{
	struct sockaddr_in at;
	int ls = bound(SOCK_STREAM, 4096, &at), ready[2];
	struct asker a;
	pthread_t t;
	pid_t server, pid;
	char c;

	if (pipe(ready))
		die("pipe");
	if ((server = fork()) == 0)
		accepts(ls);
	if ((pid = fork()) == 0) {
		close(ls);
		takes(kind, n, ready[1], &at);
	}
	close(ls);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		die("the process with many sockets");
	ask(&a);
	pthread_create(&t, NULL, trips, end);
	usleep(50000); /* what comes before the kill is measured as well */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	usleep(400000); /* and what comes after */
	asked(&a);
	pthread_join(t, NULL);
	printf("#with %d %s killed a request took %.1f ms at most, a round trip %.1f ms (%.1f ms of work), a neighbour's %.1f ms\n", n, kind,
	       a.longest * 1e3, longest * 1e3, mostWork * 1e3, a.aside * 1e3);
	longest -= 4 * a.aside;
	if (mostWork > 0) /* this kernel tells */
		longest = least(longest, mostWork);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(ready[0]);
	return longest;
}

static void killed(const char *kind, int n, double most)
{
	struct sockaddr_in at;
	int ls = bound(SOCK_STREAM, 5, &at), ends[2] = {dial(&at), accept(ls, NULL, NULL)};
	struct rlimit r;
	double best = 1e9;
	pid_t echo;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if ((echo = fork()) == 0) {
		close(ends[0]);
		echoes(&ends[1]);
		_exit(0);
	}
	close(ends[1]);
	close(ls);
	for (int i = 0; i < tries && best * 1e3 > most; i++)
		best = least(best, pause_of(kind, n, ends));
	printf("in time: %d\n", best * 1e3 <= most);
	kill(echo, SIGKILL);
}

/* --- many processes --- */

static void forks(int n, double most)
{
	struct asker a;
	int bad = 0, st;

	ask(&a);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(socket(AF_INET, SOCK_STREAM, 0) < 0);
		if (pid < 0 || waitpid(pid, &st, 0) != pid || st)
			bad++;
	}
	printf("%d processes, %d without a socket\n", n, bad);
	told("request meanwhile", asked(&a), most);
}

int main(int argc, char **argv)
{
	meet_neighbour();
	if (argc == 4 && !strcmp(argv[1], "late")) late(argv[2], atof(argv[3]));
	else if (argc == 3 && !strcmp(argv[1], "threads")) threads(atof(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "file")) file(atof(argv[2]));
	else if (argc == 5 && !strcmp(argv[1], "killed")) killed(argv[2], atoi(argv[3]), atof(argv[4]));
	else if (argc == 4 && !strcmp(argv[1], "forks")) forks(atoi(argv[2]), atof(argv[3]));
	else return 2;
	kill(neighbourPid, SIGKILL);
	waitpid(neighbourPid, NULL, 0);
	return 0;
}
