package attack

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// Sixty wrong passwords for one account at the same moment, from one network, at two servers. They are compared three
// times, as if they came one after the other, and the right password has to wait like the fourth.
func TestPasswordGuessesAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	c := newClock() // stands still, so that no delay ends by itself
	url := storetest.NewPostgres(t)
	first := start(t, url, c.set)
	second := start(t, url, c.set, func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	var answers [60]int
	atOnce(len(answers), func(i int) {
		b := []*server{first, second}[i%2].BrowserAt("127.0.5.5")
		answers[i] = b.PostNow("/signin", "email", live.AnnaEmail, "password", "not hers").StatusCode
	})
	n := map[int]int{}
	for _, status := range answers {
		n[status]++
	}
	if n[http.StatusUnprocessableEntity] != 3 || n[http.StatusTooManyRequests] != len(answers)-3 {
		t.Errorf("the answers are %v, want 422 three times and else 429", n)
	}
	if got := first.value("SELECT failures FROM failed_passwords"); got != "3" {
		t.Errorf("%s are counted, want 3", got)
	}
	a := second.BrowserAt("127.0.5.5").PostNow("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
	first.wantStatus(a, http.StatusTooManyRequests)
}

// A client sends a wrong password and hangs up before the answer, or closes its half of the connection. Each password that is compared is counted and
// recorded, whether somebody waits for the answer or not.
func TestHungUpPasswordGuessesAreCounted(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachDatabase(t, func(h *server) {
		body := "email=" + live.AnnaEmail + "&password=not+hers"
		host := strings.TrimPrefix(h.URL, "https://")
		request := "POST /signin HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + h.URL + "\r\n" + form + "\r\n" +
			"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
		atOnce(20, func(i int) {
			conn, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true}) // a server of this test
			if err != nil {
				h.T.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, request); err != nil {
				h.T.Error(err)
			}
			if i%2 == 1 {
				if err := conn.CloseWrite(); err != nil {
					h.T.Error(err)
				}
				_, _ = io.ReadAll(conn) // the server may answer, or not
			}
		})
		compared, counted := h.comparedAndCounted()
		if compared != counted || counted > "3" {
			h.T.Errorf("%s passwords were compared, %s are counted, want the same and at most 3", compared, counted)
		}
	}, c.set)
}

// comparedAndCounted stops listening and returns how many wrong passwords were compared and are counted. The handler of a
// request whose client has gone may still be comparing one that is counted already.
func (h *server) comparedAndCounted() (compared, counted string) {
	h.Stop()
	for late := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		compared = h.value("SELECT count(*) FROM audit_log WHERE kind = 'password.rejected'")
		counted = h.value("SELECT COALESCE(sum(failures), 0) FROM failed_passwords")
		if compared == counted || time.Now().After(late) {
			return compared, counted
		}
	}
}

// An HTTP/2 client sends wrong passwords and cancels each request at once. Each password that is compared is counted.
func TestCancelledPasswordGuessesAreCounted(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		for range 200 {
			ctx, cancel := context.WithCancel(t.Context())
			r := h.request("POST", "/signin", "email="+live.AnnaEmail+"&password=not+hers", form, "Origin: "+h.URL)
			r = r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
				WroteRequest: func(httptrace.WroteRequestInfo) { cancel() },
			}))
			if resp, err := b.Client.Do(r); err == nil {
				resp.Body.Close()
			}
			cancel()
		}
		compared, counted := h.comparedAndCounted()
		if compared != counted || counted > "3" {
			h.T.Errorf("%s passwords were compared, %s are counted, want the same and at most 3", compared, counted)
		}
	}, c.set)
}

// Somebody with the right password begins sign-ins without end. The 61st of an hour from one network is refused before
// its password is compared: a wrong one gets the same answer, so the answer does not tell which is right.
func TestRefusedSignInsAreNotCompared(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachDatabase(t, func(h *server) {
		enter := func(password string) live.Answer {
			return h.BrowserAt("127.0.5.5").PostNow("/signin", "email", live.AnnaEmail, "password", password)
		}
		for range 60 {
			h.wantStatus(enter(live.AnnaPassword), http.StatusSeeOther)
		}
		h.wantStatus(enter(live.AnnaPassword), http.StatusTooManyRequests)
		h.wantStatus(enter("not hers"), http.StatusTooManyRequests)
		if got := h.count("failed_passwords"); got != 0 {
			h.T.Errorf("%d failures are counted, want 0: nothing was compared", got)
		}
	}, c.set)
}
