// Command screenshot makes docs/images/code.png: the code page of the demo, as a person sees it after email and
// password. Run it with make screenshot; it needs chromium.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const image = "docs/images/code.png"

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() (err error) {
	data, err := os.MkdirTemp("", "twostep-screenshot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program := data + "/twostep"
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./cmd/twostep")
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	server := exec.CommandContext(ctx, program, "serve", "--demo", "--listen", "127.0.0.1:0", "--data", data+"/data")
	output, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait()) }()
	email, password, url, err := readStart(output)
	if err != nil {
		return err
	}
	go io.Copy(io.Discard, output)
	picture, err := takePicture(ctx, email, password, url)
	if err != nil {
		return err
	}
	return os.WriteFile("../"+image, picture, 0o644)
}

// readStart reads what the server prints: its demo account and its address.
func readStart(output io.Reader) (email, password, url string, err error) {
	lines := bufio.NewScanner(output)
	for url == "" && lines.Scan() {
		if account, ok := strings.CutPrefix(lines.Text(), "demo account: "); ok {
			email, password, _ = strings.Cut(account, " ")
		}
		if address, ok := strings.CutPrefix(lines.Text(), "Twostep is listening on "); ok {
			url = address
		}
	}
	if email == "" || password == "" || url == "" {
		return "", "", "", fmt.Errorf("the server has not printed its account and address: %w", lines.Err())
	}
	return email, password, url, nil
}

func takePicture(ctx context.Context, email, password, url string) (picture []byte, err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("lang", "en"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, stop = chromedp.NewContext(ctx)
	defer stop()
	err = chromedp.Run(ctx,
		emulation.SetDeviceMetricsOverride(800, 780, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}),
		emulation.SetTimezoneOverride("UTC"),
		chromedp.Navigate(url+"/signin"),
		chromedp.SendKeys(`[name=email]`, email), chromedp.SendKeys(`[name=password]`, password),
		chromedp.Submit(`[name=password]`),
		chromedp.WaitVisible(`[name=code]`),
		chromedp.Sleep(3*time.Second), // until the page shows that the email was sent
		chromedp.CaptureScreenshot(&picture),
	)
	return picture, err
}
