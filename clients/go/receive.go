package weir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// How long what may take.
type times struct {
	poll, visibility time.Duration
	// How long handlers may still run after the context of Receive has ended.
	grace time.Duration
}

var usual = times{poll: 20 * time.Second, visibility: 30 * time.Second, grace: 30 * time.Second}

const (
	// Messages of one poll.
	most = 10
	// Handlers that run at a time, for each queue.
	handlers       = 64
	deleteAttempts = 5
)

// ErrQueueGone ends Receive when the queue does not exist any more. Create it again, and register all dispatchers on it again.
var ErrQueueGone = errors.New("the action queue does not exist")

// Handler gets a message. Nil: all that it brings about has happened, or is kept where it survives the process; the message is
// deleted. An error: the message stays in the queue and comes again. It may run for long: the message is nobody else's
// meanwhile. Several run at a time, and SQS delivers twice and in any order.
type Handler func(context.Context, Message) error

// Receive takes messages out of a queue and hands them to the handler, until the context ends (then it returns nil, when the
// handlers that run have ended, or after 30 seconds) or the queue is gone (ErrQueueGone). Anything else is told to OnError and tried
// again.
//
// What this node must not have is deleted and not handed over: messages of an epoch that is over and, unless Config.Start is set,
// actions that a node which compares nothing but the commitTs would take for another event's.
func (c *Client) Receive(ctx context.Context, queue Queue, handle Handler) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	slots := make(chan struct{}, handlers)
	err := c.poll(ctx, queue, slots, func(received types.Message) {
		running.Add(1)
		go func() {
			defer func() { <-slots; running.Done() }()
			c.take(working, queue, received, handle)
		}()
	})
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(c.times.grace):
		cancel()
		c.report(fmt.Errorf("weir: handlers of queue %s still run %v after the end; their messages stay in the queue", queue.Name, c.times.grace))
	}
	return err
}

func (c *Client) poll(ctx context.Context, queue Queue, slots chan struct{}, take func(types.Message)) error {
	for attempt := 0; ; {
		// Nothing is taken that would have to wait for a handler while its visibility runs out.
		for range most {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
		}
		messages, err := c.pollOnce(ctx, queue)
		for range most - len(messages) {
			<-slots
		}
		for _, one := range messages {
			take(one)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			attempt = 0
		case isGone(err):
			return fmt.Errorf("weir: queue %s: %w: %w", queue.Name, ErrQueueGone, err)
		default:
			attempt++
			c.report(fmt.Errorf("weir: queue %s could not be read, it is tried again: %w", queue.Name, err))
			sleep(ctx, delay(attempt))
		}
	}
}

func (c *Client) pollOnce(ctx context.Context, queue Queue) ([]types.Message, error) {
	limited, cancel := context.WithTimeout(ctx, c.times.poll+c.config.RequestTimeout)
	defer cancel()
	output, err := c.config.SQS.ReceiveMessage(limited, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(queue.URL), MaxNumberOfMessages: most, WaitTimeSeconds: int32(c.times.poll.Seconds()),
		VisibilityTimeout:           int32(c.times.visibility.Seconds()),
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSenderId},
	}, once)
	if err != nil {
		return nil, err
	}
	return output.Messages, nil
}

func (c *Client) take(ctx context.Context, queue Queue, received types.Message, handle Handler) {
	message, err := c.admit(received)
	if err != nil {
		// It would come again and again. Whatever it was, the coordinator repeats what is not answered.
		c.report(fmt.Errorf("weir: queue %s: a message is dropped: %w", queue.Name, err))
	} else if message != nil {
		stop := c.keepInvisible(ctx, queue, received)
		err := handle(ctx, *message)
		stop()
		if err != nil {
			c.gate.returned(message.ID)
			c.report(fmt.Errorf("weir: queue %s: the handler failed, message %s comes again: %w", queue.Name, message.ID, err))
			return
		}
	}
	c.remove(ctx, queue, received)
}

// What the node gets of a message; nil: nothing.
func (c *Client) admit(received types.Message) (*Message, error) {
	sender, _, _ := strings.Cut(received.Attributes[string(types.MessageSystemAttributeNameSenderId)], ":")
	if len(c.config.Coordinators) > 0 && !slices.Contains(c.config.Coordinators, sender) {
		return nil, fmt.Errorf("it was sent by %q, which Config.Coordinators does not name", sender)
	}
	message, err := incoming(received)
	if err != nil {
		return nil, err
	}
	return c.gate.incoming(message)
}

// Extends the visibility while a handler runs, in good time before it ends.
func (c *Client) keepInvisible(ctx context.Context, queue Queue, received types.Message) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		defer ended.Done()
		for sleep(ctx, c.times.visibility/3) {
			limited, done := c.deadline(ctx)
			_, err := c.config.SQS.ChangeMessageVisibility(limited, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: aws.String(queue.URL), ReceiptHandle: received.ReceiptHandle, VisibilityTimeout: int32(c.times.visibility.Seconds()),
			}, once)
			done()
			if err != nil && ctx.Err() == nil {
				c.report(fmt.Errorf("weir: queue %s: a message that is worked on may come a second time: %w", queue.Name, err))
			}
		}
	}()
	return func() { cancel(); ended.Wait() }
}

func (c *Client) remove(ctx context.Context, queue Queue, received types.Message) {
	for attempt := 1; ; attempt++ {
		limited, cancel := c.deadline(ctx)
		_, err := c.config.SQS.DeleteMessage(limited, &sqs.DeleteMessageInput{
			QueueUrl: aws.String(queue.URL), ReceiptHandle: received.ReceiptHandle,
		}, once)
		cancel()
		if err == nil || isGone(err) {
			return
		}
		c.report(fmt.Errorf("weir: queue %s: a message could not be deleted: %w", queue.Name, err))
		if attempt == deleteAttempts || !sleep(ctx, delay(attempt)) {
			return
		}
	}
}
