/* afterclose - one end of a connection is closed, with nothing unread. The other then
 * sends, by a plain call and by one with an address. Its reset comes after the end of
 * the stream: recv gives 0. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 200 };

static struct sockaddr_in at = {.sin_family = AF_INET};
static socklen_t len = sizeof at;

/* one makes a connection, closes s and sends on c; it returns what poll and recv do. */
static int one(int listener, int shut, int named)
{
	int c = socket(AF_INET, SOCK_STREAM, 0), s, polled, got;
	struct pollfd hup = {.fd = c};
	char b[132] = {0};

	if (connect(c, (struct sockaddr *)&at, len) < 0 || (s = accept(listener, NULL, NULL)) < 0)
		return -1;
	if (shut)
		shutdown(s, SHUT_WR);
	close(s);
	sendto(c, b, sizeof b, MSG_NOSIGNAL, named ? (struct sockaddr *)&at : NULL, named ? len : 0);
	polled = poll(&hup, 1, 5000) == 1;
	got = recv(c, b, sizeof b, MSG_DONTWAIT);
	close(c);
	return polled && got == 0;
}

int main(void)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), good[4] = {0};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listen(listener, 5) < 0 || getsockname(listener, (struct sockaddr *)&at, &len) < 0)
		return 2;
	for (int i = 0; i < 4 * ROUNDS; i++) {
		int ok = one(listener, i & 1, i & 2);
		good[i & 3] += ok;
		if (ok <= 0)
			break; /* each may take the whole of its time */
	}
	for (int i = 0; i < 4; i++)
		printf("shut down %d, named %d: %d of %d\n", i & 1, i >> 1, good[i], ROUNDS);
	return 0;
}
