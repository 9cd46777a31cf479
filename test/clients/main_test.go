package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

var all = flag.Bool("all", false, "run every client, and print the table")

// common is what all tests share.
var common struct {
	dir     string          // with the program and the certificates
	front   tls.Certificate // of the apps, for localhost
	roots   *x509.CertPool
	bundle  string // the file with the roots, for programs
	twostep string // the program
}

func TestMain(m *testing.M) {
	flag.Parse()
	err := prepare()
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else if code = live.Main(m); *all {
		printTable(os.Stdout)
	}
	chromium.stop()
	os.RemoveAll(common.dir)
	os.Exit(code)
}

// prepare builds the program and makes the private CA that the apps and the servers of the tests belong to.
func prepare() error {
	var err error
	if common.dir, err = os.MkdirTemp("", "twostep-clients-"); err != nil {
		return err
	}
	common.twostep = filepath.Join(common.dir, "twostep")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", common.twostep, "./cmd/twostep")
	build.Dir = "../.." // the program's module, not the one of the tests
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	server := httptest.NewTLSServer(nil)
	server.Close()
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	pems := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	pems = append(pems, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority})...)
	common.roots = x509.NewCertPool()
	common.roots.AppendCertsFromPEM(pems)
	common.bundle = filepath.Join(common.dir, "roots.pem")
	// Programs read them from here. So does the server when it notifies an app of a sign-out.
	return errors.Join(os.WriteFile(common.bundle, pems, 0o600),
		os.Setenv("SSL_CERT_FILE", common.bundle), os.Setenv("SSL_CERT_DIR", common.dir),
		os.Setenv("NODE_EXTRA_CA_CERTS", common.bundle), os.Setenv("REQUESTS_CA_BUNDLE", common.bundle))
}

// newAuthority makes a CA and with it common.front. It returns the certificate of the CA.
func newAuthority() ([]byte, error) {
	parentKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	parent := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of the tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: parent.NotBefore, NotAfter: parent.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authority, err := x509.CreateCertificate(rand.Reader, parent, parent, parentKey.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), parentKey)
	common.front = tls.Certificate{Certificate: [][]byte{signed, authority}, PrivateKey: key}
	return authority, err
}
