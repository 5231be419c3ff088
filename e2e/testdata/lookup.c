/* lookup prints the addresses of each name, or the names of each address, as libc finds them. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void forward(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	int e = getaddrinfo(name, "80", &hints, &list);

	if (e) {
		printf("%s: %s\n", name, e == EAI_NONAME ? "no such name" : e == EAI_AGAIN ? "try again" : "other error");
		return;
	}
	for (a = list; a; a = a->ai_next) {
		char host[NI_MAXHOST];

		getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
		printf("%s: %s\n", name, host);
	}
	freeaddrinfo(list);
}

static void backward(const struct sockaddr *sa, socklen_t n, const char *text)
{
	char host[NI_MAXHOST];
	int e = getnameinfo(sa, n, host, sizeof host, NULL, 0, NI_NAMEREQD);

	printf("%s: %s\n", text, e ? "no name" : host);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		struct sockaddr_in v4 = {.sin_family = AF_INET};
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

		if (inet_pton(AF_INET, argv[i], &v4.sin_addr) == 1)
			backward((struct sockaddr *)&v4, sizeof v4, argv[i]);
		else if (inet_pton(AF_INET6, argv[i], &v6.sin6_addr) == 1)
			backward((struct sockaddr *)&v6, sizeof v6, argv[i]);
		else
			forward(argv[i]);
	}
	return 0;
}
