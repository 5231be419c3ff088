// Lists the addresses of all interfaces: name, index, address and prefix length, by
// getifaddrs, if_nameindex and if_nametoindex.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static int bits(const unsigned char *b, int n) {
	int count = 0;
	for (int i = 0; i < n; i++)
		count += __builtin_popcount(b[i]);
	return count;
}

int main(void) {
	struct ifaddrs *list;
	if (getifaddrs(&list)) {
		perror("getifaddrs");
		return 1;
	}
	struct if_nameindex *names = if_nameindex();
	if (!names) {
		perror("if_nameindex");
		return 1;
	}
	for (struct ifaddrs *a = list; a; a = a->ifa_next) {
		char text[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "";
		unsigned index = if_nametoindex(a->ifa_name);
		if (!if_indextoname(index, name) || strcmp(name, a->ifa_name))
			printf("index %u is %s, and not %s\n", index, name, a->ifa_name);
		int known = 0;
		for (struct if_nameindex *n = names; n->if_index; n++)
			known |= n->if_index == index && !strcmp(n->if_name, name);
		if (!known)
			printf("%s is not among the names\n", name);
		if (!a->ifa_addr)
			continue;
		switch (a->ifa_addr->sa_family) {
		case AF_INET: {
			struct sockaddr_in *s = (void *)a->ifa_addr, *m = (void *)a->ifa_netmask;
			printf("%s %u %s/%d\n", a->ifa_name, index, inet_ntop(AF_INET, &s->sin_addr, text, sizeof text), bits((void *)&m->sin_addr, 4));
			break;
		}
		case AF_INET6: {
			struct sockaddr_in6 *s = (void *)a->ifa_addr, *m = (void *)a->ifa_netmask;
			printf("%s %u %s/%d\n", a->ifa_name, index, inet_ntop(AF_INET6, &s->sin6_addr, text, sizeof text), bits((void *)&m->sin6_addr, 16));
			break;
		}
		}
	}
	if_freenameindex(names);
	freeifaddrs(list);
	return 0;
}
