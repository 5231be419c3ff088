/* faults.py in C. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int up, bytes, listener;
static char server_said[4096], client_said[4096];

static const char *name(int e)
{
	switch (e) {
	case EMFILE: return "EMFILE";
	case ENFILE: return "ENFILE";
	case ENOBUFS: return "ENOBUFS";
	case ENOMEM: return "ENOMEM";
	case EINTR: return "EINTR";
	case EPIPE: return "EPIPE";
	case ECONNRESET: return "ECONNRESET";
	case ECONNREFUSED: return "ECONNREFUSED";
	case ETIMEDOUT: return "ETIMEDOUT";
	}
	return strerror(e);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static const char *late(double began) { return now() - began > 0.25 ? " late" : ""; }

static void say(char *said, const char *text)
{
	if (*said)
		strcat(said, " ");
	strcat(said, text);
}

static void receive(int fd, char *said, int n)
{
	char b[65536], text[64];
	for (int got = 0; got < n;) {
		double began = now();
		ssize_t k = recv(fd, b, sizeof b, 0);
		if (k < 0) {
			say(said, name(errno));
			if (errno == EINTR)
				continue;
			return;
		}
		if (k == 0) {
			say(said, "EOF");
			return;
		}
		got += k;
		snprintf(text, sizeof text, "%zd%s", k, late(began));
		say(said, text);
	}
}

static void transmit(int fd, char *said, int n)
{
	char *b = calloc(1, n);
	if (send(fd, b, n, MSG_NOSIGNAL) < 0)
		say(said, name(errno));
	else
		receive(fd, said, 1);
	free(b);
}

static void *serve(void *unused)
{
	int fd;
	(void)unused;
	while ((fd = accept(listener, NULL, NULL)) < 0)
		say(server_said, name(errno));
	if (up)
		receive(fd, server_said, bytes);
	else
		transmit(fd, server_said, bytes);
	close(fd);
	return NULL;
}

static int failed(const char *text)
{
	puts(text);
	return 0;
}

static int lookup(const char *host)
{
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	char text[INET6_ADDRSTRLEN], all[4096] = "";
	double began = now();
	int e = getaddrinfo(host, "80", &hints, &list);
	const char *slow = late(began);
	if (e == EAI_NONAME)
		return failed("EAI_NONAME");
	if (e == EAI_AGAIN)
		return failed("EAI_AGAIN");
	if (e)
		return failed(gai_strerror(e));
	for (; list; list = list->ai_next) {
		getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
		say(all, text);
	}
	return failed(strcat(all, slow));
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	pthread_t thread;
	double began;
	const char *connected;
	int fd, one = 1;
	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "name"))
		return lookup(argv[2]);
	a.sin_port = htons(atoi(argv[1]));
	up = !strcmp(argv[2], "up");
	bytes = atoi(argv[3]);
	if ((listener = socket(AF_INET, SOCK_STREAM, 0)) < 0)
		return failed(name(errno));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 5))
		return failed(name(errno));
	pthread_create(&thread, NULL, serve, NULL);
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
		return failed(name(errno));
	began = now();
	if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
		printf("connect: %s%s\n", name(errno), late(began));
		return 0;
	}
	connected = late(began);
	if (up)
		transmit(fd, client_said, bytes);
	else
		receive(fd, client_said, bytes);
	close(fd);
	pthread_join(thread, NULL);
	printf("server: %s; client:%s %s\n", server_said, connected, client_said);
	return 0;
}
