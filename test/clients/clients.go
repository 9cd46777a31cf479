// Package clients signs people in to other people's software, by the guides in docs/guides/apps.
//
// Each test starts a whole server, installs nothing, and changes nothing in the client: it registers the app with the
// line `twostep app add` of the guide, starts the client with the settings of the guide, and signs a person in with a
// password and a code from an email. `make clients` installs the clients and runs all tests; `make test` runs those
// that cost seconds.
//
// # Add a client
//
//  1. Write docs/guides/apps/NAME.md. The address of Twostep in it is https://signin.example.com, the one of the app
//     https://NAME.example.com, the secret CLIENT_SECRET, and a random secret of the app itself RANDOM_SECRET.
//     The test takes from it the first line that contains `twostep app add`, and each fenced block whose opening line
//     has a file name after the language, as in ```toml oauth2-proxy.cfg.
//  2. Pin the version and install it in tools/clients.sh, below build/clients.
//  3. Write NAME_test.go with a row of the table and its function run, and add the row to the list in clients_test.go.
//     The function opens a site with newSite. site.register runs the line of the guide, site.file and site.env give the
//     settings with the addresses of the test in place of those of the guide, and site.start starts a program. A person
//     is site.person, or site.tab if the client needs JavaScript. site.misconfigure wants the log to name mistakes.
//  4. Call site.saw for each of the steps that the function has checked, and give the reason for each other step in the
//     row. The test fails if a step has neither.
//
// A test must not sleep: site.until waits for what an app does by itself. To see a refresh, call what the app offers
// for it, or let a setting of the app be shorter than in the guide, with site.also.
package clients
