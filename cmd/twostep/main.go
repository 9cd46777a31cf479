// Command twostep runs the sign-in server and its administration commands.
//
// The server is built with the public packages of this module only, as any other Go program could
// build it. Two things around it are internal: the demo app (internal/demo) and the check of a
// running server (internal/check).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // time zones for machines without them, such as empty containers

	"github.com/alecthomas/kong"

	"twostep.example/twostep"
)

// Exit codes. They tell scripts whether a retry could succeed.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or a setting is wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal starts a graceful shutdown; the second one ends the process at once.
	context.AfterFunc(ctx, stop)
	err := realMain(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprint(os.Stderr, formatError(err))
	}
	os.Exit(exitCode(err))
}

// usageError is an error in the command line or in the settings.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(usageError)), errors.As(err, new(*twostep.OptionError)):
		return exitUsage
	}
	return exitFailed
}

// packagePrefix matches the names of packages in an error, which mean nothing to an operator.
var packagePrefix = regexp.MustCompile(`(^|: )((twostep|store|seal|delivery|account|client|grant|device|audit|odds|` +
	`outbox|ratelimit|session|signin|forwardauth|check|directory|enroll|webhook): )+`)

// formatError returns one line for each of the joined errors.
func formatError(err error) string {
	var b strings.Builder
	for text := range strings.Lines(err.Error()) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(&b, "twostep: %s\n", packagePrefix.ReplaceAllString(text, "$1"))
		}
	}
	return b.String()
}

// optionSettings are the settings that set the options of the server, to name them in its errors.
var optionSettings = map[string]string{
	"PublicURL": "public_url", "KeyFile": "key_file", "Database": "database", "Site": "site", "HelpMenu": "help.menu",
	"SignUp":    "signup",
	"TrustDays": "trust.days", "TrustNetwork": "trust.network", "TrustBrowser": "trust.browser",
	"TrustedProxies": "trusted_proxies", "ProxySecret": "proxy_secret",
	"GuessOddsOneIn": "odds", "AuditDays": "audit.days", "OperatorSecondStep": "operators.second_step",
	"IdleTimeout": "session.idle", "AbsoluteTimeout": "session.absolute", "SMSGateways": "sms.gateways",
	"Webhooks": "webhook",
}

// nameSetting replaces the name of an option in an error of the server by that of its setting.
func nameSetting(err error) error {
	option := new(twostep.OptionError)
	if key := ""; errors.As(err, &option) {
		if key = optionSettings[option.Option]; key != "" {
			return &twostep.OptionError{Option: key, Err: option.Err}
		}
	}
	return err
}

// commands are all commands. The tag example is shown by --help and in docs/reference/cli.md.
type commands struct {
	serveCommands `embed:""`

	Account struct {
		Add           accountAddCommand           `cmd:"" help:"Invite a person and print a link to choose a password; twostep invite sends it by email" example:"twostep account add anna@example.com --name 'Anna Adams'"`
		List          accountListCommand          `cmd:"" help:"List accounts" example:"twostep account list --search anna"`
		Show          accountShowCommand          `cmd:"" help:"Print an account: its state, methods, devices, sessions, apps and newest events" example:"twostep account show anna@example.com"`
		Rename        accountRenameCommand        `cmd:"" help:"Replace the names of a person" example:"twostep account rename anna@example.com 'Anna Baker'"`
		Groups        accountGroupsCommand        `cmd:"" help:"Replace the groups of an account, which decide what apps it may use" example:"twostep account groups anna@example.com staff wiki.editors"`
		Role          accountRoleCommand          `cmd:"" help:"Change what an account may do on the operators' pages" example:"twostep account role anna@example.com operator"`
		Disable       accountDisableCommand       `cmd:"" help:"Disable an account and end its sessions, tokens and trusted devices" example:"twostep account disable anna@example.com"`
		Enable        accountEnableCommand        `cmd:"" help:"Enable a disabled account" example:"twostep account enable anna@example.com"`
		ResetPassword accountResetPasswordCommand `cmd:"" help:"Send the person a link to choose a new password" example:"twostep account reset-password anna@example.com"`
		ResetMethods  accountResetMethodsCommand  `cmd:"" help:"Remove the verification methods of an account, so that codes by email work, and end its sessions" example:"twostep account reset-methods anna@example.com"`
		DeskCode      accountDeskCodeCommand      `cmd:"" help:"Print a code that replaces the second step once, for a person who is locked out" example:"twostep account desk-code anna@example.com"`
		EndFreeze     accountEndFreezeCommand     `cmd:"" help:"End the freeze of an account and keep the change that somebody wanted to undo" example:"twostep account end-freeze anna@example.com"`
		Export        accountExportCommand        `cmd:"" help:"Print all data of a person as JSON" example:"twostep account export anna@example.com"`
		Remove        accountRemoveCommand        `cmd:"" help:"Delete an account for good" example:"twostep account remove anna@example.com"`
	} `cmd:"" help:"Manage accounts"`
	Invite struct {
		Send   inviteSendCommand   `cmd:"" default:"withargs" help:"Invite people by email, or print the links" example:"twostep invite send anna@example.com --name 'Anna Adams'"`
		List   inviteListCommand   `cmd:"" help:"List invitations and whether people have joined" example:"twostep invite list"`
		Resend inviteResendCommand `cmd:"" help:"Send a new link to an invited person" example:"twostep invite resend anna@example.com"`
		Revoke inviteRevokeCommand `cmd:"" help:"Revoke an invitation" example:"twostep invite revoke anna@example.com"`
	} `cmd:"" help:"Invite people; twostep invite ADDRESS is short for twostep invite send ADDRESS"`
	Session struct {
		List sessionListCommand `cmd:"" help:"List the sessions of an account" example:"twostep session list anna@example.com"`
		End  sessionEndCommand  `cmd:"" help:"End one session or all sessions of an account" example:"twostep session end anna@example.com --all"`
	} `cmd:"" help:"Manage sessions"`
	Device struct {
		Forget deviceForgetCommand `cmd:"" help:"Remove trust from one device or all devices of an account" example:"twostep device forget anna@example.com"`
	} `cmd:"" help:"Manage trusted devices"`
	Key struct {
		Rotate keyRotateCommand `cmd:"" help:"Add a new key at the start of the key file" example:"twostep key rotate --config /etc/twostep/twostep.toml"`
	} `cmd:"" help:"Manage the key file"`
	Mail struct {
		Test mailTestCommand `cmd:"" help:"Send a test message by email" example:"twostep mail test anna@example.com"`
	} `cmd:"" help:"Test emails"`
	Sms struct {
		Test smsTestCommand `cmd:"" help:"Send a test message by SMS" example:"twostep sms test +4915112345678"`
	} `cmd:"" help:"Test text messages"`
	App struct {
		Add               appAddCommand               `cmd:"" help:"Register an app and print its client ID, its secret and the URLs it needs" example:"twostep app add grafana --redirect https://grafana.example.com/login/generic_oauth"`
		List              appListCommand              `cmd:"" help:"List all apps, one per line" example:"twostep app list"`
		Show              appShowCommand              `cmd:"" help:"Print the registration of an app" example:"twostep app show grafana --json"`
		Set               appSetCommand               `cmd:"" help:"Change the registration of an app; an empty value removes a setting" example:"twostep app set grafana --name 'Our Grafana' --group staff"`
		Doctor            appDoctorCommand            `cmd:"" help:"Check what an app needs, and list why its requests were rejected" example:"twostep app doctor grafana"`
		Rotate            appRotateCommand            `cmd:"" help:"Create a new secret for an app" example:"twostep app rotate grafana --keep-old"`
		Remove            appRemoveCommand            `cmd:"" help:"Remove an app with its tokens and the consents for it" example:"twostep app remove grafana"`
		RegistrationToken appRegistrationTokenCommand `cmd:"" help:"Print a token with which apps can register themselves (RFC 7591)" example:"twostep app registration-token --uses 3 --valid 24h"`
		Secret            appSecretCommand            `cmd:"" help:"Print a new client secret and its hash, for an app in the configuration file" example:"twostep app secret"`
	} `cmd:"" help:"Manage the apps that people sign in to"`
	Webhook struct {
		List   webhookListCommand   `cmd:"" help:"List the webhooks and how far their events were delivered" example:"twostep webhook list"`
		Test   webhookTestCommand   `cmd:"" help:"Send a test event to a webhook, and then what waits for it" example:"twostep webhook test crm"`
		Replay webhookReplayCommand `cmd:"" help:"Send the events since a time to a webhook again" example:"twostep webhook replay crm --since 24h"`
	} `cmd:"" help:"Manage the webhooks that get security events"`
	Guesses struct {
		Forget guessesForgetCommand `cmd:"" help:"Reset the site-wide guessing alarm" example:"twostep guesses forget"`
	} `cmd:"" help:"Manage counted guesses"`
	Audit     auditCommand     `cmd:"" help:"List security events: who did what, when and from where" example:"twostep audit --account anna@example.com --since 24h"`
	Explain   explainCommand   `cmd:"" help:"Explain whether a sign-in needs a verification code, and why" example:"twostep explain --account anna@example.com --address 203.0.113.5"`
	Odds      oddsCommand      `cmd:"" help:"Print the chance that someone who knows a password guesses the second step" example:"twostep odds --odds 1/100000"`
	Restored  restoredCommand  `cmd:"" help:"Make everything invalid that a restored backup brought back: sessions, codes, links and trust" example:"twostep restored --config /etc/twostep/twostep.toml"`
	Check     checkCommand     `cmd:"" help:"Run the help page as a test against a running server" example:"twostep check --url http://127.0.0.1:8080"`
	Version   versionCommand   `cmd:"" help:"Print the version" example:"twostep version"`
	Reference referenceCommand `cmd:"" hidden:"" help:"Print a page of docs/reference" example:"twostep reference settings"`
}

// serveCommands is the command that starts often. It is parsed without the others: each of them has all settings too, and
// reading their tags took a third of the time until the first answer.
type serveCommands struct {
	Serve serveCommand `cmd:"" help:"Run the sign-in server" example:"twostep serve --config /etc/twostep/twostep.toml"`
}

// grammar returns the commands among which args names one.
func grammar(args []string) any {
	if len(args) > 0 && args[0] == "serve" {
		return new(serveCommands)
	}
	return new(commands)
}

// console is where a command writes: results to out, the log and questions to err.
type console struct {
	out, err io.Writer
	in       io.Reader // the terminal, for questions; nil: there is none
}

func realMain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	exited := false
	from := &settingSources{lookupEnv: os.LookupEnv}
	parser, err := newParser(
		grammar(args),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.Resolvers(from),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(console{out: stdout, err: stderr, in: terminal()}, from),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if exited { // --help was printed; kong continues to parse
		return nil
	}
	if err != nil {
		return usageError{parseError(err)}
	}
	return nameSetting(command.Run())
}

// newParser returns the parser of a command line with these commands.
func newParser(grammar any, options ...kong.Option) (*kong.Kong, error) {
	parser, err := kong.New(grammar, append([]kong.Option{
		kong.Name("twostep"),
		kong.Description("Run a self-hosted sign-in server with 2-Step verification."),
		kong.ExplicitGroups([]kong.Group{{
			Key:   settingsGroup,
			Title: "Settings:",
			Description: "Set each in the configuration file, in the environment (TWOSTEP_LISTEN) or here. " +
				"The command line overrides the environment, and the environment overrides the file. " +
				"twostep serve --help lists all settings.",
		}}),
		kong.ValueFormatter(formatHelp),
	}, options...)...)
	if err != nil {
		return nil, err
	}
	parser.Model.HelpFlag.Help = "Show this help"
	for _, leaf := range parser.Model.Leaves(false) {
		leaf.Detail = "Example:\n\n    " + exampleOf(leaf)
		if leaf.Name != "serve" {
			hideMostSettings(leaf)
		}
	}
	return parser, nil
}

func exampleOf(leaf *kong.Node) string { return leaf.Tag.Get("example") }

// hideMostSettings leaves in the help of a command only the settings that matter there; it accepts
// all.
func hideMostSettings(leaf *kong.Node) {
	shown := []string{"config", "data", "database"}
	if name := leaf.FullPath(); strings.HasSuffix(name, " add") || strings.HasPrefix(name, "twostep invite") {
		shown = append(shown, "listen", "public-url") // they are in what it prints
	} else if leaf.Name == "odds" {
		shown = []string{"config", "odds"}
	}
	for _, flag := range leaf.Flags {
		if flag.Group != nil && flag.Group.Key == settingsGroup && !slices.Contains(shown, flag.Name) {
			flag.Hidden = true
		}
	}
}

// formatHelp returns the help of a flag or an argument with its allowed words and its default.
func formatHelp(value *kong.Value) string {
	return value.Help + helpDetails(value)
}

func helpDetails(value *kong.Value) string {
	if value.Tag == nil {
		return ""
	}
	var details []string
	words := strings.Split(value.Tag.Get("values"), ",")
	if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(value.Help, word) }) {
		details = append(details, orList(words))
	} else if allowed := value.Tag.Get("allowed"); allowed != "" {
		details = append(details, allowed)
	}
	if standard := cmp.Or(value.Tag.Get("fallback"), value.Default); standard != "" && !value.IsBool() {
		details = append(details, "default: "+standard)
	}
	if len(details) == 0 {
		return ""
	}
	return " (" + strings.Join(details, "; ") + ")"
}

// wrongNumber matches the error of kong for a flag that must be a number.
var wrongNumber = regexp.MustCompile(`^(--[a-z-]+): expected a valid .* int but got (".*")$`)

// parseError returns an error of kong in the words of the other messages.
func parseError(err error) error {
	if parts := wrongNumber.FindStringSubmatch(err.Error()); parts != nil {
		return fmt.Errorf("%s is %s, want a number", parts[1], parts[2])
	}
	name, commands := commandOf(err)
	if strings.HasPrefix(err.Error(), "expected one of ") {
		return fmt.Errorf("a command is missing, want one of %s; see %s --help", strings.Join(commands, ", "), name)
	}
	if typed, ok := strings.CutPrefix(err.Error(), "unexpected argument "); ok && !strings.Contains(typed, "did you mean") {
		if len(commands) > 0 {
			return fmt.Errorf("%s is not a command, want one of %s; see %s --help", typed, strings.Join(commands, ", "), name)
		}
		return fmt.Errorf("unexpected argument %s; see %s --help", typed, name)
	}
	if missing, ok := strings.CutPrefix(err.Error(), "expected "); ok {
		return errors.New("an argument is missing: " + missing + "; see --help")
	}
	return err
}

// commandOf returns the command in which parsing has failed, and the names of the commands below it.
func commandOf(err error) (name string, commands []string) {
	failed, ok := errors.AsType[*kong.ParseError](err)
	if !ok || failed.Context == nil {
		return "twostep", nil
	}
	node := failed.Context.Selected()
	if node == nil {
		node = failed.Context.Model.Node
		for _, step := range failed.Context.Path {
			if step.Command != nil {
				node = step.Command
			}
		}
	}
	for _, child := range node.Children {
		if !child.Hidden {
			commands = append(commands, child.Name)
		}
	}
	return node.FullPath(), commands
}

type versionCommand struct{}

// Run prints the version that the Go tool chain has recorded in the program.
func (versionCommand) Run(to console) error {
	version := programVersion()
	if version == "" {
		return errors.New("the program was built without a version; build it with go build")
	}
	_, err := fmt.Fprintf(to.out, "twostep %s\n", version)
	return err
}

// programVersion returns the version of the program and of Go; "" if the program was built without one.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version + " " + info.GoVersion
}
