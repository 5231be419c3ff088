# A socat that answers each datagram's sender from a process of its own (UDP4-RECVFROM with
# fork). Every client gets its answer, whether it connects its socket or not, and whether or
# not it shuts it down at once.
socat UDP4-RECVFROM:7001,bind=127.0.0.1,fork,reuseaddr EXEC:'tr a-z A-Z' & server=$!
until echo up | socat -T 0.2 - UDP4:127.0.0.1:7001 | grep -q UP; do :; done
# ask prints what answers a line sent to an address, and ends its socat as soon as that is there: on a busy
# machine it may take a while.
ask() {
	read -r -t 15 answer < <(exec socat -t15 - "$1" <<<"$2")
	kill $! && echo "$answer"
}
for i in 1 2 3 4 5; do
	ask UDP4-CONNECT:127.0.0.1:7001 "connected $i" &
	ask UDP4:127.0.0.1:7001 "both $i" &
	ask UDP4-SENDTO:127.0.0.1:7001 "sendto $i" &
	ask UDP4-DATAGRAM:127.0.0.1:7001,bind=127.0.0.1:710$i "bound $i" &
done | sort
kill $server
wait $server 2>/dev/null
echo ended
