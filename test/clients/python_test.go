package clients

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	authlibFlask = &row{
		name: "authlib-flask", version: "1.9.10", quick: true, run: testAuthlibFlask,
		without: map[step]string{backChannel: "has none"},
	}
	msalPython = &row{
		name: "msal-python", version: "1.39.0", run: testMSALPython,
		without: map[step]string{userinfo: "has none", backChannel: "has none"},
	}
	socialDjango = &row{
		name: "social-django", version: "8.0.0", run: testSocialDjango,
		without: map[step]string{signOut: "has none", backChannel: "has none"},
	}
	mozillaDjangoOIDC = &row{
		name: "mozilla-django-oidc", version: "5.0.2", run: testMozillaDjangoOIDC,
		without: map[step]string{backChannel: "has none"},
	}
)

// python is the path of a program of the virtual environment.
func (s *site) python(program string) string { return s.installed("python/bin/" + program) }

// startFlask starts the app.py of the guide.
func (s *site) startFlask() {
	s.t.Helper()
	s.file("app.py")
	s.start(nil, s.python("flask"), "--app", "app", "run", "--port", s.port())
}

func testAuthlibFlask(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.startFlask()

	anna := s.person()
	anna.says(anna.open(s.app+"/login"), "hello Anna, anna@example.com")
	s.saw(signIn)
	anna.says(anna.open(s.app+"/profile"), `"email":"anna@example.com"`)
	s.saw(userinfo)
	anna.says(anna.open(s.app+"/refresh"), "hello Anna")
	anna.says(anna.open(s.app+"/profile"), `"email":"anna@example.com"`) // with the new access token
	s.saw(refresh)
	s.signsOut(anna, anna.open(s.app+"/logout"))

	s.misconfigure(func(b *person) { b.open(s.app + "/login") })
}

func testMSALPython(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.startFlask()

	anna := s.person()
	anna.says(anna.open(s.app+"/login"), "hello Anna, anna@example.com")
	s.saw(signIn)
	old, fresh := anna.open(s.app+"/token"), anna.open(s.app+"/token?fresh")
	for _, p := range []page{old, fresh} {
		if said, err := s.userinfo(p.text); err != nil || said["email"] != "anna@example.com" {
			t.Errorf("the access token is for %v (%v)\n%s", said, err, p.text)
		}
	}
	if old.text == fresh.text {
		t.Error("MSAL has not refreshed")
	}
	s.saw(refresh)
	s.signsOut(anna, anna.open(s.app+"/logout"))

	s.misconfigure(func(b *person) { b.open(s.app + "/login") })
}

// signsOut wants the app and the server to have signed the person out, without a question.
func (s *site) signsOut(b *person, after page) {
	s.t.Helper()
	b.says(after, "nobody is signed in")
	if b.signedIn() {
		s.t.Error("after the sign-out, the session at the server goes on")
	}
	s.saw(signOut)
}

// startDjango starts a site with the files of the guide.
func (s *site) startDjango() {
	s.t.Helper()
	for name := range s.guide.files {
		s.file(name)
	}
	project, err := filepath.Abs("python")
	if err != nil {
		s.t.Fatal(err)
	}
	env := []string{
		"PYTHONPATH=" + project + ":" + s.dir, "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SETTINGS_MODULE=project.settings",
		"SITE_SECRET=" + s.swap("RANDOM_SECRET"),
	}
	migrate := exec.CommandContext(s.t.Context(), s.python("django-admin"), "migrate")
	migrate.Dir, migrate.Env = s.dir, append(migrate.Environ(), env...)
	if output, err := migrate.CombinedOutput(); err != nil {
		s.t.Fatalf("django-admin migrate: %v\n%s", err, output)
	}
	s.start(env, s.python("django-admin"), "runserver", "--noreload", s.listen)
}

func testSocialDjango(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.startDjango()

	signsIn := func(anna *person) page {
		p := anna.open(s.app + "/")
		return anna.on(anna.submit(anna.form(p, "csrfmiddlewaretoken")))
	}
	anna := s.person()
	names := anna.form(anna.open(s.URL+"/settings/name"), "given_name")
	anna.submit(names, "given_name", "Anna", "family_name", "Adams")
	// The user is named by the address, not by an ID.
	anna.says(signsIn(anna), "hello anna@example.com, Anna Adams, anna@example.com")
	s.saw(signIn)
	s.saw(userinfo) // the library takes the profile from there
	p := anna.open(s.app + "/refresh")
	if said, err := s.userinfo(p.text); err != nil || said["email"] != "anna@example.com" {
		t.Errorf("the new access token is for %v (%v)\n%s", said, err, p.text)
	}
	s.saw(refresh)

	// The second sign-in finds the same user.
	anna.says(anna.open(s.app+"/sign-out"), "nobody is signed in")
	anna.says(signsIn(anna), "hello anna@example.com,")

	s.misconfigure(func(b *person) { signsIn(b) })
}

func testMozillaDjangoOIDC(t *testing.T, r *row) {
	s := newSite(t, r)
	s.register()
	s.also("OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS = 900", "OIDC_RENEW_ID_TOKEN_EXPIRY_SECONDS = 1")
	s.swaps["OIDC_RP_CLIENT_SECRET"] = "OIDC_RP_CLIENT_SECRET" // the name of a setting
	s.startDjango()

	anna := s.person()
	anna.says(anna.open(s.app+"/oidc/authenticate/"), "hello anna@example.com,", ", anna@example.com")
	s.saw(signIn)
	s.saw(userinfo) // the library takes the profile from there
	begun := strings.Count(s.Log.String(), `"path":"/oauth2/authorize"`)
	s.until("the site asks again, without a page", func() error {
		anna.says(anna.open(s.app+"/"), "hello anna@example.com")
		if strings.Count(s.Log.String(), `"path":"/oauth2/authorize"`) == begun {
			return errors.New("it has not asked")
		}
		return nil
	})
	if anna.asked != 1 {
		t.Errorf("Anna entered her password %d times", anna.asked)
	}
	s.saw(refresh)
	s.signsOut(anna, anna.submit(anna.form(anna.open(s.app+"/"), "csrfmiddlewaretoken")))

	s.misconfigure(func(b *person) { b.open(s.app + "/oidc/authenticate/") })
}
