// Command twostep runs the sign-in server and its administration commands.
//
// The server is built with the public packages of this module only, as any other Go program could
// build it. Two things around it are internal: the demo app (internal/demo) and the check of a
// running server (internal/check).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // time zones for machines without them, such as empty containers

	"github.com/alecthomas/kong"
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
		fmt.Fprintf(os.Stderr, "twostep: %v\n", err)
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
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailed
}

type commands struct {
	Serve   serveCommand `cmd:"" help:"Run the sign-in server."`
	Account struct {
		Add     accountAddCommand     `cmd:"" help:"Invite somebody: print a link with which they choose a password."`
		Disable accountDisableCommand `cmd:"" help:"Shut an account: whoever is in is out at once."`
		Enable  accountEnableCommand  `cmd:"" help:"Open a disabled account again."`
		Groups  accountGroupsCommand  `cmd:"" help:"Set the groups of an account, by which apps decide who may use them."`
	} `cmd:"" help:"Accounts."`
	Device struct {
		Forget deviceForgetCommand `cmd:"" help:"End trust in all browsers of an account."`
	} `cmd:"" help:"Trusted browsers."`
	App struct {
		Add    appAddCommand    `cmd:"" help:"Add an app: print its client id, its secret and the addresses that it needs."`
		List   appListCommand   `cmd:"" help:"List all apps, one a line."`
		Show   appShowCommand   `cmd:"" help:"Print all that is known of an app."`
		Set    appSetCommand    `cmd:"" help:"Change an app: what is given replaces what there was."`
		Rotate appRotateCommand `cmd:"" help:"Give an app a new secret."`
		Remove appRemoveCommand `cmd:"" help:"Remove an app, and whatever it was allowed."`
		Secret appSecretCommand `cmd:"" help:"Print a new secret, and its hash for the configuration file."`
	} `cmd:"" help:"Apps that let people sign in here."`
	Guesses struct {
		Forget guessesForgetCommand `cmd:"" help:"Let what strangers have guessed on the whole site count no more: new browsers need no longer code because of it."`
	} `cmd:"" help:"What strangers have guessed."`
	Audit    auditCommand    `cmd:"" help:"List security events: who signed in, what was changed or refused, when and from where."`
	Explain  explainCommand  `cmd:"" help:"Say whether somebody with the right password would be asked for the second step, and why."`
	Odds     oddsCommand     `cmd:"" help:"Print the chance of somebody who knows a password to pass the second step by guessing."`
	Restored restoredCommand `cmd:"" help:"Say that the database was brought back from a backup: everything that was let in, sent or trusted is void."`
	Check    checkCommand    `cmd:"" help:"Say of each sentence that describes the feature whether it is true of a running server."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// console is where a command writes: results to out, the log to err.
type console struct{ out, err io.Writer }

func realMain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	exited := false
	from := &settingSources{lookupEnv: os.LookupEnv}
	parser, err := kong.New(&commands{},
		kong.Name("twostep"),
		kong.Description("A self-hosted sign-in server with 2-Step verification."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ExplicitGroups([]kong.Group{{
			Key:         settingsGroup,
			Title:       "Settings:",
			Description: "Each can stand in the configuration file, in TWOSTEP_… or here; the later one wins.",
		}}),
		kong.Resolvers(from),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(console{out: stdout, err: stderr}, from),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if exited { // --help was printed; kong continues to parse
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	return command.Run()
}

type versionCommand struct{}

// Run prints the version that the Go tool chain has recorded in the program.
func (versionCommand) Run(to console) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without its version")
	}
	_, err := fmt.Fprintf(to.out, "twostep %s %s\n", info.Main.Version, info.GoVersion)
	return err
}
