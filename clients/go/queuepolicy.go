package weir

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnsafeQueue says that a queue of this name is there which others can read or send to, or which loses what it holds. It is not
// used: find out who created it, then delete it.
var ErrUnsafeQueue = errors.New("the action queue is open to others")

type statement struct {
	Effect    string
	Action    any
	Condition struct {
		Bool map[string]any
	}
}

// Looks at the attributes of a queue that somebody else may have created (protocol.md D12): what is weaker than in a queue of
// this client's, or ErrUnsafeQueue.
func differences(attributes map[string]string, kmsKeyID string) ([]string, error) {
	statements, err := statementsOf(attributes["Policy"])
	if err != nil {
		return nil, fmt.Errorf("%w: its policy cannot be read: %w", ErrUnsafeQueue, err)
	}
	tlsOnly := false
	for _, one := range statements {
		if one.Effect != "Deny" {
			return nil, fmt.Errorf("%w: its policy lets others in, and an action queue needs nobody let in", ErrUnsafeQueue)
		}
		secure := one.Condition.Bool["aws:SecureTransport"]
		tlsOnly = tlsOnly || fmt.Sprint(secure) == "false" && isEverything(one.Action)
	}
	if attributes["RedrivePolicy"] != "" {
		return nil, fmt.Errorf("%w: it has a redrive policy, by which actions end in another queue", ErrUnsafeQueue)
	}
	var weaker []string
	if !tlsOnly {
		weaker = append(weaker, "its policy does not deny what comes without TLS")
	}
	key := attributes["KmsMasterKeyId"]
	switch {
	case kmsKeyID != "" && plainKey(key) != plainKey(kmsKeyID):
		weaker = append(weaker, fmt.Sprintf("it is encrypted with key %q in place of %q", key, kmsKeyID))
	// An engine on this machine says nothing of it.
	case key == "" && attributes["SqsManagedSseEnabled"] == "false":
		weaker = append(weaker, "it is not encrypted")
	}
	for _, one := range []struct {
		name string
		bad  func(int) bool
	}{
		{"DelaySeconds", func(n int) bool { return n > 0 }},
		{"MessageRetentionPeriod", func(n int) bool { return n < 345_600 }},
		{"MaximumMessageSize", func(n int) bool { return n < 262_144 }},
	} {
		if number, err := strconv.Atoi(attributes[one.name]); err == nil && one.bad(number) {
			weaker = append(weaker, fmt.Sprintf("its %s is %d", one.name, number))
		}
	}
	return weaker, nil
}

// A policy has one statement or a list of them.
func statementsOf(policy string) ([]statement, error) {
	if policy == "" {
		return nil, nil
	}
	var document struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return nil, err
	}
	var all []statement
	if json.Unmarshal(document.Statement, &all) == nil {
		return all, nil
	}
	var one statement
	err := json.Unmarshal(document.Statement, &one)
	return []statement{one}, err
}

func isEverything(action any) bool {
	if list, ok := action.([]any); ok {
		for _, one := range list {
			if isEverything(one) {
				return true
			}
		}
		return false
	}
	text := strings.ToLower(fmt.Sprint(action))
	return text == "*" || text == "sqs:*"
}

// A key's id, of its ARN too.
func plainKey(key string) string {
	if _, id, found := strings.Cut(key, ":key/"); found && strings.HasPrefix(key, "arn:") {
		return id
	}
	return key
}
