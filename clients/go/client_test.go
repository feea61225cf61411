package weir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func waitingFor(key eventKey, lows ...uint64) msg {
	state := append(stateOf(waiting, key), member{3, "BlockTables", msg{}})
	var statuses []msg
	for _, low := range lows {
		statuses = append(statuses, msg{{1, "ID", dispatcher(low)}, {2, "state", state}})
	}
	return msg{{2, "blockStatuses", statuses}}
}

func doneWith(key eventKey, low uint64) msg {
	return msg{{2, "blockStatuses", statusOf(done, key, low)}}
}

// A node as TiCDC's are, without a start: registered, through a barrier, with Write to one and Pass to the other.
func TestABarrierThroughTheCoordinator(t *testing.T) {
	for _, encoding := range []Encoding{JSON, Protobuf} {
		t.Run(string(encoding), func(t *testing.T) {
			t.Parallel()
			n := networkTo(t).node(func(c *Config) { c.Encoding = encoding })
			n.listens()
			n.opens()
			n.registers()
			n.sends(BlockStatus, waitingFor(ddl, 1, 2))
			to, kind, key := n.action()
			if fmt.Sprintln(to, kind, key) != "[1] Write {100 false}\n" {
				t.Fatal(to, kind, key)
			}
			n.sends(BlockStatus, doneWith(ddl, 1))
			_, kind, key = n.action()
			if fmt.Sprintln(kind, key) != "Pass {100 false}\n" {
				t.Fatal(kind, key)
			}
			n.sends(BlockStatus, doneWith(ddl, 2))
			// The barrier is over: the next one gets its Write.
			n.sends(BlockStatus, waitingFor(later, 1, 2))
			_, kind, key = n.action()
			if fmt.Sprintln(kind, key) != "Write {200 false}\n" {
				t.Fatal(kind, key)
			}
		})
	}
}

// A network that loses requests, answers and connections: every message gets through, and no more often than it must.
func TestWhatIsSentGetsThrough(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(c *Config) { c.RequestTimeout = 2 * time.Second })
	// A second client reads what arrives: the status queue is the coordinator's, so another queue stands in for it.
	inbox, err := n.CreateQueue(context.Background(), "inbox-"+number(), QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.config.StatusQueueURL = inbox.URL
	var count atomic.Int32
	net.breaks(func(action string, w http.ResponseWriter, r *http.Request) bool {
		if action != "SendMessageBatch" {
			return false
		}
		switch count.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			panic(http.ErrAbortHandler) // the connection ends without an answer
		case 3:
			net.hangs(r)
		case 4:
			w.Header().Set("X-Amzn-Query-Error", "AccessDenied;Sender")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not yet"}`))
		default:
			return false
		}
		return true
	})
	for index := range 25 {
		message := reportOf(statusOf(done, eventKey{uint64(index + 1), false}, 1)...)
		if err := n.Enqueue(context.Background(), Outgoing{Kind: BlockStatus, Body: message.json()}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 25 && ctx.Err() == nil {
		output, err := n.config.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(inbox.URL), MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range output.Messages {
			got = append(got, *one.Body)
		}
	}
	for index := range 25 {
		if !strings.Contains(strings.Join(got, "\n"), fmt.Sprintf(`"BlockTs":"%d"`, index+1)) {
			t.Errorf("DONE of %d is lost", index+1)
		}
	}
	if len(got) != 25 || len(n.errors) < 4 {
		t.Errorf("%d messages, %d errors told", len(got), len(n.errors))
	}
}

func TestAnEntryThatSQSRefusesDoesNotHoldTheOthers(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(*Config) {})
	var asked atomic.Int32
	net.breaks(func(action string, w http.ResponseWriter, r *http.Request) bool {
		if action != "SendMessageBatch" || asked.Add(1) > 1 {
			return false
		}
		_, _ = w.Write([]byte(`{"Successful":[],"Failed":[{"Id":"0","SenderFault":true,"Code":"InvalidMessageContents","Message":"no"}]}`))
		return true
	})
	report := Outgoing{Kind: BlockStatus, Body: append(msg{{1, "changefeedID", n.feed}}, waitingFor(ddl, 1)...).json()}
	if err := n.Send(context.Background(), report); err == nil || !strings.Contains(err.Error(), "InvalidMessageContents") {
		t.Error(err)
	}
	if err := n.Send(context.Background(), report); err != nil {
		t.Error(err)
	}
}

func TestHeartbeatsWithoutStatusesStayHere(t *testing.T) {
	t.Parallel()
	for _, encoding := range []Encoding{JSON, Protobuf} {
		net := networkTo(t)
		n := net.node(func(c *Config) { c.Encoding = encoding })
		for range 50 {
			n.sends(HeartBeat, msg{{2, "watermark", msg{{1, "checkpointTs", uint64(5)}}}})
		}
		if sent := net.count("SendMessageBatch"); sent != 0 {
			t.Errorf("%s: %d requests", encoding, sent)
		}
		n.sends(HeartBeat, msg{{6, "err", msg{{4, "message", "sink is gone"}}}})
		n.sends(HeartBeat, msg{{4, "statuses", []msg{{{1, "ID", dispatcher(2)}, {2, "componentStatus", enum{1, "Stopped"}}}}}})
		if sent := net.count("SendMessageBatch"); sent != 2 {
			t.Errorf("%s: %d requests, want 2", encoding, sent)
		}
	}
}

// A registration that does not fit into one message: all are accepted, which a node with a start is told.
func TestALargeRegistration(t *testing.T) {
	t.Parallel()
	n := networkTo(t).node(func(c *Config) { c.Encoding, c.Start = Protobuf, number() })
	n.listens()
	n.opens()
	life := member{101, "life", uint64(time.Now().UnixMilli())}
	const count = 6000
	spans := []msg{{{1, "ID", dispatcher(1)}, {3, "span", msg{}}, {5, "checkpointTs", uint64(449779372969249700)}, life}}
	for index := range count {
		key := func(at int) string { return string([]byte{1 + byte(at>>8), byte(at)}) }
		span := msg{{1, "TableID", uint64(100)}}
		if index > 0 {
			span = append(span, member{2, "StartKey", key(index)})
		}
		if index < count-1 {
			span = append(span, member{3, "EndKey", key(index + 1)})
		}
		spans = append(spans, msg{{1, "ID", dispatcher(uint64(index) + 2)}, {2, "SchemaID", uint64(3)}, {3, "span", span}, {5, "checkpointTs", uint64(449779372969249700)}, life})
	}
	n.sends(Registration, msg{{7, "maintainerEpoch", uint64(1)}, {2, "spans", spans}})
	accepted := map[string]bool{}
	limit := time.After(100 * time.Second)
	for len(accepted) < count+1 {
		select {
		case message := <-n.comes:
			if message.Kind != RegistrationResult {
				continue
			}
			var result struct {
				Accepted []struct{ ID goID }
				Refused  []struct{ Reason string }
			}
			if err := json.Unmarshal(message.Body, &result); err != nil || len(result.Refused) > 0 {
				t.Fatalf("%v; %d refused: %.200v", err, len(result.Refused), result.Refused)
			}
			for _, one := range result.Accepted {
				accepted[one.ID.Low] = true
			}
		case <-limit:
			t.Fatalf("%d of %d are accepted", len(accepted), count+1)
		}
	}
}

// Puts a message into a node's queue, as the coordinator does.
func (n *testNode) gets(kind Kind, body msg, more ...string) {
	n.t.Helper()
	attributes := map[string]types.MessageAttributeValue{"type": text(string(kind))}
	for index := 0; index < len(more); index += 2 {
		attributes[more[index]] = text(more[index+1])
	}
	_, err := n.config.SQS.(*sqs.Client).SendMessage(context.Background(), &sqs.SendMessageInput{
		QueueUrl: aws.String(n.queue.URL), MessageBody: aws.String(string(body.json())), MessageAttributes: attributes,
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *testNode) left() string {
	n.t.Helper()
	output, err := n.config.SQS.(*sqs.Client).GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(n.queue.URL), AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return output.Attributes["ApproximateNumberOfMessages"] + "+" + output.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func (n *testNode) untilLeft(want string) {
	n.t.Helper()
	for until := time.Now().Add(30 * time.Second); n.left() != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			n.t.Fatalf("in the queue are %s, want %s", n.left(), want)
		}
	}
}

func TestAMessageIsDeletedWhenItsHandlerIsDone(t *testing.T) {
	t.Parallel()
	n := networkTo(t).node(func(*Config) {})
	n.times.visibility = 2 * time.Second
	var calls atomic.Int32
	release := make(chan struct{})
	stop := n.receives(func(context.Context, Message) error {
		if calls.Add(1) == 1 {
			return errors.New("not yet")
		}
		<-release
		return nil
	})
	n.gets(HeartBeatResponse, responseOf(1, told(toNames(1), actionOf(write, ddl))))
	// It fails once and comes again; then it is worked on for longer than it is invisible, and does not come a third time.
	for until := time.Now().Add(30 * time.Second); calls.Load() < 2 && time.Now().Before(until); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(5 * time.Second)
	if got := calls.Load(); got != 2 || n.left() != "0+1" {
		t.Errorf("%d calls, %s in the queue", got, n.left())
	}
	close(release)
	n.untilLeft("0+0")
	stop()
}

func TestWhatTheNodeMustNotHaveIsDeletedUnseen(t *testing.T) {
	t.Parallel()
	n := networkTo(t).node(func(*Config) {})
	n.listens()
	ctx := context.Background()
	report := reportOf(statusOf(waiting, syncpoint, 1)...)
	if err := n.Send(ctx, Outgoing{Kind: BlockStatus, Body: report.json()}); err != nil {
		t.Fatal(err)
	}
	opening := msg{{1, "changefeedID", aFeed(1)}, {2, "tableTriggerEventDispatcherId", dispatcher(1)}, {5, "maintainerEpoch", uint64(4)},
		{3, "schemas", []msg{{{1, "SchemaID", uint64(3)}}}}}
	if err := n.Send(ctx, Outgoing{Kind: Opening, Body: opening.json(), ReplyQueue: n.queue.Name}); err != nil {
		t.Fatal(err)
	}
	n.gets(HeartBeatResponse, responseOf(4, told(toNames(1), actionOf(pass, ddl))))        // of the other event
	n.gets(HeartBeatResponse, responseOf(3, told(toNames(1), actionOf(pass, syncpoint))))  // of an epoch that is over
	n.gets(HeartBeatResponse, msg{{1, "changefeedID", "nonsense"}})                        // of nobody
	n.gets(HeartBeatResponse, responseOf(4), "encoding", "xml")                            // in no encoding
	n.gets(HeartBeatResponse, responseOf(4, told(toNames(1), actionOf(write, syncpoint)))) // this one
	to, kind, key := n.action()
	if fmt.Sprintln(to, kind, key) != "[1] Write {100 true}\n" {
		t.Error(to, kind, key)
	}
	n.untilLeft("0+0")
	if len(n.comes) != 0 || len(n.errors) != 2 {
		t.Errorf("%d more came, %d errors told", len(n.comes), len(n.errors))
	}
}

func TestOnlyTheCoordinatorIsHeardWhereItIsNamed(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	stranger := net.node(func(c *Config) { c.Coordinators = []string{"AROAEXAMPLE"} })
	stranger.listens()
	stranger.gets(HeartBeatResponse, responseOf(1, told(toNames(1), actionOf(write, ddl))))
	stranger.untilLeft("0+0")
	if len(stranger.comes) != 0 || len(stranger.errors) != 1 {
		t.Errorf("%d came, %d errors told", len(stranger.comes), len(stranger.errors))
	}
}

func TestAPollThatHangsIsMadeAnew(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(c *Config) { c.RequestTimeout = time.Second })
	n.times.poll = time.Second
	var polls atomic.Int32
	net.breaks(func(action string, _ http.ResponseWriter, r *http.Request) bool {
		if action != "ReceiveMessage" || polls.Add(1) > 1 {
			return false
		}
		net.hangs(r)
		return true
	})
	n.listens()
	n.gets(HeartBeatResponse, responseOf(1, told(toNames(1), actionOf(write, ddl))))
	n.action()
	if len(n.errors) == 0 {
		t.Error("nobody was told")
	}
}

func TestAQueueThatIsGoneEndsReceive(t *testing.T) {
	t.Parallel()
	n := networkTo(t).node(func(*Config) {})
	n.times.poll = time.Second
	if err := n.DeleteQueue(context.Background(), n.queue); err != nil {
		t.Fatal(err)
	}
	if err := n.DeleteQueue(context.Background(), n.queue); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := n.Receive(context.Background(), n.queue, func(context.Context, Message) error { return nil }); !errors.Is(err, ErrQueueGone) {
		t.Error(err)
	}
}

func TestAQueueIsEncryptedTaggedAndForTLSOnly(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(*Config) {})
	ctx := context.Background()
	created := ""
	net.breaks(func(action string, _ http.ResponseWriter, r *http.Request) bool {
		if action == "CreateQueue" {
			body, _ := io.ReadAll(r.Body)
			created, r.Body = string(body), io.NopCloser(bytes.NewReader(body))
		}
		return false
	})
	options := QueueOptions{Tags: map[string]string{"team": "replication"}}
	queue, err := n.CreateQueue(ctx, "tagged-"+number(), options)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.CreateQueue(ctx, queue.Name, options); err != nil || again != queue {
		t.Error(again, err)
	}
	client := n.config.SQS.(*sqs.Client)
	tags, err := client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: aws.String(queue.URL)})
	if err != nil || tags.Tags["team"] != "replication" {
		t.Error(tags, err)
	}
	attributes, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(queue.URL), AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := attributes.Attributes["VisibilityTimeout"]; got != "30" {
		t.Errorf("invisible for %q", got)
	}
	// The embedded SQS encrypts nothing, so what was asked for has to do.
	if !strings.Contains(created, `"SqsManagedSseEnabled":"true"`) {
		t.Errorf("not encrypted: %s", created)
	}
	for _, want := range []string{`"Effect":"Deny"`, `"aws:SecureTransport":"false"`, `"sqs:*"`} {
		if policy := attributes.Attributes["Policy"]; !strings.Contains(policy, want) {
			t.Errorf("the policy has no %s: %s", want, policy)
		}
	}
	if _, err := n.CreateQueue(ctx, "with space", QueueOptions{}); err == nil {
		t.Error("a name that SQS refuses")
	}
}

func TestPoliciesNameTheQueue(t *testing.T) {
	for _, one := range []struct{ url, want string }{
		{"https://sqs.eu-central-1.amazonaws.com/123456789012/w-status", "arn:aws:sqs:eu-central-1:123456789012:q"},
		{"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/w-status", "arn:aws-cn:sqs:cn-north-1:123456789012:q"},
		{"https://sqs.us-gov-west-1.amazonaws.com/123456789012/w-status", "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q"},
	} {
		region, account := regionAndAccount(one.url)
		if policy := tlsOnly(region, account, "q"); !strings.Contains(policy, `"Resource":"`+one.want+`"`) {
			t.Errorf("%s: %s", one.url, policy)
		}
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	good := Config{SQS: sqs.New(sqs.Options{}), StatusQueueURL: "http://localhost/0/status", ActionQueuePrefix: "weir-action-", Node: "n1"}
	for _, change := range []func(*Config){
		func(c *Config) { c.SQS = nil }, func(c *Config) { c.StatusQueueURL = "" }, func(c *Config) { c.ActionQueuePrefix = "" },
		func(c *Config) { c.Node = "" }, func(c *Config) { c.Encoding = "xml" }, func(c *Config) { c.QueueLimit = -1 },
	} {
		config := good
		change(&config)
		if _, err := New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
	client, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	body := reportOf(statusOf(waiting, ddl, 1)...).json()
	for _, message := range []Outgoing{
		{Kind: "Hello", Body: body}, {Kind: Registration, Body: body}, {Kind: Opening, Body: body, ReplyQueue: "another"},
		{Kind: Registration, Body: body, ReplyQueue: "weir-action-1", NodeQueue: "else"}, {Kind: BlockStatus, Body: []byte("{")},
		{Kind: BlockStatus, Body: []byte("{}")}, {Kind: HeartBeat, Body: []byte(`{"statuses":7}`)},
	} {
		if err := client.Enqueue(context.Background(), message); err == nil {
			t.Errorf("%+v is taken", message)
		}
	}
	if err := client.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := client.Enqueue(context.Background(), Outgoing{Kind: BlockStatus, Body: body}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestCloseSaysWhatItLeavesBehind(t *testing.T) {
	t.Parallel()
	net := networkTo(t)
	n := net.node(func(*Config) {})
	net.breaks(func(action string, w http.ResponseWriter, _ *http.Request) bool {
		if action == "SendMessageBatch" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return action == "SendMessageBatch"
	})
	sent := make(chan error)
	report := Outgoing{Kind: BlockStatus, Body: reportOf(statusOf(waiting, ddl, 1)...).json()}
	go func() { sent <- n.Send(context.Background(), report) }()
	if err := n.Enqueue(context.Background(), Outgoing{Kind: BlockStatus, Body: reportOf(statusOf(waiting, ddl, 2)...).json()}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); err == nil || !strings.Contains(err.Error(), "2 messages") {
		t.Error(err)
	}
	if err := <-sent; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
