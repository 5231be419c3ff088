/* What the coordinator of a world and its actors tell each other, and the bytes
 * that travel. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	NACT = 10,      /* actors at a time */
	NPROC = 8,      /* their processes */
	NFD = 40,       /* descriptors of the script are below, the driver's own from here on */
	COMMANDS = NFD, /* of each actor: pipe for commands, pipe for replies, pair for descriptors */
	SHARED = COMMANDS + 6 * NACT,
};

/* The driver's own descriptors of an actor. */
#define COMMAND_R(a) (COMMANDS + 6 * (a))
#define COMMAND_W(a) (COMMANDS + 6 * (a) + 1)
#define REPLY_R(a) (COMMANDS + 6 * (a) + 2)
#define REPLY_W(a) (COMMANDS + 6 * (a) + 3)
#define MAIL_W(a) (COMMANDS + 6 * (a) + 4)
#define MAIL_R(a) (COMMANDS + 6 * (a) + 5)

#define LIST(X) \
	X(SOCKET) X(BIND) X(LISTEN) X(CONNECT) X(ACCEPT) X(SEND) X(RECV) X(POLL) X(SETTLE) X(SHUTDOWN) \
	X(CLOSE) X(DUP) X(DUP2) X(SETOPT) X(GETOPT) X(NONBLOCK) X(MAIL) X(TAKE) X(FORK) X(THREAD) X(EXEC) \
	X(EXIT) X(LEAVE) X(LIMIT) X(EPCREATE) X(EPADD) X(EPWAIT) X(SERVE) X(CALL) X(CHURN) X(BULKSEND) \
	X(BULKRECV) X(SENDDG) X(RECVDG)
#define ENUM(name) name,
#define NAME(name) #name,
enum { LIST(ENUM) NOPS };
static const char *const op_names[] __attribute__((unused)) = {LIST(NAME)};

/* A command; what its fields mean is at the actor's function for op. */
struct cmd {
	int op, fd, fd2, how, flags;
	long n;
	uint64_t id;
	long off;
	struct sockaddr_storage addr;
};

struct rep {
	long r;
	int err;
	int n, more[16];
	struct sockaddr_storage addr, local;
	char text[240]; /* what was wrong with the bytes, or empty */
};

/* What all processes of a world share. */
struct shared {
	_Atomic int signals[NACT]; /* handled by the actor */
	int patience;              /* milliseconds after which a wait is a hang */
};

static struct shared *shared;

#define PATIENCE (shared->patience)

/* pattern is the byte at an offset of the stream or datagram id. */
static inline unsigned char pattern(uint64_t id, long off)
{
	uint64_t x = id * 0x9E3779B97F4A7C15u + (uint64_t)off * 0xD6E8FEB86659FD93u;

	x ^= x >> 32;
	x *= 0xD6E8FEB86659FD93u;
	return x >> 56;
}

static inline uint64_t rnd(uint64_t *s)
{
	uint64_t z = (*s += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static inline long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static inline socklen_t addr_len(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static inline int port(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? ((struct sockaddr_in6 *)a)->sin6_port : ((struct sockaddr_in *)a)->sin_port;
}

static inline struct sockaddr_storage loopback(int family)
{
	struct sockaddr_storage a = {0};

	a.ss_family = family;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)&a)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}
