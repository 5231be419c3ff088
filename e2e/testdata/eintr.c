// eintr makes calls that wait, one after the other, and says what becomes of each.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const size_t big = 64 << 20;
static struct sockaddr_in to;
static int near_end, far_end;

// say prints what a call has returned: a number of bytes, less than were asked for, or an error.
static void say(const char *call, long n, size_t most) {
	if (n < 0)
		printf("%s: %s\n", call, strerrorname_np(errno));
	else if (most >= big)
		printf("%s: %s\n", call, n == (long)most ? "all" : "a part");
	else
		printf("%s: %ld\n", call, n);
}

// join connects two sockets of a kind.
static void join(int protocol) {
	socklen_t n = sizeof to;
	int l = socket(AF_INET, SOCK_STREAM, protocol);
	to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	bind(l, (void *)&to, n);
	listen(l, 1);
	getsockname(l, (void *)&to, &n);
	near_end = socket(AF_INET, SOCK_STREAM, protocol);
	connect(near_end, (void *)&to, n);
	far_end = accept(l, NULL, NULL);
	close(l);
}

// drain reads as many bytes as there are to come.
static void *drain(void *total) {
	static char b[1 << 16];
	long left = *(long *)total, n;
	while (left > 0 && ((n = read(far_end, b, sizeof b)) > 0 || (n < 0 && errno == EINTR)))
		left -= n > 0 ? n : 0;
	printf("left: %ld\n", left);
	return NULL;
}

static void reads(void) {
	char b[10];
	struct iovec v = {b, sizeof b};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	say("read", read(near_end, b, sizeof b), 10);
	say("readv", readv(near_end, &v, 1), 10);
	say("recv", recv(near_end, b, sizeof b, 0), 10);
	say("recvmsg", recvmsg(near_end, &h, 0), 10);
	say("recv that does not wait", recv(near_end, b, sizeof b, MSG_DONTWAIT), 10);
	write(far_end, "hello", 5);
	say("read", read(near_end, b, sizeof b), 10);
}

int main(void) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	join(0);
	reads();

	char *m = calloc(1, big);
	struct iovec v = {m, big};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	long total = write(near_end, m, big), n;
	say("write", total, big);
	struct pollfd p = {near_end, POLLOUT, 0};
	do { // until all that is between the two ends is full
		while ((n = send(near_end, m, 4096, MSG_DONTWAIT)) > 0)
			total += n;
	} while (poll(&p, 1, 300) > 0);
	say("write", write(near_end, m, big), big);
	say("writev", writev(near_end, &v, 1), big);
	say("send", send(near_end, m, big, 0), big);
	say("sendmsg", sendmsg(near_end, &h, 0), big);
	total += big;
	pthread_t t;
	pthread_create(&t, NULL, drain, &total);
	say("write", write(near_end, m, big), big);
	pthread_join(t, NULL);

	join(IPPROTO_SCTP);
	reads();

	int u = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t size = sizeof to;
	to.sin_port = 0;
	bind(u, (void *)&to, size);
	getsockname(u, (void *)&to, &size);
	connect(w, (void *)&to, size);
	say("UDP: send", send(w, "1", 1, 0), 1);
	say("UDP: write", write(w, "2", 1), 1);
	say("UDP: sendto", sendto(w, "3", 1, 0, (void *)&to, size), 1);
	for (int i = 0; i < 2; i++) {
		char b[1];
		read(u, b, 1);
		printf("UDP: %c has come\n", b[0]);
	}
	return 0;
}
