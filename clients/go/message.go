package weir

import (
	"encoding/base64"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Kind is what a body is: the attribute `type` of a message.
type Kind string

// What a node sends.
const (
	// Opening names the table trigger and all tables of a changefeed: TiCDC's MaintainerPostBootstrapRequest.
	Opening Kind = "MaintainerPostBootstrapRequest"
	// Registration names the dispatchers of a node: TiCDC's MaintainerBootstrapResponse.
	Registration Kind = "MaintainerBootstrapResponse"
	// BlockStatus reports what dispatchers wait for, and what they have done.
	BlockStatus Kind = "BlockStatusRequest"
	// HeartBeat tells the component state and the checkpoint of dispatchers.
	HeartBeat Kind = "HeartBeatRequest"
)

// What a node gets.
const (
	// HeartBeatResponse carries ACKs and actions: Write and Pass.
	HeartBeatResponse Kind = "HeartBeatResponse"
	// ScheduleDispatcher asks for a dispatcher to be created or removed.
	ScheduleDispatcher Kind = "ScheduleDispatcherRequest"
	// RegistrationResult answers a registration. Only nodes with a Start get it, and it is JSON always.
	RegistrationResult Kind = "RegistrationResult"
)

// Encoding is how a body is written. Answers come as the registration was.
type Encoding string

const (
	// JSON is proto3 JSON: 64-bit integers as strings, enums as names, bytes as base64.
	JSON Encoding = "json"
	// Protobuf is the binary form. On the queue it is base64; here it is the bytes themselves.
	Protobuf Encoding = "protobuf"
)

// Outgoing is one message for the coordinator.
type Outgoing struct {
	Kind Kind
	// Body in the encoding of the client: what Marshal of the generated type gives, or proto3 JSON.
	Body []byte
	// ReplyQueue is the name of the queue for answers to the dispatchers in this message. On an opening and on a registration.
	ReplyQueue string
	// NodeQueue is the name of the queue for requests to create and to remove dispatchers. On a registration; empty: ReplyQueue.
	NodeQueue string
}

// Message is one that the coordinator sent.
type Message struct {
	Kind     Kind
	Encoding Encoding
	// Body is the bytes of the binary form, or JSON.
	Body []byte
	// ID is SQS's id of the message: a second delivery has the same.
	ID string
}

// MaxMessageBytes is what every queue takes: body and attributes together.
const MaxMessageBytes = 256 * 1024

func onQueue(encoding Encoding, body []byte) string {
	if encoding == Protobuf {
		return base64.StdEncoding.EncodeToString(body)
	}
	return string(body)
}

func text(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
}

// What SQS counts of a message: its body, and name, type and value of each attribute.
func sizeOf(body string, attributes map[string]types.MessageAttributeValue) int {
	size := len(body)
	for name, value := range attributes {
		size += len(name) + len(aws.ToString(value.DataType)) + len(aws.ToString(value.StringValue))
	}
	return size
}

// incoming reads what is on the queue; it fails for what this module could not have been meant with.
func incoming(received types.Message) (Message, error) {
	attribute := func(name string) string { return aws.ToString(received.MessageAttributes[name].StringValue) }
	message := Message{Kind: Kind(attribute("type")), Encoding: Encoding(attribute("encoding")), ID: aws.ToString(received.MessageId)}
	if message.Encoding == "" {
		message.Encoding = JSON
	}
	body := aws.ToString(received.Body)
	switch message.Encoding {
	case JSON:
		message.Body = []byte(body)
	case Protobuf:
		decoded, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return message, fmt.Errorf("message %s of type %q is not the base64 that its encoding says: %w", message.ID, message.Kind, err)
		}
		message.Body = decoded
	default:
		return message, fmt.Errorf("message %s has the encoding %q: json and protobuf are known", message.ID, message.Encoding)
	}
	return message, nil
}
