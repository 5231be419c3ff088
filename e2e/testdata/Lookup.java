import java.net.InetAddress;
import java.net.UnknownHostException;

/** Lookup prints the addresses of each name, or the names of each address. */
public class Lookup {
    public static void main(String[] args) {
        for (String arg : args) {
            try {
                if (Character.isDigit(arg.charAt(0)))
                    System.out.println(arg + ": " + InetAddress.getByName(arg).getCanonicalHostName());
                else
                    for (InetAddress a : InetAddress.getAllByName(arg))
                        System.out.println(arg + ": " + a.getHostAddress());
            } catch (UnknownHostException e) {
                System.out.println(arg + ": unknown");
            }
        }
    }
}
