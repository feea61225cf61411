package weir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Queue is an action queue of this node.
type Queue struct{ Name, URL string }

// QueueOptions of a new queue. The zero value will do.
type QueueOptions struct {
	// Tags, for instance for who pays. They need the right sqs:TagQueue.
	Tags map[string]string
	// KMSKeyID encrypts with a key of yours, which the coordinator's roles must be allowed to use. Empty: SQS's own keys.
	KMSKeyID string
	// Account that the queue's policy names; empty: that of the status queue's URL.
	Account string
}

const (
	// A queue's name is taken for 60 s after it was deleted.
	recreateFor   = 75 * time.Second
	recreateEvery = 5 * time.Second
)

// CreateQueue makes the action queue with the deployment's prefix and this name behind it, or takes the one that is there. It is
// encrypted, and denies everybody who does not come over TLS. Create it before you register, and delete it when the node
// leaves for good: a deployment does not know whose it was.
func (c *Client) CreateQueue(ctx context.Context, name string, options QueueOptions) (Queue, error) {
	full := c.config.ActionQueuePrefix + strings.TrimPrefix(name, c.config.ActionQueuePrefix)
	if err := checkName(full); err != nil {
		return Queue{}, err
	}
	attributes := map[string]string{
		"VisibilityTimeout":             strconv.Itoa(int(c.times.visibility.Seconds())),
		"ReceiveMessageWaitTimeSeconds": strconv.Itoa(int(c.times.poll.Seconds())),
	}
	if options.KMSKeyID != "" {
		attributes["KmsMasterKeyId"] = options.KMSKeyID
	} else {
		attributes["SqsManagedSseEnabled"] = "true"
	}
	account := options.Account
	if account == "" {
		account = c.account
	}
	attributes["Policy"] = tlsOnly(c.region, account, full)
	input := &sqs.CreateQueueInput{QueueName: aws.String(full), Attributes: attributes, Tags: options.Tags}
	for until := time.Now().Add(recreateFor); ; {
		url, err := c.createOnce(ctx, input)
		if err == nil {
			return Queue{full, url}, nil
		}
		var recently *types.QueueDeletedRecently
		if !errors.As(err, &recently) || time.Now().After(until) || !sleep(ctx, recreateEvery) {
			return Queue{}, fmt.Errorf("weir: queue %s: %w", full, err)
		}
		c.report(fmt.Errorf("weir: queue %s was deleted just now, it is created as soon as SQS allows it: %w", full, err))
	}
}

func (c *Client) createOnce(ctx context.Context, input *sqs.CreateQueueInput) (string, error) {
	limited, cancel := c.deadline(ctx)
	defer cancel()
	created, err := c.config.SQS.CreateQueue(limited, input, once)
	if err == nil {
		return aws.ToString(created.QueueUrl), nil
	}
	// It is there, with other attributes: an operator's, or an earlier version's. They are left as they are.
	var exists *types.QueueNameExists
	if !errors.As(err, &exists) {
		return "", err
	}
	c.report(fmt.Errorf("weir: queue %s is there with other attributes than this client gives it; it is used as it is: %w", *input.QueueName, err))
	found, err := c.config.SQS.GetQueueUrl(limited, &sqs.GetQueueUrlInput{QueueName: input.QueueName}, once)
	if err != nil {
		return "", err
	}
	return aws.ToString(found.QueueUrl), nil
}

// DeleteQueue removes a queue of this node, with what is in it. One that is not there is deleted.
func (c *Client) DeleteQueue(ctx context.Context, queue Queue) error {
	limited, cancel := c.deadline(ctx)
	defer cancel()
	_, err := c.config.SQS.DeleteQueue(limited, &sqs.DeleteQueueInput{QueueUrl: aws.String(queue.URL)}, once)
	if err != nil && !isGone(err) {
		return fmt.Errorf("weir: queue %s: %w", queue.Name, err)
	}
	return nil
}

func isGone(err error) bool {
	var typed *types.QueueDoesNotExist
	var coded interface {
		error
		ErrorCode() string
	}
	return errors.As(err, &typed) || errors.As(err, &coded) && strings.Contains(coded.ErrorCode(), "NonExistentQueue")
}

func checkName(name string) error {
	if len(name) > 80 {
		return fmt.Errorf("weir: queue name %q has %d characters, SQS allows 80", name, len(name))
	}
	for _, char := range name {
		if !(char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '-' || char == '_') {
			return fmt.Errorf("weir: queue name %q has %q in it: SQS allows letters, digits, - and _", name, char)
		}
	}
	return nil
}

// The policy that the stack's own queues have.
func tlsOnly(region, account, name string) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		partition = "aws-us-gov"
	}
	resource := "*"
	if region != "" && account != "" {
		resource = fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition, region, account, name)
	}
	policy := map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid": "TlsOnly", "Effect": "Deny", "Principal": map[string]string{"AWS": "*"}, "Action": "sqs:*", "Resource": resource,
			"Condition": map[string]any{"Bool": map[string]string{"aws:SecureTransport": "false"}},
		}},
	}
	// A map of strings is always JSON.
	written, _ := json.Marshal(policy)
	return string(written)
}
