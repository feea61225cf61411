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
	// Tags, for instance for who pays. They need the right sqs:TagQueue, which the policy for one node has; without it the queue is
	// created without tags, and OnError is told.
	Tags map[string]string
	// KMSKeyID encrypts with the deployment's key: the stack's output EncryptionKeyArn. Empty: SQS's own keys.
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
// encrypted, and denies everybody who does not come over TLS. One that is there and open to others is not used (ErrUnsafeQueue); what is
// weaker in it than in a new one is told to OnError. It needs the right sqs:GetQueueAttributes. Create it before you register, and delete it when the node
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
			err = c.look(ctx, full, url, options.KMSKeyID)
		}
		if err == nil {
			return Queue{full, url}, nil
		}
		if isDenied(err) && input.Tags != nil && url == "" {
			c.report(fmt.Errorf("weir: queue %s is created without tags, if that is why it is refused: the node's role needs sqs:TagQueue: %w", full, err))
			input.Tags = nil
			continue
		}
		var recently *types.QueueDeletedRecently
		// A new queue is not known everywhere within its first second.
		passes := errors.As(err, &recently) || url != "" && isGone(err)
		if !passes || time.Now().After(until) || !sleep(ctx, recreateEvery) {
			return Queue{}, fmt.Errorf("weir: queue %s: %w", full, err)
		}
		c.report(fmt.Errorf("weir: queue %s was created or deleted just now, it is there as soon as SQS allows it: %w", full, err))
	}
}

func (c *Client) createOnce(ctx context.Context, input *sqs.CreateQueueInput) (string, error) {
	limited, cancel := c.deadline(ctx)
	defer cancel()
	created, err := c.config.SQS.CreateQueue(limited, input, once)
	if err == nil {
		return aws.ToString(created.QueueUrl), nil
	}
	// It is there, with other attributes: an operator's, an earlier version's, or those of somebody who was faster.
	var exists *types.QueueNameExists
	if !errors.As(err, &exists) {
		return "", err
	}
	found, err := c.config.SQS.GetQueueUrl(limited, &sqs.GetQueueUrlInput{QueueName: input.QueueName}, once)
	if err != nil {
		return "", err
	}
	return aws.ToString(found.QueueUrl), nil
}

// Whether a queue may be used, and what is weaker in it than in a new one.
func (c *Client) look(ctx context.Context, name, url, kmsKeyID string) error {
	limited, cancel := c.deadline(ctx)
	defer cancel()
	output, err := c.config.SQS.GetQueueAttributes(limited, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	}, once)
	if err != nil {
		if isDenied(err) {
			return fmt.Errorf("whether others can use it is not known, the node's role needs sqs:GetQueueAttributes: %w", err)
		}
		return err
	}
	weaker, err := differences(output.Attributes, kmsKeyID)
	for _, one := range weaker {
		c.report(fmt.Errorf("weir: queue %s was there already, and is used as it is: %s", name, one))
	}
	return err
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

func isDenied(err error) bool {
	var coded interface {
		error
		ErrorCode() string
	}
	return errors.As(err, &coded) && strings.Contains(coded.ErrorCode(), "AccessDenied")
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
