// Package weir carries the messages of a capture node to and from a Weir coordinator over SQS. It is what somebody plugs in
// at the message center of TiCDC, or of any node in Go: it knows bytes, attributes and the few fields that it has to look at,
// not barriers. docs/ticdc-integration.md says how the two fit together, docs/capture-nodes.md what the messages mean.
//
// A message that was accepted by Enqueue is sent until SQS has it, in order; a message that came is deleted when its handler
// says so, and is not delivered to others meanwhile. Every request has a deadline of its own.
package weir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// SQS is what is used of *sqs.Client.
type SQS interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	DeleteQueue(context.Context, *sqs.DeleteQueueInput, ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error)
}

// Config of a client.
type Config struct {
	// SQS is the queues, for instance sqs.NewFromConfig(...). Region, credentials and endpoint are its own.
	SQS SQS
	// StatusQueueURL and ActionQueuePrefix are outputs of the stack, and in the first line of `weir local --json`.
	StatusQueueURL    string
	ActionQueuePrefix string
	// Node is the id of this node: the attribute `from`. Other nodes must not have it.
	Node string
	// Start is a number that grows with each start of the node, in decimal. Leave it empty for TiCDC's dispatchers: a node
	// that sends it must know lives, and match actions by commitTs, IsSyncPoint and life.
	Start string
	// Encoding of what is sent, and so of what comes. Empty: JSON.
	Encoding Encoding
	// Coordinators, if any are named, are the SenderIds that may send to this node's queues: the unique ids of the roles of
	// maintainer and sweeper, which the stack's output CoordinatorIds names with a comma between. A message of anybody else is
	// deleted, and told to OnError. What stands behind the colon of a SenderId does not count.
	Coordinators []string
	// OnError is told of everything that fails, also of what is tried again. It may be called from several goroutines and must
	// not wait. Nil: nobody is told.
	OnError func(error)
	// QueueLimit is how many messages may wait to be sent before Enqueue waits. 0: 10,000.
	QueueLimit int
	// RequestTimeout is the deadline of a request; a long poll has it on top of its 20 seconds. 0: 10 seconds.
	RequestTimeout time.Duration
}

// Client carries the messages of one node. It is safe for use by several goroutines.
type Client struct {
	config  Config
	times   times
	gate    *gate
	outbox  *outbox
	ended   chan struct{}
	stop    context.CancelFunc
	account string
	region  string
}

// New makes a client and starts to send what is enqueued. Close ends that.
func New(config Config) (*Client, error) {
	if config.Encoding == "" {
		config.Encoding = JSON
	}
	if config.QueueLimit == 0 {
		config.QueueLimit = 10_000
	}
	if config.RequestTimeout == 0 {
		config.RequestTimeout = 10 * time.Second
	}
	switch {
	case config.SQS == nil:
		return nil, errors.New("weir: Config.SQS is missing: an *sqs.Client will do")
	case config.StatusQueueURL == "":
		return nil, errors.New("weir: Config.StatusQueueURL is missing: the stack's output StatusQueueUrl")
	case config.ActionQueuePrefix == "":
		return nil, errors.New("weir: Config.ActionQueuePrefix is missing: the stack's output ActionQueuePrefix")
	case config.Node == "":
		return nil, errors.New("weir: Config.Node is missing: an id of this node that no other has")
	case config.Encoding != JSON && config.Encoding != Protobuf:
		return nil, fmt.Errorf("weir: Config.Encoding is %q: JSON or Protobuf", config.Encoding)
	case config.QueueLimit < 0 || config.RequestTimeout < 0:
		return nil, errors.New("weir: Config.QueueLimit and Config.RequestTimeout cannot be negative")
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		config: config,
		times:  usual,
		gate:   newGate(config.Start == ""),
		outbox: newOutbox(config.QueueLimit),
		ended:  make(chan struct{}),
		stop:   stop,
	}
	c.region, c.account = regionAndAccount(config.StatusQueueURL)
	go func() {
		defer close(c.ended)
		c.sendAll(ctx)
	}()
	return c, nil
}

// Close sends what was enqueued, as long as the context lasts, and takes nothing more. It fails if something was left behind.
func (c *Client) Close(ctx context.Context) error {
	c.outbox.close()
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.stop()
		<-c.ended
	}
	c.stop()
	if left := c.outbox.abandon(); left > 0 {
		return fmt.Errorf("weir: %d messages were not sent: %w", left, context.Cause(ctx))
	}
	return nil
}

// ForgetChangefeed drops what is remembered of a changefeed that this node has nothing to do with any more.
func (c *Client) ForgetChangefeed(high, low uint64) { c.gate.forgetChangefeed(id{high, low}) }

func (c *Client) report(err error) {
	if err != nil && c.config.OnError != nil {
		c.config.OnError(err)
	}
}

// A request with a deadline of its own, tried once: who calls it knows whether to try again.
func once(options *sqs.Options) { options.Retryer = aws.NopRetryer{} }

func (c *Client) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.config.RequestTimeout)
}

// As in https://sqs.eu-central-1.amazonaws.com/123456789012/name. Empty where an endpoint is named otherwise.
func regionAndAccount(url string) (region, account string) {
	_, rest, _ := strings.Cut(url, "://")
	parts := strings.Split(rest, "/")
	if len(parts) >= 3 {
		account = parts[len(parts)-2]
	}
	if labels := strings.Split(parts[0], "."); len(labels) > 2 && labels[0] == "sqs" {
		region = labels[1]
	}
	return region, account
}
