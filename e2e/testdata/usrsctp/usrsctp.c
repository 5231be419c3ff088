/*
 * A peer on libusrsctp, whose SCTP travels in UDP (RFC 6951):
 *
 *	usrsctp serve UDP ADDR N               echo what N associations send to port 5000 of the address
 *	usrsctp ask UDP ADDR PORT TO [SIZE]    send messages to a port of an address, in UDP to the port TO, and
 *	                                       compare what comes back
 *
 * UDP is its own UDP port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <usrsctp.h>

enum { most = 1 << 20, messages = 20 };

static unsigned char out[most], in[most];

static void fail(const char *what)
{
	fprintf(stderr, "usrsctp: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Reads an address, of the family that it is of. */
static socklen_t address(struct sockaddr_storage *a, const char *text, int port)
{
	struct sockaddr_in *four = (void *)a;
	struct sockaddr_in6 *six = (void *)a;
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof *four;
	}
	if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
		fail(text);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	return sizeof *six;
}

static struct socket *opened(int family)
{
	int size = 2 * most;
	struct socket *s = usrsctp_socket(family, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (s == NULL)
		fail("socket");
	if (usrsctp_setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ||
	    usrsctp_setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
		fail("buffers");
	int on = 1;
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on) < 0)
		fail("SCTP_RECVRCVINFO");
	return s;
}

/* Sends a message of n bytes. */
static void say(struct socket *s, const void *p, size_t n, int stream, uint32_t ppid)
{
	struct sctp_sndinfo info = { .snd_sid = stream, .snd_ppid = ppid };
	if (usrsctp_sendv(s, p, n, NULL, 0, &info, sizeof info, SCTP_SENDV_SNDINFO, 0) < 0)
		fail("send");
}

/* Receives a whole message; 0 is the end. */
static size_t hear(struct socket *s, struct sctp_rcvinfo *info)
{
	size_t n = 0;
	for (;;) {
		socklen_t length = sizeof *info;
		unsigned int type = 0;
		int flags = 0;
		ssize_t k = usrsctp_recvv(s, in + n, sizeof in - n, NULL, NULL, info, &length, &type, &flags);
		if (k < 0)
			fail("receive");
		n += k;
		if (k == 0 || flags & MSG_EOR)
			return n;
	}
}

static void serve(const char *at, int associations)
{
	struct sockaddr_storage a;
	socklen_t n = address(&a, at, 5000);
	struct socket *l = opened(a.ss_family);
	if (usrsctp_bind(l, (struct sockaddr *)&a, n) < 0 || usrsctp_listen(l, 5) < 0)
		fail("listen");
	puts("listening");
	while (associations-- > 0) {
		struct sctp_rcvinfo info;
		struct socket *s = usrsctp_accept(l, NULL, NULL);
		if (s == NULL)
			fail("accept");
		long bytes = 0, count = 0;
		for (size_t n; (n = hear(s, &info)) > 0; count++, bytes += n)
			say(s, in, n, info.rcv_sid, info.rcv_ppid);
		printf("echoed %ld messages, %ld bytes\n", count, bytes);
		usrsctp_close(s);
	}
	usrsctp_close(l);
}

static void ask(const char *to, int port, int udp, size_t size)
{
	struct sockaddr_storage a;
	socklen_t n = address(&a, to, port);
	struct socket *s = opened(a.ss_family);
	struct sctp_udpencaps e = { .sue_port = htons(udp) };
	e.sue_address.ss_family = a.ss_family;
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &e, sizeof e) < 0)
		fail("SCTP_REMOTE_UDP_ENCAPS_PORT");
	if (usrsctp_connect(s, (struct sockaddr *)&a, n) < 0)
		fail("connect");
	for (int i = 0; i < messages; i++) {
		struct sctp_rcvinfo info = { 0 };
		memset(out, 'a' + i, size);
		say(s, out, size, i % 3, htonl(100 + i));
		size_t got = hear(s, &info);
		if (got != size || memcmp(in, out, size) != 0 || info.rcv_sid != i % 3 || ntohl(info.rcv_ppid) != 100 + i) {
			fprintf(stderr, "usrsctp: the echo of message %d is another: %zu bytes, %02x to %02x, stream %d, PPID %u\n", i, got,
				in[0], in[got > 0 ? got - 1 : 0], info.rcv_sid, ntohl(info.rcv_ppid));
			exit(1);
		}
	}
	usrsctp_close(s);
	printf("%d messages came back\n", messages);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 5)
		return 2;
	usrsctp_init(atoi(argv[2]), NULL, NULL);
	usrsctp_sysctl_set_sctp_blackhole(2);
	if (strcmp(argv[1], "serve") == 0)
		serve(argv[3], atoi(argv[4]));
	else
		ask(argv[3], atoi(argv[4]), atoi(argv[5]), argc > 6 ? atoi(argv[6]) : 1000);
	for (int i = 0; usrsctp_finish() != 0 && i < 1000; i++)
		usleep(10000); /* until the peer has agreed to the end */
	return 0;
}
