//go:build linux

package e2e

import (
	"fmt"
	"testing"
)

// TestSiege asks servers for more at one time than there are descriptors for, theirs or the
// supervisor's. Nobody gets another's answer, and all is well when it is over.
func TestSiege(t *testing.T) {
	need(t, "python3", "python3")
	servers := map[string]string{
		"asyncio": `python3 ` + script(t, "pages.py") + ` 8910 2>/dev/null & server=$!`,
		"node":    `node ` + script(t, "pages.js") + ` 8910 2>/dev/null & server=$!`,
		"nginx": `mkdir -p www; for i in $(seq 0 99); do echo page $i >www/$i; done
cat >nginx.conf <<END
worker_processes 2; daemon off; pid $PWD/nginx.pid; error_log /dev/null crit;
events { worker_connections 512; }
http { access_log off; client_body_temp_path $PWD; proxy_temp_path $PWD; fastcgi_temp_path $PWD; uwsgi_temp_path $PWD; scgi_temp_path $PWD;
 server { listen 127.0.0.1:8910 backlog=200; root $PWD/www; } }
END
nginx -c $PWD/nginx.conf 2>/dev/null & server=$!`,
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "node":
				need(t, "node", "nodejs")
			case "nginx":
				need(t, "nginx", "nginx-light")
			}
			need(t, "nc", "netcat-openbsd")
			for _, n := range []int{80, 250}[:count(1, 2)] {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					twin(t, limited(asUser, n), start+`
until nc -z 127.0.0.1 8910; do sleep 0.02; done
python3 `+script(t, "siege.py")+fmt.Sprintf(` 8910 200 %d
kill $server; wait $server || true`, count(2, 20)))
				})
			}
		})
	}
}
