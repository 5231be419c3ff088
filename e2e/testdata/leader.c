/* leader - the first thread of a process ends, with a connection that nobody has
 * accepted. Another thread closes the listener: the connection is reset. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener, c;

/* ended tells whether the first thread has. */
static int ended(void)
{
	char path[64], line[512] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", getpid());
	if (!(f = fopen(path, "r")) || !fgets(line, sizeof line, f))
		exit(2);
	fclose(f);
	return strstr(line, ") Z ") != NULL;
}

static void *second(void *p)
{
	struct pollfd hup = {.fd = c};
	char b[9];
	ssize_t n;

	while (!ended())
		poll(NULL, 0, 1);
	close(listener);
	if (poll(&hup, 1, 10000) != 1)
		printf("no end\n");
	n = recv(c, b, sizeof b, 0);
	printf("recv %zd %s\n", n, n < 0 ? strerror(errno) : "");
	n = recv(c, b, sizeof b, 0);
	printf("recv %zd %s\n", n, n < 0 ? strerror(errno) : "");
	exit(0);
	return p;
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t l = sizeof a;
	pthread_t t;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (listen(listener, 5) < 0 || getsockname(listener, (struct sockaddr *)&a, &l) < 0 ||
	    connect(c, (struct sockaddr *)&a, l) < 0 || pthread_create(&t, NULL, second, NULL))
		return 2;
	pthread_exit(NULL);
}
