import com.sun.net.httpserver.HttpServer;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Java's sockets, its HTTP server and client, and datagrams. */
public class Net {
	public static void main(String[] args) throws Exception {
		stream();
		http();
		datagram();
		System.exit(0);
	}

	static void stream() throws Exception {
		ServerSocket listener = new ServerSocket(0);
		Thread echo = new Thread(() -> {
			try (Socket s = listener.accept()) {
				s.getInputStream().transferTo(s.getOutputStream());
			} catch (Exception e) {
				e.printStackTrace();
			}
		});
		echo.start();
		try (Socket s = new Socket("localhost", listener.getLocalPort())) {
			s.getOutputStream().write("hello over a stream".getBytes());
			s.shutdownOutput();
			System.out.println(new String(s.getInputStream().readAllBytes()));
		}
		echo.join();
	}

	static void http() throws Exception {
		byte[] body = "hello over HTTP".getBytes();
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
		server.createContext("/", x -> {
			x.sendResponseHeaders(200, body.length);
			x.getResponseBody().write(body);
			x.close();
		});
		server.start();
		URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
		System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body());
		server.stop(0);
	}

	static void datagram() throws Exception {
		byte[] text = "hello in a datagram".getBytes();
		try (DatagramSocket to = new DatagramSocket(0, InetAddress.getLoopbackAddress()); DatagramSocket from = new DatagramSocket()) {
			from.send(new DatagramPacket(text, text.length, to.getLocalSocketAddress()));
			DatagramPacket p = new DatagramPacket(new byte[100], 100);
			to.receive(p);
			System.out.println(new String(p.getData(), 0, p.getLength()));
		}
	}
}
