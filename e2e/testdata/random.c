/* random - programs of random sockets calls, from seeds. What a run prints is the
 * same each time, on any system that does as Linux.
 *
 *   random FIRST COUNT [-j PARALLEL] [-s STEPS] [-w WITHOUT] [-t PATIENCE] [-x 1]
 *
 * A seed's world has a coordinator, which derives the steps, and actors, which carry
 * them out: threads, forked children, programs executed anew. The coordinator knows
 * what each call must come to (model.h) and brings only such about as has one outcome:
 * it lets one actor act at a time, waits until bytes have come before it has them
 * read, and lets several act at once only where the outcome as a whole is certain.
 * Each byte is a function of its stream and its offset, and is checked by whom it
 * reaches. */
#include "random/wire.h"

#include "random/bytes.h"

#include "random/actor.h"

#include "random/model.h"

#include "random/steps.h"

#include "random/udp.h"

#include "random/process.h"

#include "random/wait.h"

#include "random/crowd.h"

static const struct kind {
	const char *name;
	int weight;
	int (*step)(void);
} kinds[] = {
	{"listener", 4, step_listener}, {"connect", 14, step_connect}, {"accept", 12, step_accept},
	{"send", 20, step_send},        {"recv", 20, step_recv},       {"poll", 6, step_poll},
	{"shutdown", 3, step_shutdown}, {"close", 7, step_close},      {"dup", 4, step_dup},
	{"pass", 5, step_pass},         {"nonblock", 3, step_nonblock}, {"linger", 2, step_linger},
	{"udp", 4, step_udp},           {"udpconnect", 2, step_udp_connect}, {"udpsend", 8, step_udp_send},
	{"udprecv", 6, step_udp_recv},  {"udprefused", 2, step_udp_refused}, {"fork", 6, step_fork},
	{"thread", 7, step_thread},     {"end", 4, step_end},          {"leave", 2, step_leave},
	{"exec", 3, step_exec},         {"churn", 2, step_churn},      {"limit", 3, step_limit},
	{"epoll", 4, step_epoll},       {"epwait", 5, step_epwait},    {"timeout", 3, step_timeout},
	{"wait", 14, step_wait},        {"crowd", 5, step_crowd},      {"bulk", 4, step_bulk},
};

enum { NKINDS = sizeof kinds / sizeof *kinds };

static int steps = 60, parallel = 4, patience = 30000, scarcity;
static void one_step(void)
{
	for (;;) {
		int total = 0, k, i;

		for (i = 0; i < NKINDS; i++)
			total += kinds[i].weight;
		k = roll(total);
		for (i = 0; k >= kinds[i].weight; i++)
			k -= kinds[i].weight;
		if (!left_out(kinds[i].name) && kinds[i].step())
			return;
	}
}

static void plumb(int fd, int want)
{
	if (fd != want && (dup2(fd, want) < 0 || close(fd) < 0))
		_exit(93);
}

/* prepare makes the driver's own descriptors. */
static void prepare(void)
{
	int p[2], m = memfd_create("shared", 0);

	if (m < 0 || ftruncate(m, sizeof *shared) < 0)
		_exit(92);
	plumb(m, SHARED);
	for (int a = 0; a < NACT; a++) {
		if (pipe(p) < 0)
			_exit(92);
		plumb(p[0], COMMAND_R(a));
		plumb(p[1], COMMAND_W(a));
		if (pipe(p) < 0)
			_exit(92);
		plumb(p[0], REPLY_R(a));
		plumb(p[1], REPLY_W(a));
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
			_exit(92);
		plumb(p[0], MAIL_W(a));
		plumb(p[1], MAIL_R(a));
	}
}

static void refusers(void)
{
	for (int d = 0; d < 2; d++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct sockaddr_storage a = loopback(v6 ? AF_INET6 : AF_INET);
			socklen_t n = sizeof a;
			/* Bound, so that nobody else gets the port. One for datagrams has a peer, and takes nobody else's. */
			int fd = socket(a.ss_family, d ? SOCK_DGRAM : SOCK_STREAM, 0);

			if (fd < 0 || bind(fd, (struct sockaddr *)&a, addr_len(&a)) < 0 ||
			    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
				_exit(91);
			w.refuser[d][v6] = a;
			if (d && connect(fd, (struct sockaddr *)&a, addr_len(&a)) < 0)
				_exit(91);
		}
}

/* world runs one seed's script. */
static int world(uint64_t seed)
{
	static int (*const early[])(void) = {step_thread, step_fork, step_listener, step_connect, step_accept};

	w.rng = seed * 7919 + 1;
	w.seed = seed;
	prepare();
	start_process();
	shared->patience = patience;
	for (int p = 0; p < 2; p++) {
		if (fork() == 0) {
			me = p;
			actor(NULL);
		}
		born(p, p);
	}
	if (scarcity) {
		scarce();
	} else {
		refusers();
		/* A world with threads and connections, to begin with. */
		for (w.step = -12; w.step < 0; w.step++)
			early[w.step < -8 ? roll(2) : w.step < -6 ? 2 : w.step < -3 ? 3 : 4]();
		for (w.step = 1; w.step <= steps; w.step++)
			one_step();
	}
	for (int p = 0; p < NPROC; p++)
		if (w.proc[p].alive)
			kill(w.proc[p].pid, SIGKILL), dead(p);
	out("%s", w.failed ? "FAILED" : "done");
	return w.failed ? 3 : 0;
}

enum { MOST = 16 }; /* worlds at a time */

struct run {
	pid_t pid;
	int log;
	uint64_t seed;
	long end;
};

static void begin(struct run *r, uint64_t seed)
{
	r->seed = seed;
	r->log = memfd_create("log", MFD_CLOEXEC);
	r->end = now_ms() + 4 * patience;
	r->pid = fork();
	if (r->pid == 0) {
		setpgid(0, 0);
		dup2(r->log, 1);
		for (int fd = 3; fd < COMMANDS; fd++)
			close(fd);
		_exit(world(seed));
	}
	setpgid(r->pid, r->pid);
}

/* over prints a world's log. */
static int over(struct run *r, int status)
{
	char buf[8192];
	ssize_t n;

	printf("seed %lu\n", (unsigned long)r->seed);
	lseek(r->log, 0, SEEK_SET);
	while ((n = read(r->log, buf, sizeof buf)) > 0)
		fwrite(buf, 1, n, stdout);
	if (status)
		printf("FAILED: the coordinator ended with %#x\n", status);
	fflush(stdout);
	close(r->log);
	return status != 0;
}

static void options(int argc, char **argv)
{
	for (int i = 3; i + 1 < argc; i += 2) {
		int v = atoi(argv[i + 1]);

		switch (argv[i][1]) {
		case 'j':
			parallel = v < MOST ? v : MOST;
			break;
		case 's':
			steps = v;
			break;
		case 't':
			patience = v;
			break;
		case 'x':
			scarcity = v;
			break;
		case 'w':
			without = argv[i + 1];
			break;
		default:
			exit(2);
		}
	}
}

/* all runs worlds, several at a time, and returns the program's exit status. */
static int all(uint64_t first, uint64_t count)
{
	struct run runs[MOST] = {0};
	int bad = 0;

	for (uint64_t next = 0, done = 0; done < count;) {
		siginfo_t ended = {0};
		int status = 0;
		pid_t pid;

		for (int i = 0; i < parallel && next < count; i++)
			if (!runs[i].pid)
				begin(&runs[i], first + next++);
		waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
		pid = ended.si_pid;
		if (pid > 0) {
			kill(-pid, SIGKILL); /* before it is reaped, while the number is its own */
			waitpid(pid, &status, 0);
		}
		for (int i = 0; i < parallel; i++) {
			if (!runs[i].pid)
				continue;
			if (runs[i].pid != pid && now_ms() > runs[i].end) {
				kill(runs[i].pid, SIGKILL);
				runs[i].end += patience;
			}
			if (runs[i].pid == pid) {
				bad |= over(&runs[i], status);
				runs[i].pid = 0;
				done++;
			}
		}
		if (pid == 0)
			poll(NULL, 0, 2);
	}
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t first, count;

	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return 2;
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 2 && !strcmp(argv[1], "actor")) {
		me = atoi(argv[2]);
		start_process();
		actor(NULL);
	}
	if (argc < 3) {
		fprintf(stderr, "usage: random FIRST COUNT [-j PARALLEL] [-s STEPS] [-w WITHOUT] [-t PATIENCE]\n");
		return 2;
	}
	first = strtoull(argv[1], NULL, 0);
	count = strtoull(argv[2], NULL, 0);
	options(argc, argv);
	return all(first, count);
}
