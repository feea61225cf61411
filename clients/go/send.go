package weir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const batchEntries = 10

// Enqueue takes a message over and returns: from then on it is sent until SQS has it, also after the context ended. It waits
// while QueueLimit messages wait. What fails for good (ErrTooLarge, what SQS will never take) is told to OnError.
//
// A heartbeat without statuses and without an error is for whoever keeps the checkpoint, not for the coordinator: it is dropped
// here. It fails at once for a body that is not what its kind says.
func (c *Client) Enqueue(ctx context.Context, message Outgoing) error {
	_, err := c.enqueue(ctx, message)
	return err
}

// Send is Enqueue, and waits until SQS has it: nil means that it is durable. If the context ends before, it is sent all the same.
func (c *Client) Send(ctx context.Context, message Outgoing) error {
	sent, err := c.enqueue(ctx, message)
	if err != nil {
		return err
	}
	return sent.wait(ctx)
}

func (c *Client) enqueue(ctx context.Context, message Outgoing) (*delivery, error) {
	fail := func(err error) (*delivery, error) {
		return nil, fmt.Errorf("weir: %s: %w", message.Kind, err)
	}
	needsQueue := message.Kind == Opening || message.Kind == Registration
	switch message.Kind {
	case Opening, Registration, BlockStatus, HeartBeat:
	default:
		return fail(errors.New("the coordinator does not take messages of this type"))
	}
	if needsQueue && message.ReplyQueue == "" {
		return fail(errors.New("Outgoing.ReplyQueue is missing: the name of the queue for the answers"))
	}
	for _, name := range []string{message.ReplyQueue, message.NodeQueue} {
		if name != "" && !strings.HasPrefix(name, c.config.ActionQueuePrefix) {
			return fail(fmt.Errorf("queue %q does not begin with %q, so the coordinator would refuse it", name, c.config.ActionQueuePrefix))
		}
	}
	d := readDocument(c.config.Encoding, message.Body)
	statuses := 0
	var complete *id
	if message.Kind == HeartBeat && d.err() == nil {
		all := d.list(fStatuses)
		if statuses = len(all); statuses == 0 && d.message(fHeartBeatErr) == nil {
			if d.err() != nil {
				return fail(d.err())
			}
			return newDelivery(0), nil
		}
		complete = completeOf(d, all)
	}
	if d.err() != nil {
		return fail(d.err())
	}
	parcels, err := c.parcels(message, d)
	if err != nil {
		return fail(err)
	}
	// Noted before it goes: an answer may come before the request has returned.
	if err := c.gate.outgoing(message.Kind, d); err != nil {
		return fail(err)
	}
	sent := newDelivery(len(parcels))
	for _, one := range parcels {
		one.sent = []*delivery{sent}
		if len(parcels) == 1 {
			one.complete = complete
		}
	}
	if err := c.outbox.put(ctx, parcels); err != nil {
		return fail(err)
	}
	return sent, nil
}

// The changefeed of a heartbeat that a later one makes superfluous. One that tells of a dispatcher that has stopped tells it once.
func completeOf(d *document, statuses []*document) *id {
	if !d.flag(fComplete) || d.message(fHeartBeatErr) != nil {
		return nil
	}
	for _, status := range statuses {
		if status.number(fComponentState) != componentWorking {
			return nil
		}
	}
	changefeed, _ := idOf(d.message(fChangefeed))
	return &changefeed
}

func (c *Client) parcels(message Outgoing, d *document) ([]*parcel, error) {
	attributes := map[string]types.MessageAttributeValue{"type": text(string(message.Kind)), "from": text(c.config.Node)}
	for name, value := range map[string]string{
		"start": c.config.Start, "replyQueue": message.ReplyQueue, "nodeQueue": message.NodeQueue,
	} {
		if value != "" {
			attributes[name] = text(value)
		}
	}
	if c.config.Encoding != JSON {
		attributes["encoding"] = text(string(c.config.Encoding))
	}
	// Room for `part` and `parts` too.
	limit := MaxMessageBytes - sizeOf("", attributes) - 64
	if c.config.Encoding == Protobuf {
		limit = limit / 4 * 3
	}
	bodies, err := split(message.Kind, d, limit)
	if err != nil {
		return nil, err
	}
	if len(bodies) == 1 && len(d.body()) == len(bodies[0]) {
		// As it was given: it was not split, so it need not be written again.
		bodies[0] = message.Body
	}
	var all []*parcel
	for index, body := range bodies {
		one := &parcel{kind: message.Kind, body: onQueue(c.config.Encoding, body), attributes: attributes}
		if message.Kind == Opening && len(bodies) > 1 {
			one.attributes = maps.Clone(attributes)
			one.attributes["part"] = text(strconv.Itoa(index + 1))
			one.attributes["parts"] = text(strconv.Itoa(len(bodies)))
		}
		one.size = sizeOf(one.body, one.attributes)
		if one.size > MaxMessageBytes {
			return nil, tooLarge("a message", one.size, MaxMessageBytes)
		}
		all = append(all, one)
	}
	return all, nil
}

// Sends what waits, a request at a time: order is kept as far as SQS keeps it.
func (c *Client) sendAll(ctx context.Context) {
	for attempt := 0; ; {
		batch := c.outbox.next(ctx, batchEntries, MaxMessageBytes)
		if batch == nil {
			return
		}
		left := c.sendBatch(ctx, batch)
		if len(left) == 0 {
			attempt = 0
			continue
		}
		c.outbox.putBack(left)
		attempt++
		if !sleep(ctx, delay(attempt)) {
			return
		}
	}
}

// Gives what has to be tried again.
func (c *Client) sendBatch(ctx context.Context, batch []*parcel) []*parcel {
	entries := make([]types.SendMessageBatchRequestEntry, len(batch))
	for index, one := range batch {
		entries[index] = types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(index)), MessageBody: aws.String(one.body), MessageAttributes: one.attributes,
		}
	}
	limited, cancel := c.deadline(ctx)
	defer cancel()
	output, err := c.config.SQS.SendMessageBatch(limited, &sqs.SendMessageBatchInput{
		QueueUrl: aws.String(c.config.StatusQueueURL), Entries: entries,
	}, once)
	if err != nil {
		c.report(fmt.Errorf("weir: %d messages did not reach the status queue, they are sent again: %w", len(batch), err))
		return batch
	}
	outcome := make(map[string]error, len(batch))
	for _, one := range output.Successful {
		outcome[aws.ToString(one.Id)] = nil
	}
	var left []*parcel
	refused := map[string]types.BatchResultErrorEntry{}
	for _, one := range output.Failed {
		refused[aws.ToString(one.Id)] = one
	}
	for index, one := range batch {
		key := strconv.Itoa(index)
		if _, taken := outcome[key]; taken {
			one.settle(nil)
			continue
		}
		why, known := refused[key]
		err := fmt.Errorf("weir: %s: SQS: %s: %s", one.kind, aws.ToString(why.Code), aws.ToString(why.Message))
		if known && isForGood(why) {
			one.settle(err)
			c.report(fmt.Errorf("it is not sent again: %w", err))
			continue
		}
		c.report(fmt.Errorf("it is sent again: %w", err))
		left = append(left, one)
	}
	return left
}

// What SQS says of the message itself does not change when it is sent again. Rights, keys and queues do.
func isForGood(why types.BatchResultErrorEntry) bool {
	code := aws.ToString(why.Code)
	return strings.Contains(code, "InvalidMessageContents") || strings.Contains(code, "InvalidParameterValue")
}
