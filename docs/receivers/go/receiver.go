// A receiver for switchhook's callbacks. Go 1.19 or newer, nothing but the standard library.
//
//	SECRET_FILE  a file with the secret; during a rotation two, one a line
//	PROFILE      vos3000 (default) or standard
//	INBOX        a directory this process may write to, on a local disk
//	PORT         8080
//
//	SECRET_FILE=secret INBOX=inbox go run receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	bodyBytesMax = 1 << 20
	window       = 300 * time.Second
)

var harmless = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

type receiver struct {
	standard bool
	keys     [][]byte
	inbox    string
}

func main() {
	profile := os.Getenv("PROFILE")
	if profile == "" {
		profile = "vos3000"
	}
	if profile != "vos3000" && profile != "standard" {
		log.Fatalf("PROFILE is vos3000 or standard, not %s", profile)
	}
	r := &receiver{standard: profile == "standard", inbox: os.Getenv("INBOX")}
	if inbox, err := os.Stat(r.inbox); err != nil || !inbox.IsDir() {
		log.Fatalf("set INBOX to an existing directory, not %q", r.inbox)
	}
	secrets, err := os.ReadFile(os.Getenv("SECRET_FILE"))
	if err != nil {
		log.Fatalf("set SECRET_FILE to a file with the secret of the endpoint: %v", err)
	}
	for _, secret := range strings.Fields(string(secrets)) {
		key := []byte(secret)
		if r.standard && strings.HasPrefix(secret, "whsec_") {
			if key, err = base64.StdEncoding.DecodeString(secret[len("whsec_"):]); err != nil {
				log.Fatal("SECRET_FILE: what follows whsec_ is not Base64")
			}
		}
		r.keys = append(r.keys, key)
	}
	if len(r.keys) == 0 {
		log.Fatal("SECRET_FILE holds no secret")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.HandleFunc("/webhook", r.webhook)
	server := &http.Server{
		Addr:              "127.0.0.1:" + port,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Printf("listening on %s, profile %s", server.Addr, profile)
	log.Fatal(server.ListenAndServe())
}

func (r *receiver) webhook(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, "callbacks come by POST")
		return
	}
	// The raw bytes: a parsed and printed body has another signature.
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, bodyBytesMax))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		refuse(w, http.StatusRequestEntityTooLarge, "too long")
		return
	}
	if err != nil {
		return // The sender broke off.
	}
	if problem := r.whyNot(request.Header, body); problem != "" {
		refuse(w, http.StatusUnauthorized, problem)
		return
	}
	var event struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &event) != nil {
		refuse(w, http.StatusBadRequest, "no callback")
		return
	}
	id := event.ID
	if r.standard {
		id = request.Header.Get("webhook-id")
	}
	if !harmless.MatchString(id) {
		refuse(w, http.StatusBadRequest, "no id")
		return
	}
	isNew, err := r.store(id, body)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "not stored: "+err.Error())
		return
	}
	status := "known"
	if isNew {
		status = "received"
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"status":"`+status+`"}`+"\n")
}

// whyNot tells why it is not to be believed that a holder of a secret sent exactly these bytes, lately;
// nothing if it is.
func (r *receiver) whyNot(headers http.Header, body []byte) string {
	before, given := "", []string{headers.Get("X-VOS3000-Signature")}
	if r.standard {
		sent := headers.Get("webhook-timestamp")
		seconds, err := strconv.ParseInt(sent, 10, 64)
		age := time.Since(time.Unix(seconds, 0))
		if err != nil || age > window || age < -window {
			return "the timestamp is missing or more than 300 s off: compare the clocks"
		}
		before = headers.Get("webhook-id") + "." + sent + "."
		given = strings.Split(headers.Get("webhook-signature"), " ")
	}
	for _, key := range r.keys {
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, before)
		mac.Write(body)
		expected := hex.EncodeToString(mac.Sum(nil))
		if r.standard {
			expected = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		for _, signature := range given {
			// Equal takes the same time wherever two signatures differ.
			if hmac.Equal([]byte(signature), []byte(expected)) {
				return ""
			}
		}
	}
	return "no signature matches: compare the secret and the profile"
}

// store writes the body under its id, durably; false when that id is there already.
func (r *receiver) store(id string, body []byte) (bool, error) {
	file, err := os.CreateTemp(r.inbox, ".unfinished-")
	if err != nil {
		return false, err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(body)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return false, err
	}
	// A link is made whole or not at all, and not where the name is taken: two repeats that come at
	// the same moment are told apart by the file system.
	err = os.Link(file.Name(), filepath.Join(r.inbox, id+".json"))
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	directory, err := os.Open(r.inbox)
	if err != nil {
		return false, err
	}
	defer directory.Close()
	return true, directory.Sync()
}

func refuse(w http.ResponseWriter, status int, text string) {
	log.Printf("callback refused: %d %s", status, text)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}
