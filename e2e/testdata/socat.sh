# A socat that answers each datagram's sender from a process of its own (UDP4-RECVFROM with
# fork). Every client gets its answer, whether it connects its socket or not, and whether or
# not it shuts it down at once.
socat UDP4-RECVFROM:7001,bind=127.0.0.1,fork,reuseaddr EXEC:'tr a-z A-Z' & server=$!
until echo up | socat -T 0.2 - UDP4:127.0.0.1:7001 | grep -q UP; do :; done
for i in 1 2 3 4 5; do
	echo "connected $i" | socat -t3 - UDP4-CONNECT:127.0.0.1:7001 &
	echo "both $i" | socat -t3 - UDP4:127.0.0.1:7001 &
	echo "sendto $i" | socat -t3 - UDP4-SENDTO:127.0.0.1:7001 &
	echo "bound $i" | socat -t3 - UDP4-DATAGRAM:127.0.0.1:7001,bind=127.0.0.1:710$i &
done | sort
kill $server
wait $server 2>/dev/null
echo ended
