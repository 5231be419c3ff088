# Makes a network with a name server of its own, in namespaces of its own (unshare -mnu), and
# runs a command in it as an ordinary user:
#
#	names.sh DIRECTORY SERVER COMMAND...
#
# SERVER is the one that resolv.conf names: 127.0.0.1 or 192.0.2.1. DAEMONS, if set, is the
# path of daemons.py.
set -e
dir=$1 server=$2
shift 2
PATH=$PATH:/usr/sbin:/sbin
hostname box
ip link set lo up
ip link add v0 type veth peer name v1
ip addr add 192.0.2.1/24 dev v0
ip addr add 2001:db8:1::1/64 dev v0 nodad
ip link set v0 up
ip link set v1 up
ip route add default via 192.0.2.2
ip route add default via 2001:db8:1::2
printf 'nameserver %s\nsearch corp.test\n' "$server" >"$dir/resolv.conf"
printf '127.0.0.1 localhost\n192.0.2.99 filed\n' >"$dir/hosts"
printf 'hosts: files dns\n' >"$dir/nsswitch.conf"
for i in $(seq 60); do echo "10.1.0.$i many.test"; done >"$dir/many"
for f in resolv.conf hosts nsswitch.conf; do mount --bind "$dir/$f" "/etc/$f"; done
if [ -n "$DAEMONS" ]; then # sockets of daemons, in a /run of this namespace
	mount -t tmpfs none /run
	python3 "$DAEMONS" listen &
	daemons=$!
	until [ -e /run/listening ]; do kill -0 $daemons && sleep 0.02; done
fi
text=$(printf 'x%.0s' $(seq 200))
# -d: it starts no process for a stream, which could outlive it.
dnsmasq -d -C /dev/null --user=root --pid-file= --no-hosts --no-resolv --local=/test/ --local=/nowhere/ --local=/arpa/ --bind-interfaces --addn-hosts="$dir/many" \
	--listen-address=127.0.0.1,192.0.2.1 --host-record=server.test,192.0.2.80,2001:db8:1::80 --host-record=db.corp.test,192.0.2.66 --host-record=near.test,192.0.2.1 \
	--txt-record="big.test,$text,$text,$text,$text,$text,$text,$text,$text" --txt-record=small.test,hello >"$dir/log" 2>&1 &
server_pid=$!
until dig +short +tries=1 +time=1 @"$server" server.test 2>/dev/null | grep -q 192.0.2.80; do kill -0 $server_pid && sleep 0.02; done
status=0
setpriv --reuid=65534 --regid=65534 --clear-groups "$@" || status=$?
kill $server_pid ${daemons:-}
wait
exit $status
