//go:build linux

package e2e

import (
	"strings"
	"testing"
)

const nginxConf = `cat >nginx.conf <<END
worker_processes 2; daemon off; pid $PWD/nginx.pid; error_log $PWD/error.log;
events { worker_connections 512; }
http {
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
  server {
    listen 8080 %s; listen [::]:8080; root $PWD/www;
    location /proxied/ { proxy_pass http://127.0.0.1:8080/; }
  }
}
END
mkdir www; head -c 3000000 /dev/urandom >www/big; echo small >www/small
nginx -c $PWD/nginx.conf 2>/dev/null & server=$!
until_ok curl -sf http://127.0.0.1:8080/small
`

func testNginx(t *testing.T, listen string) {
	need(t, "nginx", "nginx-light")
	need(t, "curl", "curl")
	passes(t, strings.ReplaceAll(nginxConf, "%s", listen)+`
curl -sf http://127.0.0.1:8080/big | cmp - www/big
curl -sf http://localhost:8080/proxied/big | cmp - www/big
curl -sf 'http://[::1]:8080/small'
for i in 1 2 3 4 5 6 7 8 9 10; do curl -sf http://127.0.0.1:8080/big -o out$i & all="$all $!"; done
for p in $all; do wait $p; done
for i in 1 2 3 4 5 6 7 8 9 10; do cmp out$i www/big; done
kill -HUP $(cat nginx.pid)
curl -sf http://127.0.0.1:8080/small
kill $(cat nginx.pid)
wait $server
! curl -s http://127.0.0.1:8080/small
echo refused after the end`, "small", "refused after the end")
}

func TestNginx(t *testing.T)          { testNginx(t, "") }
func TestNginxReuseport(t *testing.T) { testNginx(t, "reuseport") }

func TestRedis(t *testing.T) {
	t.Parallel()
	need(t, "redis-server", "redis-server")
	need(t, "redis-benchmark", "redis-tools")
	passes(t, `redis-server --port 6399 --save '' >/dev/null & server=$!
until_ok redis-cli -p 6399 ping
redis-benchmark -p 6399 -n 5000 -c 50 -q -t ping,set,get,lrange_100 >/dev/null
redis-cli -p 6399 set key value
redis-cli -p 6399 get key
redis-cli -p 6399 shutdown nosave || true
wait $server`, "OK", "value")
}

func testIperf(t *testing.T, flags string) {
	need(t, "iperf3", "iperf3")
	passes(t, `iperf3 -s -1 --forceflush >log & server=$!
listening log
iperf3 -c 127.0.0.1 -t 1 `+flags+`
wait $server`, "iperf Done")
}

func TestIperfOptions(t *testing.T) {
	need(t, "iperf3", "iperf3")
	w := asUser
	w.limit = 3 * twinLimit
	twin(t, w, "bash "+script(t, "iperf.sh"))
}

func TestIperfTCP(t *testing.T)         { testIperf(t, "") }
func TestIperfTCPReverse(t *testing.T)  { testIperf(t, "-R") }
func TestIperfTCPParallel(t *testing.T) { testIperf(t, "-P 8 --bidir") }
func TestIperfUDP(t *testing.T)         { testIperf(t, "-u -b 50M") }
func TestIperfUDPReverse(t *testing.T)  { testIperf(t, "-u -b 50M -R") }

func TestSocat(t *testing.T) {
	need(t, "socat", "socat")
	passes(t, `socat TCP-LISTEN:7000,fork,reuseaddr EXEC:cat &
for i in 1 2 3; do echo "tcp $i" | socat - TCP:127.0.0.1:7000,retry=100,interval=0.02; done
socat TCP6-LISTEN:7001,fork EXEC:cat &
echo six | socat - 'TCP6:[::1]:7001,retry=100,interval=0.02'
head -c 1000000 /dev/urandom >data
socat -t 5 - TCP:127.0.0.1:7000 <data | cmp - data
socat UDP-RECVFROM:7002,fork EXEC:cat &
until echo udp | socat -T 0.2 - UDP:127.0.0.1:7002 | grep udp; do :; done`, "tcp 3", "six", "udp")
}

func TestNetcat(t *testing.T) {
	need(t, "nc", "netcat-openbsd")
	passes(t, `head -c 1000000 /dev/urandom >data
nc -l 7001 >got & server=$!
until nc -N 127.0.0.1 7001 <data; do sleep 0.02; done
wait $server
cmp data got
! nc -z 127.0.0.1 7001
echo refused`, "refused")
}
