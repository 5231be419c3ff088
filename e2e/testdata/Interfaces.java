import java.net.*;
import java.util.*;

/** Lists the IPv4 addresses of all interfaces: name, index, address and prefix length. */
class Interfaces {
	public static void main(String[] args) throws Exception {
		for (NetworkInterface i : Collections.list(NetworkInterface.getNetworkInterfaces())) {
			for (InterfaceAddress a : i.getInterfaceAddresses()) {
				if (a.getAddress() instanceof Inet4Address) {
					if (NetworkInterface.getByName(i.getName()).getIndex() != i.getIndex() || !i.isUp() || i.getMTU() < 1280) {
						System.out.println(i + " has MTU " + i.getMTU() + ", up: " + i.isUp());
					}
					System.out.println(i.getName() + " " + i.getIndex() + " " + a.getAddress().getHostAddress() + "/" + a.getNetworkPrefixLength());
				}
			}
		}
	}
}
