//go:build linux

package e2e

import (
	"fmt"
	"os"
	"testing"

	"usock/internal/freeport"
)

// sshd is a script that makes the keys host and user, and sshd.conf, by which root logs in with the latter at the port of 127.0.0.1.
// The configuration has more besides.
func sshd(port, more string) string {
	return `ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f user
cat >sshd.conf <<END
Port ` + port + `
ListenAddress 127.0.0.1
HostKey $PWD/host
AuthorizedKeysFile $PWD/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
` + more + `END
mkdir -p /run/sshd
`
}

// TestSSH has ssh do what it can, from sshd on the same host: commands, scp, sftp, many logins at once, forwarding each way and by SOCKS,
// and sessions that share a connection. By SHLVL the user's shell does not read what it has for itself, which may be much.
func TestSSH(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("sshd logs users in: root runs it")
	}
	t.Parallel()
	need(t, "sshd", "openssh-server")
	need(t, "ssh", "openssh-client")
	need(t, "socat", "socat")
	need(t, "nc", "netcat-openbsd")
	ports := ""
	for _, name := range []string{"port", "served", "local", "remote", "socks", "late"} {
		ports += fmt.Sprintf("%s=%d\n", name, freeport.Get(t))
	}
	twin(t, asRoot, ports+sshd("$port", "ListenAddress ::1\nSetEnv SHLVL=2\nSubsystem sftp internal-sftp\n")+`/usr/sbin/sshd -D -e -f $PWD/sshd.conf 2>log & servers=$!
until_ok grep -q 'Server listening on 127' log
options="-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i user"
to() { ssh $options -p $port root@127.0.0.1 "$@"; }
head -c 3000000 /dev/urandom >big
same() { cmp "$1" big && echo "$2 same"; }

to 'echo over ssh; cat >&2; exit 7' <big 2>back || echo "status $?"
same back echo
ssh $options -p $port root@::1 'echo by IPv6: ${SSH_CONNECTION%% *}'
scp -q $options -P $port big root@127.0.0.1:$PWD/copied
same copied scp
for i in 1 2; do to echo login $i >login.$i & logins="$logins $!"; done
wait $logins
cat login.*

socat -U TCP-LISTEN:$served,bind=127.0.0.1,reuseaddr,fork OPEN:big 2>/dev/null & servers="$servers $!"
ssh -f -N -M -S ctl $options -p $port -L $local:127.0.0.1:$served -R 127.0.0.1:$remote:127.0.0.1:$served -D $socks -o ExitOnForwardFailure=yes root@127.0.0.1
on() { ssh -S ctl $options "$@" none 2>&1 | tr -d '\r'; }
on -O check | sed 's/=[0-9]*/=PID/'
fetch() { nc "$@" </dev/null >fetched; }
until_ok nc -z 127.0.0.1 $served
fetch 127.0.0.1 $local && same fetched -L
fetch ::1 $local && same fetched '-L by IPv6'
fetch 127.0.0.1 $remote && same fetched -R
fetch -X 5 -x 127.0.0.1:$socks 127.0.0.1 $served && same fetched -D
fetch -X 5 -x 127.0.0.1:$socks 127.0.0.1 1 2>/dev/null || echo "-D to nobody: $?"
on -O forward -L $late:127.0.0.1:$served
fetch 127.0.0.1 $late && same fetched 'a late -L'
on -O cancel -L $late:127.0.0.1:$served
fetch 127.0.0.1 $late || echo "a cancelled one: $?"
printf 'put big there\nrename there here\nget here sent\nls -1 here\n' | sftp -q -b - -o ControlPath=ctl $options -P $port root@127.0.0.1:$PWD | sed "s,$PWD,PWD,"
same sent sftp
for i in 1 2; do ssh -S ctl $options none echo session $i >session.$i & sessions="$sessions $!"; done
wait $sessions
cat session.*
on -O exit
until_ok test ! -e ctl
kill $servers
`)
}
