package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A server in local mode stands behind a proxy with nothing but its address in the configuration. The proxy publishes
// neither the inbox nor any other page.
func TestLocalModeBehindProxies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(ends) string{
		"nginx": func(e ends) string {
			port := freePort(e)
			e.write("nginx.conf", "daemon off;\nuser root;\npid nginx.pid;\nevents {}\nhttp {\n\taccess_log off;\n"+
				"\tclient_body_temp_path a;\n\tproxy_temp_path b;\n\tfastcgi_temp_path c;\n\tuwsgi_temp_path d;\n\tscgi_temp_path e;\n"+
				"\tserver { listen 127.0.0.1:"+port+"; location / { proxy_pass http://"+e.server+"; } }\n}\n")
			return e.run(port, "nginx", "-p", e.dir, "-e", "stderr", "-c", "nginx.conf")
		},
		"caddy": func(e ends) string {
			port := freePort(e)
			e.write("Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\nhttp://127.0.0.1:"+port+" {\n\treverse_proxy "+e.server+"\n}\n")
			return e.run(port, "caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(e.dir, "Caddyfile"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, inboxPath := startLocal(t)
			address := start(ends{TB: t, dir: t.TempDir(), server: strings.TrimPrefix(url, "http://")})
			for _, path := range []string{"/inbox", "/inbox/x/text", inboxPath, "/signin", "/", "/oauth2/jwks"} {
				resp, err := http.Get("http://" + address + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "public_url") {
					t.Errorf("%s: %d, %v\n%s", path, resp.StatusCode, err, body)
				}
			}
		})
	}
}
