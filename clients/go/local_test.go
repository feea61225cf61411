package weir

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// What `weir local --json` prints in its first line.
type deployment struct {
	Endpoint           struct{ SQS string }
	Region             string
	Credentials        struct{ AccessKeyID, SecretAccessKey string }
	StatusQueueURL     string
	DeadLetterQueueURL string
	ActionQueuePrefix  string
	Coordinators       []string
}

var local *deployment

func TestMain(m *testing.M) {
	code := func() int {
		stop, err := startLocal()
		switch {
		case err == nil:
			defer stop()
		case os.Getenv("WEIR_LOCAL") == "required":
			fmt.Fprintln(os.Stderr, "weir local does not run, and WEIR_LOCAL=required:", err)
			return 1
		default:
			fmt.Fprintln(os.Stderr, "weir local does not run here, its tests are skipped:", err)
		}
		return m.Run()
	}()
	os.Exit(code)
}

// WEIR_LOCAL names a file with what a running `weir local --json` printed. Or it is "required": then one must start here; or "none".
func startLocal() (stop func(), err error) {
	if file := os.Getenv("WEIR_LOCAL"); file == "none" {
		return nil, errors.New("WEIR_LOCAL=none")
	} else if file != "" && file != "required" {
		line, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		local = &deployment{}
		return func() {}, json.Unmarshal(line, local)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	node := filepath.Join(root, "node_modules/.bin/node")
	if _, err := os.Stat(node); err != nil {
		return nil, fmt.Errorf("npm ci in the repository brings it: %w", err)
	}
	command := exec.Command(node, filepath.Join(root, "bin/weir.mjs"), "local", "--json")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	}
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(output).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		local = &deployment{}
		if err := json.Unmarshal([]byte(line), local); err != nil {
			stop()
			return nil, fmt.Errorf("it says %q: %w", line, err)
		}
		return stop, nil
	case <-time.After(2 * time.Minute):
		stop()
		return nil, fmt.Errorf("it said nothing in two minutes")
	}
}

// Queues as nodes reach them, through a network that a test can break.
type network struct {
	t      *testing.T
	server *httptest.Server
	mutex  sync.Mutex
	// Says what becomes of a request to this action of SQS; true: it was answered, or dropped, here.
	broken func(action string, w http.ResponseWriter, r *http.Request) bool
	counts map[string]int
	ended  chan struct{}
}

// A connection that stays open, and silent.
func (n *network) hangs(r *http.Request) {
	// Only a server that has read a request notices that the client has gone.
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-n.ended:
	}
}

func networkTo(t *testing.T) *network {
	t.Helper()
	if local == nil {
		t.Skip("weir local does not run here")
	}
	target, err := url.Parse(local.Endpoint.SQS)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{t: t, counts: map[string]int{}, ended: make(chan struct{})}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
		n.mutex.Lock()
		n.counts[action]++
		broken := n.broken
		n.mutex.Unlock()
		if broken == nil || !broken(action, w, r) {
			// A queue's URL begins with the host that it was created at.
			r.Host = target.Host
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		close(n.ended)
		n.server.CloseClientConnections()
		n.server.Close()
	})
	return n
}

func (n *network) breaks(how func(string, http.ResponseWriter, *http.Request) bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.broken = how
}

func (n *network) count(action string) int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.counts[action]
}

func (n *network) sqs() *sqs.Client {
	return sqs.New(sqs.Options{
		Region: local.Region, BaseEndpoint: aws.String(n.server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(local.Credentials.AccessKeyID, local.Credentials.SecretAccessKey, ""),
	})
}

var numbers = struct {
	sync.Mutex
	next int64
}{next: time.Now().UnixMilli()}

func number() string {
	numbers.Lock()
	defer numbers.Unlock()
	numbers.next++
	return fmt.Sprint(numbers.next)
}

// A node with one queue, whose messages come in a channel.
type testNode struct {
	*Client
	t       *testing.T
	queue   Queue
	errors  chan error
	comes   chan Message
	stopped chan error
	feed    msg
}

func (n *network) node(change func(*Config)) *testNode {
	n.t.Helper()
	node := &testNode{t: n.t, errors: make(chan error, 10_000), comes: make(chan Message, 10_000), stopped: make(chan error, 1)}
	config := Config{
		SQS: n.sqs(), StatusQueueURL: local.StatusQueueURL, ActionQueuePrefix: local.ActionQueuePrefix, Node: "go-" + number(),
		Coordinators: local.Coordinators,
		OnError: func(err error) {
			select {
			case node.errors <- err:
			default:
			}
		},
	}
	change(&config)
	client, err := New(config)
	if err != nil {
		n.t.Fatal(err)
	}
	node.Client = client
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	n.t.Cleanup(cancel)
	n.t.Cleanup(func() {
		limited, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = client.Close(limited)
	})
	if node.queue, err = client.CreateQueue(ctx, config.Node, QueueOptions{}); err != nil {
		n.t.Fatal(err)
	}
	node.feed = msg{{1, "high", uint64(1)}, {2, "low", uint64(time.Now().UnixNano())}, {3, "name", config.Node}, {4, "keyspace", "default"}}
	return node
}

func (n *testNode) receives(handle Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { n.stopped <- n.Receive(ctx, n.queue, handle) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case <-n.stopped:
			case <-time.After(40 * time.Second):
				n.t.Error("Receive does not end")
			}
		})
	}
	n.t.Cleanup(stop)
	return stop
}

func (n *testNode) listens() {
	n.receives(func(_ context.Context, message Message) error {
		n.comes <- message
		return nil
	})
}

func (n *testNode) sends(kind Kind, body msg) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	message := Outgoing{Kind: kind, Body: append(msg{{1, "changefeedID", n.feed}}, body...).in(n.config.Encoding)}
	if kind == Opening || kind == Registration {
		message.ReplyQueue = n.queue.Name
	}
	if err := n.Send(ctx, message); err != nil {
		n.t.Fatal(err)
	}
}

func (n *testNode) opens() {
	n.t.Helper()
	n.sends(Opening, msg{{2, "tableTriggerEventDispatcherId", dispatcher(1)}, {5, "maintainerEpoch", uint64(1)},
		{3, "schemas", []msg{{{1, "SchemaID", uint64(3)}, {2, "SchemaName", "shop"}, {3, "Tables", []msg{{{1, "TableID", uint64(100)}, {2, "TableName", "orders"}}}}}}}})
}

func (n *testNode) registers() {
	n.t.Helper()
	n.sends(Registration, msg{{7, "maintainerEpoch", uint64(1)}, {2, "spans", []msg{
		{{1, "ID", dispatcher(1)}, {3, "span", msg{}}, {5, "checkpointTs", uint64(50)}},
		{{1, "ID", dispatcher(2)}, {2, "SchemaID", uint64(3)}, {3, "span", msg{{1, "TableID", uint64(100)}}}, {5, "checkpointTs", uint64(50)}},
	}}})
}

// The next action; what else comes is let go by.
func (n *testNode) action() (to []uint64, kind string, key eventKey) {
	n.t.Helper()
	limit := time.After(50 * time.Second)
	for {
		select {
		case message := <-n.comes:
			if message.Kind != HeartBeatResponse {
				continue
			}
			for _, status := range readDocument(message.Encoding, message.Body).list(fDispatcherStatuses) {
				action := status.message(fAction)
				if action == nil {
					continue
				}
				for _, one := range status.message(fInfluenced).list(fInfluencedIDs) {
					got, _ := idOf(one)
					to = append(to, got.low)
				}
				kinds := field{number: 1, name: "action", values: []string{"Write", "Pass"}}
				return to, kinds.values[action.number(kinds)], eventKey{action.number(fActionCommitTs), action.flag(fActionSync)}
			}
		case <-limit:
			n.t.Fatalf("no action came in 50 s; dead letters: %v", n.deadLetters())
		}
	}
}

// What the coordinator did not understand of this node, with the reason.
func (n *testNode) deadLetters() (reasons []string) {
	output, err := n.config.SQS.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(local.DeadLetterQueueURL), MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return []string{err.Error()}
	}
	for _, one := range output.Messages {
		reasons = append(reasons, aws.ToString(one.MessageAttributes["reason"].StringValue))
	}
	return reasons
}
