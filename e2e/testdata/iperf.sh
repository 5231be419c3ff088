# iperf3 with each option that goes to a socket.
# The server closes its listener after each client, were it one that only looks, and says when it has the next.
iperf3 -s -p 5299 --forceflush >log 2>&1 & s=$!
heard=0
ready() {
	for _ in $(seq 100); do
		n=$(grep -c 'Server listening' log)
		[ "$n" -gt $heard ] && break
		sleep 0.05
	done
	heard=$n
}
with() {
	ready
	iperf3 -c "$addr" -p 5299 -n 1M "$@" >out 2>&1
	echo "$* -> $? $(grep -iE 'error|warn|unable' out)"
}
addr=127.0.0.1
with
with -R
with --bidir
with -P 4
with -u -b 200M
with -u -b 200M -R
with -u -b 100M --udp-counters-64bit
with -u -b 100M --dont-fragment
with -Z
with -M 1000
with -N
with -w 100K
with -C reno
with --dscp af11
with -S 0x20
with --cport 40123
with --repeating-payload
with -l 100
with --get-server-output
with --connect-timeout 1000
with -B 127.0.0.1
with --bind-dev lo
with --fq-rate 100M
with -b 50M
with -b 50M/10
with --snd-timeout 1000
with -R --rcv-timeout 1000
with -A 0
addr=::1
with -6
with -6 -L 5
with -6 -u -b 100M
kill $s
