package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/render"
)

const (
	// appsPerPage is how many apps a page shows.
	appsPerPage = 25
	// valuesShown is how many values of a field of an app a page shows: an app can have any number of redirect URLs.
	valuesShown = 10
	// rejectionsShown is how many reasons the page of an app shows why its requests were rejected.
	rejectionsShown = 5
	// peopleCounted is up to how many people of an app are counted.
	peopleCounted = 10_000
)

// appRoutes are the routes of the pages about apps.
func (s *Handlers) appRoutes() []render.Route {
	return []render.Route{
		s.withRole("GET /admin/apps", exporters, s.showApps),
		s.withRole("GET /admin/apps/{id}", exporters, s.showApp),
		s.withRole("GET /admin/apps/{id}/people", exporters, s.showAppPeople),
		// An app can have the ID new.
		s.withRole("GET /admin/new-app", operatorsOnly, s.showAddApp),
		s.withRole("POST /admin/new-app", operatorsOnly, s.handleAddApp),
		s.withRole("GET /admin/apps/{id}/edit", operatorsOnly, s.showEditApp),
		s.withRole("POST /admin/apps/{id}/edit", operatorsOnly, s.handleEditApp),
		s.withRole("GET /admin/apps/{id}/rotate", operatorsOnly, s.showRotateApp),
		s.withRole("POST /admin/apps/{id}/rotate", operatorsOnly, s.handleRotateApp),
		s.withRole("GET /admin/apps/{id}/end-old", operatorsOnly, s.showEndOldSecret),
		s.withRole("POST /admin/apps/{id}/end-old", operatorsOnly, s.handleEndOldSecret),
		s.withRole("GET /admin/apps/{id}/remove", operatorsOnly, s.showRemoveApp),
		s.withRole("POST /admin/apps/{id}/remove", operatorsOnly, s.handleRemoveApp),
	}
}

func (s *Handlers) clients() *client.Clients { return s.Grants.Clients }

// app is a registered app, as the pages show it.
type app struct {
	client.Client
	Fixed    bool      // it is in the configuration file
	LastUsed time.Time // zero: never
}

// Auth is the text key of how the app authenticates.
func (a app) Auth() string {
	if len(a.SecretHashes) > 1 {
		return "admin.app.secrets"
	}
	return "admin.app." + a.AuthMethod()
}

// Where is the first address of the app, for the list.
func (a app) Where() string {
	for _, list := range [][]string{a.Hosts, a.RedirectURIs} {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// matches reports whether the ID, the name or an address has the text, which is in lower case.
func (a app) matches(text string) bool {
	has := func(one string) bool { return strings.Contains(strings.ToLower(one), text) }
	return has(a.ID) || has(a.Name) || slices.ContainsFunc(a.Hosts, has) || slices.ContainsFunc(a.RedirectURIs, has)
}

type appsPage struct {
	frame
	Search string
	Apps   []app
	First  string // the URL of the first page; "": this is it
	Next   string // the URL of the next page; "": there is none
	MayAdd bool
}

// showApps lists apps by their IDs.
func (s *Handlers) showApps(w http.ResponseWriter, r *http.Request, who operator) error {
	sent := r.URL.Query()
	search, after := strings.TrimSpace(sent.Get("q")), sent.Get("after")
	all, err := s.clients().List(r.Context())
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b client.Client) int { return strings.Compare(a.ID, b.ID) })
	query := url.Values{}
	if search != "" {
		query.Set("q", search)
	}
	p := appsPage{frame: who.frame(r, "apps"), Search: search, MayAdd: who.may(operatorsOnly)}
	if after != "" {
		p.First = address("/admin/apps", query)
	}
	for _, cl := range all {
		one := app{Client: cl}
		if cl.ID <= after || !one.matches(strings.ToLower(search)) {
			continue
		}
		if len(p.Apps) == appsPerPage {
			query.Set("after", p.Apps[appsPerPage-1].ID)
			p.Next = address("/admin/apps", query)
			break
		}
		if one, err = s.describeApp(r.Context(), cl); err != nil {
			return err
		}
		p.Apps = append(p.Apps, one)
	}
	return s.Pages.Render(w, r, newView("apps", "admin.apps.title", p))
}

func (s *Handlers) describeApp(ctx context.Context, cl client.Client) (app, error) {
	at, err := s.clients().LastUse(ctx, cl.ID)
	return app{cl, s.clients().IsStatic(cl.ID), at}, err
}

// app returns the app of a request, or render.ErrNotFound.
func (s *Handlers) app(r *http.Request) (app, error) {
	id := r.PathValue("id")
	if client.IsDocumentID(id) { // nobody has registered it
		return app{}, render.ErrNotFound
	}
	cl, err := s.clients().Get(r.Context(), id)
	if errors.Is(err, client.ErrNotFound) {
		return app{}, render.ErrNotFound
	}
	if err != nil {
		return app{}, err
	}
	return s.describeApp(r.Context(), cl)
}

// changeableApp is app for a change. It returns render.ErrNotFound for an app of the configuration file too.
func (s *Handlers) changeableApp(r *http.Request) (app, error) {
	a, err := s.app(r)
	if err == nil && a.Fixed {
		err = render.ErrNotFound
	}
	return a, err
}

type appPage struct {
	frame
	app
	Fields     []appValue
	Rejections []client.Rejection
	MayChange  bool
	MayRotate  bool
	MayEndOld  bool
}

// appValue is a field of an app with its values.
type appValue struct {
	Key    string // text key of the label
	Values []string
	More   int // how many values are not shown
	Yes    bool
}

// newAppValue returns the field of an app by its JSON name; ok is false if it has no value.
func newAppValue(cl client.Client, name string) (v appValue, ok bool) {
	v = appValue{Key: "admin.app.f." + name, Values: cl.Typed(name)}
	for _, f := range appFields() {
		if f.name == name && f.kind == kindBool {
			v.Yes = len(v.Values) > 0
			return v, v.Yes
		}
	}
	if name == "keys" && len(v.Values) > 0 {
		v.Values = []string{"JWK set"}
	}
	if rest := len(v.Values) - valuesShown; rest > 0 {
		v.Values, v.More = v.Values[:valuesShown], rest
	}
	return v, len(v.Values) > 0
}

// showApp shows everything about an app except its secrets.
func (s *Handlers) showApp(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.app(r)
	if err != nil {
		return err
	}
	may := who.may(operatorsOnly) && !a.Fixed
	p := appPage{
		frame: who.frame(r, "apps"), app: a, MayChange: may, MayRotate: may && len(a.SecretHashes) > 0,
		MayEndOld: may && len(a.SecretHashes) > 1,
	}
	for _, f := range appFields() {
		if f.name == "id" || f.name == "name" || f.name == "public" {
			continue
		}
		if v, ok := newAppValue(a.Client, f.name); ok {
			p.Fields = append(p.Fields, v)
		}
	}
	list, err := s.clients().ListRejections(r.Context(), a.ID)
	if err != nil {
		return err
	}
	for _, one := range list[:min(len(list), rejectionsShown)] {
		one.Reason, one.Remedy = shorten(one.Reason), shorten(one.Remedy) // they name all redirect URLs
		p.Rejections = append(p.Rejections, one)
	}
	view := newView("app", "", p)
	view.TitleText = a.DisplayName()
	return s.Pages.Render(w, r, view)
}

// shorten returns the beginning of a long text.
func shorten(text string) string {
	const longest = 300
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

type appPeoplePage struct {
	frame
	app
	People      []client.Person
	First, Next string // URLs; "": there is none
}

// showAppPeople lists the people who use an app.
func (s *Handlers) showAppPeople(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.app(r)
	if err != nil {
		return err
	}
	after, path := r.URL.Query().Get("after"), "/admin/apps/"+a.ID+"/people"
	list, err := s.clients().ListPeople(r.Context(), a.ID, after, peoplePerPage+1)
	if err != nil {
		return err
	}
	p := appPeoplePage{frame: who.frame(r, "apps"), app: a, People: list}
	if len(list) > peoplePerPage {
		p.People = list[:peoplePerPage]
		p.Next = address(path, url.Values{"after": {list[peoplePerPage-1].AccountID}})
	}
	if after != "" {
		p.First = path
	}
	return s.Pages.Render(w, r, newView("app_people", "admin.apppeople.title", p))
}
