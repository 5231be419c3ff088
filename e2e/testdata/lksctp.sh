# The programs of lksctp-tools, each beside another. It says what is the same each time.
checksctp 2>&1

port=7000
# served runs a command, which is given a port, beside sctp_test's server.
served() {
	port=$((port + 2))
	rm -f server # the last one's says the same
	stdbuf -oL sctp_test -H 127.0.0.1 -P $port -l >server 2>&1 & s=$!
	until_ok grep 'Server: Receiving packets' server
	"$@" >client 2>&1
	echo "$*: status $?"
	until_ok grep SHUTDOWN_COMPLETE server
	kill $s
	wait $s || :
}
tested() { sctp_test -H 127.0.0.1 -P $((port + 1)) -h 127.0.0.1 -p $port -s -c $1 -x 2; }
for size in 0 1 2 3 4 5 -60000; do # 6 is at random
	served tested $size
	echo "$(grep -o 'Data [0-9]* bytes' server | awk '{ n += $2 } END { print n }') bytes"
done
# sctp_status leaves a process behind that says how the association is, for ever.
port=$((port + 2))
rm -f server client
sctp_test -H 127.0.0.1 -P $port -l >server 2>&1 & s=$!
setsid sh -c 'echo $$ >group; exec stdbuf -oL sctp_status "$@"' - -H 127.0.0.1 -P $((port + 1)) -h 127.0.0.1 -p $port -s -x 1 -o 0 >client 2>&1 || :
until_ok grep ESTABLISHED client
kill -- -$(cat group)
kill $s
wait $s || :
echo status: $(grep -o -m 1 ESTABLISHED client)

for style in '' -t; do
	port=$((port + 2))
	rm -f server
	stdbuf -oL sctp_darn -H 127.0.0.1 -B 127.0.0.2 -P $port -l $style >server 2>&1 & s=$!
	until_ok grep listening server
	printf 'hello there\nand again\n' | sctp_darn -H 127.0.0.1 -B 127.0.0.2 -P $((port + 1)) -c 127.0.0.1 -c 127.0.0.2 -p $port -s $style >client 2>&1 || :
	until_ok grep 'No association' server
	kill $s
	wait $s || :
	grep -o 'DATA([1-9].*' server
done

# withsctp has what asks for TCP use SCTP, where nothing is half-closed: the client, which receives after
# its shutdown, is told so.
rm -f server
withsctp tcp-server 7500 >server & s=$!
listening server
withsctp tcp-client 127.0.0.1 7500 'by SCTP' 2>&1 || :
wait $s
cat server
